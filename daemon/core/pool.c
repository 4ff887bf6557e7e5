/* SPDX-License-Identifier: MIT */
/*
 * A pool: how many workers it shall have and has, and when a new one is asked for. Workers that were asked to
 * exit, are under a verdict or killed do not count, so their replacement comes at once; one that comes back
 * counts again, and what is too many then is asked to exit when idle. Workers that die young make the pool
 * wait, longer each time.
 */
#include "daemon/core/core_private.h"

struct pool *pool_at(const struct core *core, uint32_t pool)
{
        return pool < core->n_pools ? core->pools[pool] : NULL;
}

int pool_admit(struct pool *pool, uint64_t n)
{
        uint64_t queued = pool->n_tasks[TASK_DELAYED] + pool->n_tasks[TASK_READY] + pool->n_tasks[TASK_SENT];
        uint64_t limit = pool->config.queue_limit;
        if (n <= limit && queued <= limit - n)
                return 0;
        pool->core->quota = (struct core_quota){"queue_limit", queued, limit};
        return CORE_QUEUE_FULL;
}

static void check_config(const struct core_pool_config *config)
{
        assert(config->workers >= 1 && config->workers <= LIMIT_WORKERS);
        assert(config->window >= 1 && config->window <= LIMIT_SLOTS);
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
        pool->config = *config;
        pool->recover_at = pool->unclog_at = CORE_NEVER;
        pool->timer.kind = TIMER_POOL;
        queue_init(&pool->queue);
        TAILQ_INIT(&pool->delayed);
        for (unsigned i = 0; i <= WORKER_STUCK; i++)
                TAILQ_INIT(&pool->hands[i]);
        TAILQ_INIT(&pool->free);
        TAILQ_INIT(&pool->room);
        TAILQ_INIT(&pool->ahead);
        core->pools[core->n_pools++] = pool;
        *ret_pool = pool->index;
        return 0;
}

struct pool *pool_free(struct pool *pool)
{
        struct core *core = pool->core;
        timer_clear(core, &pool->timer);
        timers_unreserve(&core->timers, 1);
        free(pool->functions);
        free(pool);
        return NULL;
}

void core_pool_configure(struct core *core, uint32_t index, const struct core_pool_config *config)
{
        struct pool *pool = pool_at(core, index);
        struct hand *hand;
        check_config(config);
        pool->config = *config;
        pool->is_dirty = true;
        TAILQ_FOREACH (hand, &pool->hands[WORKER_BUSY], link) {
                hand_settle(hand);
        }
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

uint32_t pool_n_counted(const struct pool *pool)
{
        return pool->n_hands[WORKER_STARTING] + pool->n_hands[WORKER_IDLE] + pool->n_hands[WORKER_BUSY];
}

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

void pool_balance(struct pool *pool)
{
        struct core *core = pool->core;
        uint32_t target = pool->config.workers;
        struct hand *hand;
        if (core->stopping)
                return;
        while (pool_n_counted(pool) > target && (hand = TAILQ_LAST(&pool->free, hand_list)))
                hand_stop(hand);
        while (pool_n_counted(pool) < target && pool->n_hands[WORKER_STARTING] < SPAWNS_OUTSTANDING_MAX &&
               pool->zygote_is_ready && pool->spawn_at <= core->now)
                if (spawn_one(pool) < 0)
                        pool->spawn_at = core->now + BACKOFF_FIRST;
}

void pool_on_young_death(struct pool *pool)
{
        struct core *core = pool->core;
        int64_t pause = BACKOFF_FIRST;
        for (uint32_t i = 0; i < pool->n_young_deaths && pause < BACKOFF_MAX; i++)
                pause *= 2;
        if (pause > BACKOFF_MAX)
                pause = BACKOFF_MAX;
        pause = (int64_t)((double)pause * (0.5 + 0.5 * core->ops.random(core->ctx)));
        if (pool->spawn_at < core->now + pause)
                pool->spawn_at = core->now + pause;
        pool->is_dirty = true;
        if (++pool->n_young_deaths >= DEGRADED_AFTER && !pool->degraded) {
                pool->degraded = true;
                core->ops.note(core->ctx, NOTE_POOL_DEGRADED, pool->index, UINT32_MAX, NULL);
        }
}

void pool_on_health(struct pool *pool)
{
        struct core *core = pool->core;
        if (!pool->n_young_deaths)
                return;
        pool->n_young_deaths = 0;
        pool->spawn_at = core->now;
        pool->recover_at = CORE_NEVER;
        pool->is_dirty = true;
        if (pool->degraded) {
                pool->degraded = false;
                core->ops.note(core->ctx, NOTE_POOL_RECOVERED, pool->index, UINT32_MAX, NULL);
        }
}

/* Has some worker lived long enough? Else: when will the oldest have. */
static void look_for_health(struct pool *pool)
{
        struct core *core = pool->core;
        struct hand *hand;
        pool->recover_at = CORE_NEVER;
        for (unsigned state = WORKER_IDLE; state <= WORKER_BUSY; state++)
                TAILQ_FOREACH (hand, &pool->hands[state], link) {
                        if (hand->born + RECOVERED_NS < pool->recover_at)
                                pool->recover_at = hand->born + RECOVERED_NS;
                }
        if (pool->recover_at <= core->now)
                pool_on_health(pool);
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
                look_for_health(pool);
        if (pool->unclog_at <= core->now)
                unclog(pool);
        pool->is_dirty = true;
}

void pool_set_timer(struct pool *pool)
{
        struct core *core = pool->core;
        int64_t at = pool->recover_at < pool->unclog_at ? pool->recover_at : pool->unclog_at;
        bool lacks = !core->stopping && pool_n_counted(pool) < pool->config.workers;
        if (lacks && pool->zygote_is_ready && pool->spawn_at > core->now && pool->spawn_at < at)
                at = pool->spawn_at;
        timer_set(core, &pool->timer, at);
}

void core_pool_status(const struct core *core, uint32_t index, struct core_pool_status *ret)
{
        const struct pool *pool = pool_at(core, index);
        const uint64_t *n = pool->n_tasks;
        *ret = (struct core_pool_status){
                .target = pool->config.workers,
                .starting = pool->n_hands[WORKER_STARTING],
                .idle = pool->n_hands[WORKER_IDLE],
                .busy = pool->n_hands[WORKER_BUSY],
                .ready = n[TASK_READY] + n[TASK_SENT],
                .delayed = n[TASK_DELAYED],
                .running = n[TASK_RUNNING] + n[TASK_WAITING] + n[TASK_STOPPING],
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
