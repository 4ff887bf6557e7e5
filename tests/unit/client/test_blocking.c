/* SPDX-License-Identifier: MIT */
/* The blocking calls, map above all, against a daemon that serves in a thread. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/map.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/cmocka_includes.h"

static int on_ended(void *userdata, uint64_t id, const char *state)
{
        uint64_t *sum = userdata;

        assert_string_equal(state, "succeeded");
        *sum += id;
        return *sum > 1000 ? 77 : 0;
}

static void test_each_call(void **state)
{
        struct ganger *g;
        struct fake_server *s = fake_serve(&g);
        struct ganger_options options = GANGER_OPTIONS_INIT;
        struct ganger_reply *reply = NULL;
        const char *text;
        uint64_t id = 0, sum = 0;

        options.timeout = 3;
        assert_int_equal(ganger_call(g, &reply, &options, "echo", "[s]", "hello"), 0);
        assert_int_equal(ganger_read(reply, "[s]", &text), 0);
        assert_string_equal(text, "hello");
        reply = ganger_reply_free(reply);
        assert_int_equal(ganger_call(g, NULL, NULL, "echo", NULL), 0);
        assert_int_equal(ganger_call(g, &reply, NULL, "f", "[hh]", 0, 1), 0);
        assert_int_equal(ganger_read(reply, "u", &sum), 0);
        assert_int_equal(sum, 2);
        reply = ganger_reply_free(reply);
        assert_int_equal(ganger_submit(g, &id, NULL, "f", "[s]", "x"), 0);
        assert_int_equal(id, 7);
        assert_int_equal(ganger_result(g, &reply, 9, 1000), 0);
        reply = ganger_reply_free(reply);
        assert_int_equal(ganger_result(g, &reply, 9, -1), 0);
        reply = ganger_reply_free(reply);
        assert_int_equal(ganger_cancel(g, 9), 0);
        sum = 0;
        assert_int_equal(ganger_wait(g, (const uint64_t[]){1, 2, 3}, 3, 2, 500, on_ended, &sum), 0);
        assert_int_equal(sum, 6);
        assert_int_equal(ganger_wait(g, (const uint64_t[]){2000, 2, 3}, 3, 0, -1, on_ended, &sum), 77);
        assert_int_equal(sum, 2006);
        assert_int_equal(ganger_wait(g, &id, LIMIT_WAIT_IDS + 1, 0, -1, on_ended, &sum), -E2BIG);
        assert_int_equal(ganger_request(g, &reply, "refuse", NULL), GANGER_NOT_PERMITTED);
        assert_string_equal(ganger_message(reply), "not you");
        reply = ganger_reply_free(reply);
        assert_null(ganger_error(g));
        assert_int_equal(ganger_request(g, NULL, "nonsense", "[]"), GANGER_UNKNOWN_METHOD);
        ganger_close(g);
        fake_stop(s, NULL);
}

/* ---- map ---- */

struct job {
        struct ganger *g;
        uint64_t n, next;
        uint64_t n_ok, n_failed, sum;
        const char *padding, *text;
        size_t padding_bytes;
        bool with_fd;
        uint64_t fail_at, stop_at; /* next_item gives up; on_item does */
};

static int next_item(void *userdata, struct ganger_writer *w)
{
        struct job *job = userdata;

        if (job->next == job->n)
                return 0;
        job->next++;
        if (job->fail_at > 0 && job->next == job->fail_at)
                return -EXDEV;
        if (job->with_fd)
                return ganger_write(w, "[uhh]", job->next, 0, 1) < 0 ? -EIO : 1;
        if (job->text)
                return ganger_write(w, "[us]", job->next, job->text) < 0 ? -EIO : 1;
        return ganger_write(w, "[uy]", job->next, job->padding, job->padding_bytes) < 0 ? -EIO : 1;
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct job *job = userdata;
        uint64_t value;

        if (code == GANGER_TASK_FAILED) {
                assert_string_equal(ganger_message(reply), "13");
                assert_int_equal(index, 12);
                job->n_failed++;
                return 0;
        }
        assert_int_equal(code, 0);
        assert_int_equal(ganger_read(reply, "u", &value), 0);
        assert_int_equal(value, index + 1);
        job->n_ok++;
        job->sum += value;
        return job->stop_at > 0 && job->n_ok == job->stop_at ? -EDOM : 0;
}

