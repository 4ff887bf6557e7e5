/* SPDX-License-Identifier: MIT */
#include "tests/unit/core/recorder_shared.h"

static void test_lock_goes_first_come_first_served(void **state)
{
        struct recorder *r = begin_shared();
        assert_int_equal(acquire(r, 1, 1, "l"), 0);
        expect(r, "hold 1.1 2\n");
        assert_int_equal(acquire_as(r, 2, 1, "l", 1), 0);
        assert_int_equal(acquire_as(r, 1, 2, "l", 7), 0);
        assert_int_equal(acquire_as(r, 2, 2, "l", 2), 0);
        assert_int_equal(look(r, "l").n_waiting, 3);
        expect(r, "");
        assert_int_equal(release(r, 1, "l"), 0);
        expect(r, "hold 2.1 3\n");
        assert_int_equal(release_as(r, 2, "l", 1), 0);
        expect(r, "hold 1.2 4\n");
        assert_int_equal(release_as(r, 1, "l", 7), 0);
        expect(r, "hold 2.2 5\n");
        assert_int_equal(look(r, "l").n_waiting, 0);
        end(r);
}

static void test_released_lock_is_free_and_not_abandoned(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        assert_int_equal(release(r, 1, "l"), 0);
        assert_null(look(r, "l").holders);
        assert_int_equal(acquire(r, 2, 1, "l"), 0);
        expect(r, "hold 1.1 2\nhold 2.1 3\n");
        end(r);
}

static void test_only_the_holder_releases(void **state)
{
        struct recorder *r = begin_shared();
        assert_int_equal(release(r, 1, "l"), CORE_UNKNOWN_OBJECT);
        acquire(r, 1, 1, "l");
        assert_int_equal(release(r, 2, "l"), CORE_NOT_HELD);
        assert_int_equal(release_as(r, 1, "l", 7), CORE_NOT_HELD);
        assert_int_equal(release_token(r, 2, "l", 2), CORE_NOT_HELD);
        assert_int_equal(release_token(r, 1, "l", 3), CORE_NOT_HELD);
        assert_int_equal(release_token(r, 1, "l", 2), 0);
        assert_int_equal(release(r, 1, "l"), CORE_NOT_HELD);
        end(r);
}

static void test_reentrant_lock_is_released_as_often_as_it_was_had(void **state)
{
        struct core_open open = a_with(OBJECT_LOCK, PROPERTY_REENTRANT, 1);
        struct recorder *r = begin_shared();
        for (uint32_t i = 1; i <= 3; i++)
                assert_int_equal(acquire_with(r, 1, i, "l", open), 0);
        expect(r, "hold 1.1 2\nhold 1.2 2\nhold 1.3 2\n");
        assert_int_equal(acquire_with(r, 2, 1, "l", open), 0);
        assert_int_equal(release(r, 1, "l"), 0);
        assert_int_equal(release_token(r, 1, "l", 2), 0);
        expect(r, "");
        assert_int_equal(release(r, 1, "l"), 0);
        expect(r, "hold 2.1 3\n");
        assert_int_equal(release(r, 1, "l"), CORE_NOT_HELD);
        end(r);
}

static void test_lock_that_is_not_reentrant_is_not_had_again(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        assert_int_equal(acquire(r, 1, 2, "l"), CORE_DEADLOCK);
        assert_int_equal(acquire_within(r, 1, 2, "l", 0), CORE_NOT_READY);
        assert_int_equal(acquire_as(r, 1, 2, "l", 7), 0); /* another thread waits */
        assert_int_equal(look(r, "l").n_waiting, 1);
        end(r);
}

static void test_semaphore_has_so_many_holders(void **state)
{
        struct core_open open = a_with(OBJECT_LOCK, PROPERTY_LIMIT, 2);
        struct recorder *r = begin_shared();
        acquire_with(r, 1, 1, "s", open);
        acquire_with(r, 1, 2, "s", open);
        acquire_with(r, 2, 1, "s", open);
        acquire_with(r, 2, 2, "s", open);
        expect(r, "hold 1.1 2\nhold 1.2 3\n");
        assert_int_equal(acquire(r, 1, 3, "s"), CORE_DEADLOCK); /* all of it is its own */
        assert_int_equal(release(r, 1, "s"), 0);                /* what it got last: 3 */
        expect(r, "hold 2.1 4\n");
        assert_int_equal(release_token(r, 1, "s", 2), 0);
        expect(r, "hold 2.2 5\n");
        assert_int_equal(release_token(r, 1, "s", 3), CORE_NOT_HELD);
        struct core_holder holder;
        const struct hold *next = core_holder_next(look(r, "s").holders, &holder);
        assert_int_equal(holder.token, 4);
        next = core_holder_next(next, &holder);
        assert_int_equal(holder.token, 5);
        assert_null(next);
        end(r);
}

