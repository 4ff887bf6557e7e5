/* SPDX-License-Identifier: MIT */
/* Tasks that ask for something themselves: their children, and what ends with whom. */
#include "tests/unit/core/recorder.h"

#define TASK_1 51 /* the connections of tasks */
#define TASK_2 52

static struct core_request request(uint32_t connection, uint32_t msgid)
{
        return (struct core_request){connection, msgid};
}

/* One place, one lent; the client's call #1 runs at worker 0. */
static struct recorder *begin_one(uint32_t nesting_limit)
{
        struct core_pool_config pool = ordinary_pool;
        pool.nesting_limit = nesting_limit;
        struct recorder *r = begin_like(&pool);
        call(r, 1, 1);
        turn(r, 0);
        open_task(r, TASK_1, 0);
        forget(r);
        return r;
}

static void call_with(struct recorder *r, uint32_t connection, uint32_t msgid, struct core_spec s)
{
        r->n_payloads++;
        assert_int_equal(core_call(r->core, request(connection, msgid), &s, r->now), 0);
        core_check(r->core);
}

/* Its requests are over when the item is, and so are its children; the next one has its own. */
static void test_item_asks_for_itself(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 2, .chunk = 2});
        turn(r, 0);
        open_task(r, TASK_1, 0);
        call(r, TASK_1, 1);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        forget(r);
        answer(r, 1, 0, 2);
        expect(r, "result 51.1\n");
        uint64_t id = submit(r, TASK_1);
        item(r, 0, 1, 0);
        expect(r, "over 51\nitem 1.5 0\n");
        assert_int_equal(state_of(r, 1, id), TASK_CANCELLED);
        open_task(r, TASK_1, 0);
        submit(r, TASK_1);
        item(r, 0, 1, 1);
        answer(r, 0, 0, 1);
        expect(r, "over 51\nitem 1.5 1\nmap 1.5 2: 2 good 0 bad\n");
        end(r);
}

static void test_children_end_with_their_parent(void **state)
{
        struct recorder *r = begin_one(8);
        struct core_spec s = spec(r);
        uint64_t plain = submit(r, TASK_1);
        s.detached = true;
        uint64_t detached = submit_with(r, TASK_1, s);
        s.detached = false;
        s.key = "k";
        uint64_t joined = submit_with(r, TASK_1, s);
        assert_int_equal(submit_with(r, 1, s), joined);
        answer(r, 0, 0, 1);
        expect(r, "over 51\nresult 1.1\n");
        assert_int_equal(state_of(r, 1, plain), TASK_CANCELLED);
        assert_int_equal(state_of(r, 1, detached), TASK_READY);
        assert_int_equal(state_of(r, 1, joined), TASK_READY);
        end(r);
}

static void test_children_of_who_dies_are_cancelled(void **state)
{
        struct recorder *r = begin_one(8);
        call(r, TASK_1, 1);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        forget(r);
        lost(r, 0, 11);
        expect(r, "take_back 1:0 #2 lost\ntell 1 #2\nover 51\nrecord 1.1 #1 worker\n");
        answer(r, 1, 0, 2);
        expect(r, ""); /* nobody is left to be told */
        end(r);
}

static void test_verdict_ends_waits_and_children(void **state)
{
        struct recorder *r = begin_one(8);
        uint64_t id = submit(r, 1);
        call(r, TASK_1, 1);
        assert_int_equal(ask_result(r, TASK_1, 2, id), 0);
        cancel(r, 1, 1);
        expect(r, "record 51.1 #3 client\nrefusal 51.2 11\ntell 0 #1\n");
        /* It is told to end: nothing new. */
        struct core_spec s = spec(r);
        uint64_t none;
        assert_int_equal(core_submit(r->core, TASK_1, &s, r->now, &none), CORE_CANCELLED);
        assert_int_equal(ask_result(r, TASK_1, 3, id), CORE_CANCELLED);
        answer_failed(r, 0, 0, 1);
        expect(r, "over 51\nrecord 1.1 #1 client\n");
        end(r);
}

