/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for each n: nothing leaks, everybody is told once, the handle says why. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/connection.h"
#include "client/map.h"
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

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
