/* SPDX-License-Identifier: MIT */
/*
 * A pool: its life, what it admits, its timer, how others see it. How many workers it has is pool_size.c's,
 * what happens when they die young pool_health.c's, what they are given the scheduler's.
 */
#include "daemon/core/core_private.h"

struct pool *pool_at(const struct core *core, uint32_t pool)
{
        return pool < core->n_pools ? core->pools[pool] : NULL;
}

/* Whether a task may be given to a worker that has none: as many may run as there may be workers. */
bool pool_may_begin(const struct pool *pool)
{
        return !pool->paused && pool->n_hands[WORKER_BUSY] - pool->n_waiting < pool->config.max_workers;
}

static uint64_t n_queued(const struct pool *pool)
{
        return pool->n_tasks[TASK_DELAYED] + pool->n_tasks[TASK_READY] + pool->n_tasks[TASK_SENT];
}

uint64_t pool_room(const struct pool *pool)
{
        uint64_t queued = n_queued(pool), limit = pool->config.queue_limit;
        return queued < limit ? limit - queued : 0;
}

int pool_admit(struct pool *pool, uint64_t n)
{
        if (n <= pool_room(pool))
                return 0;
        pool->core->quota = (struct core_quota){"queue_limit", n_queued(pool), pool->config.queue_limit};
        return CORE_QUEUE_FULL;
}

static void check_config(const struct core_pool_config *config)
{
        assert(config->min_workers <= config->workers && config->workers <= config->max_workers);
        assert(config->max_workers <= LIMIT_WORKERS);
        assert(config->window >= 1 && config->window <= LIMIT_SLOTS);
}

static void set_config(struct pool *pool, const struct core_pool_config *config)
{
        pool->config = *config;
        if (config->closed)
                pool->config.workers = pool->config.min_workers = pool->config.max_workers = 0;
        pool->target = pool->config.workers;
        pool->least_workers = pool->config.min_workers;
        pool->is_elastic = pool->config.min_workers < pool->config.max_workers;
}

int core_pool_add(struct core *core, const struct core_pool_config *config, uint32_t *ret_pool)
{
        check_config(config);
        assert(core->n_pools < LIMIT_POOLS);
        struct pool *pool = calloc(1, sizeof(*pool));
        if (!pool)
                return -ENOMEM;
        if (timers_reserve(&core->timers, 1) < 0) {
                free(pool);
                return -ENOMEM;
        }
        pool->core = core;
        pool->index = core->n_pools;
        set_config(pool, config);
        pool->recover_at = pool->unclog_at = CORE_NEVER;
        pool->timer.kind = TIMER_POOL;
        queue_init(&pool->queue);
        TAILQ_INIT(&pool->delayed);
        TAILQ_INIT(&pool->aside);
        TAILQ_INIT(&pool->overfed);
        for (unsigned i = 0; i <= WORKER_STUCK; i++)
                TAILQ_INIT(&pool->hands[i]);
        TAILQ_INIT(&pool->free);
        TAILQ_INIT(&pool->room);
        TAILQ_INIT(&pool->ahead);
        TAILQ_INIT(&pool->waiting);
        TAILQ_INIT(&pool->awaited);
        core->pools[core->n_pools++] = pool;
        *ret_pool = pool->index;
        return 0;
}

struct pool *pool_free(struct pool *pool)
{
        struct core *core = pool->core;
        assert(TAILQ_EMPTY(&pool->overfed) && pool->n_fed == 0);
        timer_clear(core, &pool->timer);
        timers_unreserve(&core->timers, 1);
        functions_free(pool);
        free(pool);
        return NULL;
}

void core_pool_configure(struct core *core, uint32_t index, const struct core_pool_config *config)
{
        struct pool *pool = pool_at(core, index);
        struct hand *hand;
        check_config(config);
        set_config(pool, config);
        pool->is_dirty = true;
#ifdef SEEDED_BUG_DELAYED_LOST_AT_RELOAD
        struct task *task;
        TAILQ_FOREACH (task, &pool->delayed, link) {
                timer_clear(core, &task->timer);
        }
#endif
        TAILQ_FOREACH (hand, &pool->hands[WORKER_BUSY], link) {
                hand_settle(hand);
        }
}

uint64_t core_pool_unfinished(const struct core *core, uint32_t pool, uint32_t function)
{
        const struct task *task;
        uint64_t n = 0;
        TAILQ_FOREACH (task, &core->all_tasks, all) {
                n += task->pool == pool && !TASK_IS_END(task->state) &&
                     (function == UINT32_MAX || task->function == function);
        }
        return n;
}

void core_zygote_ready(struct core *core, uint32_t pool, int64_t now)
{
        core_update_now(core, now);
        pool_at(core, pool)->zygote_is_ready = true;
        pool_at(core, pool)->is_dirty = true;
}

void core_zygote_lost(struct core *core, uint32_t pool, int64_t now)
{
        core_update_now(core, now);
        pool_at(core, pool)->zygote_is_ready = false;
}

void core_zygote_failed(struct core *core, uint32_t pool, int64_t now)
{
        core_update_now(core, now);
        if (!core->stopping)
                pool_on_young_death(pool_at(core, pool));
}

static void unclog(struct pool *pool)
{
        struct hand *hand;
        pool->unclog_at = CORE_NEVER;
        for (unsigned state = WORKER_IDLE; state <= WORKER_STOPPING; state++)
                TAILQ_FOREACH (hand, &pool->hands[state], link) {
                        if (hand->clogged) {
                                hand->clogged = false;
                                hand_settle(hand);
                        }
                }
}

void pool_on_timer(struct pool *pool)
{
        struct core *core = pool->core;
        timer_clear(core, &pool->timer);
        if (pool->recover_at <= core->now)
                pool_look_for_health(pool);
        if (pool->unclog_at <= core->now)
                unclog(pool);
        pool->is_dirty = true;
}

void pool_set_timer(struct pool *pool)
{
        struct core *core = pool->core;
        int64_t at = pool->recover_at < pool->unclog_at ? pool->recover_at : pool->unclog_at;
        int64_t balance_at = pool_balance_at(pool);
        if (balance_at < at)
                at = balance_at;
        timer_set(core, &pool->timer, at);
}

void core_pool_status(const struct core *core, uint32_t index, struct core_pool_status *ret)
{
        const struct pool *pool = pool_at(core, index);
        const uint64_t *n = pool->n_tasks;
        *ret = (struct core_pool_status){
                .target = pool->target,
                .starting = pool->n_hands[WORKER_STARTING],
                .idle = pool->n_hands[WORKER_IDLE],
                .busy = pool->n_hands[WORKER_BUSY],
                .ready = n[TASK_READY] + n[TASK_SENT],
                .delayed = n[TASK_DELAYED],
                .running = n[TASK_RUNNING] + n[TASK_WAITING] + n[TASK_STOPPING],
                .paused = pool->paused,
                .degraded = pool->degraded,
                .totals = {.submitted = pool->n_submitted,
                           .succeeded = n[TASK_SUCCEEDED],
                           .failed = n[TASK_FAILED],
                           .cancelled = n[TASK_CANCELLED],
                           .expired = n[TASK_EXPIRED],
                           .retried = pool->n_retried,
                           .workers_started = pool->n_workers_started,
                           .workers_lost = pool->n_workers_lost},
        };
}
