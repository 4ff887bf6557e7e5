/* SPDX-License-Identifier: MIT */
/* A task's way: admission, dispatch, its times, the verdict and the end, who is told what. */
#include "tests/unit/core/recorder.h"

static void test_call_is_answered(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 7);
        expect(r, "");
        turn(r, 0);
        expect(r, "send 0:0 #1\n");
        assert_true(core_request_is_open(r->core, (struct core_request){1, 7}));
        answer(r, 0, 0, 1);
        expect(r, "result 1.7\n");
        assert_false(core_request_is_open(r->core, (struct core_request){1, 7}));
        assert_int_equal(state_of(r, 1, 1), TASK_SUCCEEDED); /* from history */
        end(r);
}

static void test_goes_on_after_it_was_quiet(void **state)
{
        struct recorder *r = begin(1, 1);
        for (uint64_t id = 1; id <= 2; id++) {
                call(r, 1, 7);
                turn(r, 0);
                core_trim(r->core); /* of what is in use nothing goes */
                answer(r, 0, 0, id);
                core_trim(r->core);
        }
        assert_int_equal(state_of(r, 1, 1), TASK_SUCCEEDED);
        assert_int_equal(state_of(r, 1, 2), TASK_SUCCEEDED);
        forget(r);
        end(r);
}

static void test_function_error_is_answered_and_remembered(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_record record;
        call(r, 1, 7);
        turn(r, 0);
        forget(r);
        answer_failed(r, 0, 0, 1);
        expect(r, "record 1.7 #1 function\n");
        assert_int_equal(core_task(r->core, 1, 1, &record), 0);
        assert_int_equal(record.error, 77);
        end(r);
}

static void test_cancel_before_dispatch(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t id = submit(r, 1);
        size_t n;
        assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        assert_int_equal(n, 0);
        turn(r, 0);
        expect(r, "");
        assert_int_equal(state_of(r, 1, id), TASK_CANCELLED);
        end(r);
}

static void test_cancel_of_running_ends_when_answered(void **state)
{
        struct recorder *r = begin(1, 1);
        size_t n;
        uint64_t id = 1;
        call(r, 1, 7);
        turn(r, 0);
        forget(r);
        assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        assert_int_equal(n, 1);
        turn(r, 0);
        expect(r, "take_back 0:0 #1 lost\ntell 0 #1\nspawn 1\n"); /* its replacement, at once */
        answer(r, 0, 0, 1);                                       /* a late result is dropped */
        expect(r, "record 1.7 #1 client\n");
        hello(r, 1);
        turn(r, 0);
        expect(r, "stop 0\n"); /* it counts again, so there is one too many */
        end(r);
}

static void test_cancel_of_sent_but_unbegun_ends_at_once(void **state)
{
        struct recorder *r = begin(1, 1);
        size_t n;
        uint64_t id = 1;
        call(r, 1, 7);
        turn(r, 0);
        forget(r);
        r->claimed = false;
        assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        expect(r, "take_back 0:0 #1 won\nrecord 1.7 #1 client\n");
        call(r, 1, 8);
        turn(r, 0);
        expect(r, "send 0:1 #2\n");
        end(r);
}

static void test_verdict_kills_after_grace_and_tells_when_stuck(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 7);
        turn(r, 0);
        assert_int_equal(core_cancel_request(r->core, (struct core_request){1, 7}, r->now), 0);
        forget(r);
        turn(r, 2 * CORE_SECOND);
        expect(r, "kill 0\nspawn 1\n");
        turn(r, 5 * CORE_SECOND);
        expect(r, "note stuck\nrecord 1.7 #1 client\n");
        lost(r, 0, 9);
        expect(r, "");
        end(r);
}

static void test_delay_then_ready(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        s.delay = CORE_SECOND;
        uint64_t id = submit_with(r, 1, s);
        turn(r, 0);
        assert_int_equal(state_of(r, 1, id), TASK_DELAYED);
        assert_true(r->next_turn == r->now + CORE_SECOND);
        expect(r, "");
        turn(r, CORE_SECOND);
        expect(r, "send 0:0 #1\n");
        end(r);
}

