/* SPDX-License-Identifier: MIT */
/* Tails: what is kept is what was written last, however it came; memory grows with it and not beyond. */
#include "daemon/tails.h"

#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/options.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

/* All of what tails_last() gives, in one piece. */
static size_t last(const struct tails *tails, uint64_t task, unsigned kind, size_t max_bytes, uint8_t *ret)
{
        struct tail_part parts[2];
        size_t n = tails_last(tails, task, kind, max_bytes, parts);

        assert_int_equal(parts[0].size_bytes + parts[1].size_bytes, n);
        if (n > 0)
                memcpy(ret, parts[0].data, parts[0].size_bytes);
        if (parts[1].size_bytes > 0)
                memcpy(ret + parts[0].size_bytes, parts[1].data, parts[1].size_bytes);
        return n;
}

static void test_nothing_was_written(void **state)
{
        struct tails tails = {0};
        uint8_t got[8];

        assert_int_equal(last(&tails, 1, STREAM_STDOUT, sizeof(got), got), 0);
        assert_true(tails_add(&tails, 1, STREAM_STDERR, (const uint8_t *)"x", 1) > 0);
        assert_int_equal(last(&tails, 1, STREAM_STDOUT, sizeof(got), got), 0);
        tails_drop(&tails, 2);
        tails_deinit(&tails);
}

static void test_kinds_and_tasks_are_apart(void **state)
{
        struct tails tails = {0};
        uint8_t got[8];

        tails_add(&tails, 1, STREAM_STDOUT, (const uint8_t *)"out", 3);
        tails_add(&tails, 1, STREAM_STDERR, (const uint8_t *)"err", 3);
        tails_add(&tails, 2, STREAM_STDOUT, (const uint8_t *)"two", 3);
        assert_int_equal(last(&tails, 1, STREAM_STDOUT, sizeof(got), got), 3);
        assert_memory_equal(got, "out", 3);
        assert_int_equal(last(&tails, 1, STREAM_STDERR, 2, got), 2);
        assert_memory_equal(got, "rr", 2);
        tails_drop(&tails, 1);
        assert_int_equal(last(&tails, 1, STREAM_STDOUT, sizeof(got), got), 0);
        assert_int_equal(last(&tails, 2, STREAM_STDOUT, sizeof(got), got), 3);
        tails_deinit(&tails);
}

static void test_progress_keeps_the_last_word(void **state)
{
        struct tails tails = {0};
        uint8_t got[8];

        tails_add(&tails, 1, STREAM_PROGRESS, (const uint8_t *)"long one", 8);
        tails_add(&tails, 1, STREAM_PROGRESS, (const uint8_t *)"new", 3);
        assert_int_equal(last(&tails, 1, STREAM_PROGRESS, sizeof(got), got), 3);
        assert_memory_equal(got, "new", 3);
        tails_deinit(&tails);
}

/* Pieces of every size, against a plain copy of all that was written. */
static void test_any_pieces_leave_the_last_bytes(void **state)
{
        static uint8_t all[LIMIT_TAIL_BYTES * 5], got[LIMIT_TAIL_BYTES];
        struct tails tails = {0};
        uint64_t grown = 0;
        size_t n = 0;

        srand(7);
        for (size_t i = 0; i < sizeof(all); i++)
                all[i] = (uint8_t)rand();
        for (int round = 0; n < sizeof(all); round++) {
                size_t size = round % 40 == 39 ? LIMIT_TAIL_BYTES + 5 : (size_t)rand() % 3000;
                if (size > sizeof(all) - n)
                        size = sizeof(all) - n;
                grown += tails_add(&tails, 1, STREAM_STDOUT, all + n, size);
                n += size;
                size_t want = n < LIMIT_TAIL_BYTES ? n : LIMIT_TAIL_BYTES;
                assert_int_equal(last(&tails, 1, STREAM_STDOUT, sizeof(got), got), want);
                assert_memory_equal(got, all + n - want, want);
                if (want >= 10) {
                        assert_int_equal(last(&tails, 1, STREAM_STDOUT, 10, got), 10);
                        assert_memory_equal(got, all + n - 10, 10);
                }
        }
        assert_in_range(grown, LIMIT_TAIL_BYTES, LIMIT_TAIL_BYTES + 1024);
        tails_deinit(&tails);
}

static void test_of_a_record_only_the_end_of_stderr_is_kept(void **state)
{
        static uint8_t all[LIMIT_TAIL_BYTES + 100], got[LIMIT_TAIL_BYTES];
        struct tails tails = {0};

        for (size_t i = 0; i < sizeof(all); i++)
                all[i] = (uint8_t)(i * 7);
        tails_add(&tails, 1, STREAM_STDOUT, all, 10);
        tails_add(&tails, 1, STREAM_STDERR, all, LIMIT_TAIL_BYTES - 50);
        tails_add(&tails, 1, STREAM_STDERR, all + LIMIT_TAIL_BYTES - 50, 150);
        tails_add(&tails, 2, STREAM_STDOUT, all, 10);
        assert_true(tails_shrink(&tails, 1));
        assert_int_equal(last(&tails, 1, STREAM_STDOUT, sizeof(got), got), 0);
        assert_int_equal(last(&tails, 1, STREAM_STDERR, sizeof(got), got), LIMIT_STDERR_BYTES);
        assert_memory_equal(got, all + sizeof(all) - LIMIT_STDERR_BYTES, LIMIT_STDERR_BYTES);
        assert_false(tails_shrink(&tails, 2));
        assert_int_equal(last(&tails, 2, STREAM_STDOUT, sizeof(got), got), 0);
        assert_false(tails_shrink(&tails, 3));
        tails_deinit(&tails);
}

static void test_without_memory_the_tail_stays_as_it_is(void **state)
{
        uint8_t big[5000] = {0}, got[8];

        for (unsigned n = 1;; n++) {
                struct tails tails = {0};
                fault_alloc_arm(n);
                tails_add(&tails, 1, STREAM_STDOUT, (const uint8_t *)"abc", 3);
                tails_add(&tails, 1, STREAM_STDOUT, big, sizeof(big));
                int failed = fault_alloc_disarm();
                tails_add(&tails, 1, STREAM_STDOUT, (const uint8_t *)"xyz", 3);
                assert_int_equal(last(&tails, 1, STREAM_STDOUT, 3, got), 3);
                assert_memory_equal(got, "xyz", 3);
                tails_deinit(&tails);
                if (!failed)
                        break;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_was_written),
                cmocka_unit_test(test_kinds_and_tasks_are_apart),
                cmocka_unit_test(test_progress_keeps_the_last_word),
                cmocka_unit_test(test_any_pieces_leave_the_last_bytes),
                cmocka_unit_test(test_of_a_record_only_the_end_of_stderr_is_kept),
                cmocka_unit_test(test_without_memory_the_tail_stays_as_it_is),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
