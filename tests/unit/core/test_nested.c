/* SPDX-License-Identifier: MIT */
/* Tasks that ask for something themselves: places lent and given back, circles. */
#include <string.h>

#include "tests/unit/core/recorder.h"

#define TASK_1 51 /* the connections of tasks */
#define TASK_2 52
#define TASK_3 53

static struct core_request request(uint32_t connection, uint32_t msgid)
{
        return (struct core_request){connection, msgid};
}

/* One place, one lent; the client's call #1 runs at worker 0. */
static struct recorder *begin_one(uint32_t nesting_limit)
{
        struct core_pool_config pool = ordinary_pool;
        pool.nesting_limit = nesting_limit;
        struct recorder *r = begin_like(&pool);
        call(r, 1, 1);
        turn(r, 0);
        open_task(r, TASK_1, 0);
        forget(r);
        return r;
}

static uint32_t add_pool(struct recorder *r, uint32_t nesting_limit, uint32_t *ret_function)
{
        struct core_pool_config pool = ordinary_pool;
        uint32_t index;
        pool.nesting_limit = nesting_limit;
        assert_int_equal(core_pool_add(r->core, &pool, &index), 0);
        assert_int_equal(core_function_add(r->core, index, ret_function), 0);
        core_zygote_ready(r->core, index, r->now);
        turn(r, 0);
        return index;
}

static void call_with(struct recorder *r, uint32_t connection, uint32_t msgid, struct core_spec s)
{
        r->n_payloads++;
        assert_int_equal(core_call(r->core, request(connection, msgid), &s, r->now), 0);
        core_check(r->core);
}

static void test_place_of_a_waiting_task_is_lent_and_given_back(void **state)
{
        struct recorder *r = begin_one(1);
        call(r, TASK_1, 1);
        assert_int_equal(state_of(r, 1, 1), TASK_WAITING);
        turn(r, 0);
        expect(r, "spawn 1\n");
        hello(r, 1);
        turn(r, 0);
        expect(r, "send 1:0 #2\n");
        answer(r, 1, 0, 2);
        expect(r, "result 51.1\n");
        assert_int_equal(state_of(r, 1, 1), TASK_RUNNING);
        call(r, 1, 2);
        turn(r, 0);
        expect(r, ""); /* worker 1 idles, but the place is taken again */
        answer(r, 0, 0, 1);
        expect(r, "over 51\nresult 1.1\n");
        turn(r, 0);
        expect(r, "send 0:0 #3\n");
        turn(r, CORE_SECOND);
        expect(r, "stop 1\n");
        end(r);
}

static void test_lent_place_is_used_again_at_once(void **state)
{
        struct recorder *r = begin_one(1);
        for (uint32_t i = 0; i < 3; i++) {
                call(r, TASK_1, i);
                turn(r, 0);
                if (i == 0)
                        hello(r, 1);
                turn(r, CORE_SECOND / 2);
                answer(r, 1, 0, 2 + i);
                turn(r, 0);
        }
        expect(r, "spawn 1\nsend 1:0 #2\nresult 51.0\nsend 1:0 #3\nresult 51.1\nsend 1:0 #4\nresult 51.2\n");
        end(r);
}

/* As many as have waited at once are not kept for the sake of one that waits for long. */
static void test_what_is_lent_shrinks_while_one_still_waits(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.workers = pool.min_workers = pool.max_workers = 2;
        struct recorder *r = begin_like(&pool);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        open_task(r, TASK_1, r->sent_to);
        open_task(r, TASK_2, 1 - r->sent_to);
        call(r, TASK_1, 1);
        call(r, TASK_2, 1);
        turn(r, 0);
        hello(r, 2);
        hello(r, 3);
        turn(r, 0);
        forget(r);
        uint32_t last = r->sent_to;
        answer(r, last, 0, r->sent.task);
        turn(r, CORE_SECOND / 2);
        turn(r, CORE_SECOND / 2);
        assert_non_null(strstr(r->log, last == 2 ? "stop 2" : "stop 3"));
        end(r);
}

