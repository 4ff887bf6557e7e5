/* SPDX-License-Identifier: MIT */
/*
 * The ends of a map's items, and how they reach the client: at once, or in input order, when those that come
 * too early are held. With `collect` they are also given away for the answer. An item under the verdict on
 * its whole map is cancelled, whatever its worker still says. A fail_fast map stops when a failure is
 * delivered: of an ordered one that is the first in input order, as if the items had run one by one.
 */
#include "daemon/core/core_private.h"

struct item_end {
        uint64_t index, size_bytes;
        payload_t payload;
        const struct bad_end *bad; /* NULL: it succeeded */
        int64_t started, ended;
        pid_t worker_pid;
        uint32_t attempt;
};

static void refuse(struct core *core, struct task *task, enum core_refusal refusal)
{
        const struct bad_end bad = {.cause = CAUSE_CLIENT, .exit_status = -1};
        assert(!task->map->refusal); /* after one nothing more is delivered or held */
        task->map->refusal = refusal;
        map_verdict(core, task, &bad);
}

static void item_record(const struct core *core, const struct task *task, const struct item_end *end,
                        struct core_record *record)
{
        task_record(core, task, record);
        record->index = end->index;
        record->attempt = end->attempt;
        record->state = cause_state(end->bad->cause);
        record->started = end->started;
        record->ended = end->ended;
        record->run_time = end->ended - end->started;
        record->worker_pid = end->worker_pid;
        record->error = end->payload;
        record->result = PAYLOAD_NONE;
        record->result_size_bytes = end->size_bytes;
        record->is_map = false;
        bad_end_record(end->bad, record);
}

static void deliver(struct core *core, struct task *task, const struct item_end *end)
{
        struct map *map = task->map;
        struct core_record storage, *record = NULL;
        payload_t payload = end->bad ? PAYLOAD_NONE : end->payload;
#ifdef SEEDED_BUG_ORDERED_WINDOW_STUCK
        map->n_delivered += !(map->ordered && map->window && end->bad);
#else
        map->n_delivered++;
#endif
        if (end->bad) {
                record = &storage;
                item_record(core, task, end, record);
                map->n_delivered_failed++;
        }
        int64_t kept = 0;
        assert(map->waiter); /* without its request it is under a verdict */
        core->ops.item(core->ctx, waiter_request(map->waiter), end->index, payload, record);
        if (map->collect)
                kept = core->ops.collect(core->ctx, task_id(task), end->index, payload, record);
        if (kept > 0) {
                map->collected_bytes += (uint64_t)kept;
                user_charge(task->user, ACCOUNT_BYTES, (uint64_t)kept);
        }
        if (kept < 0)
                refuse(core, task, CORE_OUT_OF_MEMORY);
        else if (map->collected_bytes > core->config.max_answer_bytes)
                refuse(core, task, CORE_TOO_LARGE);
        else if (kept > 0 && user_is_over(task->user))
                refuse(core, task, CORE_QUOTA);
        const struct bad_end stop = {.cause = CAUSE_FUNCTION, .exit_status = -1};
        if (end->bad && map->fail_fast && task->bad.cause == CAUSE_NONE)
                map_cancel_rest(core, task, &stop);
}

static struct held_item *held_at(const struct map *map, uint64_t index)
{
        return &map->held[index % map->n_held_max];
}

static void hold(struct core *core, struct task *task, const struct item_end *end)
{
        struct map *map = task->map;
        struct held_item *held = held_at(map, end->index);
        payload_t payload = end->payload;
        assert(!held->is_filled && end->index - map->n_delivered < map->n_held_max);
        if (payload == PAYLOAD_CURRENT) {
                payload = core->ops.keep(core->ctx, PAYLOAD_CURRENT);
                if (payload == PAYLOAD_NONE) {
                        refuse(core, task, CORE_OUT_OF_MEMORY);
                        return;
                }
        }
        *held = (struct held_item){.is_filled = true,
                                   .failed = end->bad != NULL,
                                   .payload = payload,
                                   .size_bytes = payload == PAYLOAD_NONE ? 0 : end->size_bytes,
                                   .started = end->started,
                                   .ended = end->ended,
                                   .worker_pid = end->worker_pid,
                                   .attempt = end->attempt};
        if (end->bad)
                held->bad = *end->bad;
        map->held_bytes += held->size_bytes;
        user_charge(task->user, ACCOUNT_BYTES, held->size_bytes);
}

static void empty(struct core *core, struct task *task, struct held_item *held)
{
        if (held->payload != PAYLOAD_NONE)
                core->ops.drop(core->ctx, held->payload);
        task->map->held_bytes -= held->size_bytes;
        user_release(task->user, ACCOUNT_BYTES, held->size_bytes);
        held->is_filled = false;
}

static void deliver_held(struct core *core, struct task *task)
{
        struct map *map = task->map;
        struct held_item *held;
        while (task->state != TASK_STOPPING && map->failed_at >= map->n_delivered &&
               (held = held_at(map, map->n_delivered))->is_filled) {
                struct item_end end = {.index = map->n_delivered,
                                       .size_bytes = held->size_bytes,
                                       .payload = held->payload,
                                       .bad = held->failed ? &held->bad : NULL,
                                       .started = held->started,
                                       .ended = held->ended,
                                       .worker_pid = held->worker_pid,
                                       .attempt = held->attempt};
                deliver(core, task, &end);
                empty(core, task, held);
        }
}

void map_drop_held(struct core *core, struct task *task)
{
        struct map *map = task->map;
        for (uint64_t i = 0; i < map->n_held_max; i++)
                if (map->held[i].is_filled)
                        empty(core, task, &map->held[i]);
        assert(map->held_bytes == 0);
}

void map_item_end(struct core *core, struct task *task, struct run *run, payload_t payload,
                  uint64_t size_bytes, const struct bad_end *bad)
{
        struct map *map = task->map;
        struct pool *pool = task_pool(core, task);
        if (bad && map_try_again(core, task, run, bad->cause))
                return;
        struct bad_end failure = bad ? *bad : (struct bad_end){0};
        struct item_end end = {.index = run->next++,
                               .size_bytes = size_bytes,
                               .payload = payload,
                               .bad = bad ? &failure : NULL,
                               .started = run->since,
                               .ended = core->now,
                               .worker_pid = run->hand->pid,
                               .attempt = run->attempt};
        assert(run->state == RUN_RUNNING || run->state == RUN_STOPPING);
        task->n_unbegun_losses = 0;
        map_release(core, task, 1);
        if (--run->segment->n_left == 0)
                map_drop_segment(core, task, run->segment);
        if (task->state == TASK_STOPPING) {
                pool_count(pool, TASK_RUNNING, map_rest_state(task), 1);
                map->n_cancelled++;
                return;
        }
        pool_count(pool, TASK_RUNNING, bad ? TASK_FAILED : TASK_SUCCEEDED, 1);
        if (bad)
                map->n_failed++;
        else
                map->n_succeeded++;
        if (bad && map->fail_fast && end.index < map->failed_at)
                map->failed_at = end.index;
        if (!map->ordered) {
                deliver(core, task, &end);
        } else if (map->failed_at < map->n_delivered) {
                return; /* it began before the failure that was delivered was known */
        } else if (end.index == map->n_delivered) {
                deliver(core, task, &end);
                deliver_held(core, task);
        } else {
                hold(core, task, &end);
        }
}
