/* SPDX-License-Identifier: MIT */
/* The closer: what is adopted is counted until it is closed, by whoever; the bound; unadopted descriptors. */
#include "daemon/closer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/cmocka_includes.h"

#define USER 4242

/* A pipe whose reading end shows when the last writer is closed. */
static int open_pipe(int *ret_writer)
{
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        *ret_writer = ends[1];
        return ends[0];
}

static bool closes_soon(int reader)
{
        struct pollfd p = {.fd = reader};

        return poll(&p, 1, 5000) == 1 && (p.revents & POLLHUP) != 0;
}

static void wait_until_held(uint32_t held)
{
        for (unsigned i = 0; i < 5000 && closer_held(USER) != held; i++)
                poll(NULL, 0, 1);
        assert_int_equal(closer_held(USER), held);
}

static void test_adopted_is_counted_until_closed(void **state)
{
        int reader[3], writer[3];

        closer_init(3);
        for (unsigned i = 0; i < 3; i++) {
                reader[i] = open_pipe(&writer[i]);
                assert_int_equal(closer_adopt(writer[i], USER), 0);
        }
        assert_int_equal(closer_held(USER), 3);
        for (unsigned i = 0; i < 3; i++)
                closer_close(writer[i]);
        for (unsigned i = 0; i < 3; i++) {
                assert_true(closes_soon(reader[i]));
                close(reader[i]);
        }
        wait_until_held(0);
}

static void test_the_bound(void **state)
{
        int reader, writer, other_reader, other_writer;

        closer_init(1);
        reader = open_pipe(&writer);
        other_reader = open_pipe(&other_writer);
        assert_int_equal(closer_adopt(writer, USER), 0);
        assert_int_equal(closer_adopt(other_writer, USER), CLOSER_LIMIT);
        closer_close(other_writer);
        closer_close(writer);
        assert_true(closes_soon(reader) && closes_soon(other_reader));
        wait_until_held(0);
        close(reader);
        close(other_reader);
}

static void test_who_is_over(void **state)
{
        int reader[2], writer[2];

        closer_init(1);
        for (unsigned i = 0; i < 2; i++) {
                assert_false(closer_is_over(USER));
                reader[i] = open_pipe(&writer[i]);
                assert_int_equal(closer_adopt(writer[i], USER), i == 0 ? 0 : CLOSER_LIMIT);
        }
        assert_true(closer_is_over(USER));
        assert_false(closer_is_over(USER + 1));
        closer_close(writer[0]);
        wait_until_held(1);
        assert_false(closer_is_over(USER));
        closer_close(writer[1]);
        wait_until_held(0);
        close(reader[0]);
        close(reader[1]);
}

static void test_a_copy_is_whose_the_original_is(void **state)
{
        int writer, reader = open_pipe(&writer), copy = dup(writer), other = dup(writer);

        closer_init(8);
        assert_int_equal(closer_adopt_copy(other, writer), 0); /* nobody's */
        assert_int_equal(closer_adopt(writer, USER), 0);
        assert_int_equal(closer_adopt_copy(copy, writer), 0);
        assert_int_equal(closer_held(USER), 2);
        closer_close(copy);
        closer_close(writer);
        closer_close(other);
        assert_true(closes_soon(reader));
        wait_until_held(0);
        close(reader);
}

/* Its peer finds the end, read or unread, and what lies in it unread is closed. */
static void test_a_socket(void **state)
{
        for (unsigned n_unread = 0; n_unread < 2; n_unread++) {
                int ends[2], writer, reader = open_pipe(&writer);
                char byte = 0;
                union {
                        struct cmsghdr head;
                        char bytes[CMSG_SPACE(sizeof(int))];
                } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
                struct iovec one = {&byte, 1};
                struct msghdr message = {.msg_iov = &one,
                                         .msg_iovlen = 1,
                                         .msg_control = control.bytes,
                                         .msg_controllen = sizeof(control.bytes)};

                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
                memcpy(CMSG_DATA(&control.head), &writer, sizeof(writer));
                if (n_unread > 0)
                        assert_int_equal(sendmsg(ends[0], &message, 0), 1);
                close(writer);
                closer_close_socket(ends[1], USER);
                assert_true(closes_soon(ends[0]) && closes_soon(reader));
                close(ends[0]);
                close(reader);
                assert_int_equal(closer_held(USER), 0); /* sockets are counted elsewhere */
        }
}

static void test_nobodys(void **state)
{
        int writer, reader = open_pipe(&writer);

        closer_close(writer);
        assert_true(closes_soon(reader));
        close(reader);
}

static void test_a_memfd_is_closed_at_once(void **state)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        closer_init(8);
        assert_int_equal(closer_adopt(fd, USER), 0);
        closer_close(fd);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(closer_held(USER), 0);
}

/* Somebody else closed it, and the number came again. */
static void test_a_number_that_comes_again(void **state)
{
        int writer, reader = open_pipe(&writer), number = writer;

        closer_init(8);
        assert_int_equal(closer_adopt(writer, USER), 0);
        close(writer);
        close(reader);
        reader = open_pipe(&writer);
        if (writer != number && reader == number) {
                close(reader);
                close(writer);
                skip();
        }
        assert_int_equal(closer_adopt(number, USER), 0);
        assert_int_equal(closer_held(USER), 1);
        closer_close(number);
        wait_until_held(0);
        close(reader);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_adopted_is_counted_until_closed),
                cmocka_unit_test(test_the_bound),
                cmocka_unit_test(test_who_is_over),
                cmocka_unit_test(test_a_copy_is_whose_the_original_is),
                cmocka_unit_test(test_a_socket),
                cmocka_unit_test(test_nobodys),
                cmocka_unit_test(test_a_memfd_is_closed_at_once),
                cmocka_unit_test(test_a_number_that_comes_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
