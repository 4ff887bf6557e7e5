/* SPDX-License-Identifier: MIT */
/* Slow readers and stream credit: who is blocked holds up only what would write to him. */
#include "tests/unit/core/recorder.h"

#define STDOUT 2

static void block(struct recorder *r, uint32_t connection, bool blocked)
{
        core_connection_output(r->core, connection, blocked ? 1001 : 0);
        core_check(r->core);
        assert_int_equal(core_connection_blocked(r->core, connection), blocked);
}

static void streaming_call(struct recorder *r, uint32_t connection, uint32_t msgid)
{
        struct core_spec s = spec(r);
        s.streams = STREAMS;
        r->n_payloads++;
        assert_int_equal(core_call(r->core, (struct core_request){connection, msgid}, &s, r->now), 0);
}

static void test_calls_of_the_blocked_do_not_begin(void **state)
{
        struct recorder *r = begin(1, 1);
        block(r, 1, true);
        streaming_call(r, 1, 1);
        call(r, 1, 2);
        submit(r, 1);
        turn(r, 0);
        expect(r, "send 0:0 #3\n"); /* that one is answered to nobody yet */
        answer(r, 0, 0, 3);
        turn(r, 0);
        expect(r, "");
        block(r, 1, false);
        turn(r, 0);
        expect(r, "send 0:0 #1\n");
        assert_true(r->sent.streams);
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "result 1.1\nsend 0:0 #2\n");
        end(r);
}

static void test_map_of_the_blocked_begins_no_chunk(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 2, .chunk = 1});
        turn(r, 0);
        block(r, 1, true);
        forget(r);
        item(r, 0, 1, 0);
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "item 1.5 0\n"); /* what runs is delivered */
        block(r, 1, false);
        turn(r, 0);
        expect(r, "send 0:0 #1 [1+1]\n");
        end(r);
}

static void test_held_task_can_be_cancelled(void **state)
{
        struct recorder *r = begin(1, 1);
        block(r, 1, true);
        streaming_call(r, 1, 1);
        turn(r, 0);
        assert_int_equal(core_cancel_request(r->core, (struct core_request){1, 1}, r->now), 0);
        core_check(r->core);
        expect(r, "record 1.1 #1 client\n");
        streaming_call(r, 1, 2);
        turn(r, 0);
        core_connection_close(r->core, 1, r->now);
        core_check(r->core);
        end(r);
}

#define MEMORY 50000 /* of a user who reads little */
#define UNREAD 60000

/* Alice's connections 1 and 2; of the second one so much is unread. */
static struct recorder *begin_behind(uint64_t unread_bytes)
{
        struct core_config config = ordinary;
        config.user_memory_bytes = MEMORY;
        config.output_limit_bytes = LIMIT_FREE_BYTES + 1000;
        struct recorder *r = begin_with(&config, &ordinary_pool);
        turn(r, 0);
        for (uint32_t i = 0; i < ordinary_pool.workers; i++)
                hello(r, i);
        forget(r);
        client(r, 1, ALICE);
        client(r, 2, ALICE);
        core_connection_output(r->core, 2, unread_bytes);
        core_check(r->core);
        return r;
}

static void test_calls_of_who_is_behind_do_not_begin(void **state)
{
        struct recorder *r = begin_behind(0);
        call(r, 1, 1);
        core_connection_output(r->core, 2, UNREAD);
        turn(r, 0);
        expect(r, "note user_over\n");
        core_connection_output(r->core, 2, 0);
        turn(r, 0);
        expect(r, "send 0:0 #1\n");
        end(r);
}

static void test_who_is_behind_has_a_lower_mark(void **state)
{
        struct recorder *r = begin_behind(0);
        core_connection_output(r->core, 1, LIMIT_FREE_BYTES + 1);
        assert_false(core_connection_blocked(r->core, 1));
        core_connection_output(r->core, 2, UNREAD);
        core_connection_output(r->core, 1, LIMIT_FREE_BYTES + 2);
        assert_true(core_connection_blocked(r->core, 1));
        core_connection_output(r->core, 1, LIMIT_FREE_BYTES);
        assert_false(core_connection_blocked(r->core, 1));
        end(r);
}

