/* SPDX-License-Identifier: MIT */
#include "tests/unit/core/recorder_shared.h"

static void test_items_go_first_in_first_out(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 3, 0, CORE_NEVER);
        get(r, 2, 1, 1, false, CORE_NEVER);
        get(r, 2, 2, 9, false, CORE_NEVER);
        expect(r, "count 1.1 3\nitems 2.1 10\nitems 2.2 11 12\n");
        assert_int_equal(get(r, 2, 3, 1, false, 0), CORE_NOT_READY);
        assert_int_equal(put(r, 1, 2, 13, 0, 0, CORE_NEVER), 0);
        expect(r, "count 1.2 0\n");
        end(r);
}

static void test_who_waits_gets_in_turn(void **state)
{
        struct recorder *r = begin_shared();
        get(r, 1, 1, 2, true, CORE_NEVER);
        get(r, 2, 1, 9, false, CORE_NEVER);
        get(r, 1, 2, 1, false, CORE_NEVER);
        put(r, 1, 3, 10, 4, 0, CORE_NEVER);
        expect(r, "count 1.3 4\nitems 1.1 2=10 3=11\nitems 2.1 12 13\n");
        put(r, 2, 2, 14, 1, 0, CORE_NEVER);
        expect(r, "count 2.2 1\nitems 1.2 14\n");
        end(r);
}

static void test_get_that_gets_nothing_in_time(void **state)
{
        struct recorder *r = begin_shared();
        get(r, 1, 1, 1, true, 10 * MS);
        turn(r, 10 * MS - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "refusal 1.1 " NOT_READY "\n");
        put(r, 1, 2, 10, 1, 0, CORE_NEVER);
        assert_int_equal(look(r, "queue").size, 1);
        end(r);
}

static void test_answer_is_no_larger_than_a_message_may_be(void **state)
{
        struct core_config config = ordinary;
        config.max_answer_bytes = 500;
        struct recorder *r = begin_with(&config, &ordinary_pool);
        client(r, 1, ALICE);
        put(r, 1, 1, 10, 4, 0, CORE_NEVER);
        forget(r);
        get(r, 1, 2, 9, false, CORE_NEVER);
        assert_true(look(r, "queue").size > 0 && look(r, "queue").size < 4);
        config.max_answer_bytes = 1;
        core_configure(r->core, &config);
        forget(r);
        uint64_t n = look(r, "queue").size;
        get(r, 1, 3, 9, false, CORE_NEVER); /* one, whatever its size */
        assert_int_equal(look(r, "queue").size, n - 1);
        end(r);
}

/* -- leases -- */

static void test_leased_item_is_gone_when_it_is_done(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 2, 0, CORE_NEVER);
        get(r, 1, 2, 2, true, CORE_NEVER);
        expect(r, "count 1.1 2\nitems 1.2 2=10 3=11\n");
        assert_int_equal(look(r, "queue").n_leased, 2);
        assert_int_equal(done(r, 2, 2), 0); /* not leased to that one */
        assert_int_equal(done(r, 1, 2), 1);
        assert_int_equal(done(r, 1, 2), 0);
        assert_int_equal(done(r, 1, 4), 0);
        assert_int_equal(look(r, "queue").n_leased, 1);
        assert_int_equal(r->n_payloads, 1);
        end(r);
}

static void test_lease_of_another_queue_is_not_done(void **state)
{
        struct core_open open = a(OBJECT_QUEUE);
        struct recorder *r = begin_shared();
        uint64_t token = 2;
        size_t n;
        put(r, 1, 1, 10, 1, 0, CORE_NEVER);
        get(r, 1, 2, 1, true, CORE_NEVER);
        assert_int_equal(core_queue_done(r->core, 1, "another", &token, 1, r->now, &n), CORE_UNKNOWN_OBJECT);
        assert_int_equal(core_queue_get(r->core, at(1, 3), "another", &open, 1, true, 0, r->now),
                         CORE_NOT_READY);
        assert_int_equal(core_queue_done(r->core, 1, "another", &token, 1, r->now, &n), 0);
        assert_int_equal(n, 0);
        end(r);
}

static void test_leases_of_a_dead_owner_are_at_the_front_in_order(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 5, 0, CORE_NEVER);
        get(r, 2, 1, 1, true, CORE_NEVER); /* 10 */
        get(r, 1, 2, 1, true, CORE_NEVER); /* 11 */
        get(r, 2, 2, 2, true, CORE_NEVER); /* 12, 13 */
        forget(r);
        leave(r, 2);
        assert_int_equal(look(r, "queue").size, 4);
        get(r, 1, 3, 9, true, CORE_NEVER);
        expect(r, "items 1.3 2=10 4=12 5=13 6=14\n");
        end(r);
}

