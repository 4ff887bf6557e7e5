/* SPDX-License-Identifier: MIT */
/*
 * Descriptors over a socketpair: which message gets which, none lost, none sent twice, none leaked, whatever
 * fails. Every test ends with as many open descriptors as it began with.
 */
#include "proto/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/open_fds.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

struct fixture {
        int ends[2];
        int n_open;
        struct output out;
        struct buffer in;
        struct fd_queue queue;
        uint64_t stream_at;
};

static unsigned n_closed_by_hook;

static void close_counted(int fd)
{
        n_closed_by_hook++;
        close(fd);
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);

        f->n_open = open_fds();
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, f->ends), 0);
        output_init(&f->out);
        n_closed_by_hook = 0;
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        int n_open;

        output_deinit(&f->out);
        fd_queue_deinit(&f->queue);
        buffer_deinit(&f->in);
        close(f->ends[0]);
        close(f->ends[1]);
        n_open = open_fds();
        if (n_open != f->n_open)
                print_error("%d descriptors open, %d at the start\n", n_open, f->n_open);
        n_open -= f->n_open;
        free(f);
        return n_open;
}

/* A file that can be told from others by its size. */
static int marked_file(off_t size)
{
        int fd = memfd_create("test", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, size), 0);
        return fd;
}

static void check_marked_file(int fd, off_t size)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, size);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
}

static void put_message(struct fixture *f, char letter, size_t size_bytes, const off_t *sizes, uint32_t n)
{
        int fds[LIMIT_DESCRIPTORS];

        assert_int_equal(buffer_reserve(&f->out.bytes, size_bytes), 0);
        memset(f->out.bytes.data + f->out.bytes.end, letter, size_bytes);
        f->out.bytes.end += size_bytes;
        for (uint32_t i = 0; i < n; i++)
                fds[i] = marked_file(sizes[i]);
        assert_int_equal(output_mark(&f->out, size_bytes, fds, n), 0);
}

static int receive(struct fixture *f, size_t room_bytes, size_t *ret)
{
        assert_int_equal(buffer_reserve(&f->in, room_bytes), 0);
        return fds_receive(f->ends[1], &f->in, &f->stream_at, &f->queue, ret, NULL);
}

/* n descriptors of our own in one sendmsg with one byte, as a rude peer would. */
static void send_rudely(int fd, unsigned n)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(LIMIT_RECV_DESCRIPTORS * sizeof(int))];
        } control = {0};
        struct iovec byte = {(char[]){'r'}, 1};
        struct msghdr message = {.msg_iov = &byte,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = CMSG_SPACE(n * sizeof(int))};
        int fds[LIMIT_RECV_DESCRIPTORS];

        for (unsigned i = 0; i < n; i++)
                fds[i] = STDERR_FILENO;
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
        assert_int_equal(sendmsg(fd, &message, 0), 1);
}

static void test_plain_bytes_and_end_of_file(void **state)
{
        struct fixture *f = *state;
        size_t n;

        assert_int_equal(receive(f, 100, &n), -EAGAIN);
        put_message(f, 'a', 10, NULL, 0);
        assert_int_equal(output_size(&f->out), 10);
        assert_int_equal(output_flush(&f->out, f->ends[0]), 0);
        assert_int_equal(output_size(&f->out), 0);
        assert_int_equal(receive(f, 4096, &n), 0);
        assert_int_equal(n, 10);
        assert_int_equal(f->stream_at, 10);
        assert_memory_equal(buffer_at(&f->in), "aaaaaaaaaa", 10);
        shutdown(f->ends[0], SHUT_WR);
        assert_int_equal(receive(f, 100, &n), 0);
        assert_int_equal(n, 0);
}