static void test_limit_is_its_makers(void **state)
{
        struct recorder *r = begin_shared();
        acquire_with(r, 1, 1, "s", a_with(OBJECT_LOCK, PROPERTY_LIMIT, 2));
        assert_int_equal(acquire_with(r, 2, 1, "s", a_with(OBJECT_LOCK, PROPERTY_LIMIT, 3)), CORE_CLASH);
        assert_int_equal(core_refused_clash(r->core).property, PROPERTY_LIMIT);
        assert_int_equal(core_refused_clash(r->core).value, 2);
        assert_int_equal(acquire(r, 2, 1, "s"), 0); /* who says nothing takes it as it is */
        expect(r, "hold 1.1 2\nhold 2.1 3\n");
        end(r);
}

static void test_owner_that_is_gone_leaves_it_abandoned_to_the_next_one_only(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 2, 1, "l");
        acquire(r, 1, 1, "l");
        forget(r);
        leave(r, 2);
        expect(r, "hold 1.1 3 abandoned\n");
        release(r, 1, "l");
        acquire(r, 1, 2, "l");
        expect(r, "hold 1.2 4\n");
        end(r);
}

static void test_abandoned_lock_that_nobody_waits_for_is_told_later(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 2, 1, "l");
        leave(r, 2);
        acquire(r, 1, 1, "l");
        expect(r, "hold 2.1 2\nhold 1.1 3 abandoned\n");
        end(r);
}

static void test_all_that_an_owner_had_is_free_when_it_is_gone(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 2, 1, "k");
        acquire(r, 2, 2, "l");
        acquire(r, 1, 1, "k");
        acquire_as(r, 1, 2, "l", 7);
        forget(r);
        leave(r, 2);
        expect(r, "hold 1.2 4 abandoned\nhold 1.1 5 abandoned\n");
        end(r);
}

static void test_who_waits_and_is_gone_gets_nothing(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        acquire(r, 2, 1, "l");
        acquire_as(r, 1, 2, "l", 7);
        leave(r, 2);
        release(r, 1, "l");
        expect(r, "hold 1.1 2\nhold 1.2 3\n");
        end(r);
}

static void test_tasks_lock_is_abandoned_when_the_task_has_ended(void **state)
{
        struct recorder *r = begin_tasks(1);
        acquire(r, TASK_1, 1, "l");
        acquire(r, 2, 1, "l");
        struct core_holder holder;
        core_holder_next(look(r, "l").holders, &holder);
        assert_int_equal(holder.task, 1);
        assert_int_equal(holder.pid, 100);
        cancel(r, 1, 1);
        expect(r, "hold 51.1 2\ntell 0 #1\n"); /* it still runs, and may give it back itself */
        answer(r, 0, 0, 1);
        expect(r, "hold 2.1 3 abandoned\nover 51\nrecord 1.1 #1 client\n");
        end(r);
}

static void test_lost_workers_lock_is_abandoned(void **state)
{
        struct recorder *r = begin_tasks(1);
        acquire(r, TASK_1, 1, "l");
        acquire(r, 2, 1, "l");
        forget(r);
        lost(r, 0, 9);
        expect(r, "hold 2.1 3 abandoned\nover 51\nrecord 1.1 #1 outside\n");
        end(r);
}

/* -- conditions -- */

static void test_condition_is_waited_for_by_who_holds_the_lock(void **state)
{
        struct recorder *r = begin_shared();
        uint64_t n;
        assert_int_equal(wait_condition(r, 1, 1, "l", CORE_NEVER), CORE_UNKNOWN_OBJECT);
        acquire(r, 1, 1, "l");
        assert_int_equal(wait_condition(r, 2, 1, "l", CORE_NEVER), CORE_NOT_HELD);
        assert_int_equal(core_condition_notify(r->core, 2, "l", 0, 1, r->now, &n), CORE_NOT_HELD);
        acquire_with(r, 1, 2, "s", a_with(OBJECT_LOCK, PROPERTY_LIMIT, 2));
        assert_int_equal(wait_condition(r, 1, 3, "s", CORE_NEVER), CORE_CLASH);
        end(r);
}

/* Clients 1, 2 and 9 wait; then 1, as owner 7, has the lock. */
static struct recorder *begin_condition(int64_t timeout)
{
        struct core_open open = a(OBJECT_LOCK);
        struct recorder *r = begin_shared();
        open.mode = 0666;
        for (uint32_t i = 0; i < 3; i++) {
                uint32_t connection = i == 2 ? BOBS : i + 1;
                acquire_with(r, connection, 1, "l", open);
                assert_int_equal(wait_condition(r, connection, 2, "l", timeout), 0);
                turn(r, MS);
        }
        acquire_as(r, 1, 3, "l", 7);
        forget(r);
        return r;
}