static void test_children_come_before_what_was_queued_earlier(void **state)
{
        struct recorder *r = begin_one(8);
        call(r, 1, 2);
        call(r, TASK_1, 1); /* 3 */
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        expect(r, "spawn 1\nsend 1:0 #3\n");
        open_task(r, TASK_2, 1);
        call(r, TASK_2, 1); /* 4, the deepest */
        submit(r, TASK_1);  /* 5 */
        turn(r, 0);
        hello(r, 2);
        turn(r, 0);
        expect(r, "spawn 2\nsend 2:0 #4\n");
        end(r);
}

static void test_last_place_is_for_what_is_awaited(void **state)
{
        struct recorder *r = begin_one(1);
        struct core_spec s = spec(r);
        s.delay = CORE_SECOND / 10;
        call_with(r, TASK_1, 1, s);
        call(r, 1, 2); /* might want to wait as well */
        turn(r, 0);
        expect(r, "");
        turn(r, CORE_SECOND / 10);
        hello(r, 1);
        turn(r, 0);
        expect(r, "spawn 1\nsend 1:0 #2\n");
        end(r);
}

/* 1 (pool 0) waits for 2 (pool 1), which waits for 3 (pool 0). */
static void test_child_of_another_pools_task_is_awaited(void **state)
{
        struct recorder *r = begin_one(1);
        struct core_spec s = spec(r);
        s.pool = add_pool(r, 1, &s.function);
        hello(r, 1);
        call_with(r, TASK_1, 1, s);
        call(r, 1, 2); /* 3: not yet */
        turn(r, 0);
        expect(r, "spawn 1\nsend 1:0 #2\n");
        open_task(r, TASK_2, 1);
        call(r, TASK_2, 1); /* 4 */
        turn(r, 0);
        hello(r, 2);
        turn(r, 0);
        expect(r, "spawn 2\nsend 2:0 #4\n");
        end(r);
}

/* A client's task, behind others in the queue: nobody's child. */
static void test_what_a_task_asks_for_by_id_is_awaited(void **state)
{
        struct recorder *r = begin_one(1);
        call(r, 1, 2);
        uint64_t id = submit(r, 1);
        assert_int_equal(ask_result(r, TASK_1, 1, id), 0);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        expect(r, "spawn 1\nsend 1:0 #3\n");
        answer(r, 1, 0, id);
        expect(r, "result 51.1\n");
        end(r);
}

static void test_what_a_task_waits_for_is_awaited(void **state)
{
        struct recorder *r = begin_one(1);
        call(r, 1, 2);
        uint64_t ids[] = {submit(r, 1), submit(r, 1)};
        assert_int_equal(core_wait(r->core, request(TASK_1, 1), ids, 2, CORE_NEVER, 1, r->now), 0);
        core_check(r->core);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        expect(r, "spawn 1\nsend 1:0 #3\n");
        answer(r, 1, 0, 3);
        expect(r, "states 51.1 3=6\n");
        end(r);
}

static void test_waiting_is_refused_when_all_would_wait(void **state)
{
        struct recorder *r = begin_one(0);
        struct core_spec s = spec(r);
        assert_int_equal(core_call(r->core, request(TASK_1, 1), &s, r->now), CORE_NESTING);
        assert_string_equal(core_refused_quota(r->core).what, "nesting_limit");
        core_check(r->core);
        submit(r, TASK_1); /* without waiting it may */
        end(r);
}

