/* SPDX-License-Identifier: MIT */
/*
 * The core's own life: made, turned, stopped, freed. A turn runs the timers that are due, then looks at every
 * pool in which something happened, and says when the next timer is due.
 */
#include "daemon/core/core_private.h"

#define FIBONACCI UINT64_C(0x9e3779b97f4a7c15)

void core_update_now(struct core *core, int64_t now)
{
        assert(now >= core->now);
        core->now = now;
}

int pointers_reserve(void *array, size_t *n, size_t i)
{
        void **old, **larger;
        if (i < *n)
                return 0;
        size_t n_larger = *n ? *n * 2 : 16;
        if (n_larger <= i)
                n_larger = i + 1;
        memcpy(&old, array, sizeof(old));
        larger = realloc(old, n_larger * sizeof(*larger));
        if (!larger)
                return -ENOMEM;
        memset(larger + *n, 0, (n_larger - *n) * sizeof(*larger));
        memcpy(array, &larger, sizeof(larger));
        *n = n_larger;
        /* cppcheck-suppress memleak ; it lives on in *array */
        return 0;
}

static uint64_t random_bits(struct core *core)
{
        uint64_t high = (uint64_t)(core->ops.random(core->ctx) * 0x1p32);
        return high << 32 | (uint64_t)(core->ops.random(core->ctx) * 0x1p32);
}

int core_new(const struct core_config *config, const struct core_ops *ops, void *ctx, struct core **ret)
{
        struct core *core = calloc(1, sizeof(*core));
        if (!core)
                return -ENOMEM;
        core->config = *config;
        core->ops = *ops;
        core->ctx = ctx;
        core->now = INT64_MIN;
        core->next_id = config->first_id ? config->first_id : 1;
        core->last_token = core->next_id;
        core->stop_timer.kind = TIMER_STOP;
        TAILQ_INIT(&core->all_tasks);
        TAILQ_INIT(&core->parked_users);
        TAILQ_INIT(&core->overfed_users);
        /* A client chooses its msgids: it must not know where they fall. */
        uint64_t secret = random_bits(core) | 1;
        core->table_secret = secret;
        core->hash_key[0] = random_bits(core);
        core->hash_key[1] = random_bits(core);
        if (table_init(&core->tasks, 0) < 0 || table_init(&core->keys, secret) < 0 ||
            table_init(&core->users, FIBONACCI) < 0 || table_init(&core->waiters, secret) < 0 ||
            table_init(&core->lanes, FIBONACCI) < 0 || table_init(&core->objects, secret) < 0 ||
            table_init(&core->memories, 0) < 0 || table_init(&core->leases, 0) < 0 ||
            history_init(&core->history, config->history) < 0 || timers_reserve(&core->timers, 1) < 0) {
                core_free(core);
                return -ENOMEM;
        }
        *ret = core;
        return 0;
}

void core_configure(struct core *core, const struct core_config *config)
{
        uint32_t history = core->config.history; /* the ring's size stays */
        core->config = *config;
        core->config.history = history;
}

/* -- the turn -- */

static void fire(struct core *core, struct timer *timer);

static bool is_drained(const struct core *core)
{
        if (!core->stopping || core->n_unfinished)
                return false;
        for (uint32_t i = 0; i < core->n_pools; i++)
                for (unsigned state = 0; state < WORKER_STUCK; state++)
                        if (core->pools[i]->n_hands[state])
                                return false;
        return true;
}

/* Nothing runs any more: whoever still waits does so for another client, who is about to lose all this too.
 */
static void end_drained(struct core *core)
{
        core->drained = true;
        core->ops.note(core->ctx, NOTE_DRAINED, CORE_NO_POOL, UINT32_MAX, NULL);
        for (size_t i = 0; i < core->n_peers; i++)
                if (core->peers[i])
                        peer_end_waiting(core->peers[i], waiter_stop);
}

int64_t core_turn(struct core *core, int64_t now)
{
        struct timer *timer;
        core_update_now(core, now);
        pools_tell(core); /* before the time of who waited for it is up */
        while ((timer = timers_first_due(&core->timers, now)))
                fire(core, timer);
        bool again = users_resume(core);
        again |= maps_find_room(core);
        for (uint32_t i = 0; i < core->n_pools; i++) {
                struct pool *pool = core->pools[i];
                if (!pool->is_dirty)
                        continue;
                pool_schedule(pool);
                pool_balance(pool);
                pool_set_timer(pool);
                pool->is_dirty = false;
        }
        pools_tell(core);
        if (!core->drained && is_drained(core))
                end_drained(core);
        return again ? now : timers_next(&core->timers);
}

/* -- stopping -- */

static const struct bad_end by_shutdown = {.cause = CAUSE_SHUTDOWN, .exit_status = -1};

static bool is_past_stopping(const struct task *task)
{
#ifdef SEEDED_BUG_STOP_WITH_DELAYED_HANGS
        if (task->state == TASK_DELAYED)
                return true;
#endif
        return TASK_IS_END(task->state);
}

bool core_is_stopping(const struct core *core)
{
        return core->stopping;
}

