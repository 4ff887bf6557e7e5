/* SPDX-License-Identifier: MIT */
/*
 * At which workers' rings gangerd looks by itself: those that were sent something, or spoke, since it last
 * slept. They pay no system call to be heard. Who has nothing to say for long is left to wake it.
 */
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/worker_private.h"

#define LOOKS_IN_VAIN 256

void worker_watch(struct worker *worker)
{
        if (!worker->channel.ring.ring)
                return;
        worker->n_looked = 0;
        if (worker->is_watched)
                return;
        worker->is_watched = true;
        TAILQ_INSERT_TAIL(&worker->owner->watched, worker, watch_link);
        ring_watch(&worker->channel.ring);
}

void worker_forget_watch(struct worker *worker)
{
        if (worker->is_watched)
                TAILQ_REMOVE(&worker->owner->watched, worker, watch_link);
        worker->is_watched = false;
}

/* False: it has put something there meanwhile. */
static bool unwatch(struct worker *worker)
{
        if (!worker->channel.ended && !ring_unwatch(&worker->channel.ring)) {
                ring_watch(&worker->channel.ring);
                return false;
        }
        worker_forget_watch(worker);
        return true;
}

bool workers_poll(struct workers *workers)
{
        struct worker *worker, *next;
        bool some = false;

        for (worker = TAILQ_FIRST(&workers->watched); worker; worker = next) {
                next = TAILQ_NEXT(worker, watch_link);
                if (ring_has_more(&worker->channel.ring) && !worker->channel.ended) {
                        daemon_update_now(workers->daemon);
                        some = channel_poll(&worker->channel) || some;
                } else if (++worker->n_looked > LOOKS_IN_VAIN) {
                        unwatch(worker);
                }
        }
        return some;
}

bool workers_are_watched(const struct workers *workers)
{
        return !TAILQ_EMPTY(&workers->watched);
}

bool workers_unwatch(struct workers *workers)
{
        struct worker *worker, *next;
        bool quiet = true;

        for (worker = TAILQ_FIRST(&workers->watched); worker; worker = next) {
                next = TAILQ_NEXT(worker, watch_link);
                quiet = unwatch(worker) && quiet;
        }
        return quiet;
}
