/* SPDX-License-Identifier: MIT */
/* Circles that a lock is part of; those of tasks alone are in test_nested.c. */
#include <string.h>

#include "tests/unit/core/recorder_shared.h"

static void assert_circle(struct recorder *r, const char *text)
{
        assert_string_equal(core_refused_circle(r->core), text);
}

static void test_two_locks_taken_crosswise(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "k");
        acquire(r, 2, 1, "l");
        assert_int_equal(acquire(r, 1, 2, "l"), 0);
        assert_int_equal(acquire(r, 2, 2, "k"), CORE_DEADLOCK);
        assert_circle(
                r,
                "process 42 would wait for the lock \"k\" of process 42, which waits for the lock \"l\" of "
                "process 42");
        assert_int_equal(acquire_within(r, 2, 2, "k", 0), CORE_NOT_READY); /* a look is no waiting */
        release(r, 2, "l");
        expect(r, "hold 1.1 2\nhold 2.1 3\nhold 1.2 4\n");
        end(r);
}

static void test_three_locks(void **state)
{
        struct recorder *r = begin_shared();
        for (uint32_t owner = 1; owner <= 3; owner++)
                acquire_as(r, 1, owner, (const char *[]){"j", "k", "l"}[owner - 1], owner);
        assert_int_equal(acquire_as(r, 1, 4, "k", 1), 0);
        assert_int_equal(acquire_as(r, 1, 5, "l", 2), 0);
        assert_int_equal(acquire_as(r, 1, 6, "j", 3), CORE_DEADLOCK);
        assert_circle(
                r,
                "process 42 would wait for the lock \"j\" of process 42, which waits for the lock \"k\" of "
                "process 42, which waits for the lock \"l\" of process 42");
        end(r);
}

static void test_owners_of_one_connection_are_not_each_other(void **state)
{
        struct recorder *r = begin_shared();
        acquire_as(r, 1, 1, "k", 1);
        acquire_as(r, 1, 2, "l", 2);
        acquire_as(r, 2, 1, "m", 1);
        assert_int_equal(acquire_as(r, 1, 3, "m", 1), 0);
        assert_int_equal(acquire_as(r, 2, 2, "l", 1), 0); /* of owner 2, who waits for nothing */
        assert_int_equal(acquire_as(r, 1, 4, "m", 2), CORE_DEADLOCK);
        end(r);
}

static void test_semaphore_is_a_circle_when_none_of_its_holders_can_go_on(void **state)
{
        struct core_open two = a_with(OBJECT_LOCK, PROPERTY_LIMIT, 2);
        struct recorder *r = begin_tasks(2);
        acquire_with(r, TASK_1, 1, "s", two);
        acquire_with(r, TASK_2, 1, "s", two);
        acquire(r, 2, 1, "l");
        assert_int_equal(acquire_with(r, 2, 2, "s", two), 0);
        assert_int_equal(acquire(r, TASK_1, 2, "l"), 0); /* the other one may go on */
        assert_int_equal(acquire(r, TASK_2, 2, "l"), CORE_DEADLOCK);
        assert_circle(
                r,
                "task 2 (process 100) would wait for the lock \"l\" of process 42, which waits for the lock "
                "\"s\" of task 2 (process 100)");
        end(r);
}

static void test_task_that_is_waited_for_waits_for_a_lock(void **state)
{
        struct recorder *r = begin_tasks(1);
        acquire(r, TASK_1, 1, "l");
        client(r, 3, ALICE);
        call(r, TASK_1, 2);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        open_task(r, TASK_2, 1);
        assert_int_equal(acquire(r, TASK_2, 1, "l"), CORE_DEADLOCK);
        assert_circle(
                r,
                "task 2 (process 101) would wait for the lock \"l\" of task 1 (process 100), which waits for "
                "task 2");
        end(r);
}

