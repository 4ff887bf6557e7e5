/* SPDX-License-Identifier: MIT */
/* Who is next: users, priorities, connections, closed ones, admins, and what comes back. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/core/recorder.h"

/* Runs what is queued one after another and compares the order of ids. */
static void expect_order(struct recorder *r, const char *ids)
{
        char order[256] = "";
        for (int i = 0; i < 50; i++) {
                forget(r);
                turn(r, 0);
                if (!r->n)
                        break;
                size_t n = strlen(order);
                snprintf(order + n, sizeof(order) - n, "%s%u", n ? " " : "", (unsigned)r->sent.task);
                answer(r, r->sent_to, r->sent.slot, r->sent.task);
        }
        assert_string_equal(order, ids);
}

static uint64_t submit_at(struct recorder *r, uint32_t connection, int priority)
{
        struct core_spec s = spec(r);
        s.priority = priority;
        return submit_with(r, connection, s);
}

static void test_users_take_turns(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, BOB);
        for (int i = 0; i < 3; i++)
                submit(r, 1);
        for (int i = 0; i < 2; i++)
                submit(r, 2);
        expect_order(r, "1 4 2 5 3");
        end(r);
}

static void test_priority_orders_within_a_user_only(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, BOB);
        submit_at(r, 1, 0);
        submit_at(r, 1, 50);
        submit_at(r, 1, -50);
        submit_at(r, 2, 0);
        submit_at(r, 2, 0);
        expect_order(r, "2 4 1 5 3");
        end(r);
}

static void test_connections_of_a_user_take_turns(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, ALICE);
        for (int i = 0; i < 3; i++)
                submit(r, 1);
        submit(r, 2);
        expect_order(r, "1 4 2 3");
        end(r);
}

static void test_closed_connections_are_one_source(void **state)
{
        struct recorder *r = begin(1, 1);
        for (uint32_t c = 2; c <= 4; c++) {
                client(r, c, ALICE);
                submit(r, c);
                submit(r, c);
                core_connection_close(r->core, c, r->now);
        }
        submit(r, 1);
        submit(r, 1);
        expect_order(r, "1 7 2 8 3 4 5 6");
        end(r);
}

static void test_admins_priority_counts_across_users(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, 0);
        submit_at(r, 1, 100);
        submit_at(r, 2, -1);
        submit_at(r, 2, 1);
        expect_order(r, "3 1 2");
        end(r);
}

static void test_taken_back_keeps_its_place(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, BOB);
        submit(r, 1);
        submit(r, 1);
        submit(r, 2);
        turn(r, 0);
        r->claimed = false;
        lost(r, 0, 9); /* it had not begun: it is the first again, with its attempt */
        r->claimed = true;
        forget(r);
        turn(r, 0);
        expect(r, "spawn 0\n");
        hello(r, 0);
        expect_order(r, "1 3 2");
        end(r);
}

static void test_sent_task_comes_back_to_a_closed_lane(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, ALICE);
        submit(r, 2);
        turn(r, 0);
        submit(r, 2);
        submit(r, 1);
        core_connection_close(r->core, 1, r->now); /* the lane of closed ones exists already */
        core_connection_close(r->core, 2, r->now);
        r->claimed = false;
        lost(r, 0, 9);
        r->claimed = true;
        turn(r, 0);
        hello(r, 0);
        expect_order(r, "1 3 2");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_users_take_turns),
                cmocka_unit_test(test_priority_orders_within_a_user_only),
                cmocka_unit_test(test_connections_of_a_user_take_turns),
                cmocka_unit_test(test_closed_connections_are_one_source),
                cmocka_unit_test(test_admins_priority_counts_across_users),
                cmocka_unit_test(test_taken_back_keeps_its_place),
                cmocka_unit_test(test_sent_task_comes_back_to_a_closed_lane),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
