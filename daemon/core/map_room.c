/* SPDX-License-Identifier: MIT */
/*
 * Room for the items of a map that is fed. Those for which the pool's queue or the user's share of tasks has
 * none wait in their map, in no account but that of its bytes, and come in when others of it have ended. All
 * fed maps together leave a quarter of both to calls, submitted tasks and other maps.
 *
 * A map that has nothing in may take from that quarter too, a few items, so that none waits for another that
 * does not go on. If there is no room at all it stands in a line at what is full, the user or the pool, and
 * whoever stands there comes before all others.
 */
#include "daemon/core/core_private.h"

static uint64_t room_in(uint64_t share, uint64_t n_fed, uint64_t room)
{
        return n_fed < share ? min_u64(share - n_fed, room) : 0;
}

/* The queue is that of what has not begun: beside it so many run as there are workers. */
static uint64_t room_at_pool(const struct pool *pool)
{
        uint64_t limit = pool->config.queue_limit;
        return room_in(limit - limit / 4 + pool->target, pool->n_fed, pool_room(pool));
}

static uint64_t room_at_user(const struct user *user)
{
        uint64_t limit = user->core->config.user_tasks;
        return room_in(limit - limit / 4, user->n_fed, user_room(user, ACCOUNT_TASKS));
}

/* Beside what others may have. */
static uint64_t share_for(const struct core *core, const struct task *task)
{
        return min_u64(room_at_pool(task_pool(core, task)), room_at_user(task->user));
}

static uint64_t all_room_for(const struct core *core, const struct task *task)
{
        return min_u64(pool_room(task_pool(core, task)), user_room(task->user, ACCOUNT_TASKS));
}

static bool has_some_in(const struct map *map)
{
        return map->n_items > map->n_succeeded + map->n_failed + map->n_cancelled;
}

static uint64_t n_outside(const struct task *task)
{
        return task->bad.cause == CAUSE_NONE ? task->map->n_fed - task->map->n_items : 0;
}

/* Of a pool whose line is not empty only that hands out room. */
static void stand_in_line(struct core *core, struct task *task)
{
        struct user *user = task->user;
        struct pool *pool = task_pool(core, task);
        bool at_user =
                user_room(user, ACCOUNT_TASKS) == 0 || (pool_room(pool) > 0 && TAILQ_EMPTY(&pool->overfed));
        struct map_line *line = at_user ? &user->overfed : &pool->overfed;
        if (at_user && TAILQ_EMPTY(line))
                TAILQ_INSERT_TAIL(&core->overfed_users, user, overfed_link);
        TAILQ_INSERT_TAIL(line, task->map, of_line);
        task->map->line = line;
}

void map_leave_line(struct core *core, struct task *task)
{
        struct map *map = task->map;
        if (!map->line)
                return;
        TAILQ_REMOVE(map->line, map, of_line);
        if (map->line == &task->user->overfed && TAILQ_EMPTY(map->line))
                TAILQ_REMOVE(&core->overfed_users, task->user, overfed_link);
        map->line = NULL;
}

static void let_in(struct core *core, struct task *task, uint64_t n)
{
        struct map *map = task->map;
        struct pool *pool = task_pool(core, task);
        map->n_items += n;
        user_charge(task->user, ACCOUNT_TASKS, n);
        if (map->may_wait) {
                task->user->n_fed += n;
                pool->n_fed += n;
        }
        pool_count(pool, TASK_UNBORN, task->state == TASK_DELAYED ? TASK_DELAYED : TASK_READY, n);
}

void map_release(struct core *core, struct task *task, uint64_t n)
{
        user_release(task->user, ACCOUNT_TASKS, n);
        if (task->map->may_wait) {
                task->user->n_fed -= n;
                task_pool(core, task)->n_fed -= n;
        }
}

/* What a map may take that has nothing in: never all that is left. */
static void let_some_in(struct core *core, struct task *task)
{
        uint64_t half = (all_room_for(core, task) + 1) / 2;
        let_in(core, task, min_u64(n_outside(task), min_u64(half, LET_IN_AT_ONCE)));
}

void map_find_room(struct core *core, struct task *task)
{
        struct map *map = task->map;
        uint64_t n = n_outside(task);
        if (n == 0 || map->line)
                return;
        if (!map->may_wait) {
                let_in(core, task, n);
                return;
        }
        if (TAILQ_EMPTY(&task_pool(core, task)->overfed) && TAILQ_EMPTY(&task->user->overfed)) {
                let_in(core, task, min_u64(n, share_for(core, task)));
                if (!has_some_in(map))
                        let_some_in(core, task);
        }
        if (!has_some_in(map))
                stand_in_line(core, task);
}

/* Whether who is first in the user's line has to stand in its pool's. */
static bool is_for_pool(const struct core *core, const struct task *task, const struct map_line *line)
{
        const struct pool *pool = task_pool(core, task);
        return line == &task->user->overfed && (pool_room(pool) == 0 || !TAILQ_EMPTY(&pool->overfed));
}

/* True: there may be more to let in. */
static bool let_in_line(struct core *core, struct map_line *line)
{
        struct map *map;
        for (unsigned i = 0; i < RESUMED_AT_ONCE && (map = TAILQ_FIRST(line)); i++) {
                struct task *task = map->waiter->watch.task;
                bool is_full = line == &task->user->overfed ? user_room(task->user, ACCOUNT_TASKS) == 0
                                                            : pool_room(task_pool(core, task)) == 0;
                if (is_full)
                        return false;
                bool moves = is_for_pool(core, task, line);
                map_leave_line(core, task);
                if (!moves)
                        let_some_in(core, task);
                if (!has_some_in(map))
                        stand_in_line(core, task);
                map_update(core, task);
        }
        return !TAILQ_EMPTY(line);
}

bool maps_find_room(struct core *core)
{
        struct user *user, *next;
        bool is_more = false;
        TAILQ_FOREACH_SAFE (user, &core->overfed_users, overfed_link, next)
                is_more |= let_in_line(core, &user->overfed);
        for (uint32_t i = 0; i < core->n_pools; i++)
                is_more |= let_in_line(core, &core->pools[i]->overfed);
        return is_more;
}