static int run_map(struct job *job, struct fake_totals *totals)
{
        struct fake_server *s = fake_serve(&job->g);
        int r = ganger_map(job->g, NULL, "f", next_item, on_item, job);

        assert_int_equal(ganger_pending(job->g), 0);
        ganger_close(job->g);
        fake_stop(s, totals);
        return r;
}

static void test_map_of_any_number(void **state)
{
        static const uint64_t numbers[] = {0, 1, 13, 2047, 2048, 2049, 100000};

        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
                struct job job = {.n = numbers[i]};
                struct fake_totals totals;

                assert_int_equal(run_map(&job, &totals), 0);
                assert_int_equal(totals.n_items, job.n);
                assert_int_equal(job.n_failed, job.n >= 13);
                assert_int_equal(job.n_ok + job.n_failed, job.n);
                assert_int_equal(job.sum, job.n * (job.n + 1) / 2 - (job.n >= 13 ? 13 : 0));
                assert_true(totals.n_unfinished_peak <= 8192 + 2048);
        }
}

static void test_map_holds_a_bounded_part(void **state)
{
        static char padding[30000];
        struct job job = {.n = 1000, .padding = padding, .padding_bytes = sizeof padding}; /* 30 MB in all */
        struct fake_totals totals;

        assert_int_equal(run_map(&job, &totals), 0);
        assert_int_equal(job.n_ok, 999);
        assert_true(totals.held_bytes_peak <= 3 << 20);
        assert_true(totals.request_bytes_peak <= 1 << 20);
}

static void test_map_with_descriptors(void **state)
{
        struct job job = {.n = 500, .with_fd = true};
        struct fake_totals totals;

        assert_int_equal(run_map(&job, &totals), 0);
        assert_int_equal(job.n_ok, 499);
        assert_int_equal(totals.n_fds, 1000);
}

static void test_map_given_up(void **state)
{
        static char text[1 << 20];
        struct fake_totals totals;
        struct job early = {.n = 100, .fail_at = 5};
        struct job late = {.n = 100000, .fail_at = 50000};
        struct job enough = {.n = 100000, .stop_at = 100};
        struct job large = {.n = 5, .text = text};

        memset(text, 't', sizeof text - 1);
        assert_int_equal(run_map(&early, &totals), -EXDEV); /* before anything was sent */
        assert_false(totals.cancelled);
        assert_int_equal(run_map(&late, &totals), -EXDEV);
        assert_true(totals.cancelled);
        assert_int_equal(run_map(&enough, &totals), -EDOM);
        assert_int_equal(enough.n_ok, 100); /* and no more */
        assert_true(totals.cancelled);
        assert_true(totals.n_items < 100000);
        assert_int_equal(run_map(&large, &totals), -EMSGSIZE);
}

static int next_wrong(void *userdata, struct ganger_writer *w)
{
        static const char *const wrong[] = {"s", "", "[][]", "[", "{}"};

        ganger_write(w, wrong[*(int *)userdata], "x");
        return 1;
}

static void test_map_items_are_arrays(void **state)
{
        for (int i = 0; i < 5; i++) {
                struct ganger *g;
                struct fake_server *s = fake_serve(&g);

                assert_int_equal(ganger_map(g, NULL, "f", next_wrong, NULL, &i), -EINVAL);
                ganger_close(g);
                fake_stop(s, NULL);
        }
}

static void test_nothing_to_free_is_null(void **state)
{
        struct ganger *g, *none = (struct ganger *)state;
        struct fake_server *s = fake_serve(&g);
        struct ganger_reply *reply = (struct ganger_reply *)state;

        assert_int_equal(ganger_call(g, &reply, NULL, "f", "[s"), -EINVAL);
        assert_null(reply);
        assert_int_equal(ganger_open(&none, "/nowhere/socket"), -ENOENT);
        assert_null(none);
        ganger_close(g);
        fake_stop(s, NULL);
}

static void test_map_loses_its_daemon(void **state)
{
        struct job job = {.n = 1000000};
        struct fake_server *s = fake_serve(&job.g);
        struct map *map;

        assert_int_equal(map_new(job.g, NULL, "f", next_item, on_item, &job, &map), 0);
        assert_int_equal(map_advance(map), 0);
        while (map_ended(map) < 100) {
                usleep(100);
                assert_true(ganger_dispatch(job.g) >= 0);
        }
        shutdown(ganger_fd(job.g), SHUT_RDWR);
        while (ganger_dispatch(job.g) >= 0)
                map_advance(map);
        assert_true(map_has_ended(map));
        assert_true(map_result(map) < 0);
        map_free(map);
        ganger_close(job.g);
        fake_stop(s, NULL);
}

