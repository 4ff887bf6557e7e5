/* SPDX-License-Identifier: MIT */
#include "tests/unit/core/recorder_shared.h"

static void set(struct recorder *r, uint32_t connection, bool set)
{
        struct core_open open = a(OBJECT_EVENT);
        assert_int_equal(core_event_set(r->core, connection, "e", &open, set, r->now), 0);
        core_check(r->core);
}

static int wait_event(struct recorder *r, uint32_t connection, uint32_t msgid, int64_t timeout)
{
        struct core_open open = a(OBJECT_EVENT);
        int result = core_event_wait(r->core, at(connection, msgid), "e", &open, timeout, r->now);
        core_check(r->core);
        return result;
}

static int meet_for(struct recorder *r, uint32_t connection, uint32_t msgid, uint64_t parties,
                    int64_t timeout)
{
        struct core_open open = a_with(OBJECT_BARRIER, PROPERTY_PARTIES, parties);
        int result = core_barrier_wait(r->core, at(connection, msgid), "b", &open, timeout, r->now);
        core_check(r->core);
        return result;
}

static int meet(struct recorder *r, uint32_t connection, uint32_t msgid)
{
        return meet_for(r, connection, msgid, 3, CORE_NEVER);
}

static int reset(struct recorder *r, bool broken)
{
        int result = core_barrier_reset(r->core, 1, "b", broken, r->now);
        core_check(r->core);
        return result;
}

/* -- events -- */

static void test_event_lets_all_go_when_it_is_set(void **state)
{
        struct recorder *r = begin_shared();
        wait_event(r, 1, 1, CORE_NEVER);
        wait_event(r, 2, 1, CORE_NEVER);
        expect(r, "");
        set(r, 1, true);
        expect(r, "flag 1.1 yes\nflag 2.1 yes\n");
        wait_event(r, 1, 2, CORE_NEVER);
        expect(r, "flag 1.2 yes\n");
        assert_true(look(r, "e").is_set);
        end(r);
}

static void test_event_that_was_cleared_is_waited_for(void **state)
{
        struct recorder *r = begin_shared();
        set(r, 1, true);
        set(r, 2, false);
        assert_false(look(r, "e").is_set);
        wait_event(r, 1, 1, 0);
        expect(r, "flag 1.1 no\n");
        wait_event(r, 1, 2, CORE_NEVER);
        assert_int_equal(look(r, "e").n_waiting, 1);
        end(r);
}

static void test_event_that_is_not_set_in_time(void **state)
{
        struct recorder *r = begin_shared();
        wait_event(r, 1, 1, 10 * MS);
        turn(r, 0);
        assert_int_equal(r->next_turn, r->now + 10 * MS);
        turn(r, 10 * MS - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "flag 1.1 no\n");
        end(r);
}

/* -- barriers -- */

static void test_barrier_lets_so_many_go_in_the_order_of_arrival(void **state)
{
        struct recorder *r = begin_shared();
        for (uint32_t round = 0; round < 2; round++) {
                meet(r, 1, 1);
                meet(r, 2, 1);
                expect(r, "");
                meet(r, 1, 2);
                expect(r, "count 1.1 0\ncount 2.1 1\ncount 1.2 2\n");
        }
        end(r);
}

static void test_barrier_of_one_holds_nobody(void **state)
{
        struct recorder *r = begin_shared();
        meet_for(r, 1, 1, 1, CORE_NEVER);
        meet_for(r, 1, 2, 1, 0);
        expect(r, "count 1.1 0\ncount 1.2 0\n");
        assert_int_equal(meet_for(r, 1, 3, 2, CORE_NEVER), CORE_CLASH);
        end(r);
}

static void test_barrier_that_loses_a_party_breaks_for_the_rest(void **state)
{
        struct recorder *r = begin_shared();
        client(r, 3, ALICE);
        meet(r, 1, 1);
        meet(r, 2, 1);
        leave(r, 2);
        expect(r, "refusal 1.1 " BROKEN "\n");
        assert_true(look(r, "b").is_broken);
        assert_int_equal(meet(r, 3, 1), CORE_BROKEN);
        reset(r, false);
        meet(r, 3, 1);
        meet(r, 1, 2);
        meet(r, 1, 3);
        expect(r, "count 3.1 0\ncount 1.2 1\ncount 1.3 2\n");
        end(r);
}

