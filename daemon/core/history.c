/* SPDX-License-Identifier: MIT */
/*
 * The last records of tasks that ended and are forgotten, in a ring of fixed size, found by id. How a task
 * failed can still be asked, its result not: a record owns its label, the function's error map if that is
 * small, and the end of what the task wrote to stderr. Owned by the core; the memory is bounded by the ring,
 * so it is nobody's account.
 */
#include "daemon/core/core_private.h"

struct old_task {
        struct table_link by_id;
        char *label, *key;
        int64_t submitted, due, started, ended, expires, timeout;
        uint64_t args_size_bytes;
        union {
                struct {
                        uint64_t result_size_bytes;
                        payload_t error;
                };
                struct {
                        uint64_t n_items, n_succeeded, n_failed;
                } map;
        };
        struct bad_end bad;
        uid_t uid;
        pid_t pid, worker_pid;
        uint32_t function, attempt, retries;
        float progress;
        int8_t priority;
        uint8_t pool, state;
        bool is_map : 1, has_tail : 1;
};
/* A daemon that has nothing to do still holds `history` of them: 10,000 unless something else is said. */
_Static_assert(sizeof(struct old_task) <= 160, "an idle daemon has at most 6 MiB");

int history_init(struct history *history, size_t n_max)
{
        *history = (struct history){.n_max = n_max};
        if (n_max) {
                history->ring = calloc(n_max, sizeof(*history->ring));
                if (!history->ring)
                        return -ENOMEM;
        }
        return table_init(&history->by_id, 0);
}

static void evict(struct core *core, struct old_task *old)
{
        struct history *history = &core->history;
        if (!old->is_map && old->error != PAYLOAD_NONE)
                core->ops.drop(core->ctx, old->error);
        if (old->has_tail)
                core->ops.tail_drop(core->ctx, old->by_id.key);
        table_remove(&history->by_id, &old->by_id);
        free(old->label);
        free(old->key);
        old->label = old->key = NULL;
        history->n--;
}

void history_deinit(struct core *core)
{
        struct history *history = &core->history;
        for (size_t i = 0; history->n; i++)
                if (history->ring[i].by_id.key)
                        evict(core, &history->ring[i]);
        if (history->by_id.buckets)
                table_deinit(&history->by_id);
        free(history->ring);
        history->ring = NULL;
}

/* The error map changes its owner, and its account. */
static payload_t take_error(struct core *core, struct task *task)
{
        payload_t error = task->result;
        if (task->state != TASK_FAILED || error == PAYLOAD_NONE ||
            task->result_size_bytes > HISTORY_ERROR_BYTES)
                return PAYLOAD_NONE;
        if (error == PAYLOAD_CURRENT)
                return core->ops.keep(core->ctx, PAYLOAD_CURRENT);
        if (task->result_charged)
                user_release(task->user, ACCOUNT_BYTES, task->result_size_bytes);
        task->result_charged = false;
        task->result = PAYLOAD_NONE;
        return error;
}

static char *take_text(char **text)
{
        char *ret = text ? *text : NULL;
        if (text)
                *text = NULL;
        return ret;
}

void history_add(struct core *core, struct task *task)
{
        struct history *history = &core->history;
        if (history->n_max == 0)
                return;
        struct old_task *old = &history->ring[history->next];
        if (++history->next == history->n_max)
                history->next = 0;
        if (old->by_id.key)
                evict(core, old);
        *old = (struct old_task){
                .label = take_text(task->extra ? &task->extra->label : NULL),
                .submitted = task->submitted,
                .due = task->due,
                .started = task->started,
                .ended = task->ended,
                .expires = task->expires == CORE_NEVER ? 0 : task->expires,
                .timeout = task->timeout,
                .args_size_bytes = task->args_size_bytes,
                .bad = task->bad,
                .uid = user_uid(task->user),
                .pid = task->pid,
                .worker_pid = task->worker_pid,
                .function = task->function,
                .attempt = task->attempt,
                .retries = task->extra ? task->extra->retries : 0,
                .progress = task->progress,
                .priority = task->priority,
                .pool = task->pool,
                .state = task->state,
        };
        if (task->state != TASK_SUCCEEDED)
                old->has_tail = task_shrink_tail(core, task);
        if (task_key(task)) {
                key_remove(core, task);
                old->key = take_text(&task->extra->key);
        }
        if (task->map) {
                old->is_map = true;
                old->map.n_items = task->map->n_fed;
                old->map.n_succeeded = task->map->n_succeeded;
                old->map.n_failed = task->map->n_failed;
        } else {
                old->result_size_bytes = task->result_size_bytes;
                old->error = take_error(core, task);
        }
        table_add(&history->by_id, &old->by_id, task_id(task));
        history->n++;
}

bool history_find(const struct history *history, uint64_t id, struct core_record *ret)
{
        struct table_link *link = history->n ? table_find(&history->by_id, id) : NULL;
        if (!link)
                return false;
        const struct old_task *old = CONTAINER_OF(link, struct old_task, by_id);
        *ret = (struct core_record){
                .id = id,
                .state = old->state,
                .pool = old->pool,
                .function = old->function,
                .label = old->label,
                .key = old->key,
                .uid = old->uid,
                .pid = old->pid,
                .priority = old->priority,
                .attempt = old->attempt,
                .retries = old->retries,
                .submitted = old->submitted,
                .due = old->due,
                .started = old->started,
                .ended = old->ended,
                .expires = old->expires,
                .timeout = old->timeout,
                .worker = UINT32_MAX,
                .worker_pid = old->worker_pid,
                .progress = (double)old->progress,
                .args_size_bytes = old->args_size_bytes,
                .is_map = old->is_map,
                .index = UINT64_MAX,
                .run_time = old->started ? old->ended - old->started : 0,
        };
        if (old->is_map) {
                ret->n_items = old->map.n_items;
                ret->n_items_succeeded = old->map.n_succeeded;
                ret->n_items_failed = old->map.n_failed;
        } else {
                ret->result_size_bytes = old->result_size_bytes;
                ret->error = old->error;
        }
        bad_end_record(&old->bad, ret);
        return true;
}

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return (x > y) - (x < y);
}

uint64_t *history_ids(const struct history *history, const struct peer *peer, uint64_t after, size_t *ret_n)
{
        uint64_t *ids = history->n ? malloc(history->n * sizeof(*ids)) : NULL;
        size_t n = 0;
        for (size_t i = 0; ids && i < history->n_max; i++) {
                const struct old_task *old = &history->ring[i];
                if (old->by_id.key > after && peer_sees(peer, old->uid))
                        ids[n++] = old->by_id.key;
        }
        if (n)
                qsort(ids, n, sizeof(*ids), compare);
        *ret_n = n;
        return ids;
}
