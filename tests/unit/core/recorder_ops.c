/* SPDX-License-Identifier: MIT */
/* The operations that write down what they are asked for. */
#include <string.h>

#include "proto/area.h"
#include "tests/unit/core/recorder.h"

#define U(x) ((unsigned)(x))

static const char *cause_name(enum core_cause cause)
{
        static const char *const names[] = {"none",    "function", "worker", "outside",  "kernel",
                                            "timeout", "limit",    "client", "shutdown", "expired"};
        return names[cause];
}

static int on_spawn(void *ctx, uint32_t pool, uint32_t worker)
{
        struct recorder *r = ctx;
        say(r, "spawn %u\n", worker);
        return r->refuse_spawn ? -1 : 0;
}

static void on_kill_zygote(void *ctx, uint32_t pool)
{
        say(ctx, "kill_zygote\n");
}

static int on_send(void *ctx, uint32_t worker, const struct core_dispatch *d)
{
        struct recorder *r = ctx;
        if (r->refuse_send) {
                say(r, "send refused\n");
                return 1;
        }
        r->sent = *d;
        r->sent_to = worker;
        if (d->is_chunk)
                say(r, "send %u:%u #%u [%u+%u]\n", worker, d->slot, U(d->task), U(d->first), d->n_items);
        else
                say(r, "send %u:%u #%u\n", worker, d->slot, U(d->task));
        return 0;
}

static bool on_take_back(void *ctx, uint32_t worker, uint32_t slot, uint64_t task)
{
        struct recorder *r = ctx;
        say(r, "take_back %u:%u #%u %s\n", worker, slot, U(task), r->claimed ? "lost" : "won");
        return !r->claimed;
}

static void on_read_slot(void *ctx, uint32_t worker, uint32_t slot, struct core_slot *ret)
{
        struct recorder *r = ctx;
        if (r->slot) {
                *ret = *r->slot;
                return;
        }
        *ret = (struct core_slot){.task = r->sent.task,
                                  .state = r->claimed ? SLOT_CLAIMED : SLOT_SENT,
                                  .begin = 0,
                                  .index = r->slot_index};
}

static void on_tell(void *ctx, uint32_t worker, uint64_t task)
{
        say(ctx, "tell %u #%u\n", worker, U(task));
}

static void on_kill(void *ctx, uint32_t worker)
{
        say(ctx, "kill %u\n", worker);
}

static void on_stop(void *ctx, uint32_t worker)
{
        say(ctx, "stop %u\n", worker);
}

static void on_credit(void *ctx, uint32_t worker, uint64_t task, uint32_t bytes)
{
        say(ctx, "credit %u #%u %u\n", worker, U(task), bytes);
}

static bool on_answer_result(void *ctx, struct core_request q, uint64_t task, payload_t result)
{
        bool is_too_large = q.connection == ((struct recorder *)ctx)->plain;
        say(ctx, is_too_large ? "too large %u.%u #%u\n" : "result %u.%u\n", q.connection, q.msgid, U(task));
        return !is_too_large;
}

static void on_answer_record(void *ctx, struct core_request q, const struct core_record *record)
{
        say(ctx, "record %u.%u #%u %s\n", q.connection, q.msgid, U(record->id), cause_name(record->cause));
}

static void on_answer_states(void *ctx, struct core_request q, const uint64_t *ids,
                             const enum task_state *states, size_t n)
{
        say(ctx, "states %u.%u", q.connection, q.msgid);
        for (size_t i = 0; i < n; i++)
                say(ctx, " %u=%u", U(ids[i]), U(states[i]));
        say(ctx, "\n");
}

static void on_answer_map(void *ctx, struct core_request q, const struct core_map_sum *sum)
{
        say(ctx, "map %u.%u %u: %u good %u bad\n", q.connection, q.msgid, U(sum->count), U(sum->succeeded),
            U(sum->failed));
}

static void on_answer_done(void *ctx, struct core_request q, uint32_t pool)
{
        say(ctx, "done %u.%u\n", U(q.connection), U(q.msgid));
}

static void on_connection_over(void *ctx, uint32_t connection)
{
        say(ctx, "over %u\n", U(connection));
}

