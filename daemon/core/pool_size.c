/* SPDX-License-Identifier: MIT */
/*
 * How many workers a pool has. The target lies between min_workers and max_workers: one more when a task has
 * a place and no worker is free, one less when a worker has idled for idle_timeout. Above it there may be
 *
 *      one successor, while workers are to be replaced: it gets the place of the first of them that is idle;
 *      as many as tasks wait (at most nesting_limit), for what they wait for.
 *
 * Workers that were asked to exit, are under a verdict or killed do not count, so their replacement comes at
 * once. That no more tasks run than max_workers, whatever the number of workers, is the scheduler's matter.
 */
#include "daemon/core/core_private.h"

/* Workers that count for the target. */
static uint32_t n_counted(const struct pool *pool)
{
        return pool->n_hands[WORKER_STARTING] + pool->n_hands[WORKER_IDLE] + pool->n_hands[WORKER_BUSY];
}

static uint32_t n_fresh(const struct pool *pool)
{
        return n_counted(pool) - pool->n_retiring;
}

static uint32_t least(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

/* -- more -- */

static int spawn_one(struct pool *pool)
{
        struct core *core = pool->core;
        struct hand *hand;
        int r = hand_new(core, pool, &hand);
        if (r < 0)
                return r;
        r = core->ops.spawn(core->ctx, pool->index, hand->index);
        if (r < 0)
                hand_free(hand);
        return r;
}

/* Workers that would find a task at once, beyond those that are on the way. */
static uint32_t n_lacking(const struct pool *pool)
{
        uint32_t n_at_work = pool->n_hands[WORKER_BUSY] - pool->n_waiting;
        uint32_t n_places = pool->config.max_workers - least(n_at_work, pool->config.max_workers);
        uint64_t n_ready = pool->n_tasks[TASK_READY];
        uint32_t n = n_ready < n_places ? (uint32_t)n_ready : n_places;
        return pool->is_short && n > pool->n_hands[WORKER_STARTING] ? n - pool->n_hands[WORKER_STARTING] : 0;
}

/* Workers that there may be above the target now. A pool that was scaled below its waiting tasks still has
 * one that does not wait. */
static uint32_t n_lendable(const struct pool *pool)
{
        uint32_t n = least(pool->n_waiting, pool->config.nesting_limit), most = pool->config.max_workers;
        return pool->n_waiting + 1 > most + n ? pool->n_waiting + 1 - most : n;
}

/* Raises what there may be: by tasks that found no worker. */
static void grow(struct pool *pool)
{
        uint32_t lendable = n_lendable(pool), n = n_lacking(pool);
        bool has_successor = pool->n_retiring && n_counted(pool) > pool->target + pool->lent;
        uint32_t wanted = n_counted(pool) - has_successor + n;
        if (pool->lent <= lendable)
                pool->lent_until = pool->core->now + LENT_NS;
        if (n == 0)
                return;
        if (pool->target < wanted)
                pool->target = least(wanted, pool->config.max_workers);
        /* A successor that is at work is no spare one, once the target cannot bring another. */
        if (n_fresh(pool) >= pool->target)
                wanted = n_counted(pool) + n;
        /* What is lent and still there may be used again. */
        if (pool->target + pool->lent < wanted && pool->lent < lendable)
                pool->lent = least(wanted - pool->target, lendable);
}

/* What was lent before keeps those that are there, but brings no more. */
static bool is_lacking(const struct pool *pool)
{
        uint32_t most = pool->target + least(pool->lent, n_lendable(pool));
        if (n_fresh(pool) < pool->target)
                return n_counted(pool) <= most;
        return n_counted(pool) < most && n_lacking(pool) > 0;
}

/* -- fewer -- */

static struct hand *longest_idle(const struct pool *pool)
{
        return TAILQ_LAST(&pool->free, hand_list);
}

static uint32_t n_live(const struct pool *pool)
{
        return pool->n_hands[WORKER_IDLE] + pool->n_hands[WORKER_BUSY];
}

/* When there may be one less. */
static int64_t idles_until(const struct pool *pool, const struct hand *hand)
{
        int64_t timeout = pool->config.idle_timeout;
        return timeout >= CORE_NEVER - hand->since ? CORE_NEVER : hand->since + timeout;
}

/* For one that has not said hello nobody goes: it may never. */
static void shrink(struct pool *pool)
{
        struct core *core = pool->core;
        struct hand *hand;
        if (pool->lent > n_lendable(pool) && pool->lent_until <= core->now)
                pool->lent = n_lendable(pool);
        while (n_counted(pool) > pool->target + pool->lent + (pool->n_retiring > 0) &&
               n_live(pool) > pool->target && (hand = longest_idle(pool)))
                hand_stop(hand);
        while (pool->target > pool->config.min_workers && !pool->n_retiring && n_live(pool) >= pool->target &&
               (hand = longest_idle(pool)) && idles_until(pool, hand) <= core->now) {
                pool->target--;
                hand_stop(hand);
        }
}

/* The successor is there: one that is to be replaced goes, when it is idle. */
static void exchange(struct pool *pool)
{
        struct hand *hand;
        while (pool->n_retiring && (hand = longest_idle(pool)) && hand->is_retiring &&
               n_live(pool) > pool->target)
                hand_stop(hand);
}

void pool_balance(struct pool *pool)
{
        struct core *core = pool->core;
        if (core->stopping)
                return;
        grow(pool);
        exchange(pool);
        shrink(pool);
        while (is_lacking(pool) && pool->n_hands[WORKER_STARTING] < SPAWNS_OUTSTANDING_MAX &&
               pool->zygote_is_ready && pool->spawn_at <= core->now)
                if (spawn_one(pool) < 0)
                        pool->spawn_at = core->now + BACKOFF_FIRST;
}

int64_t pool_balance_at(const struct pool *pool)
{
        const struct core *core = pool->core;
        const struct hand *hand = longest_idle(pool);
        int64_t at = CORE_NEVER;
        if (core->stopping)
                return CORE_NEVER;
        if (is_lacking(pool) && pool->zygote_is_ready && pool->spawn_at > core->now)
                at = pool->spawn_at;
        if (pool->lent > n_lendable(pool) && pool->lent_until < at)
                at = pool->lent_until;
        if (hand && pool->target > pool->config.min_workers && !pool->n_retiring &&
            n_live(pool) >= pool->target && idles_until(pool, hand) < at)
                at = idles_until(pool, hand);
        return at;
}

/* -- what admins ask for -- */

void core_pool_scale(struct core *core, uint32_t index, uint32_t n, int64_t now)
{
        struct pool *pool = pool_at(core, index);
        struct core_pool_config *config = &pool->config;
        core_update_now(core, now);
        assert(n <= LIMIT_WORKERS);
        config->max_workers = n;
        config->min_workers = pool->is_elastic ? least(pool->least_workers, n) : n;
        if (pool->target > n || !pool->is_elastic)
                pool->target = n;
        else if (pool->target < config->min_workers)
                pool->target = config->min_workers;
        pool->is_dirty = true;
}

static void take_back_all(struct pool *pool)
{
        struct hand *hand, *next;
        TAILQ_FOREACH_SAFE (hand, &pool->ahead, ahead_link, next) {
                run_take_back_ahead(hand, UINT32_MAX);
                hand_settle(hand);
        }
}

void core_pool_pause(struct core *core, uint32_t index, bool paused, int64_t now)
{
        struct pool *pool = pool_at(core, index);
        core_update_now(core, now);
        if (paused && !pool->paused)
                take_back_all(pool);
        pool->paused = paused;
        pool->is_dirty = true;
}

void core_pool_renew(struct core *core, uint32_t index, int64_t now)
{
        struct pool *pool = pool_at(core, index);
        struct hand *hand;
        core_update_now(core, now);
        pool->generation++;
        for (unsigned state = WORKER_IDLE; state <= WORKER_STOPPING; state++)
                TAILQ_FOREACH (hand, &pool->hands[state], link) {
                        hand_retire(hand);
                }
}

static bool runs_nothing(const struct pool *pool)
{
        const uint64_t *n = pool->n_tasks;
        return n[TASK_SENT] + n[TASK_RUNNING] + n[TASK_WAITING] + n[TASK_STOPPING] == 0;
}

static bool is_renewed(const struct pool *pool)
{
        const struct hand *hand;
        for (unsigned state = 0; state < WORKER_STUCK; state++)
                TAILQ_FOREACH (hand, &pool->hands[state], link) {
                        if (hand->generation != pool->generation)
                                return false;
                }
        return true;
}

static bool is_done(const struct core *core, const struct waiter *waiter)
{
        if (waiter->kind == WAITER_DRAIN)
                return runs_nothing(core->pools[waiter->pool]);
        for (uint32_t i = 0; i < core->n_pools; i++)
                if ((waiter->pool == CORE_NO_POOL || waiter->pool == i) && !is_renewed(core->pools[i]))
                        return false;
        return true;
}

void pools_tell(struct core *core)
{
        struct waiter *waiter, *next;
        LIST_FOREACH_SAFE (waiter, &core->pool_waiters, of_pool, next) {
                struct core_request request = waiter_request(waiter);
                uint32_t pool = waiter->pool;
                if (!is_done(core, waiter))
                        continue;
                waiter_free(core, waiter);
                core->ops.answer_done(core->ctx, request, pool);
        }
}

static int wait_for_pool(struct core *core, struct core_request request, enum waiter_kind kind, uint32_t pool,
                         int64_t timeout)
{
        struct waiter *waiter;
        int r = waiter_new(peer_at(core, request.connection), request.msgid, kind, &waiter);
        if (r)
                return r;
        waiter->pool = pool;
        LIST_INSERT_HEAD(&core->pool_waiters, waiter, of_pool);
        if (timeout < CORE_NEVER - core->now)
                timer_set(core, &waiter->timer, core->now + timeout);
        return 0;
}

int core_pool_drain(struct core *core, struct core_request request, uint32_t pool, int64_t timeout,
                    int64_t now)
{
        core_update_now(core, now);
        if (waiter_find(core, request))
                return CORE_MISUSE;
        if (runs_nothing(pool_at(core, pool))) { /* whatever its time is */
                core_pool_pause(core, pool, true, now);
                core->ops.answer_done(core->ctx, request, pool);
                return 0;
        }
        int r = wait_for_pool(core, request, WAITER_DRAIN, pool, timeout);
        if (!r)
                core_pool_pause(core, pool, true, now);
        return r;
}

int core_pool_await_renewal(struct core *core, struct core_request request, uint32_t pool, int64_t now)
{
        core_update_now(core, now);
        return wait_for_pool(core, request, WAITER_RENEWAL, pool, CORE_NEVER);
}

/* One worker of those that there may be does not wait: so somebody can always be answered. */
int pool_admit_waiting(struct pool *pool)
{
        uint32_t limit = pool->config.nesting_limit, most = pool->config.max_workers + limit;
        if (pool->n_waiting + 1 < most)
                return 0;
        pool->core->quota = (struct core_quota){"nesting_limit", pool->n_waiting, limit};
        return CORE_NESTING;
}