void core_stop(struct core *core, int64_t now)
{
        struct task *task, *next;
        core_update_now(core, now);
        if (core->stopping) {
                timer_set(core, &core->stop_timer, now);
                return;
        }
        core->stopping = true;
        for (size_t i = 0; i < core->n_hands; i++)
                if (core->hands[i])
                        run_take_back_ahead(core->hands[i], UINT32_MAX);
        TAILQ_FOREACH_SAFE (task, &core->all_tasks, all, next) {
                if (is_past_stopping(task) || task->state == TASK_STOPPING)
                        continue;
                if (task->map)
                        map_cancel_rest(core, task, &by_shutdown);
                else if (!task->run)
                        task_verdict(core, task, &by_shutdown);
        }
        for (size_t i = 0; i < core->n_hands; i++)
                if (core->hands[i])
                        hand_settle(core->hands[i]);
        timer_set(core, &core->stop_timer, now + core->config.stop_timeout);
}

static void stop_is_due(struct core *core)
{
        struct task *task, *previous;
        timer_clear(core, &core->stop_timer);
        /* A task may take with it what it submitted, which is younger. */
        for (task = TAILQ_LAST(&core->all_tasks, task_list); task; task = previous) {
                previous = TAILQ_PREV(task, task_list, all);
                if (!is_past_stopping(task))
                        task_verdict(core, task, &by_shutdown);
        }
        for (size_t i = 0; i < core->n_hands; i++)
                if (core->hands[i] && core->hands[i]->state == WORKER_STARTING)
                        hand_kill(core->hands[i]);
}

static void fire(struct core *core, struct timer *timer)
{
        switch (timer->kind) {
        case TIMER_TASK:
                task_on_timer(core, CONTAINER_OF(timer, struct task, timer));
                break;
        case TIMER_WAITER:
                waiter_on_timer(core, CONTAINER_OF(timer, struct waiter, timer));
                break;
        case TIMER_RUN:
                run_on_timer(CONTAINER_OF(timer, struct run, timer));
                break;
        case TIMER_HAND:
                hand_on_timer(CONTAINER_OF(timer, struct hand, timer));
                break;
        case TIMER_POOL:
                pool_on_timer(CONTAINER_OF(timer, struct pool, timer));
                break;
        case TIMER_STOP:
                stop_is_due(core);
                break;
        }
}

/* -- the end -- */

/* Tasks that have ended hold results; those that have not, their places. Nobody is told any more. */
static void drop_task(struct core *core, struct task *task)
{
        if (TASK_IS_END(task->state)) {
                task_free(core, task);
                return;
        }
        struct map *map = task->map;
        if (task->place == PLACE_LANE)
                queue_remove(task);
        else if (task->place == PLACE_PARKED)
                user_unpark(task->user, task);
        else if (task->place == PLACE_ASIDE)
                TAILQ_REMOVE(&task_pool(core, task)->aside, task, link);
        if (!map) {
                core->ops.drop(core->ctx, task->args);
                user_release(task->user, ACCOUNT_BYTES, task->args_size_bytes);
                user_release(task->user, ACCOUNT_DESCRIPTORS, task->n_descriptors);
        }
        if (map)
                map_release(core, task, map->n_items - map->n_succeeded - map->n_failed - map->n_cancelled);
        else
                user_release(task->user, ACCOUNT_TASKS, 1);
        lane_unref(core, task->lane);
        task_free(core, task);
}

static void drop_runs(struct hand *hand)
{
        struct run *run;
        if (hand->peer) { /* from here on as if it were a client's */
                peer_stop_waiting(hand->peer);
                hand->peer->is_over = true;
                hand->peer = NULL;
        }
        while ((run = TAILQ_FIRST(&hand->runs))) {
                if (run->task->map)
                        map_leave(hand->core, run->task, run);
                run_leave(run);
        }
}

static void drop_peer(struct core *core, struct peer *peer)
{
        struct waiter *waiter;
        struct task *task;
        while ((task = TAILQ_FIRST(&peer->held))) {
                TAILQ_REMOVE(&peer->held, task, link);
                task->place = PLACE_NONE;
        }
        while ((waiter = TAILQ_FIRST(&peer->waiters))) {
                if (waiter->kind == WAITER_MAP && waiter->watch.task)
                        waiter->watch.task->map->waiter = NULL;
                waiter_free(core, waiter);
        }
        if (!peer->is_over || peer->has_left)
                user_release(peer->user, ACCOUNT_CONNECTIONS, 1);
        peer_close(peer);
}

void core_trim(struct core *core)
{
        while (core->spare_tasks) {
                struct task *task = core->spare_tasks;
                core->spare_tasks = (struct task *)task->by_id.next;
                free(task);
        }
        while (core->spare_waiters) {
                struct waiter *waiter = core->spare_waiters;
                core->spare_waiters = (struct waiter *)waiter->by_request.next;
                free(waiter);
        }
        core->n_spare_tasks = core->n_spare_waiters = 0;
}

struct core *core_free(struct core *core)
{
        struct task *task;
        if (!core)
                return NULL;
        for (size_t i = 0; i < core->n_hands; i++)
                if (core->hands[i]) {
                        drop_runs(core->hands[i]);
                        hand_free(core->hands[i]);
                }
        objects_free(core);
        for (size_t i = 0; i < core->n_peers; i++)
                if (core->peers[i])
                        drop_peer(core, core->peers[i]);
        while ((task = TAILQ_FIRST(&core->all_tasks)))
                drop_task(core, task);
        for (uint32_t i = 0; i < core->n_pools; i++)
                pool_free(core->pools[i]);
        history_deinit(core);
        assert(core->bytes == 0);
        for (struct table *table = &core->users; table <= &core->leases; table++)
                if (table->buckets)
                        table_deinit(table); /* asserts that nobody is left: all accounts are zero */
        core_trim(core);
        free(core->timers.heap);
        free(core->peers);
        free(core->hands);
        free(core);
        return NULL;
}
