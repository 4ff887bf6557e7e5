/* SPDX-License-Identifier: MIT */
/* Attempts after bad ends: when they begin, how many, what is told of them. Chance takes nothing
 * off the pauses here. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "proto/options.h"
#include "tests/unit/core/recorder.h"

static struct core_spec retrying(struct recorder *r, uint32_t retries, unsigned retry_on)
{
        struct core_spec s = spec(r);
        s.retries = retries;
        s.retry_on = retry_on;
        s.backoff = CORE_SECOND;
        return s;
}

static struct core_record record_of(struct recorder *r, uint64_t id)
{
        struct core_record record;
        assert_int_equal(core_task(r->core, 1, id, &record), 0);
        return record;
}

static void answer_attempt(struct recorder *r, uint64_t task, uint32_t attempt, bool failed)
{
        struct core_result result = {.failed = failed, .size_bytes = 50};
        assert_int_equal(core_worker_result(r->core, 0, r->sent.slot, task, attempt, &result, r->now), 0);
        core_check(r->core);
}

static void test_pauses_have_a_bound(void **state)
{
        const int64_t most = 3600 * CORE_SECOND;
        struct recorder *r = begin(1, 1);
        struct core_spec s = retrying(r, 4, RETRY_TASK_FAILED);
        s.backoff = most / 2 - 1;
        submit_with(r, 1, s);
        turn(r, 0);
        for (uint32_t attempt = 1; attempt <= 4; attempt++) {
                int64_t pause = attempt == 1 ? most / 2 - 1 : attempt == 2 ? most - 2 : most;
                answer_attempt(r, 1, attempt, true);
                assert_int_equal(record_of(r, 1).due, r->now + pause);
                turn(r, pause);
        }
        answer_attempt(r, 1, 5, true);
        end(r);
}

static void test_counts_on_from_attempts_before(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = retrying(r, 1, RETRY_TASK_FAILED);
        s.attempts_before = 3;
        s.expires = CORE_SECOND;
        submit_with(r, 1, s);
        assert_int_equal(record_of(r, 1).attempt, 4);
        turn(r, 0);
        assert_int_equal(r->sent.attempt, 4);
        answer_attempt(r, 1, 4, true);
        assert_int_equal(record_of(r, 1).due, r->now + CORE_SECOND);
        turn(r, CORE_SECOND); /* only the first attempt can expire */
        answer_attempt(r, 1, 5, true);
        assert_int_equal(state_of(r, 1, 1), TASK_FAILED);
        end(r);
}

static void test_expires_at_a_first_attempt_that_is_not_the_first(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        submit_with(r, 1, s); /* has the one worker */
        turn(r, 0);
        s = spec(r);
        s.attempts_before = 1;
        s.expires = CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, CORE_SECOND);
        assert_int_equal(state_of(r, 1, 2), TASK_EXPIRED);
        answer_attempt(r, 1, 1, false);
        end(r);
}

static void test_pauses_double(void **state)
{
        struct recorder *r = begin(1, 1);
        submit_with(r, 1, retrying(r, 2, RETRY_TASK_FAILED));
        turn(r, 0);
        answer_attempt(r, 1, 1, true);
        assert_int_equal(state_of(r, 1, 1), TASK_DELAYED);
        assert_int_equal(record_of(r, 1).attempt, 2);
        assert_int_equal(record_of(r, 1).due, r->now + CORE_SECOND);
        forget(r);
        turn(r, CORE_SECOND - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "send 0:0 #1\n");
        assert_int_equal(r->sent.attempt, 2);
        answer_attempt(r, 1, 2, true);
        assert_int_equal(record_of(r, 1).due, r->now + 2 * CORE_SECOND);
        turn(r, 2 * CORE_SECOND);
        answer_attempt(r, 1, 3, true);
        assert_int_equal(state_of(r, 1, 1), TASK_FAILED);
        assert_int_equal(record_of(r, 1).attempt, 3);
        assert_int_equal(record_of(r, 1).retries, 2);
        struct core_pool_status status;
        core_pool_status(r->core, 0, &status);
        assert_int_equal(status.totals.retried, 2);
        assert_int_equal(status.totals.submitted, 1);
        end(r);
}