static void test_circle_is_refused(void **state)
{
        struct recorder *r = begin_one(8);
        uint64_t child = submit(r, TASK_1);
        assert_int_equal(ask_result(r, TASK_1, 1, child), 0);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        open_task(r, TASK_2, 1);
        assert_int_equal(ask_result(r, TASK_2, 1, 1), CORE_DEADLOCK);
        assert_int_equal(ask_result(r, TASK_2, 1, child), CORE_DEADLOCK); /* itself */
        assert_int_equal(core_attach(r->core, request(TASK_2, 1), 1, 0, 0, r->now), CORE_DEADLOCK);
        assert_int_equal(core_wait(r->core, request(TASK_2, 1), (uint64_t[]){1}, 1, CORE_NEVER, 1, r->now),
                         CORE_DEADLOCK);
        /* One look is no waiting. */
        assert_int_equal(core_wait(r->core, request(TASK_2, 1), (uint64_t[]){1}, 1, 0, 1, r->now), 0);
        core_check(r->core);
        end(r);
}

/* 1 waits for any of 2 and 3, and both wait for 1. */
static void test_circle_of_all_that_would_do_is_refused(void **state)
{
        struct recorder *r = begin_one(8);
        uint64_t ids[] = {submit(r, TASK_1), submit(r, TASK_1)};
        assert_int_equal(core_wait(r->core, request(TASK_1, 1), ids, 2, CORE_NEVER, 1, r->now), 0);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        open_task(r, TASK_2, 1);
        assert_int_equal(ask_result(r, TASK_2, 1, 1), 0); /* the other one may end */
        turn(r, 0);
        hello(r, 2);
        turn(r, 0);
        open_task(r, TASK_3, 2);
        assert_int_equal(ask_result(r, TASK_3, 1, 1), CORE_DEADLOCK);
        end(r);
}

static void test_map_that_an_item_asks_for_is_a_circle(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 2, .chunk = 2});
        turn(r, 0);
        open_task(r, TASK_1, 0);
        assert_int_equal(ask_result(r, TASK_1, 1, 1), CORE_DEADLOCK);
        end(r);
}

/* The pool is renewed while 1 waits: what 1 waits for goes to the successor, and waits there itself. */
static void test_successor_that_waits_is_none_to_spare(void **state)
{
        struct recorder *r = begin_one(2);
        core_pool_renew(r->core, 0, r->now);
        turn(r, 0);
        expect(r, "spawn 1\n");
        hello(r, 1);
        call(r, TASK_1, 1);
        turn(r, 0);
        expect(r, "send 1:0 #2\n");
        open_task(r, TASK_2, 1);
        call(r, TASK_2, 1);
        turn(r, 0);
        expect(r, "spawn 2\n");
        hello(r, 2);
        turn(r, 0);
        expect(r, "send 2:0 #3\n");
        end(r);
}

static void test_scaled_below_the_waiting(void **state)
{
        struct recorder *r = begin(2, 1);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        open_task(r, TASK_1, 0);
        open_task(r, TASK_2, 1);
        call(r, TASK_1, 1);
        call(r, TASK_2, 1);
        core_pool_scale(r->core, 0, 1, r->now);
        turn(r, 0);
        hello(r, 2);
        turn(r, 0);
        forget(r);
        turn(r, 0);
        answer(r, 2, 0, r->sent.task);
        turn(r, 0);
        expect(r, r->sent.task == 3 ? "result 51.1\n" : "result 52.1\n"); /* that one runs again: no place */
        answer(r, 0, 0, 2);
        answer(r, 1, 0, 1);
        end(r);
}

/* To fewer than may wait altogether: what all wait for still gets a worker. */
static void test_scaled_below_all_that_may_wait(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.workers = pool.min_workers = pool.max_workers = 3;
        pool.nesting_limit = 1;
        struct recorder *r = begin_like(&pool);
        for (uint32_t i = 0; i < 3; i++)
                call(r, 1, i);
        turn(r, 0);
        for (uint32_t i = 0; i < 3; i++)
                open_task(r, TASK_1 + i, i);
        for (uint32_t i = 0; i < 3; i++)
                call(r, TASK_1 + i, 1);
        core_pool_scale(r->core, 0, 1, r->now);
        forget(r);
        turn(r, 0);
        hello(r, 3);
        turn(r, 0);
        expect(r, "spawn 3\nsend 3:0 #6\n");
        answer(r, 3, 0, 6);
        end(r);
}

