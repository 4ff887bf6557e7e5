/* SPDX-License-Identifier: MIT */
/* What all requests that wait for something of an object have in common. */
#include "daemon/core/waiter.h"
#include "tests/unit/core/recorder_shared.h"

static void test_time_is_over_at_its_time_and_not_before(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        acquire_within(r, 2, 1, "l", 10 * MS);
        forget(r);
        turn(r, 0);
        assert_int_equal(r->next_turn, r->now + 10 * MS);
        turn(r, 10 * MS - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "refusal 2.1 " NOT_READY "\n");
        assert_int_equal(r->next_turn, CORE_NEVER);
        release(r, 1, "l");
        expect(r, "");
        end(r);
}

static void test_who_got_it_in_time_is_answered_once(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        acquire_within(r, 2, 1, "l", 10 * MS);
        release(r, 1, "l");
        forget(r);
        turn(r, 20 * MS);
        expect(r, "");
        end(r);
}

static void test_request_that_is_given_up(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        acquire(r, 2, 1, "l");
        acquire_as(r, 2, 2, "l", 7);
        forget(r);
        give_up(r, 2, 1);
        expect(r, "refusal 2.1 " CANCELLED "\n");
        assert_int_equal(core_cancel_request(r->core, at(2, 1), r->now), CORE_NOT_OPEN);
        release(r, 1, "l");
        expect(r, "hold 2.2 3\n");
        end(r);
}

static void test_msgid_of_an_open_request_is_not_used_again(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        acquire(r, 2, 1, "l");
        assert_int_equal(acquire_as(r, 2, 1, "l", 7), CORE_MISUSE);
        assert_int_equal(look(r, "l").n_waiting, 1);
        end(r);
}

static void test_so_many_requests_may_wait(void **state)
{
        struct core_config config = ordinary;
        struct recorder *r = begin_shared();
        config.max_requests = 1;
        core_configure(r->core, &config);
        acquire(r, 1, 1, "l");
        put(r, 1, 2, 10, 1, 1, CORE_NEVER);
        assert_int_equal(acquire(r, 2, 1, "l"), 0);
        assert_int_equal(acquire_as(r, 2, 2, "l", 7), CORE_QUOTA);
        assert_int_equal(put(r, 2, 3, 20, 1, 1, CORE_NEVER), CORE_QUOTA);
        assert_int_equal(look(r, "queue").size, 1);
        end(r);
}

static uint64_t bytes_of_alice(const struct recorder *r)
{
        struct core_account account;
        core_account(r->core, ALICE, &account);
        return account.bytes;
}

/* A connection has some for nothing; what is beyond them counts as what its user holds. */
static void test_what_waits_is_its_users(void **state)
{
        struct core_config config = ordinary;
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 0, 0, CORE_NEVER);
        uint64_t before = bytes_of_alice(r);
        for (uint32_t msgid = 1; msgid <= WAITERS_FREE; msgid++)
                assert_int_equal(get(r, 2, msgid, 1, false, CORE_NEVER), 0);
        assert_int_equal(bytes_of_alice(r), before);
        assert_int_equal(get(r, 2, WAITERS_FREE + 1, 1, false, CORE_NEVER), 0);
        assert_true(bytes_of_alice(r) > before);
        give_up(r, 2, WAITERS_FREE + 1);
        assert_int_equal(bytes_of_alice(r), before);
        config.user_memory_bytes = before;
        core_configure(r->core, &config);
        assert_int_equal(get(r, 2, WAITERS_FREE + 1, 1, false, CORE_NEVER), CORE_QUOTA);
        assert_string_equal(core_refused_quota(r->core).what, "user_memory");
        give_up(r, 2, 1);
        assert_int_equal(get(r, 2, 1, 1, false, CORE_NEVER), 0);
        end(r);
}

static void test_task_that_waits_lends_its_place(void **state)
{
        struct recorder *r = begin_tasks(1);
        acquire(r, 2, 1, "l");
        acquire(r, TASK_1, 1, "l");
        assert_int_equal(state_of(r, 1, 1), TASK_WAITING);
        release(r, 2, "l");
        assert_int_equal(state_of(r, 1, 1), TASK_RUNNING);
        end(r);
}

static void test_task_that_is_told_to_end_waits_no_more(void **state)
{
        struct recorder *r = begin_tasks(1);
        acquire(r, 2, 1, "l");
        acquire(r, TASK_1, 1, "l");
        put(r, TASK_1, 2, 10, 3, 2, CORE_NEVER);
        get(r, TASK_1, 3, 1, false, CORE_NEVER);
        forget(r);
        join(r, TASK_1, 4, CORE_NEVER);
        cancel(r, 1, 1);
        expect(r, "refusal 51.1 " CANCELLED "\nrefusal 51.4 " CANCELLED "\ntell 0 #1\n");
        assert_int_equal(acquire(r, TASK_1, 5, "l"), CORE_CANCELLED);
        assert_int_equal(acquire(r, TASK_1, 6, "free"), 0);
        end(r);
}

/* All that wait at one object are told so, not what it would mean to the others if only one of them left. */
static void test_end_of_the_daemon(void **state)
{
        const struct core_open three = a_with(OBJECT_BARRIER, PROPERTY_PARTIES, 3), event = a(OBJECT_EVENT);
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        acquire_within(r, 2, 1, "l", CORE_SECOND);
        put(r, 1, 2, 10, 2, 1, CORE_NEVER);
        put(r, 2, 2, 20, 1, 1, CORE_NEVER);
        join(r, 2, 3, CORE_NEVER);
        for (uint32_t i = 4; i <= 5; i++)
                core_barrier_wait(r->core, at(2, i), "barrier", &three, CORE_NEVER, r->now);
        core_event_wait(r->core, at(2, 6), "event", &event, CORE_NEVER, r->now);
        acquire(r, 1, 3, "c");
        wait_condition(r, 1, 4, "c", CORE_NEVER);
        core_stop(r->core, r->now);
        turn(r, 0);
        assert_int_equal(acquire_as(r, 2, 7, "l", 7), 0);
        forget(r);
        lost(r, 0, 0);
        turn(r, 0);
        expect(r, "note drained\ncount 1.2 1\nrefusal 1.4 " STOPPING "\nrefusal 2.1 " STOPPING
                  "\nrefusal 2.2 " STOPPING "\nrefusal 2.3 " STOPPING "\nrefusal 2.4 " STOPPING
                  "\nrefusal 2.5 " STOPPING "\nrefusal 2.6 " STOPPING "\nrefusal 2.7 " STOPPING "\n");
        assert_int_equal(acquire_as(r, 2, 8, "l", 8), CORE_STOPPING);
        assert_int_equal(release(r, 1, "l"), 0);
        turn(r, CORE_SECOND);
        expect(r, "");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_time_is_over_at_its_time_and_not_before),
                cmocka_unit_test(test_who_got_it_in_time_is_answered_once),
                cmocka_unit_test(test_request_that_is_given_up),
                cmocka_unit_test(test_msgid_of_an_open_request_is_not_used_again),
                cmocka_unit_test(test_so_many_requests_may_wait),
                cmocka_unit_test(test_what_waits_is_its_users),
                cmocka_unit_test(test_task_that_waits_lends_its_place),
                cmocka_unit_test(test_task_that_is_told_to_end_waits_no_more),
                cmocka_unit_test(test_end_of_the_daemon),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