/* Also when its last attempt is just being ended for its time. */
static void test_cancelled_while_it_times_out(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = retrying(r, 2, RETRY_TIMED_OUT);
        uint64_t id;
        size_t n;
        s.timeout = MS;
        id = submit_with(r, 1, s);
        turn(r, 0);
        turn(r, MS);
        turn(r, MS);
        assert_int_equal(state_of(r, 1, id), TASK_STOPPING);
        assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        assert_int_equal(n, 0);
        answer_attempt(r, id, 1, true);
        assert_int_equal(state_of(r, 1, id), TASK_CANCELLED);
        end(r);
}

static void test_other_ends_are_final(void **state)
{
        struct recorder *r = begin(1, 1);
        submit_with(r, 1, retrying(r, 5, RETRY_WORKER_LOST));
        turn(r, 0);
        answer_attempt(r, 1, 1, true);
        assert_int_equal(state_of(r, 1, 1), TASK_FAILED);
        end(r);
}

static void test_timeout_is_tried_again_when_answered(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = retrying(r, 1, RETRY_TIMED_OUT);
        s.timeout = CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, 0);
        r->claimed = true;
        turn(r, 2 * CORE_SECOND);
        assert_int_equal(state_of(r, 1, 1), TASK_STOPPING); /* it may still be at it */
        answer_attempt(r, 1, 1, false);
        assert_int_equal(state_of(r, 1, 1), TASK_DELAYED);
        end(r);
}

static void test_no_retry_after_a_worker_that_cannot_be_killed(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = retrying(r, 1, RETRY_TIMED_OUT | RETRY_WORKER_LOST);
        s.timeout = CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, 0);
        r->claimed = true;
        turn(r, 2 * CORE_SECOND);
        turn(r, 3 * CORE_SECOND); /* killed after its grace */
        turn(r, 6 * CORE_SECOND); /* stuck */
        assert_int_equal(state_of(r, 1, 1), TASK_FAILED);
        lost(r, 0, SIGKILL);
        end(r);
}

static void test_no_retry_once_stopping(void **state)
{
        struct recorder *r = begin(1, 1);
        submit_with(r, 1, retrying(r, 5, RETRY_TASK_FAILED));
        submit_with(r, 1, retrying(r, 5, RETRY_TASK_FAILED));
        turn(r, 0);
        answer_attempt(r, 1, 1, true);
        turn(r, 0);
        core_stop(r->core, r->now);
        assert_int_equal(state_of(r, 1, 1), TASK_CANCELLED);
        answer_attempt(r, 2, 1, true);
        assert_int_equal(state_of(r, 1, 2), TASK_FAILED);
        end(r);
}

static void test_expires_is_met_by_the_first_attempt(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = retrying(r, 1, RETRY_TASK_FAILED);
        s.expires = CORE_SECOND / 2;
        submit_with(r, 1, s);
        turn(r, 0);
        answer_attempt(r, 1, 1, true);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "send 0:0 #1\n");
        end(r);
}

static void test_item_is_tried_again_alone(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_map_spec m = {.n_items = 3, .chunk = 3};
        struct core_spec s = retrying(r, 1, RETRY_WORKER_LOST);
        struct core_pool_status status;
        r->n_payloads++;
        assert_int_equal(core_map(r->core, (struct core_request){1, 5}, &s, &m, r->now), 0);
        turn(r, 0);
        item(r, 0, 1, 0);
        r->claimed = true;
        r->slot_index = 1;
        lost(r, 0, SIGKILL);
        core_pool_status(r->core, 0, &status);
        assert_int_equal(status.delayed, 1);
        assert_int_equal(status.ready, 1);
        turn(r, 0);
        hello(r, 0);
        forget(r);
        turn(r, 0);
        expect(r, "send 0:0 #1 [2+1]\n"); /* what came back of its chunk */
        item(r, 0, 1, 2);
        answer(r, 0, 0, 1);
        turn(r, CORE_SECOND);
        expect(r, "item 1.5 2\nsend 0:0 #1 [1+1]\n");
        assert_int_equal(r->sent.attempt, 2);
        r->slot_index = 1;
        lost(r, 0, SIGKILL);
        expect(r, "item 1.5 1 outside\nmap 1.5 3: 2 good 1 bad\n");
        end(r);
}

