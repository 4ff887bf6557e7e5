/* SPDX-License-Identifier: MIT */
/*
 * What the core has done by others, done by models: answers, streams, payloads, the store; ops_worker.c has
 * what is done to workers. Before each operation the model workers may take some steps. Whatever the core
 * must never do is checked here, at the moment when it does it: answer what is not open, name bytes that are
 * gone.
 */
#include <string.h>

#include "tests/sim/objects.h"
#include "tests/sim/ops.h"

#include <errno.h>

struct model_worker *op_begin(struct sim *s, enum operation operation, uint32_t worker)
{
        s->coverage->operations[operation]++;
        workers_poke(s);
        if (worker >= MAX_WORKERS)
                sim_fail(s, "an operation on worker %u, which cannot be", worker);
        return &s->workers[worker];
}

bool op_no_memory(struct sim *s, enum fault fault)
{
        if (s->faults_over || !random_chance(&s->random, s->intensity.no_memory))
                return false;
        s->coverage->faults[fault]++;
        return true;
}

/* -- answers -- */

static struct request *answered(struct sim *s, enum operation operation, struct core_request id)
{
        struct request *r;

        op_begin(s, operation, 0);
        r = request_answer(s, id);
        if (is_of_task(id.connection))
                task_answered(s, id.connection);
        if (r->entry != NO_ENTRY)
                s->entries[r->entry].n_answers++;
        s->connections[id.connection].output_bytes += 20;
        return r;
}

static bool op_answer_result(void *ctx, struct core_request id, uint64_t task, payload_t result)
{
        struct sim *s = ctx;
        struct request *r = answered(s, OPERATION_answer_result, id);

        TRACE(s, "> answer_result", id.connection, id.msgid);
        if (r->kind == REQUEST_MAP || r->kind == REQUEST_WAIT || r->entry == NO_ENTRY)
                sim_fail(s, "a request of kind %d is answered with a result", r->kind);
        ledger_check_value(s, &s->entries[r->entry], UINT64_MAX, result);
        if (s->entries[r->entry].id != 0 && s->entries[r->entry].id != task)
                sim_fail(s, "a result is said to be task %llu's", (unsigned long long)task);
        if (!s->faults_over && random_chance(&s->random, s->intensity.too_large)) {
                s->coverage->faults[FAULT_result_too_large]++;
                return false; /* it must be there still */
        }
        if (r->kind == REQUEST_RESULT && !r->keep && !s->entries[r->entry].key)
                s->entries[r->entry].taken = true;
        s->connections[id.connection].output_bytes += payloads_get(s, result)->size_bytes;
        return true;
}

static void op_answer_record(void *ctx, struct core_request id, const struct core_record *record)
{
        struct sim *s = ctx;
        struct request *r = answered(s, OPERATION_answer_record, id);

        TRACE(s, "> answer_record", id.connection, id.msgid, record->id, record->state, record->cause);
        if (r->kind == REQUEST_WAIT || r->entry == NO_ENTRY)
                sim_fail(s, "a wait is answered with a record");
        ledger_check_record(s, &s->entries[r->entry], record);
        if (r->kind == REQUEST_RESULT && !r->keep && !s->entries[r->entry].key)
                s->entries[r->entry].taken = true;
}

static void op_answer_states(void *ctx, struct core_request id, const uint64_t *ids,
                             const enum task_state *states, size_t n)
{
        struct sim *s = ctx;
        struct request *r = answered(s, OPERATION_answer_states, id);

        TRACE(s, "> answer_states", id.connection, id.msgid, n);
        if (r->kind != REQUEST_WAIT)
                sim_fail(s, "a request of kind %d is answered with states", r->kind);
        if (n < r->count && s->now < r->timeout_at)
                sim_fail(s, "a wait for %u is answered with %zu before its time", r->count, n);
        for (size_t i = 0; i < n; i++) {
                struct entry *e = ledger_by_id(s, ids[i]);
                if (states[i] == N_TASK_STATES
                            ? (e && !e->n_ends && e->user == s->connections[id.connection].user)
                            : (!e || !e->n_ends || e->end != states[i]))
                        sim_fail(s, "a wait says of task %llu state %d", (unsigned long long)ids[i],
                                 states[i]);
        }
}

