/* SPDX-License-Identifier: MIT */
/* Maps that are fed more than there is room for: who waits, in which turn he is let in, what is given up. */
#include "tests/unit/core/recorder.h"

static const struct core_map_spec fed = {.chunk = 1, .feed = true};

/* One worker, so much room. The worker is at a task of Alice's from connection 3, which has no id above 1. */
static struct recorder *begin_limited(uint32_t queue_limit, uint64_t user_tasks)
{
        struct core_config config = ordinary;
        struct core_pool_config pool = ordinary_pool;
        struct recorder *r;
        config.user_tasks = user_tasks;
        pool.queue_limit = queue_limit;
        r = begin_with(&config, &pool);
        client(r, 1, ALICE);
        client(r, 2, BOB);
        client(r, 3, ALICE);
        turn(r, 0);
        hello(r, 0);
        call(r, 3, 1);
        turn(r, 0);
        forget(r);
        return r;
}

static void feed(struct recorder *r, uint32_t connection, uint64_t n, bool last)
{
        struct core_request request = {connection, 5};
        r->n_payloads += n > 0;
        assert_int_equal(core_feed(r->core, request, n ? 6 : PAYLOAD_NONE, 10 * n, n, 0, last, r->now), 0);
        core_check(r->core);
}

static uint64_t n_ready(const struct recorder *r)
{
        struct core_pool_status status;
        core_pool_status(r->core, 0, &status);
        return status.ready;
}

static uint64_t n_tasks(const struct recorder *r, uid_t uid)
{
        struct core_account account;
        core_account(r->core, uid, &account);
        return account.tasks;
}

/* The worker runs the next item of a map, and is given another. */
static void run_item(struct recorder *r, uint64_t task, uint64_t index)
{
        item(r, 0, task, index);
        answer(r, 0, 0, task);
        turn(r, 0);
}

static void test_queue_is_never_fuller_than_it_may_be(void **state)
{
        struct recorder *r = begin_limited(4, 1000);
        struct core_record record;
        map(r, 1, 5, (struct core_map_spec){.n_items = 3, .chunk = 1, .feed = true});
        assert_int_equal(n_ready(r), 3);
        feed(r, 1, 3, false);
        feed(r, 1, 4, true);
        assert_int_equal(n_ready(r), 4);
        assert_int_equal(core_task(r->core, 1, 2, &record), 0);
        assert_int_equal(record.n_items, 10);
        assert_int_equal(record.n_items_running, 0);
        answer(r, 0, 0, 1);
        turn(r, 0);
        forget(r);
        for (uint64_t i = 0; i < 10; i++) {
                assert_int_equal(n_ready(r), 10 - i < 4 ? 9 - i : 3); /* and one is sent */
                item(r, 0, 2, i);
                answer(r, 0, 0, 2);
                if (i < 9)
                        turn(r, 0);
        }
        assert_int_equal(core_task(r->core, 1, 2, &record), 0);
        assert_int_equal(record.n_items_succeeded, 10);
        assert_int_equal(n_tasks(r, ALICE), 0);
        end(r);
}

static void test_user_has_his_share_and_others_have_theirs(void **state)
{
        struct recorder *r = begin_limited(1000, 3);
        map(r, 1, 5, (struct core_map_spec){.n_items = 5, .chunk = 1, .feed = true});
        assert_int_equal(n_tasks(r, ALICE), 3); /* one of them is the call */
        map(r, 2, 5, (struct core_map_spec){.n_items = 2, .chunk = 1, .feed = true});
        assert_int_equal(n_tasks(r, BOB), 2);
        answer(r, 0, 0, 1);
        turn(r, 0);
        assert_int_equal(n_tasks(r, ALICE), 3);
        assert_int_equal(n_ready(r), 4); /* and one is sent */
        end(r);
}

static void test_begins_also_if_there_is_no_room(void **state)
{
        struct recorder *r = begin_limited(1000, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 5, .chunk = 1, .feed = true});
        assert_int_equal(n_tasks(r, ALICE), 1);
        assert_int_equal(n_ready(r), 0);
        answer(r, 0, 0, 1);
        turn(r, 0);
        assert_int_equal(n_tasks(r, ALICE), 1);
        run_item(r, 2, 0);
        run_item(r, 2, 1);
        end(r);
}

/* All fed maps together leave room to others, and one that has nothing in takes a part of that. */
static void test_there_is_room_beside_them(void **state)
{
        struct recorder *r = begin_limited(100, 1000);
        map(r, 1, 5, fed);
        map(r, 2, 5, fed);
        feed(r, 1, 500, false);
        assert_int_equal(n_ready(r), 75 + 1); /* and one that the worker could run */
        feed(r, 2, 500, false);
        assert_int_equal(n_ready(r), 75 + 1 + 12);
        turn(r, 0);
        feed(r, 2, 500, false);
        assert_int_equal(n_ready(r), 75 + 1 + 12);
        submit(r, 2);
        assert_int_equal(n_ready(r), 75 + 1 + 12 + 1);
        end(r);
}

/* It confirms nothing: nothing of it begins. */
static void test_none_waits_for_one_that_does_not_go_on(void **state)
{
        struct recorder *r = begin_limited(1000, 100);
        map(r, 1, 5, (struct core_map_spec){.chunk = 1, .feed = true, .window = 1});
        feed(r, 1, 1000, false);
        assert_int_equal(n_tasks(r, ALICE), 76);
        map(r, 1, 6, (struct core_map_spec){.n_items = 30, .chunk = 1, .feed = true});
        answer(r, 0, 0, 1);
        turn(r, 0);
        item(r, 0, 2, 0);
        answer(r, 0, 0, 2);
        turn(r, 0);
        for (uint64_t i = 0; i < 30; i++)
                run_item(r, 3, i);
        assert_int_equal(n_tasks(r, ALICE), 74);
        end(r);
}

