/* SPDX-License-Identifier: MIT */
/* Tasks whose states are stored only later: nothing of them begins before, and nobody is told. */
#include "tests/unit/core/recorder.h"

static struct recorder *begin_deferred(void)
{
        struct recorder *r = begin(1, 1);
        r->defer_store = true;
        return r;
}

static void test_nobody_is_told_before_it_is_stored(void **state)
{
        struct recorder *r = begin_deferred();
        call(r, 1, 1);
        turn(r, 0);
        expect(r, "store #1\n");
        core_store_done(r->core, 1);
        turn(r, 0);
        expect(r, "send 0:0 #1\n");
        answer(r, 0, 0, 1);
        expect(r, "store #1\n");
        core_store_done(r->core, 1);
        expect(r, "result 1.1\n");
        end(r);
}

static void test_delay_goes_on_after_it_is_stored(void **state)
{
        struct recorder *r = begin_deferred();
        struct core_spec s = spec(r);
        s.delay = 2 * CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, CORE_SECOND);
        expect(r, "store #1\n");
        core_store_done(r->core, 1);
        turn(r, 0);
        assert_true(r->next_turn == r->now + CORE_SECOND);
        turn(r, CORE_SECOND);
        expect(r, "send 0:0 #1\n");
        answer(r, 0, 0, 1);
        core_store_done(r->core, 1);
        end(r);
}

static void test_expires_before_its_delay_is_over(void **state)
{
        struct recorder *r = begin_deferred();
        struct core_spec s = spec(r);
        s.delay = 3 * CORE_SECOND;
        s.expires = 2 * CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, CORE_SECOND);
        core_store_done(r->core, 1);
        forget(r);
        turn(r, CORE_SECOND);
        expect(r, "store #1\n");
        core_store_done(r->core, 1);
        assert_int_equal(state_of(r, 1, 1), TASK_EXPIRED);
        end(r);
}

static void test_expires_before_it_is_stored(void **state)
{
        struct recorder *r = begin_deferred();
        struct core_spec s = spec(r);
        s.delay = 3 * CORE_SECOND;
        s.expires = CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, CORE_SECOND);
        expect(r, "store #1\n");
        core_store_done(r->core, 1);
        expect(r, "store #1\n");
        core_store_done(r->core, 1);
        assert_int_equal(state_of(r, 1, 1), TASK_EXPIRED);
        turn(r, 0);
        expect(r, "");
        end(r);
}

/* Its result is kept, and charged, once: from its end on, not only when that is stored. */
static void test_result_is_charged_once(void **state)
{
        struct recorder *r = begin_deferred();
        struct core_account account;
        submit(r, 1);
        core_store_done(r->core, 1);
        turn(r, 0);
        answer(r, 0, 0, 1);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 50);
        core_store_done(r->core, 1);
        core_check(r->core);
        core_account(r->core, ALICE, &account);
        assert_int_equal(account.bytes, 50);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_is_told_before_it_is_stored),
                cmocka_unit_test(test_delay_goes_on_after_it_is_stored),
                cmocka_unit_test(test_expires_before_its_delay_is_over),
                cmocka_unit_test(test_expires_before_it_is_stored),
                cmocka_unit_test(test_result_is_charged_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