static void op_answer_map(void *ctx, struct core_request id, const struct core_map_sum *sum)
{
        struct sim *s = ctx;
        struct request *r = answered(s, OPERATION_answer_map, id);

        TRACE(s, "> answer_map", id.connection, id.msgid, sum->count, sum->succeeded, sum->failed);
        if (r->kind != REQUEST_MAP)
                sim_fail(s, "a request of kind %d is answered as a map", r->kind);
        ledger_map_answered(s, &s->entries[r->entry], sum);
}

static void op_answer_done(void *ctx, struct core_request id, uint32_t pool)
{
        struct sim *s = ctx;
        struct request *r = answered(s, OPERATION_answer_done, id);

        TRACE(s, "> answer_done", id.connection, id.msgid, pool);
        if ((r->kind != REQUEST_DRAIN && r->kind != REQUEST_RENEWAL) || r->pool != pool)
                sim_fail(s, "a request of kind %d is answered as done", r->kind);
        admin_check_done(s, r);
}

static void op_answer_shared(void *ctx, struct core_request id, const struct core_shared_answer *answer)
{
        struct sim *s = ctx;
        struct request *r = answered(s, OPERATION_answer_shared, id);

        TRACE(s, "> answer_shared", id.connection, id.msgid, (uint64_t)answer->kind, answer->flag,
              answer->count, answer->token, answer->abandoned);
        if (r->kind != REQUEST_SHARED)
                sim_fail(s, "a request of kind %d is answered as one about a shared object", r->kind);
        shared_answered(s, r, answer);
}

static bool op_in_group(void *ctx, uint32_t connection, gid_t gid)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_in_group, 0);
        return shared_is_in_group(connection, gid);
}

static void op_connection_over(void *ctx, uint32_t connection)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_connection_over, 0);
        TRACE(s, "> connection_over", connection);
        task_connection_over(s, connection);
}

static uint64_t op_rss(void *ctx, uint32_t worker)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_rss, worker);

        if (w->life == LIFE_NONE || !w->hello_heard)
                sim_fail(s, "the memory of worker %u is asked for, which is not there", worker);
        w->rss_bytes += random_below(&s->random, 100000);
        if (w->rss_bytes > s->pools[w->pool].config.max_rss_bytes)
                MEET(s, faults, FAULT_rss_too_large);
        TRACE(s, "> rss", worker, w->rss_bytes);
        return w->rss_bytes;
}