static void test_each_message_gets_its_own(void **state)
{
        struct fixture *f = *state;
        int fds[3];
        size_t n;

        put_message(f, 'a', 10, NULL, 0);
        put_message(f, 'b', 20, (off_t[]){1, 2}, 2);
        put_message(f, 'c', 30, NULL, 0);
        put_message(f, 'd', 40, (off_t[]){3}, 1);
        put_message(f, 'e', 50, (off_t[]){4}, 1);
        put_message(f, 'f', 60, NULL, 0);
        assert_int_equal(output_flush(&f->out, f->ends[0]), 0);
        assert_int_equal(f->out.sent, 210);
        assert_true(STAILQ_EMPTY(&f->out.marks));
        while (receive(f, 4096, &n) == 0)
                assert_true(n > 0);
        assert_int_equal(f->stream_at, 210);
        assert_int_equal(f->queue.n, 4);
        /* a read that brings descriptors ends within their own message */
        assert_in_range(f->queue.items[0].read_end, 11, 30);
        assert_in_range(f->queue.items[2].read_end, 61, 100);
        assert_in_range(f->queue.items[3].read_end, 101, 150);
        assert_false(fd_queue_left_over(&f->queue, 10));
        assert_true(fd_queue_left_over(&f->queue, 30));
        assert_true(fd_queue_take(&f->queue, 2, fds));
        check_marked_file(fds[0], 1);
        check_marked_file(fds[1], 2);
        assert_false(fd_queue_left_over(&f->queue, 30));
        assert_false(fd_queue_left_over(&f->queue, 60));
        assert_false(fd_queue_take(&f->queue, 3, fds));
        assert_int_equal(f->queue.n, 2);
        assert_true(fd_queue_take(&f->queue, 0, fds));
        assert_true(fd_queue_take(&f->queue, 1, fds));
        check_marked_file(fds[0], 3); /* the last one is left for the teardown to close */
}