static void test_expires_while_it_waits(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        s.expires = CORE_SECOND;
        call(r, 1, 1);
        turn(r, 0);
        uint64_t id = submit_with(r, 1, s);
        assert_int_equal(core_result(r->core, (struct core_request){1, 2}, id, CORE_NEVER, false, r->now), 0);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "record 1.2 #2 expired\n");
        end(r);
}

static void test_timeout_is_a_verdict(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        s.timeout = CORE_SECOND;
        uint64_t id = submit_with(r, 1, s);
        assert_int_equal(core_result(r->core, (struct core_request){1, 2}, id, CORE_NEVER, false, r->now), 0);
        turn(r, 0);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "tell 0 #1\nspawn 1\n");
        lost(r, 0, 15); /* our own signal, so not "outside" */
        expect(r, "record 1.2 #1 timeout\n");
        end(r);
}

static void test_timeout_of_what_never_began_costs_the_worker(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        s.timeout = CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, 0);
        forget(r);
        r->claimed = false;
        turn(r, CORE_SECOND);
        expect(r, "");
        turn(r, CORE_SECOND);
        expect(r, "take_back 0:0 #1 won\nnote bad\nkill 0\nspawn 1\n");
        hello(r, 1);
        turn(r, 0);
        expect(r, "send 1:0 #1\n");
        end(r);
}

static void test_result_is_taken_once(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t id = submit(r, 1);
        struct core_request q = {1, 2};
        turn(r, 0);
        answer(r, 0, 0, id);
        forget(r);
        assert_int_equal(core_result(r->core, q, id, 0, true, r->now), 0);
        assert_int_equal(core_attach(r->core, q, id, 0, 0, r->now), 0);
        assert_int_equal(core_result(r->core, q, id, 0, false, r->now), 0);
        expect(r, "result 1.2\nresult 1.2\nresult 1.2\n");
        assert_int_equal(core_result(r->core, q, id, 0, false, r->now), CORE_UNKNOWN_TASK);
        end(r);
}

static void test_two_takers_one_result(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t id = submit(r, 1);
        for (uint32_t i = 1; i <= 2; i++)
                assert_int_equal(
                        core_result(r->core, (struct core_request){1, i}, id, CORE_NEVER, false, r->now), 0);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, id);
        expect(r, "result 1.2\nrefusal 1.1 1\n");
        end(r);
}

static void test_result_too_large_is_not_taken(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t id = submit(r, 1);
        client(r, 2, ALICE);
        r->plain = 2;
        assert_int_equal(core_result(r->core, (struct core_request){2, 1}, id, CORE_NEVER, false, r->now), 0);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, id);
        expect(r, "too large 2.1 #1\n");
        assert_int_equal(core_result(r->core, (struct core_request){2, 2}, id, 0, false, r->now), 0);
        assert_int_equal(core_result(r->core, (struct core_request){1, 1}, id, 0, false, r->now), 0);
        expect(r, "too large 2.2 #1\nresult 1.1\n");
        assert_int_equal(core_result(r->core, (struct core_request){1, 2}, id, 0, false, r->now),
                         CORE_UNKNOWN_TASK);
        end(r);
}

static void test_call_too_large_is_kept(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, ALICE);
        r->plain = 2;
        call(r, 2, 7);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, 1);
        expect(r, "too large 2.7 #1\n");
        assert_int_equal(core_result(r->core, (struct core_request){1, 1}, 1, 0, false, r->now), 0);
        expect(r, "result 1.1\n");
        assert_int_equal(core_result(r->core, (struct core_request){1, 2}, 1, 0, false, r->now),
                         CORE_UNKNOWN_TASK);
        call(r, 2, 8);
        turn(r, 0);
        answer(r, 0, 0, 2);
        assert_int_equal(r->n_payloads, 1);
        turn(r, spec(r).ttl);
        assert_int_equal(core_result(r->core, (struct core_request){1, 3}, 2, 0, false, r->now),
                         CORE_UNKNOWN_TASK);
        end(r);
}