static void test_large_answers_need_room(void **state)
{
        struct recorder *r = begin_behind(MEMORY - LIMIT_FREE_BYTES - 1);
        assert_int_equal(core_connection_admit_output(r->core, 1, LIMIT_FREE_BYTES + 1), 0);
        assert_int_equal(core_connection_admit_output(r->core, 1, LIMIT_FREE_BYTES + 2), CORE_QUOTA);
        core_connection_output(r->core, 2, UNREAD);
        assert_int_equal(core_connection_admit_output(r->core, 1, LIMIT_FREE_BYTES), 0);
        assert_int_equal(core_connection_admit_output(r->core, 1, LIMIT_FREE_BYTES + 1), CORE_QUOTA);
        end(r);
}

static void test_who_has_left_is_charged_until_he_is_gone(void **state)
{
        struct recorder *r = begin_behind(0);
        struct core_account account;
        call(r, 2, 1);
        core_connection_leave(r->core, 2, r->now);
        core_connection_output(r->core, 2, UNREAD - 1);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.connections, 2);
        assert_int_equal(account.bytes, UNREAD - 1);
        assert_int_equal(account.tasks, 0);
        assert_false(core_connection_blocked(r->core, 2));
        core_connection_close(r->core, 2, r->now);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.connections, 1);
        assert_int_equal(account.bytes, 0);
        forget(r);
        end(r);
}

static int stream(struct recorder *r, uint32_t bytes)
{
        int result = core_worker_stream(r->core, 0, 1, STDOUT, bytes, r->now);
        core_check(r->core);
        return result;
}

static void test_credit_comes_in_grains(void **state)
{
        struct recorder *r = begin(1, 1);
        streaming_call(r, 1, 1);
        turn(r, 0);
        forget(r);
        assert_int_equal(stream(r, 10000), 0);
        expect(r, "stream 1.1 2\n");
        assert_int_equal(stream(r, 10000), 0);
        expect(r, "stream 1.1 2\ncredit 0 #1 20000\n");
        end(r);
}

static void test_no_credit_while_blocked(void **state)
{
        struct recorder *r = begin(1, 1);
        streaming_call(r, 1, 1);
        turn(r, 0);
        forget(r);
        block(r, 1, true);
        assert_int_equal(stream(r, LIMIT_STREAM_CREDIT_BYTES), 0);
        expect(r, "stream 1.1 2\n");
        block(r, 1, false);
        expect(r, "credit 0 #1 65536\n");
        assert_int_equal(stream(r, LIMIT_STREAM_CREDIT_BYTES), 0);
        end(r);
}

static void test_credit_is_granted_when_the_blocked_one_is_gone(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        s.streams = STREAMS;
        submit_with(r, 1, s);
        client(r, 2, ALICE);
        turn(r, 0);
        assert_int_equal(core_attach(r->core, (struct core_request){2, 1}, 1, STREAMS, 0, r->now), 0);
        block(r, 2, true);
        forget(r);
        assert_int_equal(stream(r, 20000), 0);
        expect(r, "stream 2.1 2\n");
        core_connection_close(r->core, 2, r->now);
        expect(r, "credit 0 #1 20000\n");
        end(r);
}

static void test_attach_gets_tail_then_stream_then_result(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        struct core_account account;
        s.streams = STREAMS;
        uint64_t id = submit_with(r, 1, s);
        turn(r, 0);
        assert_int_equal(stream(r, 100), 0);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 110); /* arguments and tail */
        forget(r);
        assert_int_equal(core_attach(r->core, (struct core_request){1, 4}, id, STREAMS, 1000, r->now), 0);
        assert_int_equal(stream(r, 100), 0);
        answer(r, 0, 0, id);
        expect(r, "tail 1.4 #1\nstream 1.4 2\nresult 1.4\n");
        end(r);
}

