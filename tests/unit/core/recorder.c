/* SPDX-License-Identifier: MIT */
/* The short words that the tests of the core speak; the operations are in recorder_ops.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct recorder *begin_with(const struct core_config *config, const struct core_pool_config *pool)
{
        struct recorder *r = calloc(1, sizeof(*r));
        uint32_t index;
        assert_non_null(r);
        assert_int_equal(core_new(config, &recorder_ops, r, &r->core), 0);
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
