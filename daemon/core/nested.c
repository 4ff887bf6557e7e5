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

#define DEADLOCK_STEPS_MAX 10000 /* tasks that are looked at for a circle */

int core_connection_open_task(struct core *core, uint32_t connection, uint32_t worker, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        struct run *run = hand ? TAILQ_FIRST(&hand->runs) : NULL;
        core_update_now(core, now);
        if (!run || run->state == RUN_SENT || hand->condemned || hand->state == WORKER_KILLED ||
            hand->state == WORKER_STUCK)
                return CORE_NOT_OPEN;
        assert(!hand->peer);
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

/* -- circles -- */

static bool task_reaches(const struct task *from, const struct task *to, unsigned *n_steps);

/* Whether so many of what it watches cannot end before that one that the others are too few. */
static bool wait_reaches(const struct wait *wait, const struct task *to, unsigned *n_steps)
{
        size_t n_enough = wait->n_ended;
        for (size_t i = 0; n_enough < wait->count && i < wait->n; i++) {
                const struct task *task = wait->watches[i].task;
                n_enough += task && !task_reaches(task, to, n_steps);
        }
        return n_enough < wait->count;
}

static bool waiter_reaches(const struct waiter *waiter, const struct task *to, unsigned *n_steps)
{
        if (waiter->wait)
                return wait_reaches(waiter->wait, to, n_steps);
        return waiter->watch.task && task_reaches(waiter->watch.task, to, n_steps);
}

/* A circle that was met before on this way: it cannot end by itself. */
static bool run_reaches(const struct run *run, const struct task *to, unsigned *n_steps)
{
        struct peer *peer = run->hand->peer;
        const struct waiter *waiter;
        bool reaches = false;
        if (!peer || peer->run != run)
                return false;
        if (peer->is_looked_at)
                return true;
        peer->is_looked_at = true;
        TAILQ_FOREACH (waiter, &peer->waiters, link) {
                reaches = reaches || waiter_reaches(waiter, to, n_steps);
        }
        peer->is_looked_at = false;
        return reaches;
}

static bool task_reaches(const struct task *from, const struct task *to, unsigned *n_steps)
{
        const struct run *run;
        if (from == to)
                return true;
        if (++*n_steps > DEADLOCK_STEPS_MAX)
                return false;
        if (!from->map)
                return from->run && run_reaches(from->run, to, n_steps);
        TAILQ_FOREACH (run, &from->map->chunks, of_map) {
                if (run_reaches(run, to, n_steps))
                        return true;
        }
        return false;
}

bool peer_would_deadlock(const struct peer *peer, const struct task *task)
{
        unsigned n_steps = 0;
        return peer->run && !TASK_IS_END(task->state) && task_reaches(task, peer->run->task, &n_steps);
}

bool peer_wait_would_deadlock(const struct waiter *waiter)
{
        unsigned n_steps = 0;
        const struct run *run = waiter->peer->run;
        return run && wait_reaches(waiter->wait, run->task, &n_steps);
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
        struct waiter *waiter, *next;
        peer_stop_waiting(peer);
        cancel_children(peer);
        TAILQ_FOREACH_SAFE (waiter, &peer->waiters, link, next) {
                if (waiter->kind != WAITER_CALL && waiter->kind != WAITER_MAP)
                        waiter_refuse(peer->core, waiter, CORE_CANCELLED);
        }
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
