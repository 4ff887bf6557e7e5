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

/* Both heaps are skew heaps: whatever is done with them costs the logarithm of their size, all in all. */
typedef bool comes_before(const struct again *, const struct again *);

static bool is_due_before(const struct again *a, const struct again *b)
{
        return a->due < b->due || (a->due == b->due && a->index < b->index);
}

static bool has_lower_index(const struct again *a, const struct again *b)
{
        return a->index < b->index;
}

static struct again *merge(struct again *a, struct again *b, comes_before *is_before)
{
        struct again *tree = NULL, **at = &tree;
        while (a && b) {
                struct again *first = is_before(b, a) ? b : a;
                b = first == a ? b : a;
                a = first->right;
                first->right = first->left;
                *at = first;
                at = &first->left;
        }
        *at = a ? a : b;
        return tree;
}

static void push(struct again **tree, struct again *again, comes_before *is_before)
{
        again->left = again->right = NULL;
        *tree = merge(*tree, again, is_before);
}

static struct again *pop(struct again **tree, comes_before *is_before)
{
        struct again *first = *tree;
        *tree = merge(first->left, first->right, is_before);
        return first;
}

static void set_timer(struct core *core, struct task *task)
{
        const struct again *first = task->map->waiting;
        timer_set(core, &task->timer, first ? first->due : CORE_NEVER);
}

void map_again_give_back(struct map *map, struct again *again)
{
        push(&map->due, again, has_lower_index);
        map->n_due++;
}

struct again *map_again_take(struct map *map)
{
        map->n_due--;
        return pop(&map->due, has_lower_index);
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
        push(&task->map->waiting, again, is_due_before);
        task->map->n_waiting++;
        pool_count(pool, TASK_RUNNING, TASK_DELAYED, 1);
        pool->n_retried++;
        set_timer(core, task);
        return true;
}

void map_on_timer(struct core *core, struct task *task)
{
        struct map *map = task->map;
        while (map->waiting && map->waiting->due <= core->now) {
                map->n_waiting--;
                map_again_give_back(map, pop(&map->waiting, is_due_before));
                pool_count(task_pool(core, task), TASK_DELAYED, TASK_READY, 1);
        }
        set_timer(core, task);
        map_update(core, task);
}

static void drop_all(struct again **tree)
{
        while (*tree)
                free(pop(tree, has_lower_index)); /* in any order */
}

void map_drop_again(struct map *map)
{
        drop_all(&map->waiting);
        drop_all(&map->due);
        map->n_waiting = map->n_due = 0;
}
