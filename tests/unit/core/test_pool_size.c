/* SPDX-License-Identifier: MIT */
/* How many workers there are: elastic pools, scaling, pausing, draining, renewing, wearing out. */
#include "tests/unit/core/recorder.h"

static struct core_request request(uint32_t msgid)
{
        return (struct core_request){1, msgid};
}

static struct core_pool_config elastic(uint32_t least, uint32_t workers, uint32_t most)
{
        struct core_pool_config pool = ordinary_pool;
        pool.min_workers = least;
        pool.workers = workers;
        pool.max_workers = most;
        return pool;
}

static uint32_t target(const struct recorder *r)
{
        struct core_pool_status status;
        core_pool_status(r->core, 0, &status);
        return status.target;
}

static void test_pool_grows_by_ready_tasks_and_shrinks_when_idle(void **state)
{
        struct core_pool_config pool = elastic(0, 0, 2);
        struct recorder *r = begin_like(&pool);
        for (uint32_t i = 1; i <= 3; i++)
                call(r, 1, i);
        turn(r, 0);
        expect(r, "spawn 0\nspawn 1\n");
        hello(r, 0);
        hello(r, 1);
        turn(r, 0);
        expect(r, "send 1:0 #1\nsend 0:0 #2\n");
        answer(r, 1, 0, 1);
        turn(r, 0);
        answer(r, 0, 0, 2);
        turn(r, 10 * CORE_SECOND);
        answer(r, 1, 0, 3);
        turn(r, 0);
        forget(r);
        assert_true(r->next_turn == r->now + 50 * CORE_SECOND);
        turn(r, 50 * CORE_SECOND);
        expect(r, "stop 0\n");
        lost(r, 0, 0);
        turn(r, 10 * CORE_SECOND);
        expect(r, "stop 1\n");
        assert_int_equal(target(r), 0);
        end(r);
}

/* Workers that are on the way, or will be, are counted once. */
static void test_dead_workers_are_not_lacking_twice(void **state)
{
        struct core_pool_config pool = elastic(2, 2, 10);
        struct recorder *r = begin_like(&pool);
        lost(r, 0, 11);
        lost(r, 1, 11);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        expect(r, "spawn 0\nspawn 1\n");
        assert_int_equal(target(r), 2);
        end(r);
}

static void test_last_one_idles_on_until_others_are_there(void **state)
{
        struct core_pool_config pool = elastic(1, 2, 2);
        pool.start_timeout = 1000 * CORE_SECOND;
        struct recorder *r = begin_like(&pool);
        lost(r, 0, 0);
        turn(r, 0);
        expect(r, "spawn 0\n");
        turn(r, 60 * CORE_SECOND);
        expect(r, ""); /* the other one may never come */
        hello(r, 0);
        turn(r, 0);
        expect(r, "stop 1\n");
        end(r);
}

static void test_idle_for_ever(void **state)
{
        struct core_pool_config pool = elastic(0, 1, 2);
        pool.idle_timeout = CORE_NEVER;
        struct recorder *r = begin_like(&pool);
        turn(r, 1000 * CORE_SECOND);
        expect(r, "");
        assert_true(r->next_turn == CORE_NEVER);
        end(r);
}

static void test_scale_of_a_fixed_pool(void **state)
{
        struct recorder *r = begin(2, 1);
        core_pool_scale(r->core, 0, 3, r->now);
        turn(r, 0);
        expect(r, "spawn 2\n");
        hello(r, 2);
        core_pool_scale(r->core, 0, 0, r->now);
        turn(r, 0);
        expect(r, "stop 0\nstop 1\nstop 2\n");
        call(r, 1, 1);
        turn(r, 0);
        expect(r, "");
        core_pool_scale(r->core, 0, 1, r->now);
        turn(r, 0);
        expect(r, "spawn 3\n");
        end(r);
}

/* A limit that was once as low as the least number of workers does not make it a pool of a fixed size. */
static void test_scaled_elastic_pool_stays_elastic(void **state)
{
        struct core_pool_config pool = elastic(1, 1, 10);
        struct recorder *r = begin_like(&pool);
        core_pool_scale(r->core, 0, 0, r->now);
        turn(r, 0);
        expect(r, "stop 0\n");
        core_pool_scale(r->core, 0, 8, r->now);
        turn(r, 0);
        expect(r, "spawn 1\n");
        assert_int_equal(target(r), 1);
        end(r);
}