static void test_task_would_wait_for_one_that_waits_for_its_lock(void **state)
{
        struct recorder *r = begin_tasks(2);
        acquire(r, TASK_1, 1, "l");
        assert_int_equal(acquire(r, TASK_2, 1, "l"), 0);
        uint64_t id = 2;
        assert_int_equal(ask_result(r, TASK_1, 2, id), CORE_DEADLOCK);
        assert_circle(r,
                      "task 1 (process 101) would wait for task 2, which waits for the lock \"l\" of task 1 "
                      "(process 101)");
        assert_int_equal(core_wait(r->core, at(TASK_1, 2), &id, 1, CORE_NEVER, 1, r->now), CORE_DEADLOCK);
        core_check(r->core);
        end(r);
}

static void test_client_that_waits_for_a_task_may_do_other_things(void **state)
{
        struct recorder *r = begin_tasks(1);
        acquire(r, 1, 9, "l"); /* who waits for the call of task 1 */
        assert_int_equal(acquire(r, TASK_1, 1, "l"), 0);
        release(r, 1, "l");
        expect(r, "hold 1.9 2\nhold 51.1 3\n");
        end(r);
}

/* Who has been notified, or will run out of time, needs the lock of the condition before anything else. */
static void test_who_waits_for_a_condition_waits_for_its_lock(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "other");
        acquire(r, 1, 2, "l");
        wait_condition(r, 1, 3, "l", 10 * MS);
        acquire(r, 2, 1, "l");
        assert_int_equal(acquire(r, 2, 2, "other"), CORE_DEADLOCK);
        assert_int_equal(notify(r, 2, "l", 1), 1);
        assert_int_equal(acquire(r, 2, 2, "other"), CORE_DEADLOCK);
        assert_circle(r, "process 42 would wait for the lock \"other\" of process 42, which waits for the "
                         "lock \"l\" of "
                         "process 42");
        end(r);
}

static void test_who_waits_for_a_condition_of_a_free_lock_can_go_on(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "other");
        acquire(r, 1, 2, "l");
        wait_condition(r, 1, 3, "l", 10 * MS);
        assert_int_equal(acquire(r, 2, 2, "other"), 0);
        turn(r, 10 * MS);
        release(r, 1, "other");
        expect(r, "hold 1.1 2\nhold 1.2 3\nflag 1.3 no\nhold 2.2 5\n");
        end(r);
}

static void test_circle_is_gone_with_an_owner(void **state)
{
        struct recorder *r = begin_shared();
        client(r, 3, ALICE);
        acquire(r, 1, 1, "j");
        acquire(r, 2, 1, "k");
        acquire(r, 3, 1, "l");
        acquire(r, 1, 2, "k");
        acquire(r, 2, 2, "l");
        forget(r);
        leave(r, 2);
        expect(r, "hold 1.2 5 abandoned\n");
        assert_int_equal(acquire(r, 3, 2, "j"), 0);
        end(r);
}

static void test_long_circle_is_named_in_part(void **state)
{
        char name[] = "a";
        struct recorder *r = begin_shared();
        for (uint32_t owner = 0; owner < 20; owner++, (*name)++)
                acquire_as(r, 1, owner, name, owner);
        *name = 'b';
        for (uint32_t owner = 0; owner < 19; owner++, (*name)++)
                assert_int_equal(acquire_as(r, 1, 100 + owner, name, owner), 0);
        assert_int_equal(acquire_as(r, 1, 200, "a", 19), CORE_DEADLOCK);
        assert_non_null(strstr(core_refused_circle(r->core), "waits for the lock \"t\" of process 42"));
        assert_non_null(strstr(core_refused_circle(r->core), "for others"));
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_two_locks_taken_crosswise),
                cmocka_unit_test(test_three_locks),
                cmocka_unit_test(test_owners_of_one_connection_are_not_each_other),
                cmocka_unit_test(test_semaphore_is_a_circle_when_none_of_its_holders_can_go_on),
                cmocka_unit_test(test_task_that_is_waited_for_waits_for_a_lock),
                cmocka_unit_test(test_task_would_wait_for_one_that_waits_for_its_lock),
                cmocka_unit_test(test_client_that_waits_for_a_task_may_do_other_things),
                cmocka_unit_test(test_who_waits_for_a_condition_waits_for_its_lock),
                cmocka_unit_test(test_who_waits_for_a_condition_of_a_free_lock_can_go_on),
                cmocka_unit_test(test_circle_is_gone_with_an_owner),
                cmocka_unit_test(test_long_circle_is_named_in_part),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
