/* SPDX-License-Identifier: MIT */
/*
 * Ready tasks × free slots. The first in the queue goes to a free worker, if there is a place: no more tasks
 * run than max_workers, those that wait not counted. What has a place only because others wait is first of
 * all what they may wait for. Without a free worker the task is sent ahead to a worker whose window and time
 * allow it. When workers idle and nothing is ready, they get what was sent ahead to others. Strictly in the
 * order of the queue: what may not go ahead holds back what stands behind it.
 */
#include "daemon/core/core_private.h"

/* What is answered to a connection above its mark does not begin: its calls, and chunks of its maps. */
static bool is_held(const struct task *task)
{
        const struct watch *watch;
        const struct peer *peer = task->lane->peer;
        if (!peer || !peer->blocked)
                return false;
        if (task->map)
                return true;
        LIST_FOREACH (watch, &task->watches, link) {
                if (watch->waiter->peer == peer && watch->waiter->kind == WAITER_CALL)
                        return true;
        }
        return false;
}

/* Whether it waits until its user holds less, for its result may have to be kept. Of a further attempt he may
 * hold what its last one wrote, and for the sake of a task that waits for it what that one wrote, or an
 * ordered map behind that one: it would wait for itself. */
static bool is_too_much(const struct task *task)
{
        return !task->is_call && !task->map && task->attempt == task_first_attempt(task) &&
               user_is_over(task->user) && !task_is_watched_by_task(task);
}

static void hold(struct task *task)
{
        queue_remove(task);
        task->place = PLACE_HELD;
        TAILQ_INSERT_TAIL(&task->lane->peer->held, task, link);
}

bool run_may_go_ahead(struct hand *hand, const struct task *task)
{
        const struct core *core = hand->core;
        int64_t expected = task_function(core, task)->mean_ns;
        if (core->now - TAILQ_FIRST(&hand->runs)->since >= RUN_LONG_NS || !hand_has_slot(hand, task))
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

/* One that is older than the function does not have it. */
static bool knows(const struct hand *hand, const struct task *task)
{
        return task->function < hand->n_functions;
}

static bool is_known(const struct pool *pool, const struct task *task)
{
        const struct hand *hand;
        for (unsigned state = WORKER_IDLE; state <= WORKER_BUSY; state++)
                TAILQ_FOREACH (hand, &pool->hands[state], link) {
                        if (knows(hand, task))
                                return true;
                }
        return false;
}

static bool is_deserted(const struct pool *pool)
{
        return pool->n_hands[WORKER_IDLE] + pool->n_hands[WORKER_BUSY] == 0;
}

/* The function was added, and the workers that have it may never come: others need not wait for that. */
static bool set_aside(struct pool *pool, struct task *task)
{
        if (pool->generation == 0 || is_deserted(pool) || is_known(pool, task))
                return false;
        queue_remove(task);
        task->place = PLACE_ASIDE;
        TAILQ_INSERT_TAIL(&pool->aside, task, link);
        return true;
}

void pool_resume_aside(struct pool *pool)
{
        struct task *task;
        /* The last first: so each comes back before those that came after it. */
        while ((task = TAILQ_LAST(&pool->aside, aside_list))) {
                TAILQ_REMOVE(&pool->aside, task, link);
                task->place = PLACE_NONE;
                if (task->map)
                        map_update(pool->core, task);
                else
                        queue_put_back(task, task->order);
        }
}

static struct hand *choose(struct pool *pool, const struct task *task)
{
        struct hand *hand;
        bool has_place = pool_may_begin(pool);
        TAILQ_FOREACH (hand, &pool->free, offer_link) {
                if (has_place && knows(hand, task))
                        return hand;
        }
        TAILQ_FOREACH (hand, &pool->room, offer_link) {
                if (knows(hand, task) && run_may_go_ahead(hand, task))
                        return hand;
        }
        pool->is_short = has_place;
        return NULL;
}

/* The next one that may begin. Of a place that is there because others wait first the tasks that they may
 * wait for, outside the turns; the last worker that there may be is for these alone. */
static struct task *first(const struct pool *pool, bool *ret_is_awaited)
{
        const struct core_pool_config *config = &pool->config;
        bool is_lent = pool->n_waiting && pool->n_hands[WORKER_BUSY] >= config->max_workers;
        *ret_is_awaited = false;
        if (pool->paused)
                return NULL;
        if (!is_lent || !pool_may_begin(pool))
                return queue_first(pool);
        struct task *task = pool_first_awaited(pool);
        *ret_is_awaited = task != NULL;
        return task || pool->n_waiting >= config->nesting_limit ? task : queue_first(pool);
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
        bool is_awaited;
        while ((task = first(pool, &is_awaited))) {
                if (is_held(task)) {
                        hold(task);
                        continue;
                }
                if (is_too_much(task)) {
                        queue_remove(task);
                        user_park(task->user, task);
                        continue;
                }
                if (task->map && !map_has_next(pool->core, task)) {
                        map_update(pool->core, task); /* its user holds too much since it came here */
                        continue;
                }
                hand = choose(pool, task);
                if (!hand && set_aside(pool, task))
                        continue;
                if (!hand)
                        return;
                if (is_awaited)
                        queue_remove(task);
                else
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
        pool->is_short = false;
        if (is_deserted(pool)) /* what was set aside is to bring the next one */
                pool_resume_aside(pool);
        for (;;) {
                dispatch(pool);
                if (queue_first(pool) || TAILQ_EMPTY(&pool->free) || TAILQ_EMPTY(&pool->ahead) ||
                    !pool_may_begin(pool))
                        return;
                hand = TAILQ_FIRST(&pool->ahead);
                if (!knows(TAILQ_FIRST(&pool->free), TAILQ_LAST(&hand->runs, run_list)->task))
                        return;
                run_take_back_ahead(hand, (hand->n_ahead + 1) / 2);
                hand_settle(hand);
        }
}