/* The one that was asked for in place of a worker under a verdict may never come. */
static void test_no_worker_goes_for_one_that_has_not_come(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        turn(r, 0);
        cancel(r, 1, 1);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "record 1.1 #1 client\n");
        call(r, 1, 2);
        turn(r, 0);
        expect(r, "send 0:0 #2\n");
        answer(r, 0, 0, 2);
        hello(r, 1);
        turn(r, 0);
        expect(r, "result 1.2\nstop 0\n");
        end(r);
}

/* What was lent while the pool was small keeps the workers that are there, but brings none. */
static void test_what_was_lent_is_not_lent_again_in_a_larger_pool(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.nesting_limit = 1;
        struct recorder *r = begin_like(&pool);
        call(r, 1, 1);
        turn(r, 0);
        open_task(r, 51, 0);
        call(r, 51, 1); /* 2 */
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        answer(r, 1, 0, 2); /* nobody waits any more, for a second one more is lent */
        for (uint32_t i = 2; i < 6; i++)
                call(r, 1, i);
        forget(r);
        core_pool_scale(r->core, 0, 3, r->now);
        turn(r, 0);
        expect(r, "send 1:0 #3\nspawn 2\n");
        core_pool_renew(r->core, 0, r->now);
        turn(r, 0);
        expect(r, "spawn 3\n"); /* the successor, and no other */
        end(r);
}

static void test_nothing_begins_while_paused(void **state)
{
        struct recorder *r = begin(1, 8);
        measure(r, 1, 10 * US);
        for (uint32_t i = 1; i <= 3; i++)
                call(r, 1, i);
        turn(r, 0);
        forget(r);
        r->claimed = false;
        core_pool_pause(r->core, 0, true, r->now);
        core_check(r->core);
        expect(r, "take_back 0:2 #4 won\ntake_back 0:1 #3 won\n");
        answer(r, 0, 0, 2);
        turn(r, 0);
        expect(r, "result 1.1\n");
        core_pool_pause(r->core, 0, false, r->now);
        turn(r, 0);
        expect(r, "send 0:0 #3\nsend 0:3 #4\n");
        end(r);
}

static void test_drain_is_answered_when_nothing_runs(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        forget(r);
        assert_int_equal(core_pool_drain(r->core, request(9), 0, CORE_NEVER, r->now), 0);
        turn(r, 0);
        expect(r, "");
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "result 1.1\ndone 1.9\n");
        turn(r, CORE_SECOND);
        expect(r, "");
        end(r);
}

static void test_drain_in_no_time(void **state)
{
        struct recorder *r = begin(1, 1);
        assert_int_equal(core_pool_drain(r->core, request(1), 0, 0, r->now), 0);
        turn(r, 0);
        expect(r, "done 1.1\n");
        core_pool_pause(r->core, 0, false, r->now);
        call(r, 1, 2);
        turn(r, 0);
        forget(r);
        assert_int_equal(core_pool_drain(r->core, request(3), 0, 0, r->now), 0);
        turn(r, 0);
        expect(r, "refusal 1.3 6\n");
        end(r);
}

static void test_refused_drain_pauses_nothing(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        assert_int_equal(core_pool_drain(r->core, request(1), 0, CORE_NEVER, r->now), CORE_MISUSE);
        turn(r, 0);
        expect(r, "send 0:0 #1\n");
        end(r);
}

static void test_renewal_brings_the_successor_first(void **state)
{
        struct recorder *r = begin(2, 1);
        call(r, 1, 1);
        turn(r, 0);
        uint32_t busy = r->sent_to;
        forget(r);
        core_pool_renew(r->core, 0, r->now);
        assert_int_equal(core_pool_await_renewal(r->core, request(9), CORE_NO_POOL, r->now), 0);
        turn(r, 0);
        expect(r, "spawn 2\n");
        hello(r, 2);
        turn(r, 0);
        expect(r, busy == 1 ? "stop 0\nspawn 3\n" : "stop 1\nspawn 3\n");
        lost(r, 1 - busy, 0);
        hello(r, 3);
        turn(r, 0);
        expect(r, "");
        answer(r, busy, 0, 1);
        turn(r, 0);
        expect(r, busy == 1 ? "result 1.1\nstop 1\n" : "result 1.1\nstop 0\n");
        lost(r, busy, 0);
        turn(r, 0);
        expect(r, "done 1.9\n");
        end(r);
}

