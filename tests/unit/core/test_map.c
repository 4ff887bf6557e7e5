/* SPDX-License-Identifier: MIT */
/* Maps: chunks, order, windows and limits, feeds, failures, workers that die in the middle. */
#include "tests/unit/core/recorder.h"

static void test_items_are_told_then_summed_up(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 2, .chunk = 2});
        turn(r, 0);
        expect(r, "send 0:0 #1 [0+2]\n");
        item(r, 0, 1, 0);
        item_failed(r, 0, 1, 1);
        expect(r, "item 1.5 0\nitem 1.5 1 function\n");
        assert_int_equal(r->n_payloads, 0); /* its arguments, when the last item has ended */
        answer(r, 0, 0, 1);
        expect(r, "map 1.5 2: 1 good 1 bad\n");
        end(r);
}

static void test_sum_is_remembered(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_record record;
        map(r, 1, 5, (struct core_map_spec){.n_items = 2, .chunk = 2});
        turn(r, 0);
        assert_int_equal(core_task(r->core, 1, 1, &record), 0);
        assert_int_equal(record.ended, 0);
        item(r, 0, 1, 0);
        item_failed(r, 0, 1, 1);
        r->now += MS;
        answer(r, 0, 0, 1);
        assert_int_equal(core_task(r->core, 1, 1, &record), 0);
        assert_true(record.is_map && record.ended > 0);
        assert_int_equal(record.n_items, 2);
        assert_int_equal(record.n_items_succeeded, 1);
        assert_int_equal(record.n_items_failed, 1);
        assert_int_equal(record.result_size_bytes, 0);
        assert_int_equal(record.error, PAYLOAD_NONE);
        end(r);
}

static void test_empty_map_is_answered_at_once(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 0});
        expect(r, "map 1.5 0: 0 good 0 bad\n");
        end(r);
}

static void test_automatic_chunks_follow_the_mean(void **state)
{
        struct recorder *r = begin(2, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 1000});
        turn(r, 0);
        expect(r, "send 1:0 #1 [0+1]\nsend 0:0 #1 [1+1]\n"); /* not measured yet: one */
        r->now += 100 * US;
        item(r, 1, 1, 0);
        answer(r, 1, 0, 1);
        forget(r);
        turn(r, 0);
        expect(r, "send 1:0 #1 [2+20]\n"); /* 2 ms of 100 us */
        end(r);
}

static void test_chunk_is_never_more_than_a_share_of_the_rest(void **state)
{
        struct recorder *r = begin(2, 1);
        measure(r, 1, 1 * US);
        map(r, 1, 5, (struct core_map_spec){.n_items = 100});
        turn(r, 0);
        expect(r, "send 1:0 #2 [0+25]\nsend 0:0 #2 [25+18]\n");
        end(r);
}

static void test_map_gives_way_after_each_chunk(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 3, .chunk = 1});
        submit(r, 1);
        turn(r, 0);
        item(r, 0, 1, 0);
        answer(r, 0, 0, 1);
        forget(r);
        turn(r, 0);
        expect(r, "send 0:0 #2\n");
        answer(r, 0, 0, 2);
        turn(r, 0);
        expect(r, "send 0:0 #1 [1+1]\n");
        end(r);
}

static void test_ordered_holds_what_comes_early(void **state)
{
        struct recorder *r = begin(2, 1);
        struct core_account account;
        map(r, 1, 5, (struct core_map_spec){.n_items = 2, .chunk = 1, .ordered = true});
        turn(r, 0);
        expect(r, "send 1:0 #1 [0+1]\nsend 0:0 #1 [1+1]\n");
        item(r, 0, 1, 1);
        answer(r, 0, 0, 1);
        expect(r, "");
        core_account(r->core, ALICE, &account);
        assert_true(account.bytes > 150);
        item(r, 1, 1, 0);
        answer(r, 1, 0, 1);
        expect(r, "item 1.5 0\nitem 1.5 1\nmap 1.5 2: 2 good 0 bad\n");
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 0);
        end(r);
}