/* The child stands behind its parent in the same worker's window when that begins to wait, or ends. */
static void test_child_sent_ahead_to_its_parents_worker(void **state)
{
        struct recorder *r = begin(1, 8);
        measure(r, 1, 10 * US);
        call(r, 1, 1);
        turn(r, 0);
        open_task(r, TASK_1, 0);
        uint64_t child = submit(r, TASK_1);
        turn(r, 0);
        expect(r, "send 0:0 #2\nsend 0:1 #3\n");
        r->claimed = false;
        assert_int_equal(ask_result(r, TASK_1, 1, child), 0);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        expect(r, "take_back 0:1 #3 won\nspawn 1\nsend 1:0 #3\n");
        answer(r, 1, 0, child);
        expect(r, "result 51.1\n");
        child = submit(r, TASK_1);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, 2);
        turn(r, 0);
        assert_int_equal(state_of(r, 1, child), TASK_CANCELLED);
        end(r);
}

/* Its worker had claimed it, so the parent is done and its answer is on the way. */
static void test_child_that_began_behind_its_parent_is_told(void **state)
{
        struct recorder *r = begin(1, 8);
        measure(r, 1, 10 * US);
        call(r, 1, 1);
        turn(r, 0);
        open_task(r, TASK_1, 0);
        submit(r, TASK_1);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, 2);
        expect(r, "take_back 0:1 #3 lost\ntell 0 #3\nover 51\nresult 1.1\n");
        answer(r, 0, 1, 3);
        end(r);
}

static void test_stop_with_a_waiting_tree(void **state)
{
        struct recorder *r = begin_one(8);
        call(r, TASK_1, 1); /* 2 */
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        open_task(r, TASK_2, 1);
        call(r, TASK_2, 1); /* 3: has not begun */
        forget(r);
        core_stop(r->core, r->now);
        core_check(r->core);
        expect(r, "record 52.1 #3 shutdown\n");
        turn(r, 0);
        turn(r, 10 * CORE_SECOND);
        expect(r, "tell 1 #2\ntell 0 #1\n");
        answer(r, 1, 0, 2);
        expect(r, "over 52\nstop 1\nrecord 51.1 #2 shutdown\n");
        answer(r, 0, 0, 1);
        lost(r, 0, 0);
        lost(r, 1, 0);
        turn(r, 0);
        expect(r, "over 51\nstop 0\nrecord 1.1 #1 shutdown\nnote drained\n");
        end(r);
}

static void test_cancelled_request_of_a_task(void **state)
{
        struct recorder *r = begin_one(8);
        call(r, TASK_1, 1);
        assert_int_equal(core_cancel_request(r->core, request(TASK_1, 1), r->now), 0);
        core_check(r->core);
        expect(r, "record 51.1 #2 client\n");
        assert_int_equal(state_of(r, 1, 1), TASK_RUNNING);
        end(r);
}

static void test_child_cancels_its_parent(void **state)
{
        struct recorder *r = begin_one(8);
        call(r, TASK_1, 1);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        open_task(r, TASK_2, 1);
        forget(r);
        cancel(r, TASK_2, 1);
        expect(r, "tell 1 #2\ntell 0 #1\n");
        answer(r, 1, 0, 2);
        answer(r, 0, 0, 1);
        expect(r, "over 52\nrecord 51.1 #2 client\nover 51\nrecord 1.1 #1 client\n");
        end(r);
}

static void test_detached_call_goes_with_its_caller_at_once(void **state)
{
        struct recorder *r = begin_one(8);
        struct core_spec s = spec(r);
        s.detached = true;
        call_with(r, TASK_1, 1, s);
        cancel(r, 1, 1);
        expect(r, "record 51.1 #2 client\ntell 0 #1\n");
        end(r);
}

/* Who goes is told nothing, also not of what ends with his own task: here its child. */
static void test_client_of_a_child_goes(void **state)
{
        struct recorder *r = begin_one(8);
        uint64_t child = submit(r, TASK_1);
        assert_int_equal(ask_result(r, 1, 2, child), 0);
        core_connection_close(r->core, 1, r->now);
        core_check(r->core);
        expect(r, "tell 0 #1\n");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_item_asks_for_itself),
                cmocka_unit_test(test_children_end_with_their_parent),
                cmocka_unit_test(test_children_of_who_dies_are_cancelled),
                cmocka_unit_test(test_verdict_ends_waits_and_children),
                cmocka_unit_test(test_child_sent_ahead_to_its_parents_worker),
                cmocka_unit_test(test_child_that_began_behind_its_parent_is_told),
                cmocka_unit_test(test_stop_with_a_waiting_tree),
                cmocka_unit_test(test_cancelled_request_of_a_task),
                cmocka_unit_test(test_child_cancels_its_parent),
                cmocka_unit_test(test_detached_call_goes_with_its_caller_at_once),
                cmocka_unit_test(test_client_of_a_child_goes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
