/* SPDX-License-Identifier: MIT */
/* The payload table: numbers, runs of items with their descriptors, who closes what. */
#include "daemon/payload.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pack.h"
#include "proto/reader.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

static int closed[128];
static unsigned n_closed;

static void note_close(int fd)
{
        closed[n_closed++] = fd;
}

static struct payload_table *table(void)
{
        struct payload_table *t;

        n_closed = 0;
        assert_int_equal(payload_table_new(note_close, &t), 0);
        return t;
}

static void test_bytes_and_numbers(void **state)
{
        struct payload_table *t = table();
        payload_t a, b, c;
        size_t size;

        assert_int_equal(payload_new(t, (const uint8_t *)"\x01", 1, NULL, 0, &a), 0);
        assert_int_equal(payload_new(t, (const uint8_t *)"\x02\x03", 2, NULL, 0, &b), 0);
        assert_true(a != PAYLOAD_NONE && b != PAYLOAD_NONE && a != b);
        assert_int_equal(payload_bytes(t, b, &size)[1], 3);
        assert_int_equal(size, 2);
        payload_drop(t, a);
        assert_int_equal(payload_count(t), 1);
        assert_int_equal(payload_new(t, (const uint8_t *)"\x04", 1, NULL, 0, &c), 0);
        assert_int_equal(c, a); /* dense */
        payload_drop(t, b);
        payload_drop(t, c);
        assert_int_equal(payload_count(t), 0);
        payload_table_free(t);
}

static void test_a_flood_leaves_nothing_behind(void **state)
{
        enum { N = 10000 };
        struct payload_table *t = table();
        static payload_t numbers[N];
        payload_t next;

        for (unsigned i = 0; i < N; i++)
                assert_int_equal(payload_new(t, (const uint8_t *)"\x90", 1, NULL, 0, &numbers[i]), 0);
        for (unsigned i = 0; i < N; i++)
                payload_drop(t, numbers[i]);
        assert_int_equal(payload_new(t, (const uint8_t *)"\x90", 1, NULL, 0, &next), 0);
        assert_int_equal(
                next, numbers[0]); /* the places are new ones: else it would be the last that was dropped */
        payload_drop(t, next);
        payload_table_free(t);
}

/* Those dropped are used again: of any size, also by one that differs, with and without descriptors. */
static void test_used_again(void **state)
{
        enum { N = 600 };
        struct payload_table *t = table();
        static payload_t numbers[N];
        uint8_t bytes[N];

        for (unsigned round = 0; round < 6; round++) {
                for (unsigned i = 0; i < N; i++) {
                        size_t size = (i * 7 + round * 3) % N;
                        const int fd = (int)i;
                        memset(bytes, (int)(i + round) & 0xff, size);
                        assert_int_equal(payload_new(t, bytes, size, &fd, (i + round) % 5 == 0, &numbers[i]),
                                         0);
                }
                for (unsigned i = 0; i < N; i++) {
                        size_t size, expected = (i * 7 + round * 3) % N;
                        const uint8_t *got = payload_bytes(t, numbers[i], &size);
                        assert_int_equal(size, expected);
                        memset(bytes, (int)(i + round) & 0xff, size);
                        assert_memory_equal(got, bytes, size);
                        n_closed = 0;
                        payload_drop(t, numbers[i]);
                        assert_int_equal(n_closed, (i + round) % 5 == 0);
                }
                if (round == 3)
                        payload_table_trim(t);
        }
        payload_table_free(t);
}

static void test_descriptors_are_closed_with_it(void **state)
{
        struct payload_table *t = table();
        const int fds[] = {100, 101};
        payload_t a, b;
        uint32_t n;

        assert_int_equal(payload_new(t, (const uint8_t *)"\x90", 1, fds, 2, &a), 0);
        assert_int_equal(payload_fds(t, a, &n)[1], 101);
        assert_int_equal(n, 2);
        payload_drop(t, a);
        assert_int_equal(n_closed, 2);
        assert_int_equal(payload_new(t, (const uint8_t *)"\x90", 1, fds, 1, &b), 0);
        payload_table_free(t);
        assert_int_equal(n_closed, 3);
}

