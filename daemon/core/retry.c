/* SPDX-License-Identifier: MIT */
/*
 * Trying again: whether an attempt that ended badly is followed by another one, and how long that waits. A
 * task goes back to delayed, as if it had been submitted with that delay; an item of a map waits in its map
 * and is then sent alone, for it may be the one that kills every worker it meets.
 *
 * A retry begins only when the attempt is dead: a worker that could not be killed may still be at it, so what
 * it had ends. An item for whose waiting there is no memory ends as its attempt did.
 */
#include "daemon/core/core_private.h"
#include "proto/options.h"

static unsigned end_of(enum core_cause cause)
{
        static const unsigned ends[] = {
                [CAUSE_NONE] = 0,
                [CAUSE_FUNCTION] = RETRY_TASK_FAILED,
                [CAUSE_WORKER] = RETRY_WORKER_LOST,
                [CAUSE_OUTSIDE] = RETRY_WORKER_LOST,
                [CAUSE_KERNEL] = RETRY_WORKER_LOST,
                [CAUSE_TIMEOUT] = RETRY_TIMED_OUT,
                [CAUSE_LIMIT] = RETRY_WORKER_LOST,
                [CAUSE_CLIENT] = 0,
                [CAUSE_SHUTDOWN] = 0,
                [CAUSE_EXPIRED] = 0,
        };
        return ends[cause];
}

bool run_may_retry(const struct run *run, enum core_cause cause)
{
        const struct task *task = run->task;
        const struct task_extra *extra = task->extra;
        if (!extra || run->attempt - task_first_attempt(task) >= extra->retries ||
            !(extra->retry_on & end_of(cause)))
                return false;
#ifndef SEEDED_BUG_RETRY_WHILE_ALIVE
        if (run->hand->state == WORKER_STUCK)
                return false;
#endif
        return !run->hand->core->stopping && task->bad.cause == CAUSE_NONE;
}

/* When the attempt after this one may begin: the pauses double, and each is shortened by chance, so that what
 * failed together does not come back together. */
static int64_t due_after(struct core *core, const struct task *task, uint32_t attempt)
{
        int64_t pause = task->extra->backoff;
        for (uint32_t i = task_first_attempt(task); i < attempt && pause > 0 && pause < RETRY_PAUSE_MAX; i++)
                pause = pause < RETRY_PAUSE_MAX / 2 ? pause * 2 : RETRY_PAUSE_MAX;
        return core->now + (int64_t)((double)pause * (0.5 + 0.5 * core->ops.random(core->ctx)));
}

void task_try_again(struct core *core, struct task *task)
{
        assert(!task->run && !task->map);
        task->due = due_after(core, task, task->attempt++);
        task->started = 0;
        task->progress = -1;
        task_pool(core, task)->n_retried++;
        task_set_state(core, task, TASK_DELAYED);
}

/* -- items of maps -- */

static void set_timer(struct core *core, struct task *task)
{
        const struct again *first = TAILQ_FIRST(&task->map->waiting);
        timer_set(core, &task->timer, first ? first->due : CORE_NEVER);
}

static void wait_by_due(struct map *map, struct again *again)
{
        struct again *other;
        TAILQ_FOREACH_REVERSE(other, &map->waiting, again_list, link)
        {
                if (other->due <= again->due)
                        break;
        }
        if (other)
                TAILQ_INSERT_AFTER(&map->waiting, other, again, link);
        else
                TAILQ_INSERT_HEAD(&map->waiting, again, link);
        map->n_waiting++;
}

void map_again_give_back(struct map *map, struct again *again)
{
        struct again *other;
        TAILQ_FOREACH (other, &map->due, link) {
                if (other->index > again->index)
                        break;
        }
        if (other)
                TAILQ_INSERT_BEFORE(other, again, link);
        else
                TAILQ_INSERT_TAIL(&map->due, again, link);
        map->n_due++;
}

bool map_try_again(struct core *core, struct task *task, struct run *run, enum core_cause cause)
{
        struct pool *pool = task_pool(core, task);
        if (task->state == TASK_STOPPING || !run_may_retry(run, cause))
                return false;
        struct again *again = run->again ? run->again : malloc(sizeof(*again));
        if (!again)
                return false;
        run->again = NULL;
        *again = (struct again){.index = run->next++, .attempt = run->attempt + 1};
        again->due = due_after(core, task, run->attempt);
        wait_by_due(task->map, again);
        pool_count(pool, TASK_RUNNING, TASK_DELAYED, 1);
        pool->n_retried++;
        set_timer(core, task);
        return true;
}

void map_on_timer(struct core *core, struct task *task)
{
        struct map *map = task->map;
        struct again *again;
        while ((again = TAILQ_FIRST(&map->waiting)) && again->due <= core->now) {
                TAILQ_REMOVE(&map->waiting, again, link);
                map->n_waiting--;
                map_again_give_back(map, again);
                pool_count(task_pool(core, task), TASK_DELAYED, TASK_READY, 1);
        }
        set_timer(core, task);
        map_update(core, task);
}

static void drop_all(struct again_list *list)
{
        struct again *again;
        while ((again = TAILQ_FIRST(list))) {
                TAILQ_REMOVE(list, again, link);
                free(again);
        }
}

void map_drop_again(struct map *map)
{
        drop_all(&map->waiting);
        drop_all(&map->due);
        map->n_waiting = map->n_due = 0;
}
