/* SPDX-License-Identifier: MIT */
/* What a worker does when the ring is full: it waits for one who reads, and not for ever for one who does
 * not. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/worker.h"
#include "proto/ring.h"
#include "tests/unit/cmocka_includes.h"

enum {
        N_MESSAGES = 20000,
        READER_NS = 300000,
        MOST_BY_SOCKET = N_MESSAGES / 200,
        LEAST_WAIT_MS = 1,
        MOST_WAIT_MS = 1000 /* by a busy machine: mostly 3 */
};

struct fixture {
        struct worker worker;
        int fds[2]; /* the worker's, gangerd's */
        struct ring_reader reader;
        struct buffer bytes;
        uint32_t n_read, n_by_socket;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->fds), 0);
        f->worker.channel = f->fds[0];
        f->worker.ring = f->reader.ring = aligned_alloc(64, sizeof(struct ring));
        memset(f->worker.ring, 0, sizeof(struct ring));
        ring_watch(&f->reader);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        buffer_deinit(&f->bytes);
        free(f->worker.ring);
        close(f->fds[0]);
        close(f->fds[1]);
        free(f);
        return 0;
}

static int send_number(struct fixture *f, uint32_t number)
{
        return message_send(&f->worker, &(struct iovec){&number, sizeof(number)}, 1, NULL, 0);
}

static void number_came(struct fixture *f, const void *data)
{
        uint32_t number;

        memcpy(&number, data, sizeof(number));
        assert_int_equal(number, f->n_read++);
}

static void read_ring(struct fixture *f)
{
        assert_int_equal(buffer_reserve(&f->bytes, RING_BYTES), 0);
        assert_true(ring_take(&f->reader, &f->bytes) >= 0);
        while (buffer_size(&f->bytes) > 0) {
                number_came(f, buffer_at(&f->bytes));
                buffer_consume(&f->bytes, sizeof(uint32_t));
        }
}

static void read_socket(struct fixture *f)
{
        uint32_t number;

        assert_int_equal(f->reader.owed_bytes, sizeof(number));
        assert_int_equal(read(f->fds[1], &number, sizeof(number)), sizeof(number));
        number_came(f, &number);
        f->reader.owed_bytes = 0;
        f->n_by_socket++;
}

/* Slower than it is written. */
static void *read_all(void *fixture)
{
        const struct timespec pause = {.tv_nsec = READER_NS};
        struct fixture *f = fixture;

        while (f->n_read < N_MESSAGES) {
                nanosleep(&pause, NULL);
                read_ring(f);
                if (f->reader.owed_bytes > 0)
                        read_socket(f);
        }
        return NULL;
}

/* The machine may hold him up for longer than is waited: some may come by the socket. */
static void test_one_who_reads_is_waited_for(void **state)
{
        struct fixture *f = *state;
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, read_all, f), 0);
        for (uint32_t i = 0; i < N_MESSAGES; i++)
                assert_int_equal(send_number(f, i), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(f->n_read, N_MESSAGES);
        print_message("%u of %d came by the socket\n", f->n_by_socket, N_MESSAGES);
        assert_true(f->n_by_socket < MOST_BY_SOCKET);
}

static bool has_come_by_the_socket(struct fixture *f)
{
        return poll(&(struct pollfd){.fd = f->fds[1], .events = POLLIN}, 1, 0) == 1;
}

static void test_one_who_does_not_read_gets_it_by_the_socket(void **state)
{
        struct fixture *f = *state;
        struct timespec begin, end;
        uint32_t n = 0;

        while (!has_come_by_the_socket(f)) {
                clock_gettime(CLOCK_MONOTONIC, &begin);
                assert_int_equal(send_number(f, n++), 0);
                clock_gettime(CLOCK_MONOTONIC, &end);
        }
        double ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
        print_message("the ring was full for %.1f ms before the socket was taken\n", ms);
        assert_true(ms > LEAST_WAIT_MS && ms < MOST_WAIT_MS);
        read_ring(f);
        assert_int_equal(f->n_read, n - 1);
        read_socket(f);
        assert_int_equal(send_number(f, n), 0);
        read_ring(f);
        assert_int_equal(f->n_read, n + 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_one_who_reads_is_waited_for, setup, teardown),
                cmocka_unit_test_setup_teardown(test_one_who_does_not_read_gets_it_by_the_socket, setup,
                                                teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
