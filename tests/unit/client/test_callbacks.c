/* SPDX-License-Identifier: MIT */
/* What callbacks do that is not theirs to do: fork and return in the child, close the handle, ask and wait.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/cmocka_includes.h"

#define N_CALLS 4000 /* more answers than one read takes in */

struct world {
        struct ganger *g;
        struct fake_server *server;
        uint64_t n_given, n_told, n_items;
        uint64_t fork_at; /* the callback that forks, counted from 1 */
        uint64_t n_callbacks;
        pid_t child; /* 0: within it; < 0: none yet */
};

static void world_open(struct world *w, uint64_t fork_at)
{
        *w = (struct world){.fork_at = fork_at, .n_items = N_CALLS, .child = -1};
        w->server = fake_serve(&w->g);
}

static void world_close(struct world *w)
{
        int status;

        assert_null(ganger_close(w->g));
        fake_stop(w->server, NULL);
        if (w->child < 0)
                return;
        assert_int_equal(waitpid(w->child, &status, 0), w->child);
        assert_int_equal(status, 0);
}

/* The parent waits a little, so that a child which goes on takes from it what it can. */
static void called(struct world *w)
{
        if (++w->n_callbacks != w->fork_at)
                return;
        w->child = fork();
        if (w->child > 0)
                usleep(50000);
}

/* In the child: it is told so, at once, and all that it may do is close. */
static void end_child(struct world *w, int r)
{
        bool fine = r == -ECHILD && w->n_callbacks == w->fork_at &&
                    ganger_call(w->g, NULL, NULL, "f", NULL) == -ECHILD && ganger_close(w->g) == NULL &&
                    w->n_callbacks == w->fork_at;
        _exit(fine ? 0 : 1);
}

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct world *w = userdata;

        assert_true(r == 0);
        ganger_reply_free(reply);
        w->n_told++;
        called(w);
}

static void test_fork_in_on_reply(void **state)
{
        static const char bytes[200];
        struct world w;
        int r = 0;

        world_open(&w, 10);
        for (int i = 0; i < N_CALLS; i++)
                assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &w, "[y]", bytes, sizeof bytes), 0);
        while (r >= 0 && ganger_pending(w.g) > 0) {
                struct pollfd p = {.fd = ganger_fd(w.g), .events = (short)ganger_events(w.g)};
                poll(&p, 1, -1);
                r = ganger_dispatch(w.g);
        }
        if (w.child == 0)
                end_child(&w, r);
        assert_true(r > 0);
        assert_int_equal(w.n_told, N_CALLS);
        world_close(&w);
}

static int next_item(void *userdata, struct ganger_writer *writer)
{
        struct world *w = userdata;

        if (w->n_given == w->n_items)
                return 0;
        w->n_given++;
        called(w);
        return ganger_write(writer, "[u]", w->n_given + 100) < 0 ? -EIO : 1;
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct world *w = userdata;

        assert_int_equal(code, 0);
        w->n_told++;
        called(w);
        return 0;
}

/* At once, among the first results, and at the very last one. */
static void test_fork_in_map(void **state)
{
        static const uint64_t at[] = {1, 3000, N_CALLS + 1, 2 * N_CALLS};

        for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
                struct world w;

                world_open(&w, at[i]);
                int r = ganger_map(w.g, NULL, "f", next_item, on_item, &w);
                if (w.child == 0)
                        end_child(&w, r);
                assert_true(w.child > 0);
                assert_int_equal(r, 0);
                assert_int_equal(w.n_told, N_CALLS);
                world_close(&w);
        }
}

static int on_ended(void *userdata, uint64_t id, const char *task_state)
{
        called(userdata);
        return 0;
}

static void test_fork_in_on_ended(void **state)
{
        struct world w;

        world_open(&w, 2);
        int r = ganger_wait(w.g, (const uint64_t[]){1, 2, 3}, 3, 0, -1, on_ended, &w);
        if (w.child == 0)
                end_child(&w, r);
        assert_int_equal(r, 0);
        assert_int_equal(w.n_callbacks, 3);
        world_close(&w);
}

/* ---- the handle ---- */

/* Refused, all of it, in every callback. */
static void misuse(struct world *w)
{
        w->n_callbacks++;
        assert_ptr_equal(ganger_close(w->g), w->g);
        assert_true(ganger_dispatch(w->g) < 0);
        assert_true(ganger_call(w->g, NULL, NULL, "f", NULL) < 0);
}

static void on_reply_misusing(void *userdata, int r, struct ganger_reply *reply)
{
        assert_int_equal(r, -ECANCELED);
        assert_null(reply);
        misuse(userdata);
}

static void test_close_while_it_closes(void **state)
{
        struct world w;

        world_open(&w, 0);
        for (int i = 0; i < 2; i++)
                assert_int_equal(ganger_start(w.g, NULL, "f", on_reply_misusing, &w, NULL), 0);
        world_close(&w);
        assert_int_equal(w.n_callbacks, 2);
}

static int next_item_misusing(void *userdata, struct ganger_writer *writer)
{
        struct world *w = userdata;

        misuse(w);
        assert_int_equal(ganger_call(w->g, NULL, NULL, "f", NULL), -EBUSY);
        return next_item(w, writer);
}

static int on_ended_misusing(void *userdata, uint64_t id, const char *task_state)
{
        struct world *w = userdata;

        misuse(w);
        assert_int_equal(ganger_call(w->g, NULL, NULL, "f", NULL), -EBUSY);
        return 0;
}

static void test_the_other_callbacks(void **state)
{
        struct world w;

        world_open(&w, 0);
        assert_int_equal(ganger_map(w.g, NULL, "f", next_item_misusing, on_item, &w), 0);
        assert_int_equal(w.n_told, N_CALLS);
        w.n_callbacks = 0;
        assert_int_equal(ganger_wait(w.g, (const uint64_t[]){1, 2}, 2, 0, -1, on_ended_misusing, &w), 0);
        assert_int_equal(w.n_callbacks, 2);
        assert_int_equal(ganger_call(w.g, NULL, NULL, "f", NULL), 0); /* and it is as it was */
        world_close(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fork_in_on_reply),    cmocka_unit_test(test_fork_in_map),
                cmocka_unit_test(test_fork_in_on_ended),    cmocka_unit_test(test_close_while_it_closes),
                cmocka_unit_test(test_the_other_callbacks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
