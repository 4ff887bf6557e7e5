/* SPDX-License-Identifier: MIT */
/*
 * A task: from its admission to the moment when it is forgotten. Owned by the core's table of tasks. Its
 * state is the container that it stands in, and task_set_state() is the only writer: it leaves the old one,
 * checks the step against the table, enters the new one and counts.
 *
 * Of a map the state is that of the whole; its items are counted by the map, one task each.
 */
#include "daemon/core/core_private.h"

#define S(state) (1u << TASK_##state)
#define ENDS     (S(SUCCEEDED) | S(FAILED) | S(CANCELLED) | S(EXPIRED))

/* From which state to which; RUNNING → READY, CANCELLED, EXPIRED: it was taken to run and had not begun. */
static const unsigned legal[N_TASK_STATES + 1] = {
        [TASK_DELAYED] = S(READY) | S(CANCELLED) | S(EXPIRED),
        [TASK_READY] = S(SENT) | S(RUNNING) | ENDS,
        [TASK_SENT] = S(READY) | S(RUNNING) | S(CANCELLED) | S(EXPIRED),
        [TASK_RUNNING] = S(READY) | S(DELAYED) | S(WAITING) | S(STOPPING) | ENDS,
        [TASK_WAITING] = S(RUNNING) | S(STOPPING),
        [TASK_STOPPING] = S(DELAYED) | ENDS,
        [TASK_SUCCEEDED] = 0,
        [TASK_FAILED] = 0,
        [TASK_CANCELLED] = 0,
        [TASK_EXPIRED] = 0,
        [TASK_UNBORN] = S(DELAYED) | S(READY),
};

struct pool *task_pool(const struct core *core, const struct task *task)
{
        return core->pools[task->pool];
}

struct task *task_find(const struct core *core, uint64_t id)
{
        struct table_link *link = table_find(&core->tasks, id);
        return link ? CONTAINER_OF(link, struct task, by_id) : NULL;
}

void pool_count(struct pool *pool, enum task_state from, enum task_state to, uint64_t n)
{
        if (from == TASK_UNBORN) {
                pool->n_submitted += n;
        } else {
                assert(pool->n_tasks[from] >= n);
                pool->n_tasks[from] -= n;
        }
        pool->n_tasks[to] += n;
}

static void leave(struct core *core, struct task *task)
{
        switch ((enum task_place)task->place) {
        case PLACE_NONE:
                break;
        case PLACE_DELAYED:
                TAILQ_REMOVE(&task_pool(core, task)->delayed, task, link);
                break;
        case PLACE_LANE:
                queue_remove(task);
                break;
        case PLACE_HELD:
                TAILQ_REMOVE(&task->lane->peer->held, task, link);
                break;
        case PLACE_PARKED:
                user_unpark(task->user, task);
                break;
        case PLACE_ASIDE:
                TAILQ_REMOVE(&task_pool(core, task)->aside, task, link);
                break;
        }
        task->place = PLACE_NONE;
}

/* Its timer is that of the state, too. A map in state ready or running is put into its lane by map_update(),
 * a task that comes back by queue_put_back(). */
static void enter(struct core *core, struct task *task, enum task_state from)
{
        struct pool *pool = task_pool(core, task);
        enum task_state state = task->state;
        if (state == TASK_DELAYED) {
                TAILQ_INSERT_TAIL(&pool->delayed, task, link);
                task->place = PLACE_DELAYED;
        } else if (state == TASK_READY && !task->map && (from == TASK_UNBORN || from == TASK_DELAYED)) {
                queue_push(task);
        }
        int64_t expires = task_expires(task);
        if (state == TASK_DELAYED && task->accepted)
                timer_set(core, &task->timer, task->due < expires ? task->due : expires);
        else if (state == TASK_READY || state == TASK_SENT || (state == TASK_RUNNING && !task->map))
                timer_set(core, &task->timer, expires);
        else
                timer_clear(core, &task->timer);
}

