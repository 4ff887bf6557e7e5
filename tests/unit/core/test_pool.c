/* SPDX-License-Identifier: MIT */
/* The lives of workers: spawning, dying young, being replaced, being stopped. */
#include "tests/unit/core/recorder.h"

static struct recorder *begin_pool(uint32_t n_workers)
{
        struct core_pool_config pool = ordinary_pool;
        pool.workers = pool.min_workers = pool.max_workers = n_workers;
        struct recorder *r = begin_with(&ordinary, &pool);
        client(r, 1, ALICE);
        return r;
}

static struct core_pool_status status_of(struct recorder *r)
{
        struct core_pool_status status;
        core_pool_status(r->core, 0, &status);
        return status;
}

static void test_few_spawns_at_once(void **state)
{
        struct recorder *r = begin_pool(6);
        turn(r, 0);
        expect(r, "spawn 0\nspawn 1\nspawn 2\nspawn 3\n");
        hello(r, 2);
        turn(r, 0);
        expect(r, "spawn 4\n");
        assert_int_equal(status_of(r).idle, 1);
        assert_int_equal(status_of(r).starting, 4);
        end(r);
}

static void test_young_deaths_wait_longer_and_degrade(void **state)
{
        struct recorder *r = begin_pool(1);
        int64_t pause = CORE_SECOND / 10;
        turn(r, 0);
        for (int i = 0; i < 3; i++) {
                hello(r, 0);
                lost(r, 0, 11);
                forget(r);
                turn(r, 0);
                expect(r, "");
                assert_true(r->next_turn == r->now + pause);
                turn(r, pause);
                expect(r, "spawn 0\n");
                pause *= 2;
        }
        assert_true(status_of(r).degraded);
        hello(r, 0);
        submit(r, 1);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, 1); /* a task done is a sign of health */
        expect(r, "note recovered\n");
        assert_false(status_of(r).degraded);
        end(r);
}

/* A worker goes that may be left with a file of a task that was taken back: it is not the worker that is ill.
 */
static void test_who_goes_with_a_file_does_not_die_young(void **state)
{
        struct recorder *r = begin_pool(1);
        struct core_spec s = spec(r);
        s.n_descriptors = 1;
        turn(r, 0);
        r->claimed = false;
        for (int i = 0; i < 3; i++) {
                hello(r, 0);
                uint64_t id = submit_with(r, 1, s);
                turn(r, 0);
                cancel(r, 1, id);
                assert_int_equal(state_of(r, 1, id), TASK_CANCELLED);
                lost(r, 0, -1);
                forget(r);
                turn(r, 0);
                expect(r, "spawn 0\n");
        }
        assert_false(status_of(r).degraded);
        end(r);
}

static void test_a_long_life_is_health_too(void **state)
{
        struct recorder *r = begin_pool(1);
        turn(r, 0);
        for (int i = 0; i < 3; i++) {
                lost(r, 0, -1);
                turn(r, CORE_SECOND);
        }
        assert_true(status_of(r).degraded);
        hello(r, 0);
        forget(r);
        turn(r, 0);
        turn(r, 10 * CORE_SECOND);
        expect(r, "note recovered\n");
        end(r);
}

static void test_pause_has_a_bound(void **state)
{
        struct recorder *r = begin_pool(1);
        turn(r, 0);
        for (int i = 0; i < 12; i++) {
                lost(r, 0, -1);
                turn(r, 30 * CORE_SECOND);
        }
        forget(r);
        lost(r, 0, -1);
        turn(r, 0);
        assert_true(r->next_turn == r->now + 30 * CORE_SECOND);
        end(r);
}

static void test_spawn_that_never_comes_costs_the_zygote(void **state)
{
        struct recorder *r = begin_pool(1);
        turn(r, 0);
        forget(r);
        turn(r, 10 * CORE_SECOND);
        expect(r, "note spawn_timeout\nkill_zygote\nkill 0\n");
        core_zygote_lost(r->core, 0, r->now);
        lost(r, 0, 9);
        turn(r, CORE_SECOND);
        expect(r, ""); /* there is no zygote */
        core_zygote_ready(r->core, 0, r->now);
        turn(r, 0);
        expect(r, "spawn 0\n");
        end(r);
}

static void test_refused_spawn_is_tried_again(void **state)
{
        struct recorder *r = begin_pool(1);
        r->refuse_spawn = true;
        turn(r, 0);
        expect(r, "spawn 0\n");
        r->refuse_spawn = false;
        turn(r, CORE_SECOND / 10);
        expect(r, "spawn 0\n");
        end(r);
}

