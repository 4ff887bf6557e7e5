/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for each n: nothing leaks, everybody is told once, the handle says why. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* ---- while it reconnects ---- */

/* Takes the connection that waits; the daemon's answer to hello on it, whose msgid is the third byte. */
static int accept_and_greet(int listener)
{
        static const char answer[] = "\x94\x01?\xc0\x81\xa8protocol\x01";
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        char got[256], say[sizeof answer];

        assert_true(peer >= 0);
        memcpy(say, answer, sizeof answer);
        if (recv(peer, got, sizeof got, MSG_DONTWAIT) < 3)
                return peer;
        say[2] = got[2];
        assert_true(send(peer, say, sizeof say - 1, MSG_NOSIGNAL) == sizeof say - 1);
        return peer;
}

/* One whose handle is gone already. */
static int accept_waiting(int listener)
{
        struct pollfd p = {.fd = listener, .events = POLLIN};

        return poll(&p, 1, 0) > 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

/* Whether something was sent again. */
static bool use_after_loss(struct ganger *g, int listener)
{
        bool sent_again = false;
        char got[256];
        int n_told = 0, n_started = 0, n_items = 3, peer;
        struct map *map = NULL;

        ganger_flush(g);
        peer = accept_and_greet(listener);
        if (ganger_set_reconnect(g, 1000) == 0) {
                for (int i = 0; i < 3; i++)
                        if (ganger_start(g, NULL, "f", on_reply, &n_told, "[sh]", "x", 0) == 0)
                                n_started++;
                if (map_new(g, NULL, "f", next_item, NULL, &n_items, &map) == 0)
                        map_advance(map);
        }
        ganger_dispatch(g);
        close(peer);
        ganger_dispatch(g); /* is lost */
        if (ganger_start(g, NULL, "f", on_reply, &n_told, "[sh]", "x", 0) == 0)
                n_started++;
        if (ganger_dispatch(g) >= 0) { /* has connected */
                peer = accept_and_greet(listener);
                ganger_dispatch(g); /* is greeted, and sends again */
                if (map != NULL)
                        map_advance(map);
                ganger_flush(g);
                sent_again = recv(peer, got, sizeof got, MSG_DONTWAIT) > 0;
                close(peer);
        }
        map_free(map);
        ganger_close(g);
        assert_int_equal(n_told, n_started);
        return sent_again;
}

static void test_each_allocation_fails_while_it_reconnects(void **state)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char directory[] = "/tmp/ganger-test-XXXXXX";
        int before, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool sent_again;
        unsigned n = 0;

        assert_non_null(mkdtemp(directory));
        snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", directory);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(listener, 16), 0);
        before = open_fds();
        do {
                struct ganger *g;
                int unwanted;

                fault_alloc_arm(++n);
                sent_again = ganger_open(&g, address.sun_path) == 0 && use_after_loss(g, listener);
                while ((unwanted = accept_waiting(listener)) >= 0)
                        close(unwanted);
                assert_int_equal(open_fds(), before);
        } while (fault_alloc_disarm());
        assert_true(sent_again);
        assert_true(n > 30);
        close(listener);
        unlink(address.sun_path);
        assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails),
                                           cmocka_unit_test(test_no_descriptor_is_lost),
                                           cmocka_unit_test(test_each_allocation_fails_while_it_reconnects)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