void task_set_state(struct core *core, struct task *task, enum task_state state)
{
        enum task_state from = task->state;
        assert(legal[from] & 1u << state);
        if (!task->map || from != TASK_READY || state != TASK_RUNNING)
                leave(core, task); /* a map stays in its lane while it runs */
        task->state = (uint8_t)state;
        if (!task->map)
                pool_count(task_pool(core, task), from, state, 1);
        enter(core, task, from);
}

int64_t task_expires(const struct task *task)
{
        return task->attempt > task_first_attempt(task) ? CORE_NEVER : task->expires;
}

/* -- birth -- */

static struct task *task_alloc(struct core *core)
{
        struct task *task = core->spare_tasks;
        if (task) {
                core->spare_tasks = (struct task *)task->by_id.next;
                core->n_spare_tasks--;
        } else {
                task = malloc(sizeof(*task));
        }
        if (task)
                memset(task, 0, sizeof(*task));
        return task;
}

static void task_dealloc(struct core *core, struct task *task)
{
        if (core->n_spare_tasks >= RESERVE_MAX) {
                free(task);
                return;
        }
        task->by_id.next = (struct table_link *)core->spare_tasks;
        core->spare_tasks = task;
        core->n_spare_tasks++;
}

static struct task_extra *extra_free(struct task_extra *extra)
{
        if (!extra)
                return NULL;
        free(extra->label);
        free(extra->key);
        free(extra);
        return NULL;
}

static int extra_new(const struct peer *peer, const struct core_spec *spec, struct task_extra **ret)
{
        struct task_extra *extra;
        *ret = NULL;
        if (!spec->label && !spec->key && !spec->retries && !spec->attempts_before && !peer->run)
                return 0;
        extra = calloc(1, sizeof(*extra));
        if (!extra || (spec->label && !(extra->label = strdup(spec->label))) ||
            (spec->key && !(extra->key = strdup(spec->key)))) {
                extra_free(extra);
                return -ENOMEM;
        }
        extra->args_hash = spec->args_hash;
        extra->retries = spec->retries;
        extra->retry_on = spec->retry_on;
        extra->backoff = spec->backoff;
        extra->attempts_before = spec->attempts_before;
        *ret = extra;
        return 0;
}

static int admit(struct peer *peer, const struct core_spec *spec, uint64_t n)
{
        struct core *core = peer->core;
        struct pool *pool = pool_at(core, spec->pool);
        if (!pool || pool->config.closed || spec->function >= pool->n_functions)
                return CORE_UNKNOWN_POOL;
        if (core->stopping)
                return CORE_STOPPING;
        if (peer->run && peer->run->state != RUN_RUNNING)
                return CORE_CANCELLED;
        int r = pool_admit(pool, n);
        if (!r)
                r = user_admit(peer->user, ACCOUNT_TASKS, n);
        if (!r)
                r = user_admit(peer->user, ACCOUNT_DESCRIPTORS, spec->n_descriptors);
        if (!r)
                r = user_admit(peer->user, ACCOUNT_BYTES, spec->args_size_bytes);
        return r;
}

static int64_t after(int64_t now, int64_t duration)
{
        return duration >= CORE_NEVER - now ? CORE_NEVER : now + duration;
}

static void fill(struct task *task, const struct peer *peer, const struct core_spec *spec, int64_t now)
{
        int64_t pool_timeout = task_pool(peer->core, task)->config.timeout;
        task->user = peer->user;
        task->user->n_refs++;
        task->state = TASK_UNBORN;
        task->timer.kind = TIMER_TASK;
        LIST_INIT(&task->watches);
        task->submitted = now;
        task->due = spec->delay > 0 ? after(now, spec->delay) : now;
        task->expires = after(now, spec->expires);
        task->timeout = spec->timeout > 0 ? spec->timeout : pool_timeout;
        task->ttl = spec->ttl;
        task->args = spec->args;
        task->args_size_bytes = spec->args_size_bytes;
        task->n_descriptors = (uint8_t)spec->n_descriptors;
        task->function = spec->function;
        task->pid = spec->pid;
        task->priority = (int8_t)spec->priority;
        task->streams = (uint8_t)spec->streams;
        task->detached = spec->detached;
        task->progress = -1;
        task->bad.exit_status = -1;
        task->attempt = task_first_attempt(task);
}

