/* SPDX-License-Identifier: MIT */
/* The recording operations, and the short words that the tests of the core speak. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/area.h"
#include "tests/unit/core/recorder.h"

const struct core_config ordinary = {
        .first_id = 1,
        .history = 100,
        .max_requests = 100,
        .output_limit_bytes = 1000,
        .memory_limit_bytes = 1 << 30,
        .max_answer_bytes = 1000000,
        .user_connections = 10,
        .user_tasks = 1000,
        .user_descriptors = 10,
        .user_memory_bytes = 1 << 20,
        .user_objects = 100,
        .stop_timeout = 10 * CORE_SECOND,
};
const struct core_pool_config ordinary_pool = {
        .workers = 1,
        .min_workers = 1,
        .max_workers = 1,
        .idle_timeout = 60 * CORE_SECOND,
        .nesting_limit = 128,
        .window = 1,
        .queue_limit = 1000,
        .kill_grace = 2 * CORE_SECOND,
        .start_timeout = 10 * CORE_SECOND,
};

void say(struct recorder *r, const char *format, ...)
{
        va_list list;
        va_start(list, format);
        int n = vsnprintf(r->log + r->n, sizeof(r->log) - r->n, format, list);
        va_end(list);
        assert_true(n >= 0 && r->n + (size_t)n < sizeof(r->log));
        r->n += (size_t)n;
}

#define U(x) ((unsigned)(x))

static const char *cause_name(enum core_cause cause)
{
        static const char *const names[] = {"none",    "function", "worker", "outside",  "kernel",
                                            "timeout", "limit",    "client", "shutdown", "expired"};
        return names[cause];
}

/* -- operations -- */

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