static void test_result_not_ready_in_time(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t id = submit(r, 1);
        assert_int_equal(core_result(r->core, (struct core_request){1, 1}, id, 0, false, r->now), 0);
        expect(r, "refusal 1.1 6\n");
        assert_int_equal(core_result(r->core, (struct core_request){1, 1}, id, CORE_SECOND, false, r->now),
                         0);
        turn(r, 0);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "refusal 1.1 6\n");
        end(r);
}

static void test_ttl_drops_the_result(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t id = submit(r, 1);
        struct core_account account;
        turn(r, 0);
        answer(r, 0, 0, id);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 50);
        turn(r, 300 * CORE_SECOND);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 0);
        assert_int_equal(r->n_payloads, 0);
        assert_int_equal(state_of(r, 1, id), TASK_SUCCEEDED);
        end(r);
}

static void test_wait_for_some(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t ids[] = {submit(r, 1), submit(r, 1), 99};
        assert_int_equal(core_wait(r->core, (struct core_request){1, 1}, ids, 3, CORE_NEVER, 2, r->now), 0);
        assert_int_equal(core_wait(r->core, (struct core_request){1, 2}, ids, 3, CORE_SECOND, 3, r->now), 0);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, ids[0]);
        expect(r, "states 1.1 1=6 99=10\n");
        turn(r, CORE_SECOND);
        expect(r, "states 1.2 1=6 99=10\nsend 0:0 #2\n"); /* at its time, with what there is */
        end(r);
}

static void test_gone_client_cancels_calls_keeps_submitted(void **state)
{
        struct recorder *r = begin(1, 1);
        call(r, 1, 1);
        turn(r, 0);
        uint64_t kept = submit(r, 1);
        call(r, 1, 2);
        forget(r);
        core_connection_close(r->core, 1, r->now);
        core_check(r->core);
        expect(r, "take_back 0:0 #1 lost\ntell 0 #1\n");
        answer(r, 0, 0, 1);
        turn(r, 0);
        expect(r, "send 0:0 #2\n");
        answer(r, 0, 0, kept);
        client(r, 2, ALICE);
        client(r, 3, BOB);
        assert_int_equal(core_result(r->core, (struct core_request){3, 1}, kept, 0, false, r->now),
                         CORE_UNKNOWN_TASK);
        assert_int_equal(core_result(r->core, (struct core_request){2, 1}, kept, 0, false, r->now), 0);
        expect(r, "result 2.1\n");
        end(r);
}

static void test_limits_refuse_and_change_nothing(void **state)
{
        struct core_config config = ordinary;
        struct core_pool_config pool = ordinary_pool;
        config.user_tasks = 2;
        pool.queue_limit = 3;
        struct recorder *r = begin_with(&config, &pool);
        struct core_spec s = spec(r);
        struct core_account account;
        uint64_t id;
        client(r, 1, ALICE);
        client(r, 2, BOB);
        submit(r, 1);
        submit(r, 1);
        assert_int_equal(core_submit(r->core, 1, &s, r->now, &id), CORE_QUOTA);
        assert_string_equal(core_refused_quota(r->core).what, "user_tasks");
        submit(r, 2);
        assert_int_equal(core_submit(r->core, 2, &s, r->now, &id), CORE_QUEUE_FULL);
        s.args_size_bytes = 2 << 20;
        core_pool_configure(r->core, 0, &ordinary_pool);
        assert_int_equal(core_submit(r->core, 2, &s, r->now, &id), CORE_QUOTA);
        assert_string_equal(core_refused_quota(r->core).what, "user_memory");
        s.pool = 5;
        assert_int_equal(core_submit(r->core, 2, &s, r->now, &id), CORE_UNKNOWN_POOL);
        core_account(r->core, BOB, &account);
        assert_int_equal(account.tasks, 1);
        assert_int_equal(account.bytes, 100);
        end(r);
}

