/* SPDX-License-Identifier: MIT */
/* What a handle that reconnects sends again, and how: tasks, times, descriptors, maps. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "client/clock.h"
#include "client/connection.h"
#include "client/map.h"
#include "tests/support/open_fds.h"
#include "tests/unit/client/reconnecting.h"
#include "tests/unit/cmocka_includes.h"

static void answer_error(struct world *w, uint32_t msgid, const char *code)
{
        assert_true(fake_send(&w->daemon, "[uu{ss}n]", (uint64_t)1, (uint64_t)msgid, "code", code));
}

static void test_task_is_another_attempt(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct ganger_options options = GANGER_OPTIONS_INIT;
        struct told told = {0};
        int fd = ganger_fd(w.g);
        uint32_t msgid = 0;

        options.label = "l";
        assert_int_equal(ganger_start(w.g, &options, "f", told_on_reply, &told, "[s]", "x"), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        take_just(&w, "call", "[s[s]{ss}]", "f", "x", "label", "l");
        for (uint64_t n = 1; n <= 3; n++) {
                world_restart(&w);
                msgid = take_just(&w, "call", "[s[s]{sssu}]", "f", "x", "label", "l", "attempts_before", n);
        }
        assert_int_equal(told.n, 0);
        assert_int_equal(ganger_pending(w.g), 1);
        answer(&w, msgid);
        expect_told(&w, &told, 0);
        assert_int_equal(ganger_fd(w.g), fd);
        world_close(&w);
}

static void test_attempts_are_added(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told told = {0};

        assert_int_equal(ganger_start_request(w.g, NULL, "submit", NULL, told_on_reply, &told, "[s[]{suss}]",
                                              "f", "attempts_before", (uint64_t)4, "key", "k"),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "call", NULL, told_on_reply, &told, "[s[]]", "g"),
                         0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_restart(&w);
        take_just(&w, "submit", "[s[]{sssu}]", "f", "key", "k", "attempts_before", (uint64_t)5);
        take_just(&w, "call", "[s[]{su}]", "g", "attempts_before", (uint64_t)1);
        world_close(&w);
        assert_int_equal(told.n, 2);
        assert_int_equal(told.r, -ECANCELED);
}

static void test_made_meanwhile_is_sent_once(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told told = {0};

        world_die(&w);
        while (ganger_notify(w.g, "ping", "[]") == 0)
                assert_int_equal(turn(w.g), 0);
        assert_int_equal(ganger_notify(w.g, "ping", "[]"), -ENOTCONN);
        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, NULL), 0);
        assert_int_equal(ganger_flush(w.g), 1);
        world_come_back(&w);
        world_greet(&w, LIMIT_MESSAGE_BYTES);
        assert_true(turn(w.g) >= 0);
        answer(&w, take_just(&w, "call", "[s[]]", "f"));
        expect_told(&w, &told, 0);
        assert_int_equal(ganger_flush(w.g), 0);
        world_close(&w);
}

static void test_times_run_on(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told told = {0};
        struct ganger_options options = GANGER_OPTIONS_INIT;
        struct ganger_reply got;
        double seconds = 0;
        int64_t begin_ms = clock_ms();

        options.expires = 100;
        options.delay = 0.001;
        options.timeout = 7;
        assert_int_equal(ganger_start(w.g, &options, "f", told_on_reply, &told, NULL), 0);
        assert_int_equal(ganger_start_request(w.g, NULL, "result", NULL, told_on_reply, &told, "[u{sd}]",
                                              (uint64_t)1, "timeout", 100.0),
                         0);
        assert_true(ganger_dispatch(w.g) >= 0);
        while (clock_ms() < begin_ms + 20)
                poll(NULL, 0, 20);
        world_restart(&w);
        take(&w, "call", &got);
        assert_int_equal(ganger_read_key(&got, "expires", "d", &seconds), 0);
        assert_true(seconds > 100 - (double)(clock_ms() - begin_ms + 1) / 1000 && seconds <= 99.98);
        assert_int_equal(ganger_read_key(&got, "delay", "d", &seconds), 0);
        assert_true(seconds >= 0 && seconds <= 0); /* over */
        assert_int_equal(ganger_read_key(&got, "timeout", "d", &seconds), 0);
        assert_true(seconds >= 7 && seconds <= 7); /* counts from when it begins */
        take(&w, "result", &got);
        assert_int_equal(ganger_read_key(&got, "timeout", "d", &seconds), 0);
        assert_true(seconds > 100 - (double)(clock_ms() - begin_ms + 1) / 1000 && seconds <= 99.98);
        world_close(&w);
}

static void test_descriptors_go_along_again(void **state)
{
        int before = open_fds(), pipes[2];
        struct world w = world_open(PATIENCE_MS);
        struct told told = {0};
        uint32_t msgid = 0;

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &told, "[h]", pipes[1]), 0);
        close(pipes[1]);
        assert_true(ganger_dispatch(w.g) >= 0);
        for (int i = 0; i < 2; i++) {
                char byte = 0;

                world_restart(&w);
                msgid = take(&w, "call", NULL);
                assert_int_equal(w.daemon.n_message_fds, 1);
                assert_int_equal(write(w.daemon.message_fds[0], "x", 1), 1);
                assert_int_equal(read(pipes[0], &byte, 1), 1);
        }
        answer(&w, msgid);
        expect_told(&w, &told, 0);
        world_close(&w);
        close(pipes[0]);
        assert_int_equal(open_fds(), before);
}