static void test_renewed_while_starting(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        struct recorder *r = begin_with(&ordinary, &pool);
        client(r, 1, ALICE);
        turn(r, 0);
        core_pool_renew(r->core, 0, r->now);
        assert_int_equal(core_pool_await_renewal(r->core, request(9), 0, r->now), 0);
        turn(r, 0);
        expect(r, "spawn 0\n");
        hello(r, 0);
        turn(r, 0);
        expect(r, "spawn 1\n");
        hello(r, 1);
        turn(r, 0);
        expect(r, "stop 0\n");
        lost(r, 0, 0);
        turn(r, 0);
        expect(r, "done 1.9\n");
        end(r);
}

static void test_worn_workers_are_replaced(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.max_tasks = 20; /* 18 with the recorder's jitter */
        struct recorder *r = begin_like(&pool);
        for (uint32_t i = 1; i <= 17; i++) {
                call(r, 1, i);
                turn(r, 0);
                answer(r, 0, 0, i);
        }
        turn(r, 0);
        forget(r);
        call(r, 1, 18);
        turn(r, 0);
        answer(r, 0, 0, 18);
        turn(r, 0);
        expect(r, "send 0:0 #18\nresult 1.18\nspawn 1\n");
        hello(r, 1);
        turn(r, 0);
        expect(r, "stop 0\n");
        end(r);
}

static void test_large_workers_are_replaced(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.max_rss_bytes = 1000;
        struct recorder *r = begin_like(&pool);
        r->rss_bytes = 1001;
        turn(r, CORE_SECOND);
        expect(r, ""); /* it is as large as it was born: another one would be no better */
        call(r, 1, 1);
        turn(r, 0);
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "send 0:0 #1\nresult 1.1\nspawn 1\n");
        end(r);
}

static void test_closed_pool_takes_nothing_and_ends_its_workers(void **state)
{
        struct recorder *r = begin(2, 1);
        struct core_pool_config pool = ordinary_pool;
        struct core_spec s = spec(r);
        call(r, 1, 1);
        turn(r, 0);
        uint32_t busy = r->sent_to;
        forget(r);
        pool.closed = true;
        assert_int_equal(core_pool_unfinished(r->core, 0, UINT32_MAX), 1);
        core_pool_configure(r->core, 0, &pool);
        assert_int_equal(core_call(r->core, request(2), &s, r->now), CORE_UNKNOWN_POOL);
        turn(r, 0);
        expect(r, busy == 1 ? "stop 0\n" : "stop 1\n");
        answer(r, busy, 0, 1);
        turn(r, 0);
        expect(r, busy == 1 ? "result 1.1\nstop 1\n" : "result 1.1\nstop 0\n");
        pool.closed = false;
        core_pool_configure(r->core, 0, &pool);
        turn(r, 0);
        expect(r, "spawn 2\n");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pool_grows_by_ready_tasks_and_shrinks_when_idle),
                cmocka_unit_test(test_dead_workers_are_not_lacking_twice),
                cmocka_unit_test(test_last_one_idles_on_until_others_are_there),
                cmocka_unit_test(test_idle_for_ever),
                cmocka_unit_test(test_scale_of_a_fixed_pool),
                cmocka_unit_test(test_scaled_elastic_pool_stays_elastic),
                cmocka_unit_test(test_no_worker_goes_for_one_that_has_not_come),
                cmocka_unit_test(test_what_was_lent_is_not_lent_again_in_a_larger_pool),
                cmocka_unit_test(test_nothing_begins_while_paused),
                cmocka_unit_test(test_drain_is_answered_when_nothing_runs),
                cmocka_unit_test(test_drain_in_no_time),
                cmocka_unit_test(test_refused_drain_pauses_nothing),
                cmocka_unit_test(test_renewal_brings_the_successor_first),
                cmocka_unit_test(test_renewed_while_starting),
                cmocka_unit_test(test_worn_workers_are_replaced),
                cmocka_unit_test(test_large_workers_are_replaced),
                cmocka_unit_test(test_closed_pool_takes_nothing_and_ends_its_workers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