/* Nor is it forgotten when the workers that are there do not have its function, and the one that was to come
 * did not. */
static void test_scaled_below_the_waiting_for_a_new_function(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.workers = pool.min_workers = pool.max_workers = 2;
        pool.nesting_limit = 1;
        struct recorder *r = begin_like(&pool);
        for (uint32_t i = 0; i < 2; i++)
                call(r, 1, i);
        turn(r, 0);
        for (uint32_t i = 0; i < 2; i++)
                open_task(r, TASK_1 + i, i);
        assert_int_equal(core_function_add(r->core, 0, &r->function), 0);
        core_pool_renew(r->core, 0, r->now);
        forget(r);
        turn(r, 0);
        expect(r, "spawn 2\n"); /* the successor */
        for (uint32_t i = 0; i < 2; i++)
                call(r, TASK_1 + i, 1);
        core_pool_scale(r->core, 0, 1, r->now);
        turn(r, 0);
        expect(r, "");
        lost(r, 2, 11);
        turn(r, CORE_SECOND);
        expect(r, "spawn 2\n");
        hello(r, 2);
        turn(r, 0);
        expect(r, "send 2:0 #4\n");
        answer(r, 2, 0, 4);
        end(r);
}

static void test_who_runs_nothing_opens_nothing(void **state)
{
        struct recorder *r = begin(1, 1);
        assert_int_equal(core_connection_open_task(r->core, TASK_1, 0, r->now), CORE_NOT_OPEN);
        assert_int_equal(core_connection_open_task(r->core, TASK_1, 7, r->now), CORE_NOT_OPEN);
        end(r);
}

/* Its message was on the way when it was killed. */
static void test_who_is_killed_asks_for_nothing(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        turn(r, 0);
        open_task(r, TASK_1, 0);
        assert_int_equal(core_worker_bad(r->core, 0, r->now), CORE_BAD_WORKER);
        assert_int_equal(ask_result(r, TASK_1, 1, submit(r, 1)), CORE_CANCELLED);
        lost(r, 0, 9);
        end(r);
}

static void test_whose_time_is_over_opens_nothing(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        turn(r, 0);
        cancel(r, 1, 1);
        turn(r, 2 * CORE_SECOND); /* killed */
        assert_int_equal(core_connection_open_task(r->core, TASK_1, 0, r->now), CORE_NOT_OPEN);
        turn(r, 10 * CORE_SECOND); /* stuck */
        assert_int_equal(core_connection_open_task(r->core, TASK_1, 0, r->now), CORE_NOT_OPEN);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_place_of_a_waiting_task_is_lent_and_given_back),
                cmocka_unit_test(test_lent_place_is_used_again_at_once),
                cmocka_unit_test(test_what_is_lent_shrinks_while_one_still_waits),
                cmocka_unit_test(test_children_come_before_what_was_queued_earlier),
                cmocka_unit_test(test_last_place_is_for_what_is_awaited),
                cmocka_unit_test(test_child_of_another_pools_task_is_awaited),
                cmocka_unit_test(test_what_a_task_asks_for_by_id_is_awaited),
                cmocka_unit_test(test_what_a_task_waits_for_is_awaited),
                cmocka_unit_test(test_waiting_is_refused_when_all_would_wait),
                cmocka_unit_test(test_circle_is_refused),
                cmocka_unit_test(test_circle_of_all_that_would_do_is_refused),
                cmocka_unit_test(test_map_that_an_item_asks_for_is_a_circle),
                cmocka_unit_test(test_successor_that_waits_is_none_to_spare),
                cmocka_unit_test(test_scaled_below_the_waiting),
                cmocka_unit_test(test_scaled_below_all_that_may_wait),
                cmocka_unit_test(test_scaled_below_the_waiting_for_a_new_function),
                cmocka_unit_test(test_who_runs_nothing_opens_nothing),
                cmocka_unit_test(test_who_is_killed_asks_for_nothing),
                cmocka_unit_test(test_whose_time_is_over_opens_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