/* Item i is [i], and every third one [i, descriptor]. */
static void pack_items(struct buffer *b, uint32_t n)
{
        struct packer p;

        pack_begin(&p, b);
        pack_array(&p, n);
        for (uint32_t i = 0; i < n; i++) {
                pack_array(&p, i % 3 == 0 ? 2 : 1);
                pack_uint(&p, i);
                if (i % 3 == 0)
                        pack_fd(&p);
        }
        assert_int_equal(pack_end(&p), 0);
}

static void expect_run(struct payload_table *t, payload_t number, uint64_t first, uint32_t n)
{
        struct reader r;
        const uint8_t *bytes;
        const int *fds;
        uint32_t n_fds, fd = 0, n_elements, n_here;
        size_t size;
        uint64_t value;

        payload_items(t, number, first, n, &bytes, &size, &fds, &n_fds);
        r = reader_over(bytes, size);
        for (uint64_t i = first; i < first + n; i++) {
                assert_int_equal(reader_array(&r, &n_elements), 0);
                assert_int_equal(reader_uint(&r, &value), 0);
                assert_int_equal(value, i);
                if (i % 3 == 0) {
                        assert_int_equal(reader_skip(&r, NULL, NULL, &n_here), 0);
                        assert_int_equal(fds[fd++], 1000 + (int)i / 3);
                }
        }
        assert_true(reader_at_end(&r));
        assert_int_equal(fd, n_fds);
}

static void test_runs_of_items(void **state)
{
        struct payload_table *t = table();
        struct buffer b = BUFFER_INIT;
        int fds[100];
        uint64_t bad;
        payload_t number;

        for (int i = 0; i < 100; i++)
                fds[i] = 1000 + i;
        pack_items(&b, 300);
        assert_int_equal(payload_new_items(t, buffer_at(&b), buffer_size(&b), fds, 100, &number, &bad), 0);
        for (uint64_t first = 0; first < 300; first += 7)
                expect_run(t, number, first, first + 7 <= 300 ? 7 : (uint32_t)(300 - first));
        expect_run(t, number, 0, 300);
        expect_run(t, number, 299, 1);
        expect_run(t, number, 63, 2); /* back again, over a mark */
        expect_run(t, number, 64, 1);
        expect_run(t, number, 10, 1);
        buffer_deinit(&b);
        payload_table_free(t);
        assert_int_equal(n_closed, 100);
}

static void test_an_item_that_is_no_array(void **state)
{
        static const uint8_t bytes[] = {0x93, 0x91, 0x01, 0x90, 0x05};
        struct payload_table *t = table();
        const int fds[] = {7};
        uint64_t bad = 99;
        payload_t number;

        assert_int_equal(payload_new_items(t, bytes, sizeof bytes, fds, 0, &number, &bad), -EINVAL);
        assert_int_equal(bad, 2);
        assert_int_equal(payload_count(t), 0);
        assert_int_equal(n_closed, 0); /* they stay the caller's */
        payload_table_free(t);
}

static void test_no_items(void **state)
{
        struct payload_table *t = table();
        uint64_t bad;
        payload_t number;

        assert_int_equal(payload_new_items(t, (const uint8_t *)"\x90", 1, NULL, 0, &number, &bad), 0);
        payload_table_free(t);
}

static void test_no_memory_at_any_place(void **state)
{
        bool failed = true;

        for (unsigned n = 1; failed; n++) {
                struct payload_table *t = table();
                const int fds[] = {7};
                payload_t number;
                fault_alloc_arm(n);
                int r = payload_new(t, (const uint8_t *)"\x90", 1, fds, 1, &number);
                failed = fault_alloc_disarm() != 0;
                assert_int_equal(r, failed ? -ENOMEM : 0);
                assert_int_equal(payload_count(t), failed ? 0 : 1);
                payload_table_free(t);
                assert_int_equal(n_closed, failed ? 0 : 1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes_and_numbers),
                cmocka_unit_test(test_a_flood_leaves_nothing_behind),
                cmocka_unit_test(test_used_again),
                cmocka_unit_test(test_descriptors_are_closed_with_it),
                cmocka_unit_test(test_runs_of_items),
                cmocka_unit_test(test_an_item_that_is_no_array),
                cmocka_unit_test(test_no_items),
                cmocka_unit_test(test_no_memory_at_any_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
