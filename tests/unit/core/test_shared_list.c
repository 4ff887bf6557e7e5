/* SPDX-License-Identifier: MIT */
#include "tests/unit/core/recorder_shared.h"

/* Payloads first, first + 1, …; the version, 0: refused, then *ret is why. */
static uint64_t push_if(struct recorder *r, payload_t first, size_t n, bool front, uint64_t if_version,
                        int *ret)
{
        struct core_open open = a(OBJECT_LIST);
        struct core_value values[8];
        uint64_t version;
        for (size_t i = 0; i < n; i++)
                values[i] = value(r, first + (payload_t)i);
        *ret = core_list_push(r->core, 1, "l", &open, values, n, front, if_version, r->now, &version);
        if (*ret)
                r->n_payloads -= (uint32_t)n;
        core_check(r->core);
        return *ret ? 0 : version;
}

static uint64_t push(struct recorder *r, payload_t first, size_t n, bool front)
{
        int result;
        uint64_t version = push_if(r, first, n, front, CORE_ANY_VERSION, &result);
        assert_int_equal(result, 0);
        return version;
}

static void on_begin(void *userdata, uint64_t n)
{
        say(userdata, "%u:", (unsigned)n);
}

static void on_each(void *userdata, payload_t payload)
{
        say(userdata, " %u", payload);
}

static int pop(struct recorder *r, uint64_t max, bool front, uint64_t if_version)
{
        int result = core_list_pop(r->core, 2, "l", front, max, if_version, r->now, on_begin, on_each, r);
        core_check(r->core);
        return result;
}

static payload_t at_index(struct recorder *r, uint64_t index)
{
        payload_t payload = 0;
        return core_list_get(r->core, 2, "l", index, &payload) ? 0 : payload;
}

static void test_both_ends(void **state)
{
        struct recorder *r = begin_shared();
        assert_int_equal(push(r, 10, 2, false), 1);
        assert_int_equal(push(r, 20, 2, true), 2); /* 20 21 10 11 */
        assert_int_equal(at_index(r, 0), 20);
        assert_int_equal(at_index(r, 3), 11);
        pop(r, 1, false, CORE_ANY_VERSION);
        expect(r, "1: 11");
        pop(r, 9, true, CORE_ANY_VERSION);
        expect(r, "3: 20 21 10");
        assert_int_equal(look(r, "l").version, 4);
        pop(r, 1, true, CORE_ANY_VERSION);
        expect(r, "0:");
        assert_int_equal(look(r, "l").version, 4);
        assert_int_equal(r->n_payloads, 0);
        end(r);
}

static void test_order_is_kept_when_it_grows_around_its_end(void **state)
{
        struct recorder *r = begin_shared();
        for (payload_t i = 1; i <= 16; i++)
                push(r, i, 1, false);
        pop(r, 5, true, CORE_ANY_VERSION);
        for (payload_t i = 17; i <= 40; i++)
                push(r, i, 1, false);
        for (uint64_t i = 0; i < 35; i++)
                assert_int_equal(at_index(r, i), 6 + i);
        assert_int_equal(look(r, "l").size, 35);
        end(r);
}

static void test_list_of_another_version_is_left_as_it_is(void **state)
{
        struct core_value v;
        struct recorder *r = begin_shared();
        uint64_t version;
        int result;
        assert_int_equal(push_if(r, 10, 1, false, 0, &result), 1);
        push_if(r, 11, 1, false, 0, &result);
        assert_int_equal(result, CORE_VERSION);
        assert_int_equal(core_refused_clash(r->core).version, 1);
        assert_null(core_refused_clash(r->core).key);
        assert_int_equal(pop(r, 1, true, 2), CORE_VERSION);
        v = value(r, 12);
        assert_int_equal(core_list_set(r->core, 1, "l", 0, &v, 2, r->now, &version), CORE_VERSION);
        assert_int_equal(at_index(r, 0), 10);
        assert_int_equal(core_list_set(r->core, 1, "l", 0, &v, 1, r->now, &version), 0);
        assert_int_equal(version, 2);
        assert_int_equal(at_index(r, 0), 12);
        assert_int_equal(look(r, "l").size, 1);
        end(r);
}

static void test_there_is_no_such_place(void **state)
{
        struct recorder *r = begin_shared();
        payload_t payload;
        uint64_t version;
        assert_int_equal(core_list_get(r->core, 1, "l", 0, &payload), CORE_UNKNOWN_OBJECT);
        push(r, 10, 1, false);
        struct core_value v = {.payload = 11, .size_bytes = 1};
        assert_int_equal(core_list_get(r->core, 1, "l", 1, &payload), CORE_RANGE);
        assert_int_equal(core_list_set(r->core, 1, "l", 1, &v, CORE_ANY_VERSION, r->now, &version),
                         CORE_RANGE);
        end(r);
}

static void test_list_that_there_is_no_room_for(void **state)
{
        struct core_config config = ordinary;
        struct recorder *r = begin_shared();
        struct core_account before, after;
        int result;
        push(r, 10, 1, false);
        core_account(r->core, ALICE, &before);
        config.user_memory_bytes = before.bytes + 150;
        core_configure(r->core, &config);
        push_if(r, 11, 2, false, CORE_ANY_VERSION, &result);
        assert_int_equal(result, CORE_QUOTA);
        core_account(r->core, ALICE, &after);
        assert_int_equal(before.bytes, after.bytes);
        assert_int_equal(look(r, "l").size, 1);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_ends),
                cmocka_unit_test(test_order_is_kept_when_it_grows_around_its_end),
                cmocka_unit_test(test_list_of_another_version_is_left_as_it_is),
                cmocka_unit_test(test_there_is_no_such_place),
                cmocka_unit_test(test_list_that_there_is_no_room_for),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