int task_new(struct peer *peer, const struct core_spec *spec, uint64_t n, int64_t now, struct task **ret)
{
        struct core *core = peer->core;
        assert(spec->n_descriptors <= LIMIT_DESCRIPTORS);
        assert(spec->priority >= -PRIORITY_MAX && spec->priority <= PRIORITY_MAX);
        int r = admit(peer, spec, n);
        if (r)
                return r;
        struct task *task = task_alloc(core);
        if (!task)
                return -ENOMEM;
        task->pool = (uint8_t)spec->pool;
        if (extra_new(peer, spec, &task->extra) < 0)
                goto no_extra;
        if (timers_reserve(&core->timers, 1) < 0)
                goto no_timer;
        if (awaited_reserve(peer, spec->pool) < 0 ||
            lane_get(peer, task_pool(core, task), spec->priority, &task->lane) < 0)
                goto no_lane;
        fill(task, peer, spec, now);
        if (task->extra)
                task->extra->task = task;
        if (peer->run)
                child_add(peer, task);
        *ret = task;
        return 0;
no_lane:
        timers_unreserve(&core->timers, 1);
no_timer:
        extra_free(task->extra);
no_extra:
        task_dealloc(core, task);
        return -ENOMEM;
}

void task_discard(struct core *core, struct task *task)
{
        assert(task->state == TASK_UNBORN);
        child_remove(task);
        lane_unref(core, task->lane);
        user_unref(task->user);
        timers_unreserve(&core->timers, 1);
        extra_free(task->extra);
        task_dealloc(core, task);
}

void task_on_accepted(struct core *core, struct task *task)
{
        assert(!task->accepted);
        task->accepted = true;
        if (core->in_store)
                return; /* task_accept() goes on */
        if (task->due <= core->now || task->expires <= core->now)
                task_on_timer(core, task);
        else
                timer_set(core, &task->timer, task->due < task->expires ? task->due : task->expires);
}

void task_accept(struct core *core, struct task *task)
{
        assert(core->next_id < LIMIT_TASK_ID);
        table_add(&core->tasks, &task->by_id, core->next_id++);
        TAILQ_INSERT_TAIL(&core->all_tasks, task, all);
        if (task_key(task))
                key_add(core, task);
        core->n_unfinished++;
        user_charge(task->user, ACCOUNT_DESCRIPTORS, task->n_descriptors);
        user_charge(task->user, ACCOUNT_BYTES, task->args_size_bytes);
        user_charge(task->user, ACCOUNT_TASKS, task->map ? task->map->n_items : 1);
        enum task_state first = task->due > core->now ? TASK_DELAYED : TASK_READY;
        core->in_store = true;
        core->ops.store(core->ctx, task_id(task), first);
        core->in_store = false;
        /* Not stored yet: it may not begin, whatever its time. */
        task_set_state(core, task, task->accepted ? first : TASK_DELAYED);
}

/* -- the end -- */

enum task_state cause_state(enum core_cause cause)
{
        static const enum task_state states[] = {
                [CAUSE_NONE] = TASK_SUCCEEDED,     [CAUSE_FUNCTION] = TASK_FAILED,
                [CAUSE_WORKER] = TASK_FAILED,      [CAUSE_OUTSIDE] = TASK_FAILED,
                [CAUSE_KERNEL] = TASK_FAILED,      [CAUSE_TIMEOUT] = TASK_FAILED,
                [CAUSE_LIMIT] = TASK_FAILED,       [CAUSE_CLIENT] = TASK_CANCELLED,
                [CAUSE_SHUTDOWN] = TASK_CANCELLED, [CAUSE_EXPIRED] = TASK_EXPIRED,
        };
        return states[cause];
}

