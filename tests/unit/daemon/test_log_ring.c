/* SPDX-License-Identifier: MIT */
/* The log's ring: blocks of all sizes come out as they went in, also over its end and from another thread;
 * who finds no room gets none, and nothing that is in it is touched. */
#include "daemon/log_ring.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cmocka_includes.h"

#define BLOCKS 200000u

static struct log_ring ring;

struct block {
        uint32_t number, size_bytes;
        uint8_t data[];
};

static uint32_t size_of(uint32_t number)
{
        return (uint32_t)sizeof(struct block) + number * 2654435761u % 3000;
}

static bool put(uint32_t number, size_t fill_bytes)
{
        uint32_t size_bytes = size_of(number);
        struct block *block = log_ring_reserve(&ring, 4000, fill_bytes);

        if (!block)
                return false;
        block->number = number;
        block->size_bytes = size_bytes;
        memset(block->data, (int)number, size_bytes - sizeof(*block));
        log_ring_commit(&ring, size_bytes);
        return true;
}

static bool get(uint32_t number)
{
        const struct block *block = log_ring_peek(&ring);

        if (!block)
                return false;
        assert_ptr_equal(block, log_ring_peek(&ring));
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_int_equal(block->number, number);
        assert_int_equal(block->size_bytes, size_of(number));
        for (uint32_t i = 0; i < block->size_bytes - sizeof(*block); i++)
                assert_int_equal(block->data[i], (uint8_t)number);
        log_ring_release(&ring);
        return true;
}

static int begin(void **state)
{
        memset(&ring, 0, sizeof ring);
        return 0;
}

static void test_what_goes_in_comes_out(void **state)
{
        uint32_t in = 0, out = 0;

        assert_null(log_ring_peek(&ring));
        while (in < 20000) { /* many times round, with more and less in it */
                for (uint32_t n = in % 300; n > 0 && put(in, LOG_RING_BYTES); n--)
                        in++;
                put(in, LOG_RING_BYTES) ? in++ : 0;
                for (uint32_t n = in % 200; n > 0 && get(out); n--)
                        out++;
        }
        while (get(out))
                out++;
        assert_int_equal(out, in);
        assert_true(log_ring_is_empty(&ring));
}

static void test_a_full_ring_has_no_room(void **state)
{
        uint32_t n = 0, urgent;

        while (put(n, LOG_RING_COMMON_BYTES))
                n++;
        assert_true(n > LOG_RING_COMMON_BYTES / 4016 - 1);
        for (urgent = n; put(urgent, LOG_RING_BYTES); urgent++)
                ;
        assert_true(urgent > n + n / 4);
        assert_null(log_ring_reserve(&ring, 1, LOG_RING_COMMON_BYTES));
        for (uint32_t i = 0; i < urgent; i++)
                assert_true(get(i));
        assert_null(log_ring_peek(&ring));
        assert_true(put(1, LOG_RING_COMMON_BYTES));
}

static void test_what_is_not_committed_is_not_there(void **state)
{
        assert_non_null(log_ring_reserve(&ring, 100, LOG_RING_BYTES));
        assert_true(log_ring_is_empty(&ring));
        assert_true(put(3, LOG_RING_BYTES));
        assert_true(get(3));
}

static void *reader(void *argument)
{
        for (uint32_t n = 0; n < BLOCKS;)
                n += get(n);
        return NULL;
}

static void test_two_threads(void **state)
{
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, reader, NULL), 0);
        for (uint32_t n = 0; n < BLOCKS;)
                n += put(n, LOG_RING_BYTES);
        pthread_join(thread, NULL);
        assert_true(log_ring_is_empty(&ring));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_what_goes_in_comes_out, begin),
                cmocka_unit_test_setup(test_a_full_ring_has_no_room, begin),
                cmocka_unit_test_setup(test_what_is_not_committed_is_not_there, begin),
                cmocka_unit_test_setup(test_two_threads, begin),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
