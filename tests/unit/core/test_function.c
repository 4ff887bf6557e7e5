/* SPDX-License-Identifier: MIT */
/* Functions that are added while the pool has workers that do not have them. */
#include "tests/unit/core/recorder.h"

/* What was measured at a worker, and waits for its next result, is still the same function's. */
static void test_functions_are_added_between_two_results(void **state)
{
        struct recorder *r = begin(1, 8);
        uint32_t added;
        measure(r, 1, 10 * US);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        answer(r, 0, 0, 2);
        for (int i = 0; i < 50; i++)
                assert_int_equal(core_function_add(r->core, 0, &added), 0);
        turn(r, 10 * US);
        answer(r, 0, 1, 3);
        end(r);
}

static void test_function_is_for_younger_workers(void **state)
{
        struct recorder *r = begin(1, 1);
        uint32_t old = r->function;
        assert_int_equal(core_function_add(r->core, 0, &r->function), 0);
        call(r, 1, 1);
        turn(r, 0);
        expect(r, "");
        core_pool_renew(r->core, 0, r->now);
        turn(r, 0);
        expect(r, "spawn 1\n");
        hello(r, 1);
        turn(r, 0);
        expect(r, "send 1:0 #1\nstop 0\n");
        r->function = old;
        call(r, 1, 2);
        answer(r, 1, 0, 1);
        turn(r, 0);
        expect(r, "result 1.1\nsend 1:0 #2\n");
        end(r);
}

/* Also if the workers that have it never come: their start fails, say. */
static void test_others_pass_by_what_no_worker_has(void **state)
{
        struct recorder *r = begin(1, 1);
        uint32_t old = r->function;
        assert_int_equal(core_function_add(r->core, 0, &r->function), 0);
        core_pool_renew(r->core, 0, r->now);
        call(r, 1, 1);
        map(r, 1, 2, (struct core_map_spec){.n_items = 1});
        r->function = old;
        call(r, 1, 3);
        turn(r, 0);
        expect(r, "send 0:0 #3\nspawn 1\n");
        core_check(r->core);
        core_cancel_request(r->core, (struct core_request){1, 2}, r->now);
        answer(r, 0, 0, 3);
        lost(r, 1, 11);
        turn(r, CORE_SECOND);
        expect(r, "record 1.2 #2 client\nresult 1.3\nspawn 1\n");
        hello(r, 1);
        turn(r, 0);
        expect(r, "send 1:0 #1\nstop 0\n");
        end(r);
}

/* The one that has it is killed under the map, which is passed by until its chunk comes back, and then still.
 */
static void test_chunk_comes_back_to_a_map_that_was_passed_by(void **state)
{
        struct recorder *r = begin(2, 1);
        assert_int_equal(core_function_add(r->core, 0, &r->function), 0);
        core_pool_renew(r->core, 0, r->now);
        turn(r, 0);
        hello(r, 2);
        turn(r, 0);
        map(r, 1, 1, (struct core_map_spec){.n_items = 2, .chunk = 1});
        turn(r, 0);
        forget(r);
        assert_int_equal(core_worker_bad(r->core, 2, r->now), CORE_BAD_WORKER);
        turn(r, 0);
        r->claimed = false;
        lost(r, 2, 9);
        turn(r, 0);
        expect(r, "note bad\nkill 2\nspawn 4\n");
        hello(r, 3);
        turn(r, 0);
        expect(r, "send 3:0 #1 [0+1]\n");
        end(r);
}

/* Nor do the others' workers stay for ever: when the last one goes, what was passed by asks for one itself.
 */
static void test_what_was_passed_by_brings_a_worker_when_none_is_left(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.min_workers = 0;
        struct recorder *r = begin_like(&pool);
        core_pool_renew(r->core, 0, r->now);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        lost(r, 0, 0);
        assert_int_equal(core_function_add(r->core, 0, &r->function), 0);
        call(r, 1, 1);
        turn(r, 0);
        forget(r);
        turn(r, 60 * CORE_SECOND);
        expect(r, "stop 1\n");
        lost(r, 1, 0);
        turn(r, 0);
        expect(r, "spawn 0\n");
        hello(r, 0);
        turn(r, 0);
        expect(r, "send 0:0 #1\n");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_functions_are_added_between_two_results),
                cmocka_unit_test(test_function_is_for_younger_workers),
                cmocka_unit_test(test_others_pass_by_what_no_worker_has),
                cmocka_unit_test(test_chunk_comes_back_to_a_map_that_was_passed_by),
                cmocka_unit_test(test_what_was_passed_by_brings_a_worker_when_none_is_left),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