static void test_ordered_begins_only_so_far_ahead(void **state)
{
        struct core_config config = ordinary;
        struct core_pool_config pool = ordinary_pool;
        config.user_tasks = pool.queue_limit = 2000;
        pool.workers = pool.min_workers = pool.max_workers = 2;
        struct recorder *r = begin_with(&config, &pool);
        client(r, 1, ALICE);
        turn(r, 0);
        hello(r, 0);
        hello(r, 1);
        forget(r);
        map(r, 1, 5,
            (struct core_map_spec){.n_items = 2000, .chunk = LIMIT_ORDERED_AHEAD - 1, .ordered = true});
        turn(r, 0);
        expect(r, "send 1:0 #1 [0+1023]\nsend 0:0 #1 [1023+1]\n");
        end(r);
}

static void test_fail_fast_cancels_the_rest(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_pool_status status;
        map(r, 1, 5, (struct core_map_spec){.n_items = 5, .chunk = 1, .fail_fast = true});
        turn(r, 0);
        forget(r);
        item_failed(r, 0, 1, 0);
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "item 1.5 0 function\nmap 1.5 5: 0 good 1 bad\n");
        core_pool_status(r->core, 0, &status);
        assert_int_equal(status.totals.submitted, 5);
        assert_int_equal(status.totals.failed, 1);
        assert_int_equal(status.totals.cancelled, 4);
        end(r);
}

static void test_ordered_fail_fast_tells_the_first_failure_in_order(void **state)
{
        struct recorder *r = begin(2, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 9, .chunk = 1, .ordered = true, .fail_fast = true});
        turn(r, 0);
        item_failed(r, 0, 1, 1);
        answer(r, 0, 0, 1);
        forget(r);
        turn(r, 0);
        expect(r, ""); /* nothing beyond the failure begins */
        item(r, 1, 1, 0);
        answer(r, 1, 0, 1);
        expect(r, "item 1.5 0\nitem 1.5 1 function\nmap 1.5 9: 1 good 1 bad\n");
        end(r);
}

static void test_window_waits_for_more(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_request q = {1, 5};
        map(r, 1, 5, (struct core_map_spec){.n_items = 5, .chunk = 5, .window = 2});
        turn(r, 0);
        expect(r, "send 0:0 #1 [0+2]\n");
        assert_int_equal(core_more(r->core, q, 1, r->now), CORE_MISUSE); /* nothing was told yet */
        item(r, 0, 1, 0);
        item(r, 0, 1, 1);
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "item 1.5 0\nitem 1.5 1\n");
        assert_int_equal(core_more(r->core, q, 1, r->now), 0);
        turn(r, 0);
        expect(r, "send 0:0 #1 [2+1]\n");
        end(r);
}

static void test_limit_bounds_what_runs_at_once(void **state)
{
        struct recorder *r = begin(3, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 9, .chunk = 1, .limit = 2});
        turn(r, 0);
        expect(r, "send 2:0 #1 [0+1]\nsend 1:0 #1 [1+1]\n");
        end(r);
}

static void test_feed_until_last(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_request q = {1, 5};
        map(r, 1, 5, (struct core_map_spec){.n_items = 1, .chunk = 5, .feed = true});
        turn(r, 0);
        item(r, 0, 1, 0);
        answer(r, 0, 0, 1);
        forget(r);
        r->n_payloads++;
        assert_int_equal(core_feed(r->core, q, 6, 100, 2, 0, false, r->now), 0);
        turn(r, 0);
        expect(r, "send 0:0 #1 [1+2]\n");
        item(r, 0, 1, 1);
        item(r, 0, 1, 2);
        answer(r, 0, 0, 1);
        forget(r);
        assert_int_equal(core_feed(r->core, q, PAYLOAD_NONE, 0, 0, 0, true, r->now), 0);
        expect(r, "map 1.5 3: 3 good 0 bad\n");
        assert_int_equal(core_feed(r->core, q, PAYLOAD_NONE, 0, 0, 0, true, r->now), CORE_NOT_OPEN);
        end(r);
}

static void test_feed_without_leave_is_misuse(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 1});
        assert_int_equal(core_feed(r->core, (struct core_request){1, 5}, 6, 100, 2, 0, false, r->now),
                         CORE_MISUSE);
        end(r);
}