static void test_map_with_waiting_items_is_cancelled(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_map_spec m = {.n_items = 2, .chunk = 2};
        struct core_spec s = retrying(r, 1, RETRY_TASK_FAILED);
        const uint64_t id = 1;
        size_t n;
        r->n_payloads++;
        assert_int_equal(core_map(r->core, (struct core_request){1, 5}, &s, &m, r->now), 0);
        turn(r, 0);
        item_failed(r, 0, 1, 0);
        item_failed(r, 0, 1, 1);
        answer(r, 0, 0, 1);
        assert_int_equal(state_of(r, 1, 1), TASK_RUNNING);
        assert_int_equal(core_cancel(r->core, 1, &id, 1, r->now, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(state_of(r, 1, 1), TASK_CANCELLED);
        end(r);
}

/* -- ordered maps, whose items run one by one each on a worker of its own -- */

static struct recorder *begin_ordered(uint64_t n_items, uint32_t n_workers, uint32_t worker[])
{
        struct recorder *r = begin(n_workers, 1);
        struct core_spec s = retrying(r, 1, RETRY_TASK_FAILED);
        struct core_map_spec m = {.n_items = n_items, .chunk = 1, .ordered = true, .fail_fast = true};
        r->n_payloads++;
        assert_int_equal(core_map(r->core, (struct core_request){1, 5}, &s, &m, r->now), 0);
        turn(r, 0);
        const char *at = r->log;
        for (uint64_t i = 0; i < n_items; i++) {
                int n = 0;
                sscanf(at, "send %" SCNu32 ":%*u #%*u [%*u+1]\n%n", &worker[i], &n);
                assert_true(n > 0);
                at += n;
        }
        forget(r);
        return r;
}

static void end_item(struct recorder *r, uint32_t worker, uint64_t index, uint32_t attempt, bool failed)
{
        struct core_result result = {.failed = failed, .size_bytes = 50}, chunk = {0};
        assert_int_equal(core_worker_item(r->core, worker, 1, attempt, index, &result, r->now), 0);
        assert_int_equal(core_worker_result(r->core, worker, 0, 1, attempt, &chunk, r->now), 0);
        core_check(r->core);
}

/* What lies behind a failure that is known is not tried again, and not told. */
static void test_ordered_map_tries_nothing_again_behind_its_failure(void **state)
{
        uint32_t worker[3];
        struct recorder *r = begin_ordered(3, 3, worker);
        end_item(r, worker[1], 1, 1, true);
        turn(r, CORE_SECOND);
        assert_int_equal(r->sent.first, 1);
        end_item(r, worker[2], 2, 1, true);
        end_item(r, r->sent_to, 1, 2, true);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "");
        end_item(r, worker[0], 0, 1, false);
        expect(r, "item 1.5 0\nitem 1.5 1 function\nmap 1.5 3: 1 good 1 bad\n");
        end(r);
}

/* An item that would only be held for its turn waits for that too, while its user holds too much. */
static void test_ordered_map_of_who_holds_too_much_tries_only_the_next_again(void **state)
{
        struct core_result huge = {.size_bytes = ordinary.user_memory_bytes};
        uint32_t worker[2];
        struct recorder *r = begin_ordered(2, 3, worker);
        submit(r, 1);
        turn(r, 0);
        end_item(r, worker[1], 1, 1, true);
        assert_int_equal(core_worker_result(r->core, r->sent_to, 0, 2, 1, &huge, r->now), 0);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "note user_over\n");
        end_item(r, worker[0], 0, 1, false);
        turn(r, 0);
        assert_int_equal(r->sent.first, 1);
        end_item(r, r->sent_to, 1, 2, false);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pauses_have_a_bound),
                cmocka_unit_test(test_counts_on_from_attempts_before),
                cmocka_unit_test(test_expires_at_a_first_attempt_that_is_not_the_first),
                cmocka_unit_test(test_pauses_double),
                cmocka_unit_test(test_cancelled_while_it_times_out),
                cmocka_unit_test(test_other_ends_are_final),
                cmocka_unit_test(test_timeout_is_tried_again_when_answered),
                cmocka_unit_test(test_no_retry_after_a_worker_that_cannot_be_killed),
                cmocka_unit_test(test_no_retry_once_stopping),
                cmocka_unit_test(test_expires_is_met_by_the_first_attempt),
                cmocka_unit_test(test_item_is_tried_again_alone),
                cmocka_unit_test(test_map_with_waiting_items_is_cancelled),
                cmocka_unit_test(test_ordered_map_tries_nothing_again_behind_its_failure),
                cmocka_unit_test(test_ordered_map_of_who_holds_too_much_tries_only_the_next_again),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
