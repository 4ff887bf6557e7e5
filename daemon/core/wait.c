/* SPDX-License-Identifier: MIT */
/*
 * `wait`: one request that watches many tasks. Its memory is charged to its user, for one message can name
 * 65,536 tasks. Answered when as many have ended as were asked for, or at its time, with those that have.
 */
#include "daemon/core/core_private.h"

void wait_free(struct core *core, struct waiter *waiter)
{
        struct wait *wait = waiter->wait;
        for (size_t i = 0; i < wait->n; i++)
                if (wait->watches[i].task)
                        watch_end(&wait->watches[i]);
        user_release(waiter->peer->user, ACCOUNT_BYTES, wait->cost_bytes);
        free(wait);
        waiter->wait = NULL;
}

/* The struct and its three arrays in one piece. */
static int wait_new(struct waiter *waiter, const uint64_t *ids, size_t n, size_t count)
{
        struct wait *wait;
        size_t size =
                sizeof(*wait) + n * (sizeof(*wait->watches) + sizeof(*wait->ids) + sizeof(*wait->states));
        int r = user_admit(waiter->peer->user, ACCOUNT_BYTES, size);
        if (r)
                return r;
        wait = calloc(1, size);
        if (!wait)
                return -ENOMEM;
        wait->watches = (struct watch *)(wait + 1);
        wait->ids = (uint64_t *)(wait->watches + n);
        wait->states = (enum task_state *)(wait->ids + n);
        wait->n = n;
        wait->count = count < n ? count : n;
        wait->cost_bytes = size;
        if (n)
                memcpy(wait->ids, ids, n * sizeof(*ids));
        user_charge(waiter->peer->user, ACCOUNT_BYTES, size);
        waiter->wait = wait;
        return 0;
}

/* 0 or -ENOMEM. */
static int look_at(struct core *core, struct waiter *waiter, size_t i)
{
        struct wait *wait = waiter->wait;
        struct task *task = task_find(core, wait->ids[i]);
        struct core_record record;
        wait->states[i] = N_TASK_STATES;
        if (task && peer_sees(waiter->peer, user_uid(task->user))) {
                if (!TASK_IS_END(task->state) || !task->settled) {
                        if (awaited_reserve(waiter->peer, task->pool) < 0)
                                return -ENOMEM;
                        wait->states[i] = TASK_READY;
                        waiter_watch(waiter, &wait->watches[i], task, i);
                        return 0;
                }
                wait->states[i] = task->state;
        } else if (!task && history_find(&core->history, wait->ids[i], &record) &&
                   peer_sees(waiter->peer, record.uid)) {
                wait->states[i] = record.state;
        }
        wait->n_ended++;
        return 0;
}

void wait_answer(struct core *core, struct waiter *waiter)
{
        struct wait *wait = waiter->wait;
        struct core_request request = waiter_request(waiter);
        size_t n = 0;
        for (size_t i = 0; i < wait->n; i++) {
                if (wait->watches[i].task)
                        continue;
                wait->ids[n] = wait->ids[i];
                wait->states[n++] = wait->states[i];
        }
        core->ops.answer_states(core->ctx, request, wait->ids, wait->states, n);
        waiter_free(core, waiter);
}

void wait_on_end(struct core *core, struct watch *watch, enum task_state state)
{
        struct waiter *waiter = watch->waiter;
        struct wait *wait = waiter->wait;
        watch_end(watch);
        wait->states[watch->index] = state;
        if (++wait->n_ended >= wait->count)
                wait_answer(core, waiter);
}

int core_wait(struct core *core, struct core_request request, const uint64_t *ids, size_t n, int64_t timeout,
              size_t count, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct waiter *waiter;
        assert(peer);
        core_update_now(core, now);
        int r = waiter_new(peer, request.msgid, WAITER_WAIT, &waiter);
        if (r)
                return r;
        r = wait_new(waiter, ids, n, count);
        if (r) {
                waiter_free(core, waiter);
                return r;
        }
        for (size_t i = 0; !r && i < n; i++)
                r = look_at(core, waiter, i);
        bool waits = !r && waiter->wait->n_ended < waiter->wait->count && timeout > 0;
        if (waits && peer_wait_would_deadlock(waiter))
                r = CORE_DEADLOCK;
        if (r) {
                waiter_free(core, waiter);
                return r;
        }
        if (!waits)
                wait_answer(core, waiter);
        else if (timeout < CORE_NEVER - now)
                timer_set(core, &waiter->timer, now + timeout);
        return 0;
}