static uint64_t notify_as_7(struct recorder *r, uint64_t n)
{
        uint64_t notified;
        assert_int_equal(core_condition_notify(r->core, 1, "l", 7, n, r->now, &notified), 0);
        core_check(r->core);
        return notified;
}

static void test_notified_go_on_one_after_another(void **state)
{
        struct recorder *r = begin_condition(CORE_NEVER);
        assert_int_equal(notify_as_7(r, 2), 2);
        expect(r, ""); /* it still has the lock */
        release_as(r, 1, "l", 7);
        expect(r, "flag 1.2 yes\n");
        release(r, 1, "l");
        expect(r, "flag 2.2 yes\n");
        release(r, 2, "l");
        expect(r, "");
        assert_int_equal(look(r, "l").n_waiting, 1);
        end(r);
}

static void test_all_are_notified(void **state)
{
        struct recorder *r = begin_condition(CORE_NEVER);
        assert_int_equal(notify_as_7(r, UINT64_MAX), 3);
        assert_int_equal(notify_as_7(r, UINT64_MAX), 0);
        release_as(r, 1, "l", 7);
        release(r, 1, "l");
        release(r, 2, "l");
        expect(r, "flag 1.2 yes\nflag 2.2 yes\nflag 9.2 yes\n");
        end(r);
}

static void test_condition_whose_time_is_over_waits_for_the_lock(void **state)
{
        struct recorder *r = begin_condition(10 * MS);
        turn(r, 7 * MS - 1);
        release_as(r, 1, "l", 7);
        expect(r, "");
        acquire_as(r, 1, 4, "l", 7);
        turn(r, 3 * MS);
        expect(r, "hold 1.4 6\n");
        release_as(r, 1, "l", 7);
        expect(r, "flag 1.2 no\n");
        release(r, 1, "l");
        expect(r, "flag 2.2 no\n");
        end(r);
}

static void test_condition_keeps_how_often_the_lock_was_had(void **state)
{
        struct core_open open = a_with(OBJECT_LOCK, PROPERTY_REENTRANT, 1);
        struct recorder *r = begin_shared();
        acquire_with(r, 1, 1, "l", open);
        acquire_with(r, 1, 2, "l", open);
        wait_condition(r, 1, 3, "l", CORE_NEVER);
        acquire(r, 2, 1, "l");
        assert_int_equal(notify(r, 2, "l", 1), 1);
        release(r, 2, "l");
        expect(r, "hold 1.1 2\nhold 1.2 2\nhold 2.1 3\nflag 1.3 yes\n");
        assert_int_equal(release(r, 1, "l"), 0);
        assert_int_equal(release(r, 1, "l"), 0);
        assert_int_equal(release(r, 1, "l"), CORE_NOT_HELD);
        end(r);
}

static void test_condition_of_a_task_under_a_verdict_ends(void **state)
{
        struct recorder *r = begin_tasks(1);
        acquire(r, TASK_1, 1, "l");
        wait_condition(r, TASK_1, 2, "l", CORE_NEVER);
        acquire(r, 2, 1, "l");
        forget(r);
        cancel(r, 1, 1);
        expect(r, "refusal 51.2 " CANCELLED "\ntell 0 #1\n");
        assert_int_equal(notify(r, 2, "l", 1), 0);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lock_goes_first_come_first_served),
                cmocka_unit_test(test_released_lock_is_free_and_not_abandoned),
                cmocka_unit_test(test_only_the_holder_releases),
                cmocka_unit_test(test_reentrant_lock_is_released_as_often_as_it_was_had),
                cmocka_unit_test(test_lock_that_is_not_reentrant_is_not_had_again),
                cmocka_unit_test(test_semaphore_has_so_many_holders),
                cmocka_unit_test(test_limit_is_its_makers),
                cmocka_unit_test(test_owner_that_is_gone_leaves_it_abandoned_to_the_next_one_only),
                cmocka_unit_test(test_abandoned_lock_that_nobody_waits_for_is_told_later),
                cmocka_unit_test(test_all_that_an_owner_had_is_free_when_it_is_gone),
                cmocka_unit_test(test_who_waits_and_is_gone_gets_nothing),
                cmocka_unit_test(test_tasks_lock_is_abandoned_when_the_task_has_ended),
                cmocka_unit_test(test_lost_workers_lock_is_abandoned),
                cmocka_unit_test(test_condition_is_waited_for_by_who_holds_the_lock),
                cmocka_unit_test(test_notified_go_on_one_after_another),
                cmocka_unit_test(test_all_are_notified),
                cmocka_unit_test(test_condition_whose_time_is_over_waits_for_the_lock),
                cmocka_unit_test(test_condition_keeps_how_often_the_lock_was_had),
                cmocka_unit_test(test_condition_of_a_task_under_a_verdict_ends),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
