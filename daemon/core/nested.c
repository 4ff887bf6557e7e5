/* SPDX-License-Identifier: MIT */
/*
 * Tasks that ask for something themselves. What a running task asks for comes over a connection of its own,
 * which begins with its first request and ends with it: then its open requests are over, and what it
 * submitted and did not detach is cancelled.
 *
 * While such a connection has an open request its task waits, and the place of its worker is lent: to what
 * others wait for (awaited.c), so that it gets done whatever else is queued. The invariant: a peer is in its
 * pool's list of the waiting exactly while its hand is busy and it has open requests.
 */
#include "daemon/core/core_private.h"

int core_connection_open_task(struct core *core, uint32_t connection, uint32_t worker, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        struct run *run = hand ? TAILQ_FIRST(&hand->runs) : NULL;
        core_update_now(core, now);
        if (!run || hand->condemned || hand->state == WORKER_KILLED) /* of one that is stuck no run is left */
                return CORE_NOT_OPEN;
        assert(!hand->peer && run->state != RUN_SENT);
        struct peer *peer;
        int r = peer_new(core, connection, run->task->user, hand->pid, &peer);
        if (r)
                return r;
        run->claimed = true;
        peer->run = run;
        peer->pool = hand->pool;
        peer->depth = run->task->extra ? run->task->extra->depth : 0;
        hand->peer = peer;
        return 0;
}

/* -- waiting -- */

static void start_waiting(struct peer *peer)
{
        struct run *run = peer->run;
        struct pool *pool = peer->pool;
        TAILQ_INSERT_TAIL(&pool->waiting, peer, waiting_link);
        pool->n_waiting++;
        peer->is_waiting = run->has_waited = true;
        awaited_update(peer);
        if (!run->task->map)
                task_set_state(peer->core, run->task, TASK_WAITING);
        run_take_back_ahead(run->hand, UINT32_MAX);
}

void peer_stop_waiting(struct peer *peer)
{
        struct pool *pool = peer->pool;
        struct task *task = peer->run->task;
        if (!peer->is_waiting)
                return;
        TAILQ_REMOVE(&pool->waiting, peer, waiting_link);
#ifndef SEEDED_BUG_LENT_PLACE_NOT_GIVEN_BACK
        pool->n_waiting--;
#endif
        pool->is_dirty = true;
        peer->is_waiting = false;
        awaited_update(peer);
        if (task->state == TASK_WAITING)
                task_set_state(peer->core, task, TASK_RUNNING);
}

void peer_update_waiting(struct peer *peer)
{
        struct run *run = peer->run;
        if (!run || peer->is_over)
                return;
        bool waits = peer->n_waiters > 0 && run->hand->state == WORKER_BUSY && run->state == RUN_RUNNING;
        if (waits == peer->is_waiting)
                return;
        if (waits)
                start_waiting(peer);
        else
                peer_stop_waiting(peer);
        hand_settle(run->hand);
}

int peer_admit_waiting(struct peer *peer)
{
        const struct run *run = peer->run;
        if (!run || peer->is_waiting)
                return 0;
        if (run->state != RUN_RUNNING || run->hand->state != WORKER_BUSY)
                return CORE_CANCELLED;
        return pool_admit_waiting(peer->pool);
}

/* -- children -- */

void child_add(struct peer *parent, struct task *task)
{
        struct task_extra *extra = task->extra;
        extra->parent = parent;
        extra->depth = parent->depth + 1;
        TAILQ_INSERT_TAIL(&parent->children, extra, of_parent);
}

void child_remove(struct task *task)
{
        struct task_extra *extra = task->extra;
        if (!extra || !extra->parent)
                return;
        child_leave(extra);
        TAILQ_REMOVE(&extra->parent->children, extra, of_parent);
        extra->parent = NULL;
}

static struct bad_end by_parent(const struct peer *peer)
{
        return (struct bad_end){.cause = CAUSE_CLIENT,
                                .exit_status = -1,
                                .by_uid = user_uid(peer->user),
                                .by_pid = peer->pid};
}

/* Whoever else wants it, by its key or because it is detached, keeps it; a call goes with its caller. */
static bool ends_with_parent(const struct task_extra *extra)
{
        return (!extra->task->detached || extra->task->is_call) && !extra->joined;
}

static void cancel_children(struct peer *peer)
{
        const struct bad_end bad = by_parent(peer);
        struct task_extra *extra, *next;
        /* A verdict may end a child at once, but no other one. */
        TAILQ_FOREACH_SAFE (extra, &peer->children, of_parent, next) {
                if (ends_with_parent(extra))
                        task_verdict(peer->core, extra->task, &bad);
        }
}

void peer_on_verdict(struct peer *peer)
{
        peer_stop_waiting(peer);
        cancel_children(peer);
        peer_end_waiting(peer, waiter_give_up);
}

void hand_end_requests(struct hand *hand)
{
        struct peer *peer = hand->peer;
        struct core *core = hand->core;
        if (!peer)
                return;
        uint32_t connection = peer->index;
        peer_stop_waiting(peer);
        peer->is_over = true;
        cancel_children(peer);
        hand->peer = NULL;
        peer_close(peer);
        core->ops.connection_over(core->ctx, connection);
}
