/* SPDX-License-Identifier: MIT */
/* What becomes of the tasks of a dead worker, by how it died and by what its slots say. */
#include "proto/area.h"
#include "tests/unit/core/recorder.h"

static struct recorder *begin_two(void)
{
        struct recorder *r = begin(1, 2);
        measure(r, 1, 10 * US);
        call(r, 1, 1); /* 2 */
        call(r, 1, 2); /* 3, sent ahead */
        turn(r, 0);
        forget(r);
        return r;
}

static void test_over_its_limit(void **state)
{
        struct core_exit exit = {.by_signal = true, .status = 9, .over_limit = true};
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        turn(r, 0);
        forget(r);
        core_worker_lost(r->core, 0, &exit, r->now);
        expect(r, "record 1.1 #1 limit\n");
        end(r);
}

static void lost_with(enum slot_state slot_state, enum task_state first, enum task_state second)
{
        struct recorder *r = begin_two();
        struct core_slot slot = {.task = 3, .state = slot_state, .index = UINT64_MAX};
        r->slot = &slot;
        lost(r, 0, 11);
        assert_int_equal(state_of(r, 1, 2), first);
        assert_int_equal(state_of(r, 1, 3), second);
        end(r);
}

/* The slot of the first says nonsense, as it is of another task: it counts as begun. */
static void test_what_was_ahead_and_had_begun_is_lost_too(void **state)
{
        lost_with(SLOT_CLAIMED, TASK_FAILED, TASK_FAILED);
        lost_with(SLOT_DONE, TASK_FAILED, TASK_FAILED);
}

static void test_what_was_ahead_and_had_not_begun_comes_back(void **state)
{
        lost_with(SLOT_SENT, TASK_FAILED, TASK_READY);
        lost_with(SLOT_REVOKED, TASK_FAILED, TASK_READY);
        lost_with((enum slot_state)12345, TASK_FAILED, TASK_READY);
}

/* Each time before it began: in the end that is counted as its fault. */
static void test_task_whose_workers_die_before_it_begins(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_slot slot = {.task = 1, .state = SLOT_SENT, .index = UINT64_MAX};
        uint32_t n = 0;
        call(r, 1, 1);
        r->slot = &slot;
        do {
                assert_true(n++ < 100);
                turn(r, 60 * CORE_SECOND);
                if (n > 1)
                        hello(r, 0);
                turn(r, 0);
                forget(r);
                lost(r, 0, 11);
        } while (state_of(r, 1, 1) == TASK_READY);
        expect(r, "record 1.1 #1 worker\n");
        assert_in_range(n, 2, 20);
        end(r);
}

/* Not one after another: a long map meets many such deaths, none of them its own. */
static void test_map_that_goes_on_between_such_deaths(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 40, .chunk = 1});
        for (uint64_t i = 0; i < 40; i++) {
                struct core_slot slot = {.task = 1, .state = SLOT_SENT, .index = UINT64_MAX};
                turn(r, 0);
                r->slot = &slot;
                lost(r, 0, 11);
                r->slot = NULL;
                turn(r, 60 * CORE_SECOND);
                hello(r, 0);
                turn(r, 0);
                item(r, 0, 1, i);
                forget(r);
                answer(r, 0, 0, 1);
        }
        expect(r, "map 1.5 40: 40 good 0 bad\n");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_over_its_limit),
                cmocka_unit_test(test_what_was_ahead_and_had_begun_is_lost_too),
                cmocka_unit_test(test_what_was_ahead_and_had_not_begun_comes_back),
                cmocka_unit_test(test_task_whose_workers_die_before_it_begins),
                cmocka_unit_test(test_map_that_goes_on_between_such_deaths),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
