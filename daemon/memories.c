/* SPDX-License-Identifier: MIT */
#include "daemon/memories.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/daemon.h"
#include "daemon/payload.h"
#include "daemon/rpc_shared.h"
#include "proto/ganger_shared.h"
#include "proto/limits.h"

#define SLICE_BYTES   (2u << 20)
#define AT_ONCE_BYTES (64u << 10) /* less is made when it is asked for */

struct making {
        struct making *next;
        uint64_t object;
        struct ganger_shared_header header;
        uint64_t size_bytes, done_bytes;
        int fd; /* -1: not begun */
        struct {
                struct core_ticket ticket;
                bool is_maker; /* its request made the object */
        } * waiting;
        size_t n_waiting;
        char name[LIMIT_NAME_BYTES + 1];
};

uint64_t memory_size_bytes(unsigned type, uint64_t length)
{
        uint64_t item_bytes = ganger_shared_item_bytes((enum ganger_shared_type)type);
        return length > GANGER_SHARED_LENGTH_MAX ? 0
                                                 : sizeof(struct ganger_shared_header) + length * item_bytes;
}

/* -- making -- */

static struct ganger_shared_header header_of(const struct core_object *object)
{
        enum ganger_shared_type type = (enum ganger_shared_type)object->values[PROPERTY_TYPE];

        return (struct ganger_shared_header){.magic = GANGER_SHARED_MAGIC,
                                             .version = GANGER_SHARED_VERSION,
                                             .kind = object->kind == OBJECT_VALUE ? GANGER_SHARED_VALUE
                                                                                  : GANGER_SHARED_ARRAY,
                                             .type = (uint32_t)type,
                                             .item_bytes = ganger_shared_item_bytes(type),
                                             .length = object->values[PROPERTY_LENGTH],
                                             .first_offset = sizeof(struct ganger_shared_header)};
}

static int make_file(struct making *making)
{
        ssize_t n;

        making->fd = memfd_create("ganger shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (making->fd < 0)
                return -errno;
        /* For others than its owner it is what its mode says: a descriptor to read by cannot be opened anew
         * for writing. */
        if (fchmod(making->fd, 0600) < 0 || ftruncate(making->fd, (off_t)making->size_bytes) < 0)
                return -errno;
        n = pwrite(making->fd, &making->header, sizeof(making->header), 0);
        return n == (ssize_t)sizeof(making->header) ? 0 : n < 0 ? -errno : -EIO;
}

/* One slice. */
static int work_on(struct making *making)
{
        uint64_t left = making->size_bytes - making->done_bytes, n = left < SLICE_BYTES ? left : SLICE_BYTES;
        int r = making->fd < 0 ? make_file(making) : 0;

        if (r < 0)
                return r;
        if (fallocate(making->fd, 0, (off_t)making->done_bytes, (off_t)n) < 0)
                return -errno;
        making->done_bytes += n;
        if (making->done_bytes < making->size_bytes)
                return 0;
        return fcntl(making->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}

/* It is the core's. */
static int hand_over(struct daemon *daemon, struct making *making)
{
        static const uint8_t nil = 0xc0;
        payload_t payload;
        int r = payload_new(daemon->payloads, &nil, sizeof(nil), &making->fd, 1, &payload);

        if (r < 0)
                return r;
        making->fd = -1;
        core_object_memory(daemon->core, making->object, payload);
        return 0;
}

static void making_free(struct making *making)
{
        if (making->fd >= 0)
                closer_close(making->fd);
        free(making->waiting);
        free(making);
}

/* All who waited are told: r is how it went. */
static void answer(struct daemon *daemon, const struct making *making, int r)
{
        for (size_t i = 0; i < making->n_waiting; i++) {
                struct core_request request = making->waiting[i].ticket.request;
                struct core_object object;
                int looked = r;

                if (!core_request_end(daemon->core, &making->waiting[i].ticket))
                        continue;
                if (r == 0)
                        looked = core_object_look(daemon->core, request.connection, making->name,
                                                  N_OBJECT_KINDS, &object);
                object.is_new = making->waiting[i].is_maker;
                if (looked == 0)
                        looked = rpc_admit_descriptor(daemon, request);
                if (looked == 0)
                        looked = rpc_answer_object(daemon, request, &object);
                if (looked != 0)
                        backend_ops.answer_refusal(
                                daemon, request, looked < 0 ? CORE_OUT_OF_MEMORY : (enum core_refusal)looked);
        }
}

/* One slice. False: it is over and gone; *ret: how it went. */
static bool step(struct daemon *daemon, struct making *making, int *ret)
{
        bool wanted = core_object_wants_memory(daemon->core, making->object);
        int r = wanted ? work_on(making) : CORE_UNKNOWN_OBJECT;

        if (r == 0 && making->done_bytes < making->size_bytes)
                return true;
        if (r == 0)
                r = hand_over(daemon, making);
        if (r < 0)
                core_object_failed(daemon->core, making->object);
        answer(daemon, making, r);
        making_free(making);
        *ret = r;
        return false;
}

static void append(struct memories *memories, struct making *making)
{
        struct making **at = &memories->first;

        while (*at)
                at = &(*at)->next;
        making->next = NULL;
        *at = making;
}

int memories_make(struct daemon *daemon, const struct core_object *object)
{
        struct making *making = calloc(1, sizeof(*making));
        int r;

        if (!making) {
                core_object_failed(daemon->core, object->id);
                return -ENOMEM;
        }
        making->object = object->id;
        making->header = header_of(object);
        making->fd = -1;
        snprintf(making->name, sizeof(making->name), "%s", object->name);
        making->size_bytes =
                memory_size_bytes((unsigned)object->values[PROPERTY_TYPE], object->values[PROPERTY_LENGTH]);
        if (making->size_bytes <= AT_ONCE_BYTES && !step(daemon, making, &r))
                return r;
        append(&daemon->rpc->memories, making);
        daemon_turn_again(daemon);
        return 0;
}

int memories_await(struct daemon *daemon, uint64_t object, const struct core_ticket *ticket, bool is_maker)
{
        struct making *making = daemon->rpc->memories.first;

        while (making->object != object)
                making = making->next;
        void *larger = realloc(making->waiting, (making->n_waiting + 1) * sizeof(*making->waiting));
        if (!larger)
                return -ENOMEM;
        making->waiting = larger;
        making->waiting[making->n_waiting].ticket = *ticket;
        making->waiting[making->n_waiting++].is_maker = is_maker;
        return 0;
}

/* Those that nobody wants any more cost no turn: who asks for many and unlinks them keeps nobody waiting. */
static struct making *take_next(struct daemon *daemon)
{
        struct memories *memories = &daemon->rpc->memories;
        struct making *making;
        int r;

        while ((making = memories->first)) {
                memories->first = making->next;
                if (core_object_wants_memory(daemon->core, making->object))
                        return making;
                step(daemon, making, &r);
        }
        return NULL;
}

bool memories_turn(struct daemon *daemon)
{
        struct making *making = take_next(daemon);
        int r;

        if (making && step(daemon, making, &r))
                append(&daemon->rpc->memories, making);
        return daemon->rpc->memories.first != NULL;
}

void memories_deinit(struct memories *memories)
{
        while (memories->first) {
                struct making *making = memories->first;
                memories->first = making->next;
                making_free(making);
        }
}

int memory_descriptor(const struct daemon *daemon, const struct core_object *object)
{
        char path[sizeof("/proc/self/fd/") + 16];
        uint32_t n;
        int fd = payload_fds(daemon->payloads, object->memory, &n)[0];

        if (object->access & ACCESS_WRITE)
                return rpc_duplicate(fd);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}
