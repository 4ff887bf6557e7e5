/* SPDX-License-Identifier: MIT */
/* Sending ahead, taking back, and what a worker may say about what stands in its slots. */
#include "tests/unit/core/recorder.h"

static void test_nothing_ahead_of_unmeasured_functions(void **state)
{
        struct recorder *r = begin(1, 8);
        submit(r, 1);
        submit(r, 1);
        turn(r, 0);
        expect(r, "send 0:0 #1\n");
        end(r);
}

static void test_ahead_while_the_time_allows(void **state)
{
        struct recorder *r = begin(1, 64);
        measure(r, 1, 90 * US);
        for (int i = 0; i < 5; i++)
                submit(r, 1);
        turn(r, 0);
        expect(r, "send 0:0 #2\nsend 0:1 #3\nsend 0:2 #4\n"); /* 2 x 90 us of 200 */
        assert_int_equal(state_of(r, 1, 2), TASK_RUNNING);
        assert_int_equal(state_of(r, 1, 3), TASK_SENT);
        answer(r, 0, 0, 2);
        assert_int_equal(state_of(r, 1, 3), TASK_RUNNING);
        end(r);
}

static void test_window_bounds_what_is_ahead(void **state)
{
        struct recorder *r = begin(1, 2);
        measure(r, 1, 1 * US);
        for (int i = 0; i < 5; i++)
                submit(r, 1);
        turn(r, 0);
        expect(r, "send 0:0 #2\nsend 0:1 #3\n");
        end(r);
}

static void test_descriptors_and_large_arguments_stay_behind(void **state)
{
        struct recorder *r = begin(1, 8);
        struct core_spec s = spec(r);
        measure(r, 1, 1 * US);
        submit(r, 1);
        s.n_descriptors = 1;
        submit_with(r, 1, s);
        turn(r, 0);
        expect(r, "send 0:0 #2\n");
        end(r);
}

static void test_idle_worker_gets_what_is_ahead_elsewhere(void **state)
{
        struct recorder *r = begin(2, 8);
        measure(r, 1, 10 * US);
        for (int i = 0; i < 4; i++)
                submit(r, 1);
        turn(r, 0);
        expect(r, "send 1:0 #2\nsend 0:0 #3\nsend 1:1 #4\nsend 1:2 #5\n");
        answer(r, 0, 0, 3);
        r->claimed = false;
        turn(r, 0);
        expect(r, "take_back 1:2 #5 won\nsend 0:0 #5\n");
        end(r);
}

static void test_long_run_gives_back_what_is_ahead(void **state)
{
        struct recorder *r = begin(1, 8);
        measure(r, 1, 10 * US);
        for (int i = 0; i < 3; i++)
                submit(r, 1);
        turn(r, 0);
        forget(r);
        r->claimed = false;
        turn(r, MS);
        expect(r, "take_back 0:2 #4 won\ntake_back 0:1 #3 won\n"); /* and nothing more until it answers */
        answer(r, 0, 0, 2);
        turn(r, 0);
        expect(r, "send 0:0 #3\nsend 0:3 #4\n");
        end(r);
}

/* The message may wait unread, and one is remembered: were another task taken back from there, the first
 * could come again, and be claimed by the old message before its turn. */
static void test_slot_of_an_unread_message_is_the_last_choice(void **state)
{
        struct recorder *r = begin(1, 4);
        measure(r, 1, 10 * US);
        submit(r, 1);
        submit(r, 1);
        turn(r, 0);
        r->claimed = false;
        turn(r, MS);
        expect(r, "send 0:0 #2\nsend 0:1 #3\ntake_back 0:1 #3 won\n");
        answer(r, 0, 0, 2);
        submit(r, 1);
        turn(r, 0);
        expect(r, "send 0:0 #3\nsend 0:2 #4\n");
        answer(r, 0, 0, 3);
        submit(r, 1);
        turn(r, 0);
        expect(r, "send 0:0 #5\n"); /* 4 is its first, and what was read in between is known */
        end(r);
}

static void test_lost_take_back_counts_as_running(void **state)
{
        struct recorder *r = begin(1, 8);
        size_t n;
        measure(r, 1, 10 * US);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        forget(r);
        assert_int_equal(core_cancel(r->core, 1, &(uint64_t){3}, 1, r->now, &n), 0);
        core_check(r->core);
        assert_int_equal(n, 1);
        expect(r, "take_back 0:1 #3 lost\ntell 0 #3\n");
        answer(r, 0, 0, 2);
        answer(r, 0, 1, 3);
        expect(r, "result 1.1\nrecord 1.2 #3 client\n");
        end(r);
}

static void test_what_stands_before_a_begun_task_has_begun(void **state)
{
        struct recorder *r = begin(1, 8);
        size_t n;
        measure(r, 1, 10 * US);
        for (uint32_t i = 1; i <= 3; i++)
                call(r, 1, i);
        turn(r, 0);
        forget(r);
        assert_int_equal(core_cancel(r->core, 1, &(uint64_t){4}, 1, r->now, &n), 0);
        core_check(r->core);
        assert_int_equal(state_of(r, 1, 3), TASK_RUNNING);
        end(r);
}

