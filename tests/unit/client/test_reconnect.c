/* SPDX-License-Identifier: MIT */
/* When a handle that reconnects does not send something again, and when it does not come back: who is told
 * what. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "client/clock.h"
#include "client/connection.h"
#include "tests/unit/client/reconnecting.h"
#include "tests/unit/cmocka_includes.h"

static void test_told_instead(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told streamed = {0}, fed = {0}, unknown = {0}, object = {0}, given_up = {0}, quiet = {0};
        uint32_t msgid, msgid_streamed;

        assert_int_equal(ganger_start_request(w.g, &msgid_streamed, "call", told_on_stream, told_on_reply,
                                              &streamed, "[s[]{s[s]}]", "f", "stream", "stdout"),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "call", told_on_stream, told_on_reply, &quiet,
                                              "[s[]{s[s]}]", "q", "stream", "stdout"),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "map", told_on_stream, told_on_reply, &fed,
                                              "[s[]{sb}]", "f", "feed", 1),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "of_later", NULL, told_on_reply, &unknown, "[]"), 0);
        assert_int_equal(
                ganger_start_request(w.g, NULL, "event.wait", NULL, told_on_reply, &object, "[s]", "e"), 0);
        assert_int_equal(
                ganger_start_request(w.g, &msgid, "call", NULL, told_on_reply, &given_up, "[s[]]", "g"), 0);
        assert_int_equal(ganger_notify(w.g, "cancel_request", "[u]", (uint64_t)msgid), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        assert_true(fake_send(&w.daemon, "[us[usy]]", (uint64_t)2, "stream", (uint64_t)msgid_streamed,
                              "stdout", "x", (size_t)1));
        while (streamed.n_streamed == 0)
                assert_true(turn(w.g) >= 0);
        world_restart(&w);
        expect_told(&w, &streamed, -ECONNRESET);
        expect_told(&w, &fed, -ECONNRESET);
        expect_told(&w, &unknown, -ECONNRESET);
        expect_told(&w, &object, -ESTALE);
        expect_told(&w, &given_up, -ECANCELED);
        answer(&w, take(&w, "call", NULL));
        expect_told(&w, &quiet, 0);
        world_close(&w);
}

static void test_objects_stay_stale(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told told = {0};
        struct ganger_reply *reply;

        assert_int_equal(
                ganger_start_request(w.g, NULL, "dict.get", NULL, told_on_reply, &told, "[ss]", "d", "k"), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        answer(&w, take(&w, "dict.get", NULL));
        expect_told(&w, &told, 0);
        for (int i = 0; i < 2; i++) {
                world_restart(&w);
                assert_int_equal(ganger_request(w.g, &reply, "dict.get", "[ss]", "d", "k"), -ESTALE);
                assert_int_equal(ganger_notify(w.g, "event.set", "[s]", "e"), -ESTALE);
        }
        world_close(&w);
}

static void test_first_object_of_a_new_daemon(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told told = {0};

        world_restart(&w);
        assert_int_equal(
                ganger_start_request(w.g, NULL, "dict.get", NULL, told_on_reply, &told, "[ss]", "d", "k"), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        answer(&w, take(&w, "dict.get", NULL));
        expect_told(&w, &told, 0);
        world_close(&w);
}

/* What is held: the lock; with it released nothing is. */
static void lose_with_lock(bool release, int want)
{
        struct world w = world_open(PATIENCE_MS);
        struct told lock = {0}, call = {0};

        assert_int_equal(
                ganger_start_request(w.g, NULL, "lock.acquire", NULL, told_on_reply, &lock, "[s]", "l"), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        answer(&w, take(&w, "lock.acquire", NULL));
        expect_told(&w, &lock, 0);
        if (release) {
                lock = (struct told){0};
                assert_int_equal(ganger_start_request(w.g, NULL, "lock.release", NULL, told_on_reply, &lock,
                                                      "[s]", "l"),
                                 0);
                assert_true(ganger_dispatch(w.g) >= 0);
                answer(&w, take(&w, "lock.release", NULL));
                expect_told(&w, &lock, 0);
        }
        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &call, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        take(&w, "call", NULL);
        if (release) {
                world_restart(&w);
                answer(&w, take(&w, "call", NULL));
        } else {
                world_die(&w);
                world_listen(&w); /* nobody will come */
        }
        expect_told(&w, &call, want);
        assert_int_equal(ganger_dispatch(w.g), want);
        world_close(&w);
}

static void test_held_lock(void **state)
{
        lose_with_lock(false, -ECONNRESET);
        lose_with_lock(true, 0);
}

static void test_leased_items(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told got = {0};

        assert_int_equal(ganger_start_request(w.g, NULL, "queue.get", NULL, told_on_reply, &got, "[s{sb}]",
                                              "q", "ack", 1),
                         0);
        assert_true(ganger_dispatch(w.g) >= 0);
        assert_true(fake_send(&w.daemon, "[uun[[us]]]", (uint64_t)1, (uint64_t)take(&w, "queue.get", NULL),
                              (uint64_t)9, "item"));
        expect_told(&w, &got, 0);
        world_die(&w);
        while (ganger_dispatch(w.g) >= 0)
                ;
        assert_int_equal(ganger_dispatch(w.g), -ECONNRESET);
        world_listen(&w);
        world_close(&w);
}

static void test_too_large_for_the_new_daemon(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told large = {0}, small = {0};
        char bytes[3000] = {0};

        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &large, "[y]", bytes, sizeof bytes), 0);
        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &small, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        world_come_back(&w);
        world_greet(&w, 2000);
        expect_told(&w, &large, -EMSGSIZE);
        answer(&w, take(&w, "call", NULL));
        expect_told(&w, &small, 0);
        world_close(&w);
}