static void test_refused_by_the_end_waits(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told task = {0}, other = {0};

        assert_int_equal(ganger_start(w.g, NULL, "f", told_on_reply, &task, NULL), 0);
        assert_int_equal(ganger_start_request(w.g, NULL, "reload", NULL, told_on_reply, &other, "[]"), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        answer_error(&w, take(&w, "call", NULL), "shutting_down");
        answer_error(&w, take(&w, "reload", NULL), "shutting_down");
        expect_told(&w, &other, GANGER_SHUTTING_DOWN);
        assert_int_equal(task.n, 0);
        assert_true(fake_send(&w.daemon, "[us[{ss}]]", (uint64_t)2, "error", "code", "shutting_down"));
        world_restart(&w);
        answer(&w, take_just(&w, "call", "[s[]]", "f")); /* no attempt was made */
        expect_told(&w, &task, 0);
        world_close(&w);
}

/* ---- maps ---- */

struct items {
        int n_given, n_ended, seen[8];
};

static int next_item(void *userdata, struct ganger_writer *w)
{
        struct items *items = userdata;

        if (items->n_given == 5)
                return 0;
        return ganger_write(w, "[ih]", (int64_t)items->n_given++, 0) < 0 ? -EIO : 1;
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct items *items = userdata;
        int64_t value = -1;

        assert_int_equal(code, 0);
        assert_int_equal(ganger_read(reply, "i", &value), 0);
        assert_int_equal(value, index);
        items->seen[index]++;
        items->n_ended++;
        return 0;
}

static void send_item(struct world *w, uint32_t msgid, uint64_t place, int64_t value)
{
        assert_true(fake_send(&w->daemon, "[us[us[[uni]]]]", (uint64_t)2, "stream", (uint64_t)msgid, "items",
                              place, value));
}

static void until_ended(struct world *w, struct map *map, const struct items *items, int n)
{
        while (items->n_ended < n) {
                assert_true(turn(w->g) >= 0);
                assert_int_equal(map_advance(map), 0);
        }
        assert_int_equal(items->n_ended, n);
}

/* Of five items two end with the first daemon, one with the second, and the rest with the third. */
static void test_map_goes_on_with_the_rest(void **state)
{
        int before = open_fds();
        struct world w = world_open(PATIENCE_MS);
        struct items items = {0};
        struct map *map;
        uint32_t msgid;

        assert_int_equal(map_new(w.g, NULL, "f", next_item, on_item, &items, &map), 0);
        assert_int_equal(map_advance(map), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        msgid = take(&w, "map", NULL);
        assert_int_equal(w.daemon.n_message_fds, 5);
        send_item(&w, msgid, 3, 3);
        send_item(&w, msgid, 1, 1);
        until_ended(&w, map, &items, 2);
        world_restart(&w);
        assert_int_equal(map_advance(map), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        msgid = take(&w, "map", NULL);
        assert_int_equal(w.daemon.n_message_fds, 3);
        send_item(&w, msgid, 1, 2);
        until_ended(&w, map, &items, 3);
        world_restart(&w);
        assert_int_equal(map_advance(map), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        msgid = take(&w, "map", NULL);
        assert_int_equal(w.daemon.n_message_fds, 2);
        send_item(&w, msgid, 1, 4);
        send_item(&w, msgid, 0, 0);
        until_ended(&w, map, &items, 5);
        answer(&w, msgid);
        while (!map_has_ended(map))
                assert_true(turn(w.g) >= 0);
        assert_int_equal(map_result(map), 0);
        for (int i = 0; i < 5; i++)
                assert_int_equal(items.seen[i], 1);
        map_free(map);
        world_close(&w);
        assert_int_equal(open_fds(), before);
}

static void test_map_whose_daemon_stays_away(void **state)
{
        struct world w = world_open(100);
        struct items items = {0};
        struct map *map;

        assert_int_equal(map_new(w.g, NULL, "f", next_item, on_item, &items, &map), 0);
        assert_int_equal(map_advance(map), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        while (!map_has_ended(map)) {
                turn(w.g);
                map_advance(map);
        }
        assert_int_equal(map_result(map), -ETIMEDOUT);
        map_free(map);
        ganger_close(w.g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_task_is_another_attempt),
                cmocka_unit_test(test_attempts_are_added),
                cmocka_unit_test(test_made_meanwhile_is_sent_once),
                cmocka_unit_test(test_times_run_on),
                cmocka_unit_test(test_descriptors_go_along_again),
                cmocka_unit_test(test_refused_by_the_end_waits),
                cmocka_unit_test(test_map_goes_on_with_the_rest),
                cmocka_unit_test(test_map_whose_daemon_stays_away),
        };

        return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