static void test_told_only_if_it_is_the_last_that_has_begun(void **state)
{
        struct recorder *r = begin(1, 8);
        size_t n;
        measure(r, 1, 10 * US);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        forget(r);
        assert_int_equal(core_cancel(r->core, 1, &(uint64_t){2}, 1, r->now, &n), 0);
        core_check(r->core);
        /* #3 has begun, so the answer of #2 is on the way; a signal would hit #3. */
        expect(r, "take_back 0:0 #2 lost\ntake_back 0:1 #3 lost\n");
        answer(r, 0, 0, 2);
        answer(r, 0, 1, 3);
        expect(r, "record 1.1 #2 client\nresult 1.2\n");
        end(r);
}

static void test_dead_worker_gives_back_what_was_ahead(void **state)
{
        struct recorder *r = begin(1, 8);
        measure(r, 1, 10 * US);
        call(r, 1, 1);
        call(r, 1, 2);
        turn(r, 0);
        forget(r);
        /* The slots say "claimed" for the last one sent only, #3: a lie, for #2 is the first. */
        r->sent.task = 2;
        lost(r, 0, 9);
        expect(r, "record 1.1 #2 outside\n");
        assert_int_equal(state_of(r, 1, 3), TASK_READY);
        end(r);
}

static void bad(struct recorder *r, int result)
{
        assert_int_equal(result, CORE_BAD_WORKER);
        core_check(r->core);
        expect(r, "note bad\nkill 0\n");
        lost(r, 0, 9);
        expect(r, "record 1.1 #1 worker\n");
        end(r);
}

static struct recorder *begin_running(void)
{
        struct recorder *r = begin(1, 8);
        call(r, 1, 1);
        turn(r, 0);
        forget(r);
        return r;
}

static const struct core_result some_result = {.size_bytes = 1};

static void test_answer_for_another_task_is_bad(void **state)
{
        struct recorder *r = begin_running();
        bad(r, core_worker_result(r->core, 0, 0, 9, 1, &some_result, r->now));
}

static void test_answer_for_another_slot_is_bad(void **state)
{
        struct recorder *r = begin_running();
        bad(r, core_worker_result(r->core, 0, 64, 1, 1, &some_result, r->now));
}

static void test_answer_for_another_attempt_is_bad(void **state)
{
        struct recorder *r = begin_running();
        bad(r, core_worker_result(r->core, 0, 0, 1, 2, &some_result, r->now));
}

static void test_item_of_no_map_is_bad(void **state)
{
        struct recorder *r = begin_running();
        bad(r, core_worker_item(r->core, 0, 1, 1, 0, &some_result, r->now));
}

static void test_second_hello_is_bad(void **state)
{
        struct recorder *r = begin_running();
        bad(r, core_worker_hello(r->core, 0, 7, 64, r->now));
}

static void test_overdrawn_credit_is_bad(void **state)
{
        struct recorder *r = begin_running();
        bad(r, core_worker_stream(r->core, 0, 1, 2, LIMIT_STREAM_CREDIT_BYTES + 1, r->now));
}

static void test_unbegun_task_of_dead_worker_keeps_its_attempt(void **state)
{
        struct recorder *r = begin_running();
        r->claimed = false;
        lost(r, 0, 11);
        expect(r, "");
        turn(r, 0);
        hello(r, 0);
        turn(r, 0);
        expect(r, "spawn 0\nsend 0:0 #1\n");
        assert_int_equal(r->sent.attempt, 1);
        end(r);
}

static void test_refused_send_is_tried_again(void **state)
{
        struct recorder *r = begin(1, 1);
        submit(r, 1);
        r->refuse_send = true;
        turn(r, 0);
        expect(r, "send refused\n");
        assert_true(r->next_turn == r->now + MS);
        r->refuse_send = false;
        turn(r, MS);
        expect(r, "send 0:0 #1\n");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_ahead_of_unmeasured_functions),
                cmocka_unit_test(test_ahead_while_the_time_allows),
                cmocka_unit_test(test_window_bounds_what_is_ahead),
                cmocka_unit_test(test_descriptors_and_large_arguments_stay_behind),
                cmocka_unit_test(test_idle_worker_gets_what_is_ahead_elsewhere),
                cmocka_unit_test(test_long_run_gives_back_what_is_ahead),
                cmocka_unit_test(test_slot_of_an_unread_message_is_the_last_choice),
                cmocka_unit_test(test_lost_take_back_counts_as_running),
                cmocka_unit_test(test_what_stands_before_a_begun_task_has_begun),
                cmocka_unit_test(test_told_only_if_it_is_the_last_that_has_begun),
                cmocka_unit_test(test_dead_worker_gives_back_what_was_ahead),
                cmocka_unit_test(test_answer_for_another_task_is_bad),
                cmocka_unit_test(test_answer_for_another_slot_is_bad),
                cmocka_unit_test(test_answer_for_another_attempt_is_bad),
                cmocka_unit_test(test_item_of_no_map_is_bad),
                cmocka_unit_test(test_second_hello_is_bad),
                cmocka_unit_test(test_overdrawn_credit_is_bad),
                cmocka_unit_test(test_unbegun_task_of_dead_worker_keeps_its_attempt),
                cmocka_unit_test(test_refused_send_is_tried_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
