/* SPDX-License-Identifier: MIT */
/* The linear buffer: content, room, memory given back, failed growth. */
#include "proto/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

static void test_empty_holds_no_memory(void **state)
{
        struct buffer b = BUFFER_INIT;

        assert_int_equal(buffer_append(&b, NULL, 0), 0);
        assert_null(b.data);
        assert_int_equal(buffer_append(&b, "abc", 3), 0);
        buffer_trim(&b, 0);
        assert_non_null(b.data); /* it is not empty */
        buffer_consume(&b, 3);
        buffer_trim(&b, b.capacity_bytes);
        assert_non_null(b.data); /* so much may be kept */
        buffer_trim(&b, b.capacity_bytes - 1);
        assert_null(b.data);
        assert_int_equal(b.capacity_bytes, 0);
        buffer_deinit(&b);
}

static void test_append_consume_truncate(void **state)
{
        struct buffer b = BUFFER_INIT;

        assert_int_equal(buffer_append(&b, "hello world", 11), 0);
        buffer_consume(&b, 6);
        assert_int_equal(buffer_size(&b), 5);
        assert_memory_equal(buffer_at(&b), "world", 5);
        buffer_truncate(&b, 2);
        assert_int_equal(buffer_append(&b, "n", 1), 0);
        assert_int_equal(buffer_size(&b), 3);
        assert_memory_equal(buffer_at(&b), "won", 3);
        buffer_truncate(&b, 0);
        assert_int_equal(b.begin, 0);
        assert_int_equal(buffer_size(&b), 0);
        buffer_deinit(&b);
}

/* Against a plain model: bytes are numbered, so what comes out must go on where it stopped. */
static void test_keeps_bytes_in_order(void **state)
{
        struct buffer b = BUFFER_INIT;
        uint64_t in = 0, out = 0;

        srand(7);
        for (int round = 0; round < 20000; round++) {
                uint8_t bytes[300];
                size_t n = (size_t)rand() % sizeof bytes;
                for (size_t i = 0; i < n; i++)
                        bytes[i] = (uint8_t)(in++ * 31);
                assert_int_equal(buffer_append(&b, bytes, n), 0);
                n = (size_t)rand() % (buffer_size(&b) + 1);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(buffer_at(&b)[i], (uint8_t)(out++ * 31));
                buffer_consume(&b, n);
                assert_int_equal(buffer_size(&b), in - out);
                assert_true(b.end <= b.capacity_bytes);
        }
        assert_true(b.capacity_bytes < 64 * 1024); /* consumed room is used again */
        buffer_deinit(&b);
}

static void test_full_buffer_is_not_moved_for_every_byte(void **state)
{
        struct buffer b = BUFFER_INIT;
        unsigned moves = 0;

        assert_int_equal(buffer_reserve(&b, 100000), 0);
        b.end = b.capacity_bytes;
        memset(b.data, 'x', b.capacity_bytes);
        for (int i = 0; i < 100000; i++) {
                size_t begin = b.begin + 1;
                buffer_consume(&b, 1);
                assert_int_equal(buffer_append(&b, "y", 1), 0);
                moves += b.begin != begin;
        }
        assert_true(moves <= 3);
        buffer_deinit(&b);
}

static void test_reserve_beyond_memory(void **state)
{
        struct buffer b = BUFFER_INIT;

        assert_int_equal(buffer_append(&b, "abc", 3), 0);
        assert_int_equal(buffer_reserve(&b, SIZE_MAX), -ENOMEM);
        assert_int_equal(buffer_reserve(&b, SIZE_MAX - 2), -ENOMEM);
        assert_memory_equal(buffer_at(&b), "abc", 3);
        buffer_deinit(&b);
}

static void test_failed_growth_changes_nothing(void **state)
{
        for (int consumed = 0; consumed < 2; consumed++) {
                struct buffer b = BUFFER_INIT;
                uint8_t more[4096] = {0};
                assert_int_equal(buffer_append(&b, "abc", 3), 0);
                buffer_consume(&b, (size_t)consumed); /* by realloc, and by malloc and copy */
                fault_alloc_arm(1);
                assert_int_equal(buffer_append(&b, more, sizeof more), -ENOMEM);
                assert_true(fault_alloc_disarm());
                assert_int_equal(buffer_size(&b), 3 - consumed);
                assert_memory_equal(buffer_at(&b), &"abc"[consumed], 3 - (size_t)consumed);
                assert_int_equal(buffer_append(&b, more, sizeof more), 0);
                assert_int_equal(buffer_size(&b), 3 - (size_t)consumed + sizeof more);
                buffer_deinit(&b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty_holds_no_memory),
                cmocka_unit_test(test_append_consume_truncate),
                cmocka_unit_test(test_keeps_bytes_in_order),
                cmocka_unit_test(test_full_buffer_is_not_moved_for_every_byte),
                cmocka_unit_test(test_reserve_beyond_memory),
                cmocka_unit_test(test_failed_growth_changes_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