static void op_answer_refusal(void *ctx, struct core_request id, enum core_refusal refusal)
{
        struct sim *s = ctx;
        struct request *r = answered(s, OPERATION_answer_refusal, id);
        struct entry *e = r->entry == NO_ENTRY ? NULL : &s->entries[r->entry];

        TRACE(s, "> answer_refusal", id.connection, id.msgid, refusal);
        if (r->kind == REQUEST_SHARED) {
                shared_refused(s, r, refusal);
                return;
        }
        switch ((int)refusal) {
        case CORE_NOT_READY:
                MEET(s, events, EVENT_late_not_ready);
                if (s->now < r->timeout_at)
                        sim_fail(s, "not_ready comes before its time");
                break;
        case CORE_CANCELLED:
                MEET(s, events, EVENT_late_cancelled);
                if (!r->given_up && !is_of_task(id.connection))
                        sim_fail(s, "a request that nobody gave up is answered as cancelled");
                break;
        case CORE_UNKNOWN_TASK:
                MEET(s, events, EVENT_late_unknown_task);
                if (r->kind != REQUEST_RESULT && r->kind != REQUEST_ATTACH)
                        sim_fail(s, "a request of kind %d is answered with unknown_task", r->kind);
                if (!e->n_ends || !(e->taken || s->now >= e->ended + e->ttl))
                        sim_fail(s, "task %llu is called unknown while it is known",
                                 (unsigned long long)e->id);
                break;
        case CORE_OUT_OF_MEMORY:
                MEET(s, events, EVENT_late_out_of_memory);
                if (!s->intensity.no_memory)
                        sim_fail(s, "out of memory, but there was enough");
                if (e) /* its result could not be kept */
                        e->taken = true;
                break;
        case CORE_QUOTA:
                MEET(s, events, EVENT_late_quota);
                if (!e || !e->map.collect || strcmp(core_refused_quota(s->core).what, "user_memory") != 0)
                        sim_fail(s, "more than the user may hold, but nothing was collected");
                break;
        case CORE_TOO_LARGE:
                MEET(s, events, EVENT_late_too_large);
                if (!e || !e->map.collect)
                        sim_fail(s, "too large, but nothing was collected");
                break;
        default:
                sim_fail(s, "a request is answered with refusal %d", refusal);
        }
}

/* -- streams -- */

static struct request *streaming(struct sim *s, enum operation operation, struct core_request id)
{
        struct request *r;

        op_begin(s, operation, 0);
        r = request_find(s, id.connection, id.msgid);
        if (!r)
                sim_fail(s, "something streams to request %u of connection %u, which is not open", id.msgid,
                         id.connection);
        return r;
}

static void op_item(void *ctx, struct core_request id, uint64_t index, payload_t payload,
                    const struct core_record *failed)
{
        struct sim *s = ctx;
        struct request *r = streaming(s, OPERATION_item, id);

        TRACE(s, "> item", id.connection, id.msgid, index, failed != NULL);
        if (r->kind != REQUEST_MAP)
                sim_fail(s, "a request of kind %d gets an item", r->kind);
        ledger_item_told(s, &s->entries[r->entry], index, payload, failed);
        s->connections[id.connection].output_bytes +=
                failed ? 200 : 10 + payloads_get(s, payload)->size_bytes;
}

static void op_stream(void *ctx, struct core_request id, unsigned kind)
{
        struct sim *s = ctx;
        struct request *r = streaming(s, OPERATION_stream, id);

        TRACE(s, "> stream", id.connection, id.msgid, kind);
        if (!(r->streams & kind))
                sim_fail(s, "a request gets stream %u, which it did not ask for", kind);
        if (payloads_get(s, PAYLOAD_CURRENT)->entry != r->entry)
                sim_fail(s, "a request gets another task's stream");
        s->connections[id.connection].output_bytes += s->current.size_bytes;
}

static void op_stream_tail(void *ctx, struct core_request id, uint64_t task, unsigned kinds, uint32_t bytes)
{
        struct sim *s = ctx;
        struct request *r = streaming(s, OPERATION_stream_tail, id);

        TRACE(s, "> stream_tail", id.connection, id.msgid, task, kinds, bytes);
        if (r->kind != REQUEST_ATTACH || s->entries[r->entry].id != task || (kinds & ~r->streams))
                sim_fail(s, "a request gets a tail that it did not ask for");
}

static uint32_t op_tail_keep(void *ctx, uint64_t task, unsigned kind)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_tail_keep, 0);
        TRACE(s, "> tail_keep", task, kind);
        return (uint32_t)(payloads_get(s, PAYLOAD_CURRENT)->size_bytes / 2);
}

static bool op_tail_shrink(void *ctx, uint64_t task)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_tail_shrink, 0);
        TRACE(s, "> tail_shrink", task);
        return task % 2 == 0;
}

static void op_tail_drop(void *ctx, uint64_t task)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_tail_drop, 0);
        TRACE(s, "> tail_drop", task);
}