static void test_without_feed_there_must_be_room_for_all(void **state)
{
        struct recorder *r = begin_limited(4, 1000);
        struct core_spec s = spec(r);
        struct core_map_spec m = {.n_items = 5, .chunk = 1};
        assert_int_equal(core_map(r->core, (struct core_request){1, 5}, &s, &m, r->now), CORE_QUEUE_FULL);
        assert_int_equal(core_refused_quota(r->core).limit, 4);
        end(r);
}

/* The queue is full of what does not wait. */
static void fill_queue(struct recorder *r)
{
        while (n_ready(r) < 2)
                submit(r, 3); /* 2 and 3 */
}

/* Whoever stands in line is let in before one that comes, and before one that has some in. */
static void test_who_stands_in_line_is_first(void **state)
{
        struct recorder *r = begin_limited(2, 1000);
        fill_queue(r);
        map(r, 2, 5, (struct core_map_spec){.n_items = 5, .chunk = 1, .feed = true}); /* 4 */
        assert_int_equal(n_tasks(r, BOB), 0);
        cancel(r, 1, 3);
        map(r, 1, 5, (struct core_map_spec){.n_items = 5, .chunk = 1, .feed = true}); /* 5 */
        assert_int_equal(n_tasks(r, ALICE), 2);
        turn(r, 0);
        assert_int_equal(n_tasks(r, BOB), 1);
        assert_int_equal(n_tasks(r, ALICE), 2);
        cancel(r, 1, 2);
        turn(r, 0);
        assert_int_equal(n_tasks(r, ALICE), 2); /* the call, and one of the map */
        assert_int_equal(n_tasks(r, BOB), 1);
        end(r);
}

/* The pool's queue is full, then the user's share is, and the other way round. */
static void test_line_is_changed(void **state)
{
        struct recorder *r = begin_limited(2, 1000);
        struct core_pool_config pool = ordinary_pool;
        struct core_config config = ordinary;
        fill_queue(r);
        map(r, 1, 5, (struct core_map_spec){.n_items = 6, .chunk = 1, .feed = true}); /* 4 */
        assert_int_equal(n_tasks(r, ALICE), 3);
        for (int i = 0; i < 2; i++) {
                pool.queue_limit = i == 0 ? 1000 : 2;
                core_pool_configure(r->core, 0, &pool);
                config.user_tasks = i == 0 ? 3 : 1000;
                core_configure(r->core, &config);
                turn(r, 0);
                core_check(r->core);
                assert_int_equal(n_tasks(r, ALICE), 3);
        }
        for (uint64_t task = 1; task <= 3; task++) {
                answer(r, 0, 0, task);
                turn(r, 0);
                assert_in_range(n_ready(r), 0, 2);
        }
        for (uint64_t i = 0; i < 6; i++)
                run_item(r, 4, i);
        assert_int_equal(n_tasks(r, ALICE), 0);
        end(r);
}

static void test_what_waits_is_given_up_with_its_map(void **state)
{
        struct recorder *r = begin_limited(2, 1000);
        map(r, 1, 5, fed);
        feed(r, 1, 6, false);
        map(r, 2, 5, fed);
        feed(r, 2, 2, false);
        cancel(r, 1, 2);
        feed(r, 2, 2, true);
        assert_int_equal(n_tasks(r, ALICE), 1);
        turn(r, 0);
        assert_int_equal(n_tasks(r, BOB), 2);
        end(r);
}

/* Not by a number of tasks: by the memory that they are. */
static void test_what_waits_is_bounded(void **state)
{
        struct core_account account;
        struct recorder *r = begin_limited(1, 1000);
        map(r, 1, 5, fed);
        core_account(r->core, ALICE, &account);
        uint64_t before = account.bytes;
        feed(r, 1, 1, false);
        feed(r, 1, 1, false);
        core_account(r->core, ALICE, &account);
        assert_in_range(account.bytes - before, 2 * 64, 2 * 256);
        end(r);
}

static void test_map_of_a_task_does_not_wait(void **state)
{
        enum { TASK = 10 };
        struct recorder *r = begin_limited(2, 1000);
        struct core_request request = {TASK, 5};
        r->claimed = true;
        open_task(r, TASK, 0);
        map(r, TASK, 5, (struct core_map_spec){.n_items = 2, .chunk = 1, .feed = true});
        assert_int_equal(n_ready(r), 2);
        assert_int_equal(core_feed(r->core, request, 6, 10, 1, 0, false, r->now), CORE_QUEUE_FULL);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_queue_is_never_fuller_than_it_may_be),
                cmocka_unit_test(test_user_has_his_share_and_others_have_theirs),
                cmocka_unit_test(test_begins_also_if_there_is_no_room),
                cmocka_unit_test(test_there_is_room_beside_them),
                cmocka_unit_test(test_without_feed_there_must_be_room_for_all),
                cmocka_unit_test(test_none_waits_for_one_that_does_not_go_on),
                cmocka_unit_test(test_who_stands_in_line_is_first),
                cmocka_unit_test(test_line_is_changed),
                cmocka_unit_test(test_what_waits_is_given_up_with_its_map),
                cmocka_unit_test(test_what_waits_is_bounded),
                cmocka_unit_test(test_map_of_a_task_does_not_wait),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
