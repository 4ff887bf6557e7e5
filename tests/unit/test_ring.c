/* SPDX-License-Identifier: MIT */
/* The result ring: order, bounds, who is woken, and what a writer that lies can do. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ring.h"

struct fixture {
        struct ring *ring;
        struct ring_reader reader;
        struct buffer bytes;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        f->ring = aligned_alloc(64, sizeof(struct ring));
        memset(f->ring, 0, sizeof(*f->ring));
        f->reader.ring = f->ring;
        assert_int_equal(buffer_reserve(&f->bytes, RING_BYTES), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        buffer_deinit(&f->bytes);
        free(f->ring);
        free(f);
        return 0;
}

static bool put(struct fixture *f, const char *text)
{
        struct iovec iov[2] = {{(void *)(uintptr_t)text, 1},
                               {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};
        return ring_put(f->ring, iov, 2, strlen(text));
}

static void expect(struct fixture *f, int r, const char *text)
{
        buffer_truncate(&f->bytes, 0);
        assert_int_equal(buffer_reserve(&f->bytes, RING_BYTES), 0);
        assert_int_equal(ring_take(&f->reader, &f->bytes), r);
        assert_int_equal(buffer_size(&f->bytes), strlen(text));
        assert_memory_equal(buffer_at(&f->bytes), text, strlen(text));
}

static void test_messages_come_as_one_stream(void **state)
{
        struct fixture *f = *state;
        expect(f, 0, "");
        assert_true(put(f, "one"));
        assert_true(put(f, "second"));
        expect(f, 1, "onesecond");
        expect(f, 0, "");
}

static void test_what_comes_by_the_socket_has_its_place(void **state)
{
        struct fixture *f = *state;
        assert_true(put(f, "before"));
        assert_true(ring_announce(f->ring, 100, false));
        assert_true(put(f, "behind"));
        expect(f, 1, "before");
        assert_int_equal(f->reader.owed_bytes, 100);
        assert_false(f->reader.owed_is_wake);
        expect(f, 0, "");
        f->reader.owed_bytes = 0;
        expect(f, 1, "behind");
}

static void test_a_full_ring_takes_announcements_only(void **state)
{
        static char text[1000];
        struct fixture *f = *state;
        unsigned n = 0;

        memset(text, 'x', sizeof(text) - 1);
        while (put(f, text))
                n++;
        assert_in_range(n, 50, 65);
        assert_true(ring_announce(f->ring, 1, false));
        static char large[RING_INLINE_BYTES + 2];
        memset(large, 'x', sizeof(large) - 1);
        buffer_truncate(&f->bytes, 0);
        assert_int_equal(ring_take(&f->reader, &f->bytes), 1);
        assert_int_equal(buffer_size(&f->bytes), n * (sizeof(text) - 1));
        f->reader.owed_bytes = 0;
        assert_false(put(f, large));
        assert_true(put(f, "y"));
        expect(f, 1, "y");
}

static void test_who_sleeps_is_woken_once(void **state)
{
        struct fixture *f = *state;
        assert_true(put(f, "a"));
        assert_true(ring_must_wake(f->ring));
        assert_true(ring_announce(f->ring, 1, true));
        assert_true(put(f, "b"));
        assert_false(ring_must_wake(f->ring));
        expect(f, 1, "a");
        assert_true(f->reader.owed_is_wake);
        f->reader.owed_bytes = 0;
        assert_false(ring_unwatch(&f->reader)); /* there is something yet */
        expect(f, 1, "b");
        assert_true(ring_unwatch(&f->reader));
        ring_watch(&f->reader);
        assert_true(put(f, "c"));
        assert_false(ring_must_wake(f->ring));
}

static void test_a_head_that_cannot_be_is_refused(void **state)
{
        struct fixture *f = *state;
        static const uint64_t heads[] = {RING_BYTES + 4, UINT64_MAX - 3, 2, 6, UINT64_MAX};

        for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
                f->ring->head = heads[i];
                assert_int_equal(ring_take(&f->reader, &f->bytes), -EBADMSG);
                assert_int_equal(f->reader.at, 0);
        }
}

static void test_a_size_that_cannot_be_is_refused(void **state)
{
        struct fixture *f = *state;
        static const uint32_t headers[] = {0, 5, 0x3fffffff, 0x40000000};

        for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
                f->reader.at = 0;
                f->ring->head = 8;
                memcpy(f->ring->bytes, &headers[i], sizeof(headers[i]));
                assert_int_equal(ring_take(&f->reader, &f->bytes), -EBADMSG);
                assert_int_equal(buffer_size(&f->bytes), 0);
        }
}

#define N_NUMBERS 300000

static void *write_numbers(void *userdata)
{
        struct ring *ring = userdata;

        for (uint32_t i = 0; i < N_NUMBERS; i++) {
                uint8_t filler[64] = {0};
                struct iovec iov[2] = {{&i, sizeof(i)}, {filler, i % sizeof(filler)}};
                while (!ring_put(ring, iov, 2, sizeof(i) + i % sizeof(filler)))
                        sched_yield();
        }
        return NULL;
}

/* Over the end of the ring thousands of times, with both at work. */
static void test_two_at_a_time(void **state)
{
        struct fixture *f = *state;
        pthread_t writer;
        uint32_t next = 0;

        assert_int_equal(pthread_create(&writer, NULL, write_numbers, f->ring), 0);
        while (next < N_NUMBERS) {
                buffer_truncate(&f->bytes, 0);
                if (ring_take(&f->reader, &f->bytes) == 0)
                        sched_yield();
                while (buffer_size(&f->bytes) > 0) {
                        uint32_t number;
                        memcpy(&number, buffer_at(&f->bytes), sizeof(number));
                        assert_int_equal(number, next);
                        buffer_consume(&f->bytes, sizeof(number) + number % 64);
                        next++;
                }
        }
        pthread_join(writer, NULL);
        assert_int_equal(ring_take(&f->reader, &f->bytes), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_messages_come_as_one_stream, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_comes_by_the_socket_has_its_place, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_full_ring_takes_announcements_only, setup, teardown),
                cmocka_unit_test_setup_teardown(test_who_sleeps_is_woken_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_head_that_cannot_be_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_size_that_cannot_be_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_two_at_a_time, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
