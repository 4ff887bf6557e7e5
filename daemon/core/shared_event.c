/* SPDX-License-Identifier: MIT */
/* Events, which are set or not, and barriers, at which so many meet or nobody passes. */
#include "daemon/core/core_private.h"

/* -- events -- */

int core_event_set(struct core *core, uint32_t connection, const char *name, const struct core_open *open,
                   bool set, int64_t now)
{
        struct object *event;
        core_update_now(core, now);
        int r = object_use(peer_at(core, connection), name, open, &event);
        if (r)
                return r;
        event->as.event.is_set = set;
        while (set && !TAILQ_EMPTY(&event->waits))
                object_wait_answer(TAILQ_FIRST(&event->waits),
                                   &(struct core_shared_answer){.kind = ANSWER_FLAG, .flag = true});
        return 0;
}

int core_event_wait(struct core *core, struct core_request request, const char *name,
                    const struct core_open *open, int64_t timeout, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct object *event;
        struct object_wait *wait;
        core_update_now(core, now);
        int r = object_use(peer, name, open, &event);
        if (r)
                return r;
        bool is_set = event->as.event.is_set;
        if (!is_set && timeout > 0)
                return object_wait_new(peer, request.msgid, event, WAIT_EVENT, timeout, &wait);
        answer_shared(core, request, &(struct core_shared_answer){.kind = ANSWER_FLAG, .flag = is_set});
        return 0;
}

/* -- barriers -- */

void barrier_break(struct object *barrier)
{
        struct object_wait *wait, *next;
        if (barrier->as.barrier.is_broken || barrier->as.barrier.is_passing)
                return;
        barrier->as.barrier.is_broken = true;
        /* Of who is just being rid of its requests, one after another, they end there. */
        TAILQ_FOREACH_SAFE (wait, &barrier->waits, link, next) {
                if (!peer_gives_up(wait->waiter->peer))
                        waiter_refuse(barrier->core, wait->waiter, CORE_BROKEN);
        }
}

/* All are there. */
static void pass(struct object *barrier)
{
        struct object_wait *wait;
        barrier->as.barrier.is_passing = true;
        while ((wait = TAILQ_FIRST(&barrier->waits)))
                object_wait_answer(wait,
                                   &(struct core_shared_answer){.kind = ANSWER_COUNT, .count = wait->n});
        barrier->as.barrier.is_passing = false;
}

int core_barrier_wait(struct core *core, struct core_request request, const char *name,
                      const struct core_open *open, int64_t timeout, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct object *barrier;
        struct object_wait *wait;
        core_update_now(core, now);
        int r = object_use(peer, name, open, &barrier);
        if (r)
                return r;
        if (barrier->as.barrier.is_broken)
                return CORE_BROKEN;
        uint32_t number = barrier->n_waiting;
        if (number + 1 == barrier->values[PROPERTY_PARTIES]) {
                pass(barrier);
                answer_shared(core, request,
                              &(struct core_shared_answer){.kind = ANSWER_COUNT, .count = number});
                return 0;
        }
        if (timeout <= 0)
                return CORE_NOT_READY;
        r = object_wait_new(peer, request.msgid, barrier, WAIT_BARRIER, timeout, &wait);
        if (!r)
                wait->n = number;
        return r;
}

int core_barrier_reset(struct core *core, uint32_t connection, const char *name, bool broken, int64_t now)
{
        struct object *barrier;
        core_update_now(core, now);
        int r = object_find(peer_at(core, connection), name, OBJECT_BARRIER, ACCESS_WRITE, &barrier);
        if (r)
                return r;
        if (!barrier)
                return CORE_UNKNOWN_OBJECT;
        barrier_break(barrier);
        barrier->as.barrier.is_broken = broken;
        return 0;
}
