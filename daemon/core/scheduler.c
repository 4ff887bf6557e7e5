/* SPDX-License-Identifier: MIT */
/*
 * Ready tasks × free slots. The first in the queue goes to a free worker; without one it is sent ahead to a
 * worker whose window and time allow it. When workers idle and nothing is ready, they get what was sent ahead
 * to others. Strictly in the order of the queue: what may not go ahead holds back what stands behind it.
 */
#include "daemon/core/core_private.h"

/* A task that streams to a connection above its mark does not begin, nor does a chunk of its maps. */
static bool is_held(const struct task *task)
{
        const struct watch *watch;
        const struct peer *peer = task->lane->peer;
        if (!peer || !peer->blocked)
                return false;
        if (task->map)
                return true;
        LIST_FOREACH (watch, &task->watches, link) {
                if (watch->waiter->peer == peer && watch->waiter->kind == WAITER_CALL &&
                    watch->waiter->streams)
                        return true;
        }
        return false;
}

static void hold(struct task *task)
{
        queue_remove(task);
        task->place = PLACE_HELD;
        TAILQ_INSERT_TAIL(&task->lane->peer->held, task, link);
}

bool run_may_go_ahead(const struct hand *hand, const struct task *task)
{
        const struct core *core = hand->core;
        int64_t expected = task_function(core, task)->mean_ns;
        if (core->now - TAILQ_FIRST(&hand->runs)->since >= RUN_LONG_NS)
                return false;
        uint64_t args_bytes = task->args_size_bytes;
        uint32_t n_descriptors = task->n_descriptors;
        if (task->map) {
                struct map_chunk chunk;
                if (!map_next(core, task, &chunk))
                        return false;
                expected *= chunk.n_items;
                args_bytes = chunk.segment->size_bytes / chunk.segment->n_items * chunk.n_items;
                n_descriptors = chunk.segment->n_descriptors;
        }
        return expected > 0 && hand->ahead_ns + expected <= AHEAD_MAX_NS && n_descriptors == 0 &&
               args_bytes <= AHEAD_ARGS_BYTES;
}

static struct hand *choose(struct pool *pool, const struct task *task)
{
        struct hand *hand = TAILQ_FIRST(&pool->free);
        if (hand)
                return hand;
        TAILQ_FOREACH (hand, &pool->room, offer_link) {
                if (run_may_go_ahead(hand, task))
                        return hand;
        }
        return NULL;
}

/* The worker takes nothing at the moment, or there was no memory: the task keeps its place. */
static void refused(struct pool *pool, struct hand *hand, struct task *task)
{
        struct core *core = pool->core;
        hand->clogged = true;
        hand_settle(hand);
        if (pool->unclog_at > core->now + SEND_AGAIN_NS)
                pool->unclog_at = core->now + SEND_AGAIN_NS;
        queue_put_back(task, task->order);
}

static void dispatch(struct pool *pool)
{
        struct core *core = pool->core;
        struct task *task;
        struct hand *hand;
        while ((task = queue_first(pool))) {
                if (is_held(task)) {
                        hold(task);
                        continue;
                }
                hand = choose(pool, task);
                if (!hand)
                        return;
                queue_take(pool);
                if (run_send(hand, task) != 0) {
                        refused(pool, hand, task);
                        continue;
                }
                hand_settle(hand);
                if (task->map)
                        map_update(core, task);
        }
}

void pool_schedule(struct pool *pool)
{
        struct hand *hand;
        for (;;) {
                dispatch(pool);
                if (queue_first(pool) || TAILQ_EMPTY(&pool->free) || TAILQ_EMPTY(&pool->ahead))
                        return;
                hand = TAILQ_FIRST(&pool->ahead);
                run_take_back_ahead(hand, (hand->n_ahead + 1) / 2);
                hand_settle(hand);
        }
}