static void test_function_that_there_is_not(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        uint64_t id;
        s.function++;
        assert_int_equal(core_submit(r->core, 1, &s, r->now, &id), CORE_UNKNOWN_POOL);
        end(r);
}

/* They are kept for the next ones, up to a bound. */
static void test_more_tasks_end_than_are_kept_for_the_next(void **state)
{
        enum { N = 5000 };
        struct core_config config = ordinary;
        struct core_pool_config pool = ordinary_pool;
        config.user_tasks = pool.queue_limit = N;
        struct recorder *r = begin_with(&config, &pool);
        struct core_spec s = spec(r);
        size_t n;
        client(r, 1, ALICE);
        for (uint64_t id = 1; id <= N; id++) {
                r->n_payloads++;
                assert_int_equal(core_submit(r->core, 1, &s, r->now, &id), 0);
        }
        for (uint64_t id = 1; id <= N; id++)
                assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        core_check(r->core);
        turn(r, s.ttl);
        assert_int_equal(submit(r, 1), N + 1);
        end(r);
}

static void test_msgid_is_open_once(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        call(r, 1, 1);
        assert_int_equal(core_call(r->core, (struct core_request){1, 1}, &s, r->now), CORE_MISUSE);
        assert_int_equal(core_cancel_request(r->core, (struct core_request){1, 9}, r->now), CORE_NOT_OPEN);
        end(r);
}

static bool take_id(void *userdata, const struct core_record *record)
{
        uint64_t *ids = userdata;
        ids[++ids[0]] = record->id;
        return ids[0] < 3;
}

static void test_tasks_in_the_order_of_ids(void **state)
{
        struct recorder *r = begin(1, 1);
        uint64_t ids[8] = {0};
        for (int i = 0; i < 4; i++)
                submit(r, 1);
        turn(r, 0);
        core_cancel(r->core, 1, &(uint64_t){3}, 1, r->now, &(size_t){0});
        core_result(r->core, (struct core_request){1, 1}, 3, 0, false, r->now); /* now it is history */
        core_tasks(r->core, 1, 1, take_id, ids);
        assert_int_equal(ids[0], 3);
        assert_true(ids[1] == 2 && ids[2] == 3 && ids[3] == 4);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_call_is_answered),
                cmocka_unit_test(test_goes_on_after_it_was_quiet),
                cmocka_unit_test(test_function_error_is_answered_and_remembered),
                cmocka_unit_test(test_cancel_before_dispatch),
                cmocka_unit_test(test_cancel_of_running_ends_when_answered),
                cmocka_unit_test(test_cancel_of_sent_but_unbegun_ends_at_once),
                cmocka_unit_test(test_verdict_kills_after_grace_and_tells_when_stuck),
                cmocka_unit_test(test_delay_then_ready),
                cmocka_unit_test(test_expires_while_it_waits),
                cmocka_unit_test(test_timeout_is_a_verdict),
                cmocka_unit_test(test_timeout_of_what_never_began_costs_the_worker),
                cmocka_unit_test(test_result_is_taken_once),
                cmocka_unit_test(test_two_takers_one_result),
                cmocka_unit_test(test_result_too_large_is_not_taken),
                cmocka_unit_test(test_call_too_large_is_kept),
                cmocka_unit_test(test_result_not_ready_in_time),
                cmocka_unit_test(test_ttl_drops_the_result),
                cmocka_unit_test(test_wait_for_some),
                cmocka_unit_test(test_gone_client_cancels_calls_keeps_submitted),
                cmocka_unit_test(test_limits_refuse_and_change_nothing),
                cmocka_unit_test(test_function_that_there_is_not),
                cmocka_unit_test(test_more_tasks_end_than_are_kept_for_the_next),
                cmocka_unit_test(test_msgid_is_open_once),
                cmocka_unit_test(test_tasks_in_the_order_of_ids),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