static const struct core_ops ops = {
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

/* -- words -- */

struct recorder *begin_with(const struct core_config *config, const struct core_pool_config *pool)
{
        struct recorder *r = calloc(1, sizeof(*r));
        uint32_t index;
        assert_non_null(r);
        assert_int_equal(core_new(config, &ops, r, &r->core), 0);
        assert_int_equal(core_pool_add(r->core, pool, &index), 0);
        assert_int_equal(core_function_add(r->core, index, &r->function), 0);
        r->now = CORE_SECOND;
        r->claimed = true;
        r->slot_index = UINT64_MAX;
        core_zygote_ready(r->core, 0, r->now);
        return r;
}

struct recorder *begin(uint32_t n_workers, uint32_t window)
{
        struct core_pool_config pool = ordinary_pool;
        pool.workers = pool.min_workers = pool.max_workers = n_workers;
        pool.window = window;
        return begin_like(&pool);
}

struct recorder *begin_like(const struct core_pool_config *pool)
{
        struct recorder *r = begin_with(&ordinary, pool);
        turn(r, 0);
        for (uint32_t i = 0; i < pool->workers; i++) {
                hello(r, i);
                turn(r, 0);
        }
        client(r, 1, ALICE);
        turn(r, 2 * CORE_SECOND); /* nobody is young any more */
        forget(r);
        return r;
}

void end(struct recorder *r)
{
        core_check(r->core);
        core_free(r->core);
        assert_int_equal(r->n_payloads, 0);
        free(r);
}

void hello(struct recorder *r, uint32_t worker)
{
        assert_int_equal(core_worker_hello(r->core, worker, (pid_t)(100 + worker), 64, r->now), 0);
        core_check(r->core);
}

void turn(struct recorder *r, int64_t later)
{
        r->now += later;
        r->next_turn = core_turn(r->core, r->now);
        core_check(r->core);
}

void expect(struct recorder *r, const char *lines)
{
        assert_string_equal(r->log, lines);
        forget(r);
}

void forget(struct recorder *r)
{
        r->n = 0;
        r->log[0] = '\0';
}

struct core_spec spec(struct recorder *r)
{
        return (struct core_spec){.function = r->function,
                                  .args = 5,
                                  .args_size_bytes = 100,
                                  .expires = CORE_NEVER,
                                  .ttl = 300 * CORE_SECOND};
}

void client(struct recorder *r, uint32_t connection, uid_t uid)
{
        assert_int_equal(core_connection_open(r->core, connection, uid, 42, uid == 0), 0);
}

void call(struct recorder *r, uint32_t connection, uint32_t msgid)
{
        struct core_spec s = spec(r);
        r->n_payloads++;
        assert_int_equal(core_call(r->core, (struct core_request){connection, msgid}, &s, r->now), 0);
        core_check(r->core);
}

uint64_t submit_with(struct recorder *r, uint32_t connection, struct core_spec s)
{
        uint64_t id = 0;
        r->n_payloads++;
        assert_int_equal(core_submit(r->core, connection, &s, r->now, &id), 0);
        core_check(r->core);
        return id;
}

uint64_t submit(struct recorder *r, uint32_t connection)
{
        return submit_with(r, connection, spec(r));
}

void map(struct recorder *r, uint32_t connection, uint32_t msgid, struct core_map_spec m)
{
        struct core_spec s = spec(r);
        r->n_payloads++;
        assert_int_equal(core_map(r->core, (struct core_request){connection, msgid}, &s, &m, r->now), 0);
        core_check(r->core);
}

void open_task(struct recorder *r, uint32_t connection, uint32_t worker)
{
        assert_int_equal(core_connection_open_task(r->core, connection, worker, r->now), 0);
        core_check(r->core);
}

int ask_result(struct recorder *r, uint32_t connection, uint32_t msgid, uint64_t task)
{
        struct core_request request = {connection, msgid};
        int result = core_result(r->core, request, task, CORE_NEVER, false, r->now);
        core_check(r->core);
        return result;
}

void cancel(struct recorder *r, uint32_t connection, uint64_t task)
{
        size_t n;
        assert_int_equal(core_cancel(r->core, connection, &task, 1, r->now, &n), 0);
        core_check(r->core);
}

static void answer_as(struct recorder *r, uint32_t worker, uint32_t slot, uint64_t task, bool failed)
{
        struct core_result result = {.failed = failed, .size_bytes = 50};
        assert_int_equal(core_worker_result(r->core, worker, slot, task, 1, &result, r->now), 0);
        core_check(r->core);
}

void answer(struct recorder *r, uint32_t worker, uint32_t slot, uint64_t task)
{
        answer_as(r, worker, slot, task, false);
}

void answer_failed(struct recorder *r, uint32_t worker, uint32_t slot, uint64_t task)
{
        answer_as(r, worker, slot, task, true);
}

static void item_as(struct recorder *r, uint32_t worker, uint64_t task, uint64_t index, bool failed)
{
        struct core_result result = {.failed = failed, .size_bytes = 50};
        assert_int_equal(core_worker_item(r->core, worker, task, 1, index, &result, r->now), 0);
        core_check(r->core);
}

void item(struct recorder *r, uint32_t worker, uint64_t task, uint64_t index)
{
        item_as(r, worker, task, index, false);
}

void item_failed(struct recorder *r, uint32_t worker, uint64_t task, uint64_t index)
{
        item_as(r, worker, task, index, true);
}

void lost(struct recorder *r, uint32_t worker, int signal)
{
        struct core_exit exit = {.by_signal = signal > 0, .status = signal > 0 ? signal : -signal};
        core_worker_lost(r->core, worker, &exit, r->now);
        core_check(r->core);
}

void measure(struct recorder *r, uint32_t connection, int64_t run_time)
{
        call(r, connection, 999);
        turn(r, 0);
        r->now += run_time;
        answer(r, r->sent_to, r->sent.slot, r->sent.task);
        turn(r, 0);
        forget(r);
}

enum task_state state_of(struct recorder *r, uint32_t connection, uint64_t id)
{
        struct core_record record;
        return core_task(r->core, connection, id, &record) ? N_TASK_STATES : record.state;
}
