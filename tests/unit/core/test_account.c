/* SPDX-License-Identifier: MIT */
/* What users may hold: the edges of every limit, and many tasks that wait until one holds less. */
#include "daemon/core/waiter.h"
#include "tests/unit/core/recorder.h"

#define MANY 100 /* more than come back in one turn */

static struct core_quota refused(struct recorder *r, struct core_spec s)
{
        struct core_account before, after;
        uint64_t id;
        core_account(r->core, ALICE, &before);
        assert_int_equal(core_submit(r->core, 1, &s, r->now, &id), CORE_QUOTA);
        core_account(r->core, ALICE, &after);
        assert_memory_equal(&before, &after, sizeof(before));
        return core_refused_quota(r->core);
}

static struct core_spec of_size(struct recorder *r, uint64_t size_bytes)
{
        struct core_spec s = spec(r);
        s.args_size_bytes = size_bytes;
        return s;
}

static struct recorder *begin_limited(uint64_t user_memory_bytes, uint64_t memory_limit_bytes)
{
        struct core_config config = ordinary;
        config.user_memory_bytes = user_memory_bytes;
        config.memory_limit_bytes = memory_limit_bytes;
        struct recorder *r = begin_with(&config, &ordinary_pool);
        client(r, 1, ALICE);
        client(r, 2, BOB);
        return r;
}

static void test_exactly_as_much_as_one_may(void **state)
{
        struct recorder *r = begin_limited(1000, 1 << 30);
        submit_with(r, 1, of_size(r, 400));
        assert_string_equal(refused(r, of_size(r, 601)).what, "user_memory");
        struct core_quota quota = refused(r, of_size(r, UINT64_MAX));
        assert_string_equal(quota.what, "user_memory");
        assert_int_equal(quota.used, 400);
        assert_int_equal(quota.limit, 1000);
        submit_with(r, 1, of_size(r, 600));
        end(r);
}

/* Another one's bytes count for all. */
static void test_exactly_as_much_as_all_may(void **state)
{
        struct recorder *r = begin_limited(UINT64_MAX, 1000);
        submit_with(r, 2, of_size(r, 400));
        assert_string_equal(refused(r, of_size(r, 601)).what, "memory_limit");
        struct core_quota quota = refused(r, of_size(r, UINT64_MAX));
        assert_string_equal(quota.what, "memory_limit");
        assert_int_equal(quota.used, 400);
        assert_int_equal(quota.limit, 1000);
        submit_with(r, 1, of_size(r, 600));
        end(r);
}

/* Requests beyond some that are free, for a task that runs. */
static void test_open_requests(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_config config = ordinary;
        struct core_account before, after;
        uint64_t id = submit(r, 1);
        turn(r, 0);
        core_account(r->core, ALICE, &before);
        for (uint32_t msgid = 1; msgid <= WAITERS_FREE; msgid++)
                assert_int_equal(ask_result(r, 1, msgid, id), 0);
        core_account(r->core, ALICE, &after);
        assert_int_equal(after.bytes, before.bytes);
        assert_int_equal(ask_result(r, 1, WAITERS_FREE + 1, id), 0);
        core_account(r->core, ALICE, &after);
        assert_true(after.bytes > before.bytes);
        config.user_memory_bytes = after.bytes;
        core_configure(r->core, &config);
        assert_int_equal(ask_result(r, 1, WAITERS_FREE + 2, id), CORE_QUOTA);
        assert_string_equal(core_refused_quota(r->core).what, "user_memory");
        answer(r, 0, 0, id);
        core_account(r->core, ALICE, &after);
        assert_int_equal(after.bytes, 0);
        end(r);
}

/* A user has as many descriptors as one message may bring, and not one more. */
static void test_descriptors(void **state)
{
        struct recorder *r = begin_limited(1 << 20, 1 << 30);
        struct core_spec s = spec(r);
        s.n_descriptors = 4;
        submit_with(r, 1, s);
        s.n_descriptors = 7;
        assert_string_equal(refused(r, s).what, "user_descriptors");
        s.n_descriptors = 6;
        submit_with(r, 1, s);
        end(r);
}

static void test_of_who_is_unknown_there_is_nothing(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_account account, none = {0};
        core_account(r->core, BOB, &account);
        assert_memory_equal(&account, &none, sizeof(none));
        end(r);
}

static void test_many_come_back_over_several_turns(void **state)
{
        struct core_config config = ordinary;
        struct core_result huge = {.size_bytes = config.user_memory_bytes};
        struct recorder *r = begin_with(&config, &ordinary_pool);
        turn(r, 0);
        hello(r, 0);
        client(r, 1, ALICE);
        uint64_t first = submit(r, 1);
        turn(r, 0);
        for (int i = 0; i < MANY; i++)
                submit(r, 1);
        assert_int_equal(core_worker_result(r->core, 0, 0, first, 1, &huge, r->now), 0);
        turn(r, 0);
        assert_int_equal(ask_result(r, 1, 1, first), 0); /* which takes it */
        for (uint64_t i = 1; i <= MANY; i++) {
                turn(r, 0);
                assert_int_equal(state_of(r, 1, first + i), TASK_RUNNING); /* in their order */
                answer(r, 0, 0, first + i);
        }
        end(r);
}

/* Both results are too old at the same time. */
static void test_many_of_two_users_come_back(void **state)
{
        struct core_result huge = {.size_bytes = ordinary.user_memory_bytes};
        struct recorder *r = begin(1, 1);
        uint64_t last[2] = {0, 0};
        client(r, 2, BOB);
        for (int i = 0; i < 1 + MANY; i++) {
                submit(r, 1); /* odd numbers */
                submit(r, 2); /* even ones */
        }
        for (uint64_t id = 1; id <= 2; id++) {
                turn(r, 0);
                assert_int_equal(r->sent.task, id);
                assert_int_equal(core_worker_result(r->core, 0, 0, id, 1, &huge, r->now), 0);
        }
        turn(r, 0);
        forget(r);
        turn(r, spec(r).ttl);
        for (int i = 0; i < 2 * MANY; i++) {
                assert_true(r->sent.task > last[r->sent.task % 2]); /* each one's in their order */
                last[r->sent.task % 2] = r->sent.task;
                answer(r, 0, 0, r->sent.task);
                turn(r, 0);
        }
        assert_int_equal(last[0] + last[1], 4 * (1 + MANY) - 1);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exactly_as_much_as_one_may),
                cmocka_unit_test(test_exactly_as_much_as_all_may),
                cmocka_unit_test(test_open_requests),
                cmocka_unit_test(test_descriptors),
                cmocka_unit_test(test_of_who_is_unknown_there_is_nothing),
                cmocka_unit_test(test_many_come_back_over_several_turns),
                cmocka_unit_test(test_many_of_two_users_come_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