void core_store_done(struct core *core, uint64_t id)
{
        struct task *task = task_find(core, id);
        assert(task);
        if (!task->accepted) {
                task_on_accepted(core, task);
        } else {
                assert(TASK_IS_END(task->state) && !task->settled);
                task->settled = true;
                if (!core->in_store)
                        task_settle(core, task);
        }
}

static void release(struct core *core, struct task *task)
{
        if (!task->map) { /* a map has released all that with its segments and items */
                core->ops.drop(core->ctx, task->args);
                task->args = PAYLOAD_NONE;
                user_release(task->user, ACCOUNT_BYTES, task->args_size_bytes);
                user_release(task->user, ACCOUNT_DESCRIPTORS, task->n_descriptors);
                user_release(task->user, ACCOUNT_TASKS, 1);
        }
        child_remove(task);
        lane_unref(core, task->lane);
        task->lane = NULL;
        core->n_unfinished--;
}

static void keep_result(struct core *core, struct task *task)
{
        if (task->result == PAYLOAD_CURRENT) {
                task->result = core->ops.keep(core->ctx, PAYLOAD_CURRENT);
                task->result_lost = task->result == PAYLOAD_NONE;
        }
        if (task->result != PAYLOAD_NONE && !task->result_charged) {
                user_charge(task->user, ACCOUNT_BYTES, task->result_size_bytes);
                task->result_charged = true;
        }
}

void task_end(struct core *core, struct task *task, enum task_state state, payload_t result,
              uint64_t size_bytes)
{
        assert(!task->run && TASK_IS_END(state));
        task_set_state(core, task, state);
        task->ended = core->now;
        task->result = result;
        task->result_size_bytes = result == PAYLOAD_NONE ? 0 : size_bytes;
        release(core, task);
        core->in_store = true;
        core->ops.store(core->ctx, task_id(task), state);
        core->in_store = false;
        if (task->settled)
                task_settle(core, task);
        else
                keep_result(core, task);
}

void task_settle(struct core *core, struct task *task)
{
        struct core_record record;
        struct watch *watch;
        task_record(core, task, &record);
        core->ops.note(core->ctx, NOTE_TASK_ENDED, task->pool, UINT32_MAX, &record);
        while ((watch = LIST_FIRST(&task->watches))) {
                if (watch->waiter->wait)
                        wait_on_end(core, watch, task->state);
                else
                        waiter_answer(core, watch->waiter, task);
#ifdef SEEDED_BUG_SECOND_WAITER_NOT_TOLD
                if (task_key(task) && task->ttl > 0)
                        break;
#endif
        }
        if ((!task_key(task) && (task->is_call || task->taken)) || task->ttl <= 0) {
                task_forget(core, task);
                return;
        }
        keep_result(core, task);
        timer_set(core, &task->timer, after(core->now, task->ttl));
}

void task_forget(struct core *core, struct task *task)
{
        assert(TASK_IS_END(task->state) && LIST_EMPTY(&task->watches));
        history_add(core, task);
        task_free(core, task);
}

void task_free(struct core *core, struct task *task)
{
        child_remove(task);
        if (task->result != PAYLOAD_NONE && task->result != PAYLOAD_CURRENT)
                core->ops.drop(core->ctx, task->result);
        if (task->result_charged)
                user_release(task->user, ACCOUNT_BYTES, task->result_size_bytes);
        task_drop_tail(core, task);
        if (task_key(task))
                key_remove(core, task);
        map_free(core, task);
        timer_clear(core, &task->timer);
        timers_unreserve(&core->timers, 1);
        table_remove(&core->tasks, &task->by_id);
        table_shrink(&core->tasks);
        TAILQ_REMOVE(&core->all_tasks, task, all);
        user_unref(task->user);
        extra_free(task->extra);
        task_dealloc(core, task);
}
