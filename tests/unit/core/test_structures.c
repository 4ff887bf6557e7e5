/* SPDX-License-Identifier: MIT */
/* What the core stands on: the heap of timers, the hash table, the mean of run times. */
#include "daemon/core/core_private.h"
#include "daemon/core/siphash.h"
#include "tests/unit/cmocka_includes.h"

#define N 500

static uint32_t next_random(uint32_t *seed)
{
        *seed = *seed * 1664525 + 1013904223;
        return *seed >> 8;
}

static void test_timers_come_in_their_order(void **state)
{
        struct core core = {0};
        struct timer timers[N] = {0};
        int64_t at[N], last = -1;
        uint32_t seed = 1;
        assert_int_equal(timers_reserve(&core.timers, N), 0);
        for (int i = 0; i < N; i++)
                timer_set(&core, &timers[i], at[i] = next_random(&seed) % 1000);
        for (int i = 0; i < N; i += 3)
                timer_set(&core, &timers[i], at[i] = next_random(&seed) % 1000);
        for (int i = 1; i < N; i += 7)
                timer_clear(&core, &timers[i]);
        for (struct timer *timer; (timer = timers_first_due(&core.timers, 2000)); timer_clear(&core, timer)) {
                assert_true(at[timer - timers] >= last);
                assert_true(timers_next(&core.timers) == at[timer - timers]);
                last = at[timer - timers];
        }
        assert_true(timers_next(&core.timers) == CORE_NEVER);
        timers_unreserve(&core.timers, N);
        free(core.timers.heap);
}

static void test_timers_give_back_what_a_flood_needed(void **state)
{
        struct core core = {0};
        struct timer timer = {0};
        for (int i = 0; i < 100000; i++)
                assert_int_equal(timers_reserve(&core.timers, 1), 0);
        timer_set(&core, &timer, 5);
        for (int i = 1; i < 100000; i++)
                timers_unreserve(&core.timers, 1);
        assert_true(core.timers.capacity < 10000);
        assert_ptr_equal(timers_first_due(&core.timers, 5), &timer);
        timer_clear(&core, &timer);
        timers_unreserve(&core.timers, 1);
        free(core.timers.heap);
}

static void test_table_finds_what_is_there(void **state)
{
        static const uint64_t multipliers[] = {0, 0x9e3779b97f4a7c15, 1};
        for (size_t m = 0; m < 3; m++) {
                struct table table;
                struct table_link links[N];
                assert_int_equal(table_init(&table, multipliers[m]), 0);
                for (uint64_t i = 0; i < N; i++)
                        table_add(&table, &links[i], i * 3);
                for (uint64_t i = 0; i < N; i += 2)
                        table_remove(&table, &links[i]);
                for (uint64_t i = 0; i < N; i++) {
                        assert_ptr_equal(table_find(&table, i * 3), i % 2 ? &links[i] : NULL);
                        assert_null(table_find(&table, i * 3 + 1));
                }
                for (uint64_t i = 1; i < N; i += 2)
                        table_remove(&table, &links[i]);
                table_deinit(&table);
        }
}

static void test_table_of_the_same_key(void **state)
{
        struct table table;
        struct table_link same[3], other;
        assert_int_equal(table_init(&table, 0), 0);
        for (int i = 0; i < 3; i++)
                table_add(&table, &same[i], 5);
        table_add(&table, &other, 5 + (1 << 20)); /* of the same bucket */
        assert_ptr_equal(table_find(&table, 5), &same[2]);
        assert_ptr_equal(table_next(&same[2]), &same[1]);
        table_remove(&table, &same[1]);
        assert_ptr_equal(table_next(&same[2]), &same[0]);
        assert_null(table_next(&same[0]));
        assert_null(table_next(&other));
        table_remove(&table, &same[0]);
        table_remove(&table, &same[2]);
        assert_null(table_find(&table, 5));
        table_remove(&table, &other);
        table_deinit(&table);
}

/* The paper's own, and the first of the vectors that came with it. */
static void test_siphash(void **state)
{
        const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
        unsigned char data[16];
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (unsigned char)i;
        assert_true(siphash(key, data, 0) == UINT64_C(0x726fdb47dd0e0e31));
        assert_true(siphash(key, data, 1) == UINT64_C(0x74f839c593dc67fd));
        assert_true(siphash(key, data, 8) == UINT64_C(0x93f5f5799a932462));
        assert_true(siphash(key, data, 15) == UINT64_C(0xa129ca6149be45e5));
}

static void test_table_gives_back_what_a_flood_needed(void **state)
{
        enum { FLOOD = 100000 };
        struct table_link *links = calloc(FLOOD, sizeof(*links));
        struct table table;
        assert_non_null(links);
        assert_int_equal(table_init(&table, 0), 0);
        for (uint64_t i = 0; i < FLOOD; i++)
                table_add(&table, &links[i], i);
        assert_true((size_t)1 << table.bits > FLOOD / 2);
        for (uint64_t i = 1; i < FLOOD; i++) {
                table_remove(&table, &links[i]);
                table_shrink(&table);
        }
        assert_true((size_t)1 << table.bits < FLOOD / 10);
        assert_ptr_equal(table_find(&table, 0), &links[0]);
        assert_null(table_find(&table, 1));
        table_remove(&table, &links[0]);
        table_deinit(&table);
        free(links);
}

static void test_mean_moves_by_an_eighth(void **state)
{
        struct function function = {0};
        function_measure(&function, 800, 1);
        assert_int_equal(function.mean_ns, 800);
        function_measure(&function, 1600, 1);
        assert_int_equal(function.mean_ns, 900);
        for (int i = 0; i < 100; i++)
                function_measure(&function, 0, 1);
        assert_true(function.mean_ns >= 1); /* 0 would say: not measured */
        function.mean_ns = 1000;
        function_measure(&function, 1000000, 1);
        assert_int_equal(function.mean_ns, 1875); /* an outlier */
        free(function.times);
}

static void test_results_that_come_at_once_share_the_time(void **state)
{
        struct function functions[2] = {{0}};
        struct pool pool = {.functions = functions};
        struct hand hand = {.pool = &pool};
        hand_measure(&hand, 1, 4000, 1);
        hand_measure(&hand, 1, 0, 1);
        hand_measure(&hand, 1, 0, 2);
        assert_int_equal(functions[1].mean_ns, 0);
        hand_measure_end(&hand);
        assert_int_equal(functions[1].mean_ns, 1000);
        free(functions[1].times);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_timers_come_in_their_order),
                cmocka_unit_test(test_timers_give_back_what_a_flood_needed),
                cmocka_unit_test(test_table_finds_what_is_there),
                cmocka_unit_test(test_table_of_the_same_key),
                cmocka_unit_test(test_siphash),
                cmocka_unit_test(test_table_gives_back_what_a_flood_needed),
                cmocka_unit_test(test_mean_moves_by_an_eighth),
                cmocka_unit_test(test_results_that_come_at_once_share_the_time),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
