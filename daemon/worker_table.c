/* SPDX-License-Identifier: MIT */
/*
 * The table of workers: making one (a channel, an area, a request to the zygote), finding it again when news
 * comes, freeing it at the loop's end. A spawn has a number of its own, so that late news of an earlier
 * worker with the same index finds nobody.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/rights.h"
#include "daemon/worker_private.h"
#include "daemon/zygote.h"

struct worker *worker_at(const struct workers *workers, uint32_t index)
{
        return index < workers->n_at ? workers->at[index] : NULL;
}

/* -- spawning -- */

static int area_new(struct area **ret, int *ret_fd)
{
        int fd = memfd_create("ganger-area", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        struct area *area = MAP_FAILED;
        int r = posix_fallocate(fd, 0, AREA_AND_RING_BYTES);
        if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                r = errno;
        if (r == 0) {
                area = mmap(NULL, AREA_AND_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                r = area == MAP_FAILED ? errno : 0;
        }
        if (r != 0) {
                close(fd);
                return -r;
        }
        area->magic = AREA_MAGIC;
        area->n_slots = LIMIT_SLOTS;
        area->ring_bytes = sizeof(struct ring);
        *ret = area;
        *ret_fd = fd;
        return 0;
}

static struct worker *worker_free(struct worker *worker)
{
        if (!worker)
                return NULL;
        worker_forget_watch(worker);
        event_del(&worker->hung_timer);
        channel_deinit(&worker->channel);
        free(worker->lines);
        for (uint32_t i = 0; i < LIMIT_SLOTS; i++)
                rights_unref(worker->rights[i]);
        if (worker->area)
                munmap(worker->area, AREA_AND_RING_BYTES);
        generation_unref(worker->generation);
        free(worker);
        return NULL;
}

/* Our end of the worker's channel; the other one in *ret_peer. */
static int channel_pair(struct worker *worker, int *ret_peer)
{
        struct workers *workers = worker->owner;
        const int yes = 1;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        int r = 0;
        if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ||
            setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
                r = -errno;
        if (r == 0)
                r = channel_init(&worker->channel, workers->daemon, pair[0], &workers->flush,
                                 &worker_channel_callbacks);
        if (r < 0) {
                close(pair[0]);
                close(pair[1]);
                return r;
        }
        worker->channel.takes_descriptors = true;
        *ret_peer = pair[1];
        return 0;
}

static int reserve_index(struct workers *workers, uint32_t index)
{
        if (index < workers->n_at)
                return 0;
        uint32_t n = index < 32 ? 64 : index * 2;
        struct worker **at = realloc(workers->at, n * sizeof(*at));
        if (!at)
                return -ENOMEM;
        memset(at + workers->n_at, 0, (n - workers->n_at) * sizeof(*at));
        workers->at = at;
        workers->n_at = n;
        return 0;
}

int worker_spawn(struct workers *workers, uint32_t pool, uint32_t index)
{
        struct zygote *zygote = pools_zygote(workers->daemon->pools, pool);
        int peer = -1, area_fd = -1;
        int r = reserve_index(workers, index);
        if (r < 0)
                return r;
        assert(zygote && !workers->at[index]);
        struct worker *worker = calloc(1, sizeof(*worker));
        if (!worker)
                return -ENOMEM;
        worker->owner = workers;
        worker->index = index;
        worker->pool = pool;
        worker->zygote = zygote_serial(zygote);
        worker->generation = pools_generation(workers->daemon->pools, pool);
        worker->pidfd = worker->statm = worker->channel.fd = -1;
        worker->born = workers->daemon->now;
        worker->spawn_id = (workers->n_spawns + 1) << 32 | index;
        event_assign(&worker->hung_timer, workers->daemon->base, -1, 0, worker_on_hung_timer, worker);
        r = area_new(&worker->area, &area_fd);
        if (r == 0)
                r = channel_pair(worker, &peer);
        if (r == 0)
                r = zygote_spawn(zygote, worker->spawn_id, peer, area_fd);
        if (r < 0) {
                if (peer >= 0)
                        close(peer);
                if (area_fd >= 0)
                        close(area_fd);
                worker_free(worker);
                return r;
        }
        workers->n_spawns++;
        workers->at[index] = worker;
        return 0;
}

/* -- news from zygotes -- */

static struct worker *by_spawn(const struct workers *workers, uint64_t spawn_id)
{
        struct worker *worker = worker_at(workers, (uint32_t)spawn_id);
        return worker && worker->spawn_id == spawn_id ? worker : NULL;
}

void workers_spawned(struct workers *workers, uint64_t spawn_id, pid_t pid)
{
        struct worker *worker = by_spawn(workers, spawn_id);
        if (worker)
                worker_on(worker, EVENT_SPAWNED, pid);
}

void workers_spawn_failed(struct workers *workers, uint64_t spawn_id, int error)
{
        struct worker *worker = by_spawn(workers, spawn_id);
        if (worker)
                worker_on(worker, EVENT_SPAWN_FAILED, error);
}

void workers_zygote_lost(struct workers *workers, uint64_t zygote)
{
        for (uint32_t i = 0; i < workers->n_at; i++)
                if (workers->at[i] && workers->at[i]->zygote == zygote)
                        worker_on(workers->at[i], EVENT_ZYGOTE_LOST, 0);
}

bool workers_expect_newborn(const struct workers *workers)
{
        for (uint32_t i = 0; i < workers->n_at; i++)
                if (workers->at[i] && workers->at[i]->life <= LIFE_SHUT)
                        return true;
        return false;
}

/* -- the table -- */

int workers_new(struct daemon *daemon, struct workers **ret)
{
        struct workers *workers = calloc(1, sizeof(*workers));
        if (!workers)
                return -ENOMEM;
        workers->daemon = daemon;
        TAILQ_INIT(&workers->flush);
        TAILQ_INIT(&workers->watched);
        TAILQ_INIT(&workers->graveyard);
        *ret = workers;
        return 0;
}

static void free_dead(struct workers *workers)
{
        struct worker *worker;
        while ((worker = TAILQ_FIRST(&workers->graveyard))) {
                TAILQ_REMOVE(&workers->graveyard, worker, dead_link);
                worker_free(worker);
        }
}

struct workers *workers_free(struct workers *workers)
{
        if (!workers)
                return NULL;
        for (uint32_t i = 0; i < workers->n_at; i++) {
                struct worker *worker = workers->at[i];
                if (!worker)
                        continue;
                worker_doom(worker);
                worker_forget_process(worker);
                worker_free(worker);
        }
        free_dead(workers);
        free(workers->at);
        free(workers);
        return NULL;
}

void workers_flush(struct workers *workers)
{
        channels_flush(&workers->flush);
        zygotes_flush(workers->daemon->zygotes);
}

void workers_sweep(struct workers *workers)
{
        if (workers->reap_again) {
                workers->reap_again = false;
                workers_reap(workers->daemon); /* no further SIGCHLD tells of it */
        }
        free_dead(workers);
        zygotes_sweep(workers->daemon->zygotes);
}
