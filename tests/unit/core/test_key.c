/* SPDX-License-Identifier: MIT */
/* Tasks with a key: who joins them, who may not, and how long they are known. */
#include "tests/unit/core/recorder.h"

static struct core_spec keyed(struct recorder *r, const char *key)
{
        struct core_spec s = spec(r);
        s.key = key;
        s.args_hash = 77;
        s.ttl = 10 * CORE_SECOND;
        return s;
}

static void call_keyed(struct recorder *r, uint32_t connection, uint32_t msgid)
{
        struct core_spec s = keyed(r, "k");
        r->n_payloads++;
        assert_int_equal(core_call(r->core, (struct core_request){connection, msgid}, &s, r->now), 0);
        core_check(r->core);
}

static uint64_t n_submitted(struct recorder *r)
{
        struct core_pool_status status;
        core_pool_status(r->core, 0, &status);
        return status.totals.submitted;
}

static void test_all_who_joined_are_told(void **state)
{
        struct recorder *r = begin(1, 1);
        assert_int_equal(submit_with(r, 1, keyed(r, "k")), 1);
        assert_int_equal(submit_with(r, 1, keyed(r, "k")), 1);
        call_keyed(r, 1, 5);
        call_keyed(r, 1, 6);
        assert_int_equal(n_submitted(r), 1);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, 1);
        expect(r, "result 1.6\nresult 1.5\n");
        call_keyed(r, 1, 7);
        expect(r, "result 1.7\n");
        turn(r, 10 * CORE_SECOND);
        assert_int_equal(submit_with(r, 1, keyed(r, "k")), 2);
        end(r);
}

static void test_conflict(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec other = keyed(r, "k");
        uint64_t id;
        submit_with(r, 1, keyed(r, "k"));
        other.args_hash++;
        assert_int_equal(core_submit(r->core, 1, &other, r->now, &id), CORE_KEY_CONFLICT);
        assert_int_equal(core_call(r->core, (struct core_request){1, 5}, &other, r->now), CORE_KEY_CONFLICT);
        end(r);
}

static void test_keys_are_a_users_own(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, BOB);
        assert_int_equal(submit_with(r, 1, keyed(r, "k")), 1);
        assert_int_equal(submit_with(r, 2, keyed(r, "k")), 2);
        assert_int_equal(submit_with(r, 1, keyed(r, "l")), 3);
        end(r);
}

static void test_joined_call_outlives_its_caller(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, ALICE);
        call_keyed(r, 2, 5);
        call_keyed(r, 1, 6);
        core_connection_close(r->core, 2, r->now);
        assert_int_equal(state_of(r, 1, 1), TASK_READY);
        turn(r, 0);
        forget(r);
        answer(r, 0, 0, 1);
        expect(r, "result 1.6\n");
        end(r);
}

static void test_call_alone_goes_with_its_caller(void **state)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, ALICE);
        call_keyed(r, 2, 5);
        core_connection_close(r->core, 2, r->now);
        assert_int_equal(state_of(r, 1, 1), TASK_CANCELLED);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_who_joined_are_told),
                cmocka_unit_test(test_conflict),
                cmocka_unit_test(test_keys_are_a_users_own),
                cmocka_unit_test(test_joined_call_outlives_its_caller),
                cmocka_unit_test(test_call_alone_goes_with_its_caller),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