static void test_collect_ends_when_too_large(void **state)
{
        struct core_config config = ordinary;
        config.max_answer_bytes = 150;
        struct recorder *r = begin_with(&config, &ordinary_pool);
        client(r, 1, ALICE);
        turn(r, 0);
        hello(r, 0);
        map(r, 1, 5, (struct core_map_spec){.n_items = 3, .chunk = 3, .collect = true});
        turn(r, 0);
        forget(r);
        item(r, 0, 1, 0);
        item(r, 0, 1, 1);
        expect(r, "item 1.5 0\ncollect 0\nitem 1.5 1\ncollect 1\ntell 0 #1\n");
        answer_failed(r, 0, 0, 1);
        expect(r, "refusal 1.5 12\ncollect_drop\n");
        end(r);
}

static void test_worker_dies_in_the_middle_of_a_chunk(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 5, .chunk = 5});
        turn(r, 0);
        item(r, 0, 1, 0);
        forget(r);
        r->slot_index = 1;
        lost(r, 0, 9);
        expect(r, "item 1.5 1 outside\n");
        turn(r, 0);
        hello(r, 0);
        forget(r);
        turn(r, 0);
        expect(r, "send 0:0 #1 [2+3]\n");
        end(r);
}

static void test_worker_dies_between_two_items(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 3, .chunk = 3});
        turn(r, 0);
        item(r, 0, 1, 0);
        forget(r);
        r->slot_index = 0; /* the cursor still says the item that is answered */
        lost(r, 0, 11);
        expect(r, "");
        turn(r, 0);
        hello(r, 0);
        forget(r);
        turn(r, 0);
        expect(r, "send 0:0 #1 [1+2]\n");
        end(r);
}

static void test_timeout_costs_one_item(void **state)
{
        struct core_pool_config pool = ordinary_pool;
        pool.timeout = CORE_SECOND;
        struct recorder *r = begin_with(&ordinary, &pool);
        client(r, 1, ALICE);
        turn(r, 0);
        hello(r, 0);
        map(r, 1, 5, (struct core_map_spec){.n_items = 3, .chunk = 3});
        turn(r, 0);
        item(r, 0, 1, 0);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "tell 0 #1\nspawn 1\n");
        answer_failed(r, 0, 0, 1);
        expect(r, "item 1.5 1 timeout\n");
        turn(r, 0);
        expect(r, "send 0:0 #1 [2+1]\n");
        end(r);
}

static void test_cancelled_map_waits_for_its_chunks(void **state)
{
        struct recorder *r = begin(2, 1);
        struct core_pool_status status;
        map(r, 1, 5, (struct core_map_spec){.n_items = 10, .chunk = 2});
        turn(r, 0);
        forget(r);
        assert_int_equal(core_cancel_request(r->core, (struct core_request){1, 5}, r->now), 0);
        core_check(r->core);
        expect(r, "take_back 1:0 #1 lost\ntell 1 #1\ntake_back 0:0 #1 lost\ntell 0 #1\n");
        item(r, 1, 1, 0); /* too late */
        answer_failed(r, 1, 0, 1);
        expect(r, "");
        lost(r, 0, 9);
        expect(r, "record 1.5 #1 client\n");
        core_pool_status(r->core, 0, &status);
        assert_int_equal(status.totals.cancelled, 10);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_items_are_told_then_summed_up),
                cmocka_unit_test(test_sum_is_remembered),
                cmocka_unit_test(test_empty_map_is_answered_at_once),
                cmocka_unit_test(test_automatic_chunks_follow_the_mean),
                cmocka_unit_test(test_chunk_is_never_more_than_a_share_of_the_rest),
                cmocka_unit_test(test_map_gives_way_after_each_chunk),
                cmocka_unit_test(test_ordered_holds_what_comes_early),
                cmocka_unit_test(test_ordered_begins_only_so_far_ahead),
                cmocka_unit_test(test_fail_fast_cancels_the_rest),
                cmocka_unit_test(test_ordered_fail_fast_tells_the_first_failure_in_order),
                cmocka_unit_test(test_window_waits_for_more),
                cmocka_unit_test(test_limit_bounds_what_runs_at_once),
                cmocka_unit_test(test_feed_until_last),
                cmocka_unit_test(test_feed_without_leave_is_misuse),
                cmocka_unit_test(test_collect_ends_when_too_large),
                cmocka_unit_test(test_worker_dies_in_the_middle_of_a_chunk),
                cmocka_unit_test(test_worker_dies_between_two_items),
                cmocka_unit_test(test_timeout_costs_one_item),
                cmocka_unit_test(test_cancelled_map_waits_for_its_chunks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
