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

#include "daemon/daemon.h"
#include "daemon/payload.h"
#include "daemon/rpc_shared.h"
#include "proto/ganger_shared.h"
#include "proto/limits.h"

#define SLICE_BYTES (8u << 20)

struct making {
        struct making *next;
        uint64_t object;
        uint64_t size_bytes, done_bytes;
        int fd;
        struct core_request *waiting;
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

static int write_header(int fd, const struct core_object *object)
{
        struct ganger_shared_header header = {
                .magic = GANGER_SHARED_MAGIC,
                .version = GANGER_SHARED_VERSION,
                .kind = object->kind == OBJECT_VALUE ? GANGER_SHARED_VALUE : GANGER_SHARED_ARRAY,
                .type = (uint32_t)object->values[PROPERTY_TYPE],
                .item_bytes =
                        ganger_shared_item_bytes((enum ganger_shared_type)object->values[PROPERTY_TYPE]),
                .length = object->values[PROPERTY_LENGTH],
                .first_offset = sizeof(header)};
        ssize_t n = pwrite(fd, &header, sizeof(header), 0);
        return n == (ssize_t)sizeof(header) ? 0 : n < 0 ? -errno : -EIO;
}

static int make_file(const struct core_object *object, uint64_t size_bytes)
{
        int fd = memfd_create("ganger shared", MFD_CLOEXEC | MFD_ALLOW_SEALING), r = 0;

        if (fd < 0)
                return -errno;
        /* For others than its owner it is what its mode says: a descriptor to read by cannot be opened anew
         * for writing. */
        if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size_bytes) < 0)
                r = -errno;
        if (r == 0)
                r = write_header(fd, object);
        if (r < 0)
                close(fd);
        return r < 0 ? r : fd;
}

/* One slice. 1: there is more. */
static int work_on(struct making *making)
{
        uint64_t left = making->size_bytes - making->done_bytes, n = left < SLICE_BYTES ? left : SLICE_BYTES;

        if (fallocate(making->fd, 0, (off_t)making->done_bytes, (off_t)n) < 0)
                return -errno;
        making->done_bytes += n;
        if (making->done_bytes < making->size_bytes)
                return 1;
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
        r = core_object_memory(daemon->core, making->object, payload);
        if (r != 0)
                payload_drop(daemon->payloads, payload);
        return r;
}

static void making_free(struct making *making)
{
        if (making->fd >= 0)
                close(making->fd);
        free(making->waiting);
        free(making);
}

/* All who waited are told: r is how it went. */
static void answer(struct daemon *daemon, const struct making *making, int r)
{
        for (size_t i = 0; i < making->n_waiting; i++) {
                struct core_request request = making->waiting[i];
                struct core_object object;
                int looked = r;

                if (!core_request_end(daemon->core, request))
                        continue;
                if (r == 0)
                        looked = core_object_look(daemon->core, request.connection, making->name,
                                                  N_OBJECT_KINDS, &object);
                if (looked == 0)
                        looked = rpc_answer_object(daemon, request, &object);
                if (looked != 0)
                        backend_ops.answer_refusal(
                                daemon, request, looked < 0 ? CORE_OUT_OF_MEMORY : (enum core_refusal)looked);
        }
}

/* Goes on with the next slice. 1: there is more; else it is done, whichever way, and gone: 0 or -errno. */
static int step(struct daemon *daemon, struct making *making)
{
        int r = work_on(making);

        if (r > 0)
                return r;
        if (r == 0)
                r = hand_over(daemon, making);
        if (r < 0)
                core_object_failed(daemon->core, making->object);
        answer(daemon, making, r);
        making_free(making);
        return r < 0 ? r : 0; /* one that was unlinked meanwhile is done too */
}

int memories_make(struct daemon *daemon, const struct core_object *object)
{
        struct making *making = calloc(1, sizeof(*making));
        int r = making ? 0 : -ENOMEM;

        if (r == 0) {
                making->object = object->id;
                snprintf(making->name, sizeof(making->name), "%s", object->name);
                making->size_bytes = memory_size_bytes((unsigned)object->values[PROPERTY_TYPE],
                                                       object->values[PROPERTY_LENGTH]);
                r = making->fd = make_file(object, making->size_bytes);
        }
        if (r < 0) {
                free(making);
                core_object_failed(daemon->core, object->id);
                return r;
        }
        r = step(daemon, making);
        if (r <= 0)
                return r;
        making->next = daemon->rpc->memories.first;
        daemon->rpc->memories.first = making;
        daemon_turn_again(daemon);
        return 0;
}

int memories_await(struct daemon *daemon, uint64_t object, struct core_request request)
{
        struct making *making = daemon->rpc->memories.first;

        while (making->object != object)
                making = making->next;
        struct core_request *larger = realloc(making->waiting, (making->n_waiting + 1) * sizeof(*larger));
        if (!larger)
                return -ENOMEM;
        making->waiting = larger;
        larger[making->n_waiting++] = request;
        return 0;
}

bool memories_turn(struct daemon *daemon)
{
        struct making **link = &daemon->rpc->memories.first, *making;

        while ((making = *link)) {
                struct making *next = making->next;
                if (step(daemon, making) > 0)
                        link = &making->next;
                else
                        *link = next;
        }
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