/* -- payloads -- */

static payload_t op_keep(void *ctx, payload_t current)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_keep, 0);
        if (current != PAYLOAD_CURRENT)
                sim_fail(s, "payload %u is kept and is kept already", current);
        if (op_no_memory(s, FAULT_no_memory_keep)) {
                struct payload *p = &s->current;
                if (p->entry != NO_ENTRY) {
                        s->entries[p->entry].tainted = true;
                        if (p->index != UINT64_MAX && s->entries[p->entry].kind == ENTRY_MAP)
                                s->entries[p->entry].items[p->index].excused = true;
                }
                return PAYLOAD_NONE;
        }
        return payloads_new(s, payloads_get(s, current));
}

static void op_drop(void *ctx, payload_t payload)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_drop, 0);
        payloads_drop(s, payload);
}

static int64_t op_collect(void *ctx, uint64_t task, uint64_t index, payload_t payload,
                          const struct core_record *failed)
{
        struct sim *s = ctx;
        struct entry *e = ledger_by_id(s, task);

        op_begin(s, OPERATION_collect, 0);
        TRACE(s, "> collect", task, index, failed != NULL);
        if (!e || e->kind != ENTRY_MAP)
                sim_fail(s, "something is collected of task %llu", (unsigned long long)task);
        if (op_no_memory(s, FAULT_no_memory_collect)) {
                e->tainted = true;
                return -ENOMEM;
        }
        ledger_item_collected(s, e, index, payload, failed);
        return failed ? 200 : (int64_t)payloads_get(s, payload)->size_bytes;
}

static void op_collect_drop(void *ctx, uint64_t task)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_collect_drop, 0);
        TRACE(s, "> collect_drop", task);
}

/* -- the rest -- */

static void op_store(void *ctx, uint64_t task, enum task_state state)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_store, 0);
        TRACE(s, "> store", task, (uint64_t)state);
        if (!TASK_IS_END(state) && s->accepting != NO_ENTRY)
                ledger_learn_id(s, &s->entries[s->accepting], task);
        core_store_done(s->core, task);
}

static double op_random(void *ctx)
{
        struct sim *s = ctx;

        s->coverage->operations[OPERATION_random]++;
        return (double)(random_next(&s->random) >> 11) * 0x1p-53;
}

static void op_note(void *ctx, enum core_note note, uint32_t pool, uint32_t worker,
                    const struct core_record *record)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_note, 0);
        TRACE(s, "> note", (uint64_t)note, pool, worker, record ? record->id : 0);
        if (note == NOTE_TASK_ENDED)
                ledger_ended(s, record);
        else if (note == NOTE_USER_OVER)
                MEET(s, events, EVENT_user_over);
        else if (note == NOTE_DRAINED)
                s->drained = true;
}

const struct core_ops sim_ops = {
        .spawn = op_spawn,
        .kill_zygote = op_kill_zygote,
        .send = op_send,
        .take_back = op_take_back,
        .read_slot = op_read_slot,
        .tell = op_tell,
        .kill = op_kill,
        .stop = op_stop,
        .credit = op_credit,
        .answer_result = op_answer_result,
        .answer_record = op_answer_record,
        .answer_states = op_answer_states,
        .answer_map = op_answer_map,
        .answer_refusal = op_answer_refusal,
        .answer_done = op_answer_done,
        .answer_shared = op_answer_shared,
        .in_group = op_in_group,
        .connection_over = op_connection_over,
        .rss = op_rss,
        .item = op_item,
        .stream = op_stream,
        .stream_tail = op_stream_tail,
        .tail_keep = op_tail_keep,
        .tail_shrink = op_tail_shrink,
        .tail_drop = op_tail_drop,
        .keep = op_keep,
        .drop = op_drop,
        .collect = op_collect,
        .collect_drop = op_collect_drop,
        .store = op_store,
        .random = op_random,
        .note = op_note,
};