static void test_all_leases_are_back_before_the_next_one_gets_some(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 2, 0, CORE_NEVER);
        get(r, 2, 1, 2, true, CORE_NEVER);
        get(r, 1, 2, 1, true, CORE_NEVER);
        get(r, 1, 3, 1, true, CORE_NEVER);
        forget(r);
        leave(r, 2);
        expect(r, "items 1.2 2=10\nitems 1.3 3=11\n");
        end(r);
}

static void test_leases_of_a_task_are_back_when_it_is_lost(void **state)
{
        struct recorder *r = begin_tasks(1);
        put(r, 2, 1, 10, 1, 0, CORE_NEVER);
        get(r, TASK_1, 1, 1, true, CORE_NEVER);
        get(r, 2, 2, 1, true, CORE_NEVER);
        forget(r);
        lost(r, 0, 9);
        expect(r, "items 2.2 2=10\nover 51\nrecord 1.1 #1 outside\n");
        end(r);
}

/* -- join -- */

static void test_join_waits_for_what_is_queued_and_leased(void **state)
{
        struct recorder *r = begin_shared();
        join(r, 1, 1, CORE_NEVER);
        expect(r, "nil 1.1\n");
        put(r, 1, 2, 10, 1, 0, CORE_NEVER);
        join(r, 1, 3, CORE_NEVER);
        join(r, 2, 1, CORE_NEVER);
        get(r, 1, 4, 1, true, CORE_NEVER);
        expect(r, "count 1.2 1\nitems 1.4 2=10\n");
        done(r, 1, 2);
        expect(r, "nil 1.3\nnil 2.1\n");
        end(r);
}

static void test_join_goes_on_when_the_last_is_taken_for_good(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 1, 0, CORE_NEVER);
        join(r, 2, 1, CORE_NEVER);
        get(r, 1, 2, 1, false, CORE_NEVER);
        expect(r, "count 1.1 1\nitems 1.2 10\nnil 2.1\n");
        end(r);
}

static void test_join_waits_on_when_a_consumer_died(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 1, 0, CORE_NEVER);
        get(r, 2, 1, 1, true, CORE_NEVER);
        join(r, 1, 2, 10 * MS);
        forget(r);
        leave(r, 2);
        turn(r, 10 * MS - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "refusal 1.2 " NOT_READY "\n");
        assert_int_equal(join(r, 1, 3, 0), CORE_NOT_READY);
        end(r);
}

/* -- maxsize -- */

static void test_put_that_finds_no_room_waits_in_turn(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 2, 2, CORE_NEVER);
        put(r, 1, 2, 20, 2, 2, CORE_NEVER);
        put(r, 2, 1, 30, 1, 0, CORE_NEVER);
        expect(r, "count 1.1 2\n");
        get(r, 1, 3, 1, false, CORE_NEVER);
        expect(r, "items 1.3 10\n"); /* 20 is in */
        get(r, 1, 4, 1, false, CORE_NEVER);
        expect(r, "items 1.4 11\ncount 1.2 2\n");
        get(r, 1, 5, 9, false, CORE_NEVER);
        expect(r, "items 1.5 20 21\ncount 2.1 1\n");
        end(r);
}

static void test_put_larger_than_the_queue_goes_through_it(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 9, 0, 0, 2, CORE_NEVER);
        for (uint32_t i = 1; i <= 3; i++)
                get(r, 1, i, 2, false, CORE_NEVER);
        put(r, 2, 1, 10, 5, 2, CORE_NEVER);
        expect(r, "count 1.9 0\nitems 1.1 10 11\nitems 1.2 12 13\ncount 2.1 5\nitems 1.3 14\n");
        end(r);
}

static void test_put_says_how_far_it_came_in_its_time(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 3, 2, 10 * MS);
        put(r, 1, 2, 20, 1, 2, 10 * MS);
        turn(r, 10 * MS - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "count 1.1 2\nrefusal 1.2 " NOT_READY "\n");
        assert_int_equal(put(r, 1, 3, 30, 1, 2, 0), CORE_NOT_READY);
        get(r, 1, 4, 1, false, CORE_NEVER);
        put(r, 1, 5, 40, 3, 2, 0);
        expect(r, "items 1.4 10\ncount 1.5 1\n");
        end(r);
}

static void test_put_of_who_is_gone_stays_as_far_as_it_came(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 2, 1, 10, 3, 2, CORE_NEVER);
        put(r, 1, 1, 20, 1, 2, CORE_NEVER);
        leave(r, 2);
        assert_int_equal(r->n_payloads, 3);
        get(r, 1, 2, 2, false, CORE_NEVER);
        expect(r, "items 1.2 10 11\ncount 1.1 1\n");
        end(r);
}