static void test_partial_send_does_not_repeat_descriptors(void **state)
{
        struct fixture *f = *state;
        size_t n, total = 0;
        int fds[2], small = 4096, flushed, n_partial = 0;

        setsockopt(f->ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        f->out.close_fd = close_counted;
        put_message(f, 'a', 100000, (off_t[]){1}, 1);
        put_message(f, 'b', 100000, (off_t[]){2}, 1);
        put_message(f, 'c', 10, NULL, 0);
        do {
                flushed = output_flush(&f->out, f->ends[0]);
                assert_in_range(flushed, 0, 1);
                n_partial += flushed;
                if (n_partial == 1) /* closed when the first byte is gone, not when the last one is */
                        assert_int_equal(n_closed_by_hook, 1);
                while (receive(f, 1000, &n) == 0)
                        total += n;
        } while (flushed == 1);
        assert_true(n_partial > 3);
        assert_int_equal(total, 200010);
        for (size_t i = 0; i < total; i++)
                assert_int_equal(buffer_at(&f->in)[i], i < 100000 ? 'a' : i < 200000 ? 'b' : 'c');
        assert_int_equal(n_closed_by_hook, 2);
        assert_int_equal(f->queue.n, 2);
        assert_in_range(f->queue.items[0].read_end, 1, 100000);
        assert_in_range(f->queue.items[1].read_end, 100001, 200000);
        assert_true(fd_queue_take(&f->queue, 2, fds));
        check_marked_file(fds[0], 1);
        check_marked_file(fds[1], 2);
}

static void test_nothing_sent_keeps_descriptors(void **state)
{
        struct fixture *f = *state;
        char filler[4096] = {0};
        size_t n;
        int fd;

        while (send(f->ends[0], filler, sizeof filler, MSG_DONTWAIT) > 0)
                continue;
        put_message(f, 'a', 10, (off_t[]){1}, 1);
        assert_int_equal(output_flush(&f->out, f->ends[0]), 1);
        assert_int_equal(output_flush(&f->out, f->ends[0]), 1);
        assert_false(STAILQ_EMPTY(&f->out.marks));
        while (receive(f, 65536, &n) == 0)
                buffer_consume(&f->in, n);
        assert_int_equal(f->queue.n, 0);
        assert_int_equal(output_flush(&f->out, f->ends[0]), 0);
        assert_int_equal(receive(f, 100, &n), 0);
        assert_true(fd_queue_take(&f->queue, 1, &fd));
        check_marked_file(fd, 1);
}

static void test_lost_connection(void **state)
{
        struct fixture *f = *state;

        put_message(f, 'a', 10, (off_t[]){1, 2, 3}, 3);
        put_message(f, 'b', 10, (off_t[]){4}, 1);
        f->out.close_fd = close_counted;
        shutdown(f->ends[1], SHUT_RD);
        assert_int_equal(output_flush(&f->out, f->ends[0]), -EPIPE); /* and no SIGPIPE */
        output_deinit(&f->out);
        assert_int_equal(n_closed_by_hook, 4);
        output_init(&f->out);
}

static void test_no_memory_for_a_mark(void **state)
{
        struct fixture *f = *state;
        int fd = marked_file(1);

        assert_int_equal(buffer_append(&f->out.bytes, "a", 1), 0);
        fault_alloc_arm(1);
        assert_int_equal(output_mark(&f->out, 1, &fd, 1), -ENOMEM);
        assert_true(fault_alloc_disarm());
        check_marked_file(fd, 1); /* still the caller's */
        assert_int_equal(output_flush(&f->out, f->ends[0]), 0);
}

static void test_as_many_as_the_kernel_sends(void **state)
{
        struct fixture *f = *state;
        size_t n;

        f->queue.close_fd = close_counted;
        send_rudely(f->ends[0], LIMIT_RECV_DESCRIPTORS);
        assert_int_equal(receive(f, 100, &n), 0);
        assert_int_equal(f->queue.n, LIMIT_RECV_DESCRIPTORS);
        send_rudely(f->ends[0], 1); /* no more may wait */
        assert_int_equal(receive(f, 100, &n), RECEIVE_TRUNCATED);
        assert_int_equal(n_closed_by_hook, 1);
        assert_int_equal(f->queue.n, LIMIT_RECV_DESCRIPTORS);
        fd_queue_deinit(&f->queue);
        assert_int_equal(n_closed_by_hook, 1 + LIMIT_RECV_DESCRIPTORS);
}

static void test_no_descriptor_free_here(void **state)
{
        struct fixture *f = *state;
        struct rlimit old, low;
        size_t n;

        f->queue.close_fd = close_counted;
        send_rudely(f->ends[0], 20);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        low = old;
        low.rlim_cur = (rlim_t)(f->ends[1] + 6);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(receive(f, 100, &n), RECEIVE_TRUNCATED);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_in_range(n_closed_by_hook, 1, 19); /* those that the kernel did install */
        assert_int_equal(f->queue.n, 0);
}

static void test_no_memory_for_the_queue(void **state)
{
        struct fixture *f = *state;
        size_t n;

        f->queue.close_fd = close_counted;
        send_rudely(f->ends[0], 20);
        assert_int_equal(buffer_reserve(&f->in, 100), 0);
        fault_alloc_arm(1);
        assert_int_equal(receive(f, 100, &n), -ENOMEM);
        assert_true(fault_alloc_disarm());
        assert_int_equal(n_closed_by_hook, 20);
        assert_int_equal(f->queue.n, 0);
}

static void test_credentials(void **state)
{
        struct fixture *f = *state;
        struct ucred ucred = {.pid = 1};
        size_t n;
        int on = 1;

        assert_int_equal(buffer_reserve(&f->in, 100), 0);
        put_message(f, 'a', 1, NULL, 0);
        assert_int_equal(output_flush(&f->out, f->ends[0]), 0);
        assert_int_equal(fds_receive(f->ends[1], &f->in, &f->stream_at, &f->queue, &n, &ucred), 0);
        assert_int_equal(ucred.pid, 0);
        assert_int_equal(setsockopt(f->ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
        put_message(f, 'b', 1, (off_t[]){1}, 1);
        assert_int_equal(output_flush(&f->out, f->ends[0]), 0);
        assert_int_equal(fds_receive(f->ends[1], &f->in, &f->stream_at, &f->queue, &n, &ucred), 0);
        assert_int_equal(ucred.pid, getpid());
        assert_int_equal(ucred.uid, getuid());
        assert_int_equal(f->queue.n, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_plain_bytes_and_end_of_file),
                CASE(test_each_message_gets_its_own),
                CASE(test_partial_send_does_not_repeat_descriptors),
                CASE(test_nothing_sent_keeps_descriptors),
                CASE(test_lost_connection),
                CASE(test_no_memory_for_a_mark),
                CASE(test_as_many_as_the_kernel_sends),
                CASE(test_no_descriptor_free_here),
                CASE(test_no_memory_for_the_queue),
                CASE(test_credentials),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