static void test_smaller_target_stops_idle_workers(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        struct recorder *r = begin(3, 1);
        pool.workers = pool.min_workers = pool.max_workers = 1;
        core_pool_configure(r->core, 0, &pool);
        turn(r, 0);
        expect(r, "stop 0\nstop 1\n"); /* the coldest first */
        turn(r, 2 * CORE_SECOND);
        expect(r, "kill 0\nkill 1\n"); /* they were asked */
        lost(r, 0, 9);
        lost(r, 1, 9);
        turn(r, 0);
        expect(r, "");
        assert_int_equal(status_of(r).totals.workers_lost, 0);
        end(r);
}

static void test_stop_drains(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        uint64_t id;
        call(r, 1, 1);
        turn(r, 0);
        call(r, 1, 2);
        forget(r);
        core_stop(r->core, r->now);
        core_check(r->core);
        expect(r, "record 1.2 #2 shutdown\n");
        assert_int_equal(core_submit(r->core, 1, &s, r->now, &id), CORE_STOPPING);
        turn(r, 0);
        answer(r, 0, 0, 1);
        expect(r, "stop 0\nresult 1.1\n");
        turn(r, 0);
        lost(r, 0, 0);
        turn(r, 0);
        expect(r, "note drained\n");
        end(r);
}

static void test_stop_tells_what_runs_too_long(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        turn(r, 0);
        forget(r);
        core_stop(r->core, r->now);
        turn(r, 10 * CORE_SECOND);
        expect(r, "take_back 0:0 #1 lost\ntell 0 #1\n");
        turn(r, 2 * CORE_SECOND);
        lost(r, 0, 9);
        turn(r, 0);
        expect(r, "kill 0\nrecord 1.1 #1 shutdown\nnote drained\n");
        end(r);
}

static void test_unbegun_task_of_a_stopping_core_is_cancelled(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        turn(r, 0);
        core_stop(r->core, r->now);
        forget(r);
        r->claimed = false;
        lost(r, 0, 9);
        turn(r, 0);
        expect(r, "record 1.1 #1 shutdown\nnote drained\n");
        end(r);
}

static void test_request_of_the_caller(void **state)
{
        struct recorder *r = begin_pool(1);
        const struct core_request first = {1, 1}, second = {1, 2};
        struct core_ticket first_ticket, second_ticket, later;
        assert_int_equal(core_request_begin(r->core, first, &first_ticket), 0);
        assert_int_equal(core_request_begin(r->core, first, &later), CORE_MISUSE);
        assert_int_equal(core_request_begin(r->core, second, &second_ticket), 0);
        assert_int_equal(core_connection_requests(r->core, 1), 2);
        assert_int_equal(core_cancel_request(r->core, first, r->now), 0);
        expect(r, "refusal 1.1 11\n");
        assert_false(core_request_end(r->core, &first_ticket));
        assert_true(core_request_is_open(r->core, second));
        assert_true(core_request_end(r->core, &second_ticket));
        assert_false(core_request_end(r->core, &second_ticket));
        call(r, 1, 2); /* the number may be used again */
        assert_false(core_request_end(r->core, &second_ticket));
        assert_int_equal(core_request_begin(r->core, first, &later), 0);
        assert_false(core_request_end(r->core, &first_ticket)); /* it is another request */
        assert_true(core_request_is_open(r->core, first));
        core_connection_close(r->core, 1, r->now);
        client(r, 1, ALICE);
        assert_false(core_request_end(r->core, &later));
        forget(r);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_few_spawns_at_once),
                cmocka_unit_test(test_young_deaths_wait_longer_and_degrade),
                cmocka_unit_test(test_who_goes_with_a_file_does_not_die_young),
                cmocka_unit_test(test_a_long_life_is_health_too),
                cmocka_unit_test(test_pause_has_a_bound),
                cmocka_unit_test(test_spawn_that_never_comes_costs_the_zygote),
                cmocka_unit_test(test_refused_spawn_is_tried_again),
                cmocka_unit_test(test_smaller_target_stops_idle_workers),
                cmocka_unit_test(test_stop_drains),
                cmocka_unit_test(test_request_of_the_caller),
                cmocka_unit_test(test_stop_tells_what_runs_too_long),
                cmocka_unit_test(test_unbegun_task_of_a_stopping_core_is_cancelled),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