/* Two threads of one program wait, and the program goes. */
static void test_barrier_loses_two_parties_of_one_connection(void **state)
{
        struct recorder *r = begin_shared();
        client(r, 3, ALICE);
        for (uint32_t i = 1; i <= 3; i++)
                meet_for(r, 2, i, 5, CORE_NEVER);
        meet_for(r, 1, 1, 5, CORE_NEVER);
        leave(r, 2);
        expect(r, "refusal 1.1 " BROKEN "\n"); /* nobody is there to be told but this one */
        assert_int_equal(look(r, "b").n_waiting, 0);
        end(r);
}

static void test_barrier_loses_two_parties_of_a_task_under_a_verdict(void **state)
{
        struct recorder *r = begin_tasks(1);
        for (uint32_t i = 1; i <= 3; i++)
                meet_for(r, TASK_1, i, 5, CORE_NEVER);
        meet_for(r, 2, 1, 5, CORE_NEVER);
        cancel(r, 1, 1);
        expect(r, "refusal 2.1 " BROKEN "\nrefusal 51.1 " CANCELLED "\nrefusal 51.2 " CANCELLED
                  "\nrefusal 51.3 " CANCELLED "\ntell 0 #1\n");
        end(r);
}

static void test_barrier_loses_two_parties_of_a_task_that_ends(void **state)
{
        struct recorder *r = begin_tasks(1);
        for (uint32_t i = 1; i <= 3; i++)
                meet_for(r, TASK_1, i, 5, CORE_NEVER);
        meet_for(r, 2, 1, 5, CORE_NEVER);
        lost(r, 0, 9);
        expect(r, "refusal 2.1 " BROKEN "\nover 51\nrecord 1.1 #1 outside\n");
        end(r);
}

static void test_barrier_breaks_when_ones_time_is_over(void **state)
{
        struct recorder *r = begin_shared();
        meet(r, 1, 1);
        meet_for(r, 2, 1, 3, 10 * MS);
        turn(r, 10 * MS - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "refusal 1.1 " BROKEN "\nrefusal 2.1 " BROKEN "\n");
        end(r);
}

static void test_barrier_breaks_when_one_gives_up(void **state)
{
        struct recorder *r = begin_shared();
        meet(r, 1, 1);
        meet(r, 2, 1);
        give_up(r, 1, 1);
        expect(r, "refusal 2.1 " BROKEN "\nrefusal 1.1 " CANCELLED "\n");
        end(r);
}

static void test_who_will_not_wait_breaks_no_barrier(void **state)
{
        struct recorder *r = begin_shared();
        meet(r, 1, 1);
        assert_int_equal(meet_for(r, 2, 1, 3, 0), CORE_NOT_READY);
        meet(r, 2, 2);
        meet_for(r, 2, 3, 3, 0);
        expect(r, "count 1.1 0\ncount 2.2 1\ncount 2.3 2\n");
        end(r);
}

static void test_barrier_that_is_reset_breaks_for_who_waits_and_is_as_new(void **state)
{
        struct recorder *r = begin_shared();
        assert_int_equal(reset(r, false), CORE_UNKNOWN_OBJECT);
        meet(r, 1, 1);
        assert_int_equal(reset(r, false), 0);
        expect(r, "refusal 1.1 " BROKEN "\n");
        assert_false(look(r, "b").is_broken);
        meet(r, 1, 2);
        assert_int_equal(reset(r, true), 0);
        expect(r, "refusal 1.2 " BROKEN "\n");
        assert_int_equal(meet(r, 1, 3), CORE_BROKEN);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_event_lets_all_go_when_it_is_set),
                cmocka_unit_test(test_event_that_was_cleared_is_waited_for),
                cmocka_unit_test(test_event_that_is_not_set_in_time),
                cmocka_unit_test(test_barrier_lets_so_many_go_in_the_order_of_arrival),
                cmocka_unit_test(test_barrier_of_one_holds_nobody),
                cmocka_unit_test(test_barrier_that_loses_a_party_breaks_for_the_rest),
                cmocka_unit_test(test_barrier_loses_two_parties_of_one_connection),
                cmocka_unit_test(test_barrier_loses_two_parties_of_a_task_under_a_verdict),
                cmocka_unit_test(test_barrier_loses_two_parties_of_a_task_that_ends),
                cmocka_unit_test(test_barrier_breaks_when_ones_time_is_over),
                cmocka_unit_test(test_barrier_breaks_when_one_gives_up),
                cmocka_unit_test(test_who_will_not_wait_breaks_no_barrier),
                cmocka_unit_test(test_barrier_that_is_reset_breaks_for_who_waits_and_is_as_new),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