/* One piece of output is copied for each of them, before anybody is known to be blocked. */
static void test_attaches_that_copy_output_are_bounded(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_account account;
        uint64_t id = submit(r, 1);
        uint32_t n = 0;
        turn(r, 0);
        while (core_attach(r->core, (struct core_request){1, n}, id, STREAMS, 0, r->now) == 0)
                n++;
        assert_int_equal(n, (ordinary.user_memory_bytes - 1) / LIMIT_STREAM_CREDIT_BYTES);
        assert_string_equal(core_refused_quota(r->core).what, "user_memory");
        assert_int_equal(core_attach(r->core, (struct core_request){1, n}, id, 0, 0, r->now), 0);
        core_check(r->core);
        core_connection_close(r->core, 1, r->now);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 100); /* the arguments */
        end(r);
}

static void test_input_is_charged_and_bounded(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_account account;
        assert_int_equal(core_connection_input(r->core, 1, 1 << 19), 0);
        assert_int_equal(core_connection_input(r->core, 1, 1 << 21), CORE_QUOTA);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 1 << 19);
        core_connection_close(r->core, 1, r->now);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 0);
        assert_int_equal(account.connections, 0);
        end(r);
}

/* -- who holds too much -- */

/* A result that is larger than all he may hold; the task was sent to slot 0. */
static void answer_hugely(struct recorder *r, uint32_t worker, uint64_t task)
{
        struct core_result result = {.size_bytes = ordinary.user_memory_bytes + 1};
        assert_int_equal(core_worker_result(r->core, worker, 0, task, 1, &result, r->now), 0);
        core_check(r->core);
}

/* Alice's #1 is kept; then nothing may begin whose result would be. */
static struct recorder *begin_over(void)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, BOB);
        submit(r, 1);
        turn(r, 0);
        submit(r, 1);  /* 2 */
        submit(r, 1);  /* 3 */
        call(r, 1, 7); /* 4 */
        submit(r, 2);  /* 5 */
        forget(r);
        answer_hugely(r, 0, 1);
        turn(r, 0);
        expect(r, "note user_over\nsend 0:0 #4\n");
        return r;
}

static void take(struct recorder *r, uint64_t task)
{
        assert_int_equal(ask_result(r, 1, 99, task), 0);
}

static void test_tasks_of_who_holds_too_much_wait(void **state)
{
        struct recorder *r = begin_over();
        struct core_spec s = spec(r);
        uint64_t id;
        assert_int_equal(core_submit(r->core, 1, &s, r->now, &id), CORE_QUOTA);
        answer(r, 0, 0, 4);
        turn(r, 0);
        answer(r, 0, 0, 5);
        turn(r, 0);
        expect(r, "result 1.7\nsend 0:0 #5\n");
        assert_int_equal(state_of(r, 1, 2), TASK_READY);
        take(r, 1);
        turn(r, 0);
        expect(r, "result 1.99\nsend 0:0 #2\n");
        answer(r, 0, 0, 2);
        turn(r, 0);
        expect(r, "send 0:0 #3\n");
        end(r);
}

static void test_what_waits_for_memory_can_be_cancelled_and_its_client_go(void **state)
{
        struct recorder *r = begin_over();
        answer(r, 0, 0, 4);
        turn(r, 0);
        cancel(r, 1, 2);
        assert_int_equal(state_of(r, 1, 2), TASK_CANCELLED);
        take(r, 1);
        core_connection_close(r->core, 1, r->now);
        core_check(r->core);
        forget(r);
        answer(r, 0, 0, 5);
        turn(r, 0);
        expect(r, "send 0:0 #3\n");
        end(r);
}

static void test_what_waits_for_memory_when_all_is_over(void **state)
{
        struct recorder *r = begin_over();
        core_stop(r->core, r->now);
        core_check(r->core);
        assert_int_equal(state_of(r, 1, 2), TASK_CANCELLED);
        r->now += 400 * CORE_SECOND;
        answer(r, 0, 0, 4);
        lost(r, 0, 0);
        turn(r, 0);
        end(begin_over()); /* and left as it is */
        end(r);
}

static void test_it_goes_on_when_the_result_is_too_old(void **state)
{
        struct recorder *r = begin_over();
        answer(r, 0, 0, 4);
        turn(r, 0);
        answer(r, 0, 0, 5);
        forget(r);
        turn(r, 300 * CORE_SECOND);
        turn(r, 0);
        expect(r, "send 0:0 #2\n");
        end(r);
}