/* ---- when it ends ---- */

static void test_nobody_comes_back(void **state)
{
        struct world w = world_open(150);
        struct told told = {0};
        int64_t begin_ms = clock_ms();

        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        expect_told(&w, &told, -ETIMEDOUT);
        assert_true(clock_ms() - begin_ms >= 150);
        assert_true(clock_ms() - begin_ms < 1500);
        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), -ETIMEDOUT);
        ganger_close(w.g);
}

static void test_nobody_answers_hello(void **state)
{
        struct world w = world_open(150);
        struct told told = {0};

        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        world_listen(&w);
        expect_told(&w, &told, -ETIMEDOUT);
        ganger_close(w.g);
        close(w.listener);
}

static void test_deadline_of_one_request(void **state)
{
        struct world w = world_open(-1);
        struct ganger_reply *reply;
        struct told told = {0};
        int64_t begin_ms;

        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        begin_ms = clock_ms();
        assert_int_equal(ganger_result(w.g, &reply, 1, 100), -ETIMEDOUT);
        assert_true(clock_ms() - begin_ms >= 100 && clock_ms() - begin_ms < 1000);
        assert_int_equal(told.n, 0); /* has no deadline */
        world_come_back(&w);
        world_greet(&w, LIMIT_MESSAGE_BYTES);
        assert_true(turn(w.g) >= 0);
        answer(&w, take(&w, "call", NULL));
        expect_told(&w, &told, 0);
        world_close(&w);
}

static void test_given_up_or_closed_meanwhile(void **state)
{
        struct world w = world_open(-1);
        struct told given_up = {0}, told = {0};
        uint32_t msgid;

        assert_int_equal(
                ganger_start_request(w.g, &msgid, "call", NULL, told_on_reply, &given_up, "[s[]]", "f"), 0);
        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        while (ganger_notify(w.g, "ping", "[]") == 0)
                assert_int_equal(turn(w.g), 0);
        assert_int_equal(ganger_notify(w.g, "cancel_request", "[u]", (uint64_t)msgid), 0);
        expect_told(&w, &given_up, -ECANCELED);
        assert_int_equal(told.n, 0);
        ganger_close(w.g);
        assert_int_equal(told.n, 1);
        assert_int_equal(told.r, -ECANCELED);
}

static void test_tries_get_rarer(void **state)
{
        struct world w = world_open(-1);
        int n = 0;
        int64_t end_ms;

        world_die(&w);
        end_ms = clock_ms() + 600;
        for (; clock_ms() < end_ms; n++)
                turn(w.g);
        print_message("%d turns in 600 ms\n", n);
        assert_in_range(n, 3, 20); /* 10, 20, 40 … 320 ms, less at most half of each */
        ganger_close(w.g);
}

static void test_off_it_is_lost(void **state)
{
        struct world w = world_open(-1);
        struct told told = {0};

        assert_int_equal(ganger_set_reconnect(w.g, 0), 0);
        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        world_listen(&w);
        expect_told(&w, &told, -ECONNRESET);
        assert_int_equal(ganger_dispatch(w.g), -ECONNRESET);
        ganger_close(w.g);
        close(w.listener);
}

static void test_bad_daemon_is_not_come_back_to(void **state)
{
        struct world w = world_open(-1);
        struct told told = {0};

        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        assert_true(fake_send_bytes(&w.daemon, "\xc1", 1));
        expect_told(&w, &told, -EPROTO);
        world_close(&w);
}

static void test_without_a_path(void **state)
{
        struct fake f;
        struct ganger *g;

        fake_open(&f, &g);
        assert_int_equal(ganger_set_reconnect(g, -1), -EOPNOTSUPP);
        ganger_close(g);
        fake_close(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_told_instead),
                cmocka_unit_test(test_objects_stay_stale),
                cmocka_unit_test(test_first_object_of_a_new_daemon),
                cmocka_unit_test(test_held_lock),
                cmocka_unit_test(test_leased_items),
                cmocka_unit_test(test_too_large_for_the_new_daemon),
                cmocka_unit_test(test_nobody_comes_back),
                cmocka_unit_test(test_nobody_answers_hello),
                cmocka_unit_test(test_deadline_of_one_request),
                cmocka_unit_test(test_given_up_or_closed_meanwhile),
                cmocka_unit_test(test_tries_get_rarer),
                cmocka_unit_test(test_off_it_is_lost),
                cmocka_unit_test(test_bad_daemon_is_not_come_back_to),
                cmocka_unit_test(test_without_a_path),
        };

        return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