static uint64_t on_rss(void *ctx, uint32_t worker)
{
        return ((struct recorder *)ctx)->rss_bytes;
}

static void on_answer_refusal(void *ctx, struct core_request q, enum core_refusal refusal)
{
        say(ctx, "refusal %u.%u %u\n", q.connection, q.msgid, U(refusal));
}

static void on_item(void *ctx, struct core_request q, uint64_t index, payload_t payload,
                    const struct core_record *failed)
{
        if (failed)
                say(ctx, "item %u.%u %u %s\n", q.connection, q.msgid, U(index), cause_name(failed->cause));
        else
                say(ctx, "item %u.%u %u\n", q.connection, q.msgid, U(index));
}

static void on_stream(void *ctx, struct core_request q, unsigned kind)
{
        say(ctx, "stream %u.%u %u\n", q.connection, q.msgid, kind);
}

static void on_stream_tail(void *ctx, struct core_request q, uint64_t task, unsigned kinds, uint32_t bytes)
{
        say(ctx, "tail %u.%u #%u\n", q.connection, q.msgid, U(task));
}

static uint32_t on_tail_keep(void *ctx, uint64_t task, unsigned kind)
{
        return 10;
}

static bool on_tail_shrink(void *ctx, uint64_t task)
{
        say(ctx, "shrink #%u\n", U(task));
        return true;
}

static void on_tail_drop(void *ctx, uint64_t task)
{
}

static payload_t on_keep(void *ctx, payload_t current)
{
        struct recorder *r = ctx;
        r->n_payloads++;
        return 77;
}

static void on_drop(void *ctx, payload_t payload)
{
        struct recorder *r = ctx;
        assert_true(payload != PAYLOAD_NONE && payload != PAYLOAD_CURRENT && r->n_payloads > 0);
        r->n_payloads--;
}

static int64_t on_collect(void *ctx, uint64_t task, uint64_t index, payload_t payload,
                          const struct core_record *failed)
{
        say(ctx, "collect %u\n", U(index));
        return 100;
}

static void on_collect_drop(void *ctx, uint64_t task)
{
        say(ctx, "collect_drop\n");
}

static void on_store(void *ctx, uint64_t task, enum task_state state)
{
        struct recorder *r = ctx;
        if (r->defer_store)
                say(r, "store #%u\n", U(task));
        else
                core_store_done(r->core, task);
}

static double on_random(void *ctx)
{
        return 1.0;
}

static bool on_in_group(void *ctx, uint32_t connection, gid_t gid)
{
        return gid == GROUP_OF_BOB && connection == BOBS;
}

static void on_note(void *ctx, enum core_note note, uint32_t pool, uint32_t worker,
                    const struct core_record *record)
{
        static const char *const names[] = {NULL,        NULL,        "bad",           "stuck",  "degraded",
                                            "recovered", "user_over", "spawn_timeout", "drained"};
        if (names[note])
                say(ctx, "note %s\n", names[note]);
}

const struct core_ops recorder_ops = {
        .spawn = on_spawn,
        .kill_zygote = on_kill_zygote,
        .send = on_send,
        .take_back = on_take_back,
        .read_slot = on_read_slot,
        .tell = on_tell,
        .kill = on_kill,
        .stop = on_stop,
        .credit = on_credit,
        .rss = on_rss,
        .answer_result = on_answer_result,
        .answer_record = on_answer_record,
        .answer_states = on_answer_states,
        .answer_map = on_answer_map,
        .answer_refusal = on_answer_refusal,
        .answer_done = on_answer_done,
        .answer_shared = say_shared,
        .connection_over = on_connection_over,
        .item = on_item,
        .stream = on_stream,
        .stream_tail = on_stream_tail,
        .tail_keep = on_tail_keep,
        .tail_shrink = on_tail_shrink,
        .tail_drop = on_tail_drop,
        .keep = on_keep,
        .drop = on_drop,
        .collect = on_collect,
        .collect_drop = on_collect_drop,
        .store = on_store,
        .random = on_random,
        .in_group = on_in_group,
        .note = on_note,
};