static void test_put_that_is_given_up_says_how_far_it_came(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 3, 2, CORE_NEVER);
        put(r, 1, 2, 20, 1, 2, CORE_NEVER);
        give_up(r, 1, 2);
        give_up(r, 1, 1);
        expect(r, "refusal 1.2 " CANCELLED "\ncount 1.1 2\n");
        end(r);
}

/* What comes back is not put once more: the queue is larger for a while. */
static void test_returned_leases_need_no_room(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 2, 2, CORE_NEVER);
        get(r, 2, 1, 2, true, CORE_NEVER);
        put(r, 1, 2, 20, 2, 2, CORE_NEVER);
        put(r, 1, 3, 30, 1, 2, CORE_NEVER);
        leave(r, 2);
        assert_int_equal(look(r, "queue").size, 4);
        forget(r);
        get(r, 1, 4, 2, false, CORE_NEVER);
        expect(r, "items 1.4 10 11\n");
        get(r, 1, 5, 1, false, CORE_NEVER);
        expect(r, "items 1.5 20\ncount 1.3 1\n");
        end(r);
}

static void test_queue_goes_with_its_items_leases_and_waits(void **state)
{
        struct recorder *r = begin_shared();
        put(r, 1, 1, 10, 2, 2, CORE_NEVER);
        get(r, 2, 1, 1, true, CORE_NEVER);
        put(r, 1, 2, 20, 3, 2, CORE_NEVER);
        join(r, 2, 2, CORE_NEVER);
        forget(r);
        assert_int_equal(unlink_object(r, 1, "queue"), 0);
        expect(r, "refusal 1.2 " UNKNOWN_OBJECT "\nrefusal 2.2 " UNKNOWN_OBJECT "\n");
        assert_int_equal(r->n_payloads, 0);
        end(r);
}

/* -- pipes -- */

static void test_pipe_is_for_two(void **state)
{
        struct core_open open = a(OBJECT_PIPE);
        struct recorder *r = begin_shared();
        struct core_account account;
        payload_t other;
        assert_int_equal(core_pipe_take(r->core, 1, "p", &other), CORE_UNKNOWN_OBJECT);
        assert_int_equal(core_pipe_leave(r->core, 1, "p", &open, value(r, 10).payload, r->now), 0);
        core_check(r->core);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.descriptors, 1);
        assert_int_equal(core_pipe_take(r->core, 2, "p", &other), 0);
        core_check(r->core);
        assert_int_equal(other, 10);
        r->n_payloads--; /* the taker's */
        assert_int_equal(core_pipe_take(r->core, 1, "p", &other), CORE_UNKNOWN_OBJECT);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.descriptors, 0);
        end(r);
}

static void test_pipe_that_nobody_takes_is_unlinked(void **state)
{
        struct core_open open = a(OBJECT_PIPE);
        struct recorder *r = begin_shared();
        core_pipe_leave(r->core, 1, "p", &open, value(r, 10).payload, r->now);
        assert_int_equal(unlink_object(r, 2, "p"), 0);
        assert_int_equal(r->n_payloads, 0);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_items_go_first_in_first_out),
                cmocka_unit_test(test_who_waits_gets_in_turn),
                cmocka_unit_test(test_get_that_gets_nothing_in_time),
                cmocka_unit_test(test_answer_is_no_larger_than_a_message_may_be),
                cmocka_unit_test(test_leased_item_is_gone_when_it_is_done),
                cmocka_unit_test(test_lease_of_another_queue_is_not_done),
                cmocka_unit_test(test_leases_of_a_dead_owner_are_at_the_front_in_order),
                cmocka_unit_test(test_all_leases_are_back_before_the_next_one_gets_some),
                cmocka_unit_test(test_leases_of_a_task_are_back_when_it_is_lost),
                cmocka_unit_test(test_join_waits_for_what_is_queued_and_leased),
                cmocka_unit_test(test_join_goes_on_when_the_last_is_taken_for_good),
                cmocka_unit_test(test_join_waits_on_when_a_consumer_died),
                cmocka_unit_test(test_put_that_finds_no_room_waits_in_turn),
                cmocka_unit_test(test_put_larger_than_the_queue_goes_through_it),
                cmocka_unit_test(test_put_says_how_far_it_came_in_its_time),
                cmocka_unit_test(test_put_of_who_is_gone_stays_as_far_as_it_came),
                cmocka_unit_test(test_put_that_is_given_up_says_how_far_it_came),
                cmocka_unit_test(test_returned_leases_need_no_room),
                cmocka_unit_test(test_queue_goes_with_its_items_leases_and_waits),
                cmocka_unit_test(test_pipe_is_for_two),
                cmocka_unit_test(test_pipe_that_nobody_takes_is_unlinked),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
