/* SPDX-License-Identifier: MIT */
/*
 * Room for the items of a map that is fed. Those for which the pool's queue or the user's share of tasks has
 * none wait in their map, in no account but that of its bytes. Such maps stand in a line at what is full, the
 * user or the pool, and are let in a few items at a time, each in its turn, as room comes. All fed maps
 * together leave a quarter of both to what does not wait: calls, submitted tasks, other maps.
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

static uint64_t room_for(const struct core *core, const struct task *task)
{
        return min_u64(room_at_pool(task_pool(core, task)), room_at_user(task->user));
}

static bool is_full(const struct core *core, const struct task *task, const struct map_line *line)
{
        return line == &task->user->overfed ? room_at_user(task->user) == 0
                                            : room_at_pool(task_pool(core, task)) == 0;
}

/* At what is full; if nothing is, again where it stood. */
static void stand_in_line(struct core *core, struct task *task, struct map_line *line)
{
        struct user *user = task->user;
        if (room_at_user(user) == 0)
                line = &user->overfed;
        else if (room_at_pool(task_pool(core, task)) == 0)
                line = &task_pool(core, task)->overfed;
        if (line == &user->overfed && TAILQ_EMPTY(line))
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

void map_find_room(struct core *core, struct task *task)
{
        struct map *map = task->map;
        uint64_t n = map->n_fed - map->n_items;
        bool is_next = TAILQ_EMPTY(&task_pool(core, task)->overfed) && TAILQ_EMPTY(&task->user->overfed);
        if (map->line)
                return; /* behind its own */
        if (!map->may_wait)
                let_in(core, task, n);
        else if (is_next)
                let_in(core, task, min_u64(n, room_for(core, task)));
        if (map->n_items < map->n_fed)
                stand_in_line(core, task, &task->user->overfed);
}

/* True: there may be more to let in. */
static bool let_in_line(struct core *core, struct map_line *line)
{
        struct map *map;
        for (unsigned i = 0; i < RESUMED_AT_ONCE && (map = TAILQ_FIRST(line)); i++) {
                struct task *task = map->waiter->watch.task;
                if (is_full(core, task, line))
                        return false;
                map_leave_line(core, task);
                uint64_t n = min_u64(map->n_fed - map->n_items, LET_IN_AT_ONCE);
                let_in(core, task, min_u64(n, room_for(core, task)));
                if (map->n_items < map->n_fed)
                        stand_in_line(core, task, line);
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