/* Items that come slowly: what is there is sent, and nothing waits for more. */
static int next_slowly(void *userdata, struct ganger_writer *w)
{
        struct job *job = userdata;

        if (job->next > job->n_ok)
                return -EAGAIN;
        return next_item(userdata, w);
}

static void test_map_of_a_slow_source(void **state)
{
        struct job job = {.n = 10};
        struct fake_server *s = fake_serve(&job.g);
        struct map *map;

        assert_int_equal(map_new(job.g, NULL, "f", next_slowly, on_item, &job, &map), 0);
        while (!map_has_ended(map)) {
                int r = map_advance(map);

                assert_true(r == 0 || r == -EAGAIN);
                assert_true(map_sent(map) <= map_ended(map) + 1);
                usleep(100);
                assert_true(ganger_dispatch(job.g) >= 0);
        }
        assert_int_equal(map_result(map), 0);
        assert_int_equal(job.n_ok, 10);
        map_free(map);
        ganger_close(job.g);
        fake_stop(s, NULL);
}

static void test_map_freed_while_it_runs(void **state)
{
        struct job job = {.n = 100000};
        struct fake_totals totals;
        struct fake_server *s = fake_serve(&job.g);
        struct map *map;

        assert_int_equal(map_new(job.g, NULL, "f", next_item, on_item, &job, &map), 0);
        assert_int_equal(map_advance(map), 0);
        map_free(map);
        assert_int_equal(ganger_call(job.g, NULL, NULL, "f", NULL), 0); /* the handle is as good as before */
        ganger_close(job.g);
        fake_stop(s, &totals);
        assert_true(totals.cancelled);
}

/* What ended before the daemon knew of the cancel has ended well, and whoever cancelled may want to know. */
static void test_map_cancelled_by_its_owner(void **state)
{
        struct fake fake;
        struct job job = {.n = 20};
        struct envelope e;
        struct map *map;
        uint64_t msgid = 0;

        fake_open(&fake, &job.g);
        assert_int_equal(map_new(job.g, NULL, "f", next_item, on_item, &job, &map), 0);
        assert_int_equal(map_advance(map), 0);
        map_cancel(map, -EINTR);
        ganger_flush(job.g);
        while (fake_take(&fake, &e) && e.type == ENVELOPE_REQUEST)
                msgid = e.msgid; /* hello's, then the map's */
        assert_true(fake_send(&fake, "[us[us[[unu][unu]]]]", (uint64_t)2, "stream", msgid, "items",
                              (uint64_t)0, (uint64_t)1, (uint64_t)2, (uint64_t)3));
        assert_true(
                fake_send(&fake, "[uu{ssss}n]", (uint64_t)1, msgid, "code", "cancelled", "message", "so"));
        while (!map_has_ended(map))
                assert_true(ganger_dispatch(job.g) >= 0);
        assert_int_equal(map_result(map), -EINTR);
        assert_int_equal(job.n_ok, 2);
        map_free(map);
        ganger_close(job.g);
        fake_close(&fake);
}

static void on_alarm(int signal)
{
}

static void test_signals_do_not_end_a_call(void **state)
{
        struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
        struct job job = {.n = 30000};
        struct fake_totals totals;

        sigaction(SIGALRM, &action, NULL);
        ualarm(2000, 2000);
        assert_int_equal(run_map(&job, &totals), 0);
        ualarm(0, 0);
        assert_int_equal(job.n_ok, 29999);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_call),
                cmocka_unit_test(test_map_of_any_number),
                cmocka_unit_test(test_map_holds_a_bounded_part),
                cmocka_unit_test(test_map_with_descriptors),
                cmocka_unit_test(test_map_given_up),
                cmocka_unit_test(test_map_items_are_arrays),
                cmocka_unit_test(test_nothing_to_free_is_null),
                cmocka_unit_test(test_map_loses_its_daemon),
                cmocka_unit_test(test_map_of_a_slow_source),
                cmocka_unit_test(test_map_freed_while_it_runs),
                cmocka_unit_test(test_map_cancelled_by_its_owner),
                cmocka_unit_test(test_signals_do_not_end_a_call),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
