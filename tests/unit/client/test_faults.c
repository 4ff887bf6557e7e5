/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for each n: nothing leaks, everybody is told once, the handle says why. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/connection.h"
#include "client/map.h"
#include "tests/support/open_fds.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        ++*(int *)userdata;
        assert_true((r < 0) == (reply == NULL));
        ganger_reply_free(reply);
}

static int next_item(void *userdata, struct ganger_writer *w)
{
        int *left = userdata;

        return (*left)-- > 0 && ganger_write(w, "[sh]", "item", 0) >= 0 ? 1 : 0;
}

/* Everything that allocates: open, requests beyond the table's first size, descriptors, answers. */
static void scenario(int fd, int peer)
{
        static const char answer[] = "\x94\x01\x01\xc0\xa5hello\x93\x02\xa5"
                                     "error\x91\x82\xa4"
                                     "code\xa1x\xa7message\xa1y";
        struct ganger *g;
        struct map *map;
        int n_told = 0, n_started = 0, n_items = 40;

        if (connection_new(fd, &g) < 0)
                return; /* the descriptor is closed all the same */
        for (int i = 0; i < 100; i++)
                if (ganger_start(g, NULL, "f", on_reply, &n_told, "[sh]", "x", 0) == 0)
                        n_started++;
        if (map_new(g, NULL, "f", next_item, NULL, &n_items, &map) == 0) {
                map_advance(map);
                map_free(map);
        }
        ganger_dispatch(g);
        assert_int_equal(send(peer, answer, sizeof answer - 1, MSG_NOSIGNAL), sizeof answer - 1);
        assert_true(ganger_dispatch(g) < 0);
        assert_int_equal(n_told, n_started);
        ganger_close(g);
}

static void test_each_allocation_fails(void **state)
{
        unsigned n = 0;

        do {
                int fds[2];
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
                fault_alloc_arm(++n);
                scenario(fds[0], fds[1]);
                assert_int_equal(close(fds[1]), 0);
        } while (fault_alloc_disarm());
        assert_true(n > 100);
}

static void send_with_fd(int peer, const void *data, size_t size_bytes)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
        struct iovec bytes = {(void *)(uintptr_t)data, size_bytes};
        struct msghdr message = {.msg_iov = &bytes,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof control.bytes};

        memcpy(CMSG_DATA(&control.header), &peer, sizeof peer);
        assert_int_equal(sendmsg(peer, &message, MSG_NOSIGNAL), size_bytes);
}

/* An answer that brings a descriptor: it is closed whether the answer could be kept or not. */
static void answer_with_fd(int fd, int peer)
{
        static const char hello[] = "\x94\x01\x00\xc0\x81\xa8protocol\x01";
        static const char answer[] = "\x94\x01\x01\xc0\xc7\x09\x47\x02\0\0\0\0\0\0\0";
        struct ganger *g;
        int n_told = 0;

        if (connection_new(fd, &g) < 0)
                return;
        if (ganger_start_request(g, NULL, "pipe.open", NULL, on_reply, &n_told, "[s]", "p") == 0) {
                assert_int_equal(send(peer, hello, sizeof hello - 1, MSG_NOSIGNAL), sizeof hello - 1);
                send_with_fd(peer, answer, sizeof answer);
                while (n_told == 0 && ganger_dispatch(g) >= 0)
                        ;
                assert_int_equal(n_told, 1);
        }
        ganger_close(g);
}

static void test_no_descriptor_is_lost(void **state)
{
        int before = open_fds();
        unsigned n = 0;

        do {
                int fds[2];
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
                fault_alloc_arm(++n);
                answer_with_fd(fds[0], fds[1]);
                assert_int_equal(close(fds[1]), 0);
                assert_int_equal(open_fds(), before);
        } while (fault_alloc_disarm());
        assert_true(n > 8);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails),
                                           cmocka_unit_test(test_no_descriptor_is_lost)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
