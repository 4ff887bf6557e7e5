/* SPDX-License-Identifier: MIT */
/*
 * Workers that die young: each makes the pool wait before it asks for the next one, longer each time; after
 * some in a row the pool is degraded. It has recovered when a worker has answered, or lived long enough.
 */
#include "daemon/core/core_private.h"

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

void pool_look_for_health(struct pool *pool)
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