/* Else the task would wait for its own output to go. */
static void test_what_a_task_waits_for_begins_all_the_same(void **state)
{
        struct recorder *r = begin_over();
        open_task(r, 51, 0);
        submit(r, 2);
        turn(r, 0);
        assert_int_equal(ask_result(r, 51, 1, 3), 0);
        turn(r, 0);
        hello(r, 1);
        turn(r, 0);
        expect(r, "spawn 1\nsend 1:0 #3\n");
        answer(r, 1, 0, 3);
        expect(r, "result 51.1\n");
        answer(r, 0, 0, 4);
        turn(r, 0);
        expect(r, "over 51\nresult 1.7\nsend 0:0 #5\n");
        assert_int_equal(state_of(r, 1, 2), TASK_READY);
        end(r);
}

/* Only the item whose turn it is: others would be held. */
static void test_ordered_map_of_who_holds_too_much(void **state)
{
        struct recorder *r = begin(2, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 4, .chunk = 1, .ordered = true});
        turn(r, 0);
        struct core_result huge = {.size_bytes = ordinary.user_memory_bytes + 1};
        uint32_t second = r->sent_to;
        assert_int_equal(core_worker_item(r->core, second, 1, 1, 1, &huge, r->now), 0);
        answer(r, second, 0, 1);
        turn(r, 0);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, ""); /* item 1 is held, and 0 runs */
        item(r, 1 - second, 1, 0);
        answer(r, 1 - second, 0, 1);
        expect(r, "item 1.5 0\nitem 1.5 1\n");
        turn(r, 0);
        turn(r, 0);
        expect(r, "send 1:0 #1 [2+1]\nsend 0:0 #1 [3+1]\n");
        end(r);
}

static void test_collected_values_are_bounded_by_the_user_too(void **state)
{
        struct core_config config = ordinary;
        struct core_account account;
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 3, .chunk = 3, .collect = true});
        core_account(r->core, ALICE, &account);
        config.user_memory_bytes = account.bytes + 150;
        core_configure(r->core, &config);
        turn(r, 0);
        forget(r);
        item(r, 0, 1, 0);
        item(r, 0, 1, 1);
        expect(r, "item 1.5 0\ncollect 0\nitem 1.5 1\ncollect 1\ntell 0 #1\n");
        answer_failed(r, 0, 0, 1);
        expect(r, "refusal 1.5 4\ncollect_drop\n");
        assert_string_equal(core_refused_quota(r->core).what, "user_memory");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_calls_of_the_blocked_do_not_begin),
                cmocka_unit_test(test_map_of_the_blocked_begins_no_chunk),
                cmocka_unit_test(test_held_task_can_be_cancelled),
                cmocka_unit_test(test_calls_of_who_is_behind_do_not_begin),
                cmocka_unit_test(test_who_is_behind_has_a_lower_mark),
                cmocka_unit_test(test_large_answers_need_room),
                cmocka_unit_test(test_who_has_left_is_charged_until_he_is_gone),
                cmocka_unit_test(test_credit_comes_in_grains),
                cmocka_unit_test(test_no_credit_while_blocked),
                cmocka_unit_test(test_credit_is_granted_when_the_blocked_one_is_gone),
                cmocka_unit_test(test_attach_gets_tail_then_stream_then_result),
                cmocka_unit_test(test_attaches_that_copy_output_are_bounded),
                cmocka_unit_test(test_input_is_charged_and_bounded),
                cmocka_unit_test(test_tasks_of_who_holds_too_much_wait),
                cmocka_unit_test(test_what_waits_for_memory_can_be_cancelled_and_its_client_go),
                cmocka_unit_test(test_what_waits_for_memory_when_all_is_over),
                cmocka_unit_test(test_it_goes_on_when_the_result_is_too_old),
                cmocka_unit_test(test_what_a_task_waits_for_begins_all_the_same),
                cmocka_unit_test(test_ordered_map_of_who_holds_too_much),
                cmocka_unit_test(test_collected_values_are_bounded_by_the_user_too),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
