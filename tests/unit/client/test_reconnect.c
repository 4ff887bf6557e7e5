/* SPDX-License-Identifier: MIT */
/*
 * A handle whose daemon goes and comes back: what is sent again and how, who is told what instead, the
 * program's descriptor and times. The daemon is the test, which listens at a path.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/clock.h"
#include "client/connection.h"
#include "client/map.h"
#include "client/reply.h"
#include "tests/support/open_fds.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/cmocka_includes.h"

#define PATIENCE_MS 20000
#define BOUND_MS    10000

static char directory[] = "/tmp/ganger-test-XXXXXX";
static char path[64];

static int setup(void **state)
{
        if (mkdtemp(directory) == NULL)
                return -1;
        snprintf(path, sizeof path, "%s/sock", directory);
        return 0;
}

static int teardown(void **state)
{
        unlink(path);
        return rmdir(directory);
}

/* ---- the daemon ---- */

struct world {
        struct ganger *g;
        struct fake daemon;
        int listener;
};

static void world_listen(struct world *w)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        unlink(path);
        memcpy(address.sun_path, path, strlen(path));
        w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(w->listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(w->listener, 4), 0);
}

static void world_accept(struct world *w)
{
        int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        assert_true(fd >= 0);
        fake_init(&w->daemon, fd);
}

static void world_die(struct world *w)
{
        fake_close(&w->daemon);
        close(w->listener);
}

static void world_greet(struct world *w, uint64_t max_message)
{
        struct envelope hello;

        assert_true(fake_take(&w->daemon, &hello));
        assert_memory_equal(hello.method, "hello", 5);
        assert_true(fake_send(&w->daemon, "[uun{susu}]", (uint64_t)1, (uint64_t)hello.msgid, "protocol",
                              (uint64_t)1, "max_message", max_message));
}

static struct world world_open(int64_t patience_ms)
{
        struct world w = {0};

        world_listen(&w);
        assert_int_equal(ganger_open(&w.g, path), 0);
        world_accept(&w);
        assert_int_equal(ganger_flush(w.g), 0);
        world_greet(&w, LIMIT_MESSAGE_BYTES);
        assert_int_equal(ganger_set_reconnect(w.g, patience_ms), 0);
        return w;
}

/* One turn of a loop that does nothing else. */
static int turn(struct ganger *g)
{
        struct pollfd p = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};

        assert_true(poll(&p, 1, (int)ganger_timeout_ms(g)) >= 0);
        return ganger_dispatch(g);
}

/* Until the listener has somebody to accept. */
static void world_come_back(struct world *w)
{
        struct pollfd p = {.events = POLLIN};
        int64_t end_ms = clock_ms() + BOUND_MS;

        world_listen(w);
        p.fd = w->listener;
        do {
                assert_true(ganger_dispatch(w->g) >= 0);
                assert_true(clock_ms() < end_ms);
        } while (poll(&p, 1, 1) == 0);
        world_accept(w);
        assert_true(ganger_dispatch(w->g) >= 0);
}

static void world_close(struct world *w)
{
        ganger_close(w->g);
        world_die(w);
}

/* ---- whoever waits ---- */

struct told {
        int n, r, n_streamed;
};

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct told *told = userdata;

        told->n++;
        told->r = r;
        ganger_reply_free(reply);
}

static void on_stream(void *userdata, const char *kind, const struct ganger_reply *data)
{
        (void)kind;
        (void)data;
        ((struct told *)userdata)->n_streamed++;
}

/* The request that comes next; its last parameter, a map of options, is borrowed if it is asked for. */
static uint32_t take(struct world *w, const char *method, struct ganger_reply *ret_options)
{
        struct envelope e;

        assert_true(fake_take(&w->daemon, &e));
        assert_int_equal(e.type, ENVELOPE_REQUEST);
        assert_int_equal(e.method_size_bytes, strlen(method));
        assert_memory_equal(e.method, method, strlen(method));
        for (uint32_t i = 1; ret_options != NULL && i < e.n_params; i++)
                assert_int_equal(reader_skip(&e.params, NULL, NULL, NULL), 0);
        if (ret_options != NULL)
                reply_borrow(ret_options, e.params, false);
        return e.msgid;
}

/* The same, with just these parameters: a format of one short array. */
static uint32_t take_just(struct world *w, const char *method, const char *format, ...)
{
        struct ganger_writer writer;
        struct buffer want = BUFFER_INIT;
        struct envelope e;
        va_list list;

        assert_true(fake_take(&w->daemon, &e));
        assert_int_equal(e.method_size_bytes, strlen(method));
        assert_memory_equal(e.method, method, strlen(method));
        va_start(list, format);
        writer_begin(&writer, &want);
        writer_format(&writer, format, list);
        va_end(list);
        assert_int_equal(writer_end(&writer), 0);
        assert_int_equal(e.params.end - e.params.at, buffer_size(&want) - 1);
        assert_memory_equal(e.params.at, buffer_at(&want) + 1, buffer_size(&want) - 1);
        buffer_deinit(&want);
        return e.msgid;
}

static void answer(struct world *w, uint32_t msgid)
{
        assert_true(fake_send(&w->daemon, "[uuns]", (uint64_t)1, (uint64_t)msgid, "done"));
}

static void answer_error(struct world *w, uint32_t msgid, const char *code)
{
        assert_true(fake_send(&w->daemon, "[uu{ss}n]", (uint64_t)1, (uint64_t)msgid, "code", code));
}

/* Dies, and is there again, with what was kept on its way. */
static void world_restart(struct world *w)
{
        world_die(w);
        world_come_back(w);
        world_greet(w, LIMIT_MESSAGE_BYTES);
        assert_true(turn(w->g) >= 0);
}

static void expect_told(struct world *w, const struct told *told, int r)
{
        while (told->n == 0 && turn(w->g) >= 0)
                ;
        assert_int_equal(told->n, 1);
        assert_int_equal(told->r, r);
}

/* ---- what is sent again ---- */

static void test_task_is_another_attempt(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct ganger_options options = GANGER_OPTIONS_INIT;
        struct told told = {0};
        int fd = ganger_fd(w.g);
        uint32_t msgid = 0;

        options.label = "l";
        assert_int_equal(ganger_start(w.g, &options, "f", on_reply, &told, "[s]", "x"), 0);
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

        assert_int_equal(ganger_start_request(w.g, NULL, "submit", NULL, on_reply, &told, "[s[]{suss}]", "f",
                                              "attempts_before", (uint64_t)4, "key", "k"),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "call", NULL, on_reply, &told, "[s[]]", "g"), 0);
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
        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), 0);
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
        assert_int_equal(ganger_start(w.g, &options, "f", on_reply, &told, NULL), 0);
        assert_int_equal(ganger_start_request(w.g, NULL, "result", NULL, on_reply, &told, "[u{sd}]",
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
        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, "[h]", pipes[1]), 0);
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

        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &task, NULL), 0);
        assert_int_equal(ganger_start_request(w.g, NULL, "reload", NULL, on_reply, &other, "[]"), 0);
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

/* ---- what is not ---- */

static void test_told_instead(void **state)
{
        struct world w = world_open(PATIENCE_MS);
        struct told streamed = {0}, fed = {0}, unknown = {0}, object = {0}, given_up = {0}, quiet = {0};
        uint32_t msgid, msgid_streamed;

        assert_int_equal(ganger_start_request(w.g, &msgid_streamed, "call", on_stream, on_reply, &streamed,
                                              "[s[]{s[s]}]", "f", "stream", "stdout"),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "call", on_stream, on_reply, &quiet, "[s[]{s[s]}]",
                                              "q", "stream", "stdout"),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "map", on_stream, on_reply, &fed, "[s[]{sb}]", "f",
                                              "feed", 1),
                         0);
        assert_int_equal(ganger_start_request(w.g, NULL, "of_later", NULL, on_reply, &unknown, "[]"), 0);
        assert_int_equal(ganger_start_request(w.g, NULL, "event.wait", NULL, on_reply, &object, "[s]", "e"),
                         0);
        assert_int_equal(ganger_start_request(w.g, &msgid, "call", NULL, on_reply, &given_up, "[s[]]", "g"),
                         0);
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

        assert_int_equal(ganger_start_request(w.g, NULL, "dict.get", NULL, on_reply, &told, "[ss]", "d", "k"),
                         0);
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
        assert_int_equal(ganger_start_request(w.g, NULL, "dict.get", NULL, on_reply, &told, "[ss]", "d", "k"),
                         0);
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

        assert_int_equal(ganger_start_request(w.g, NULL, "lock.acquire", NULL, on_reply, &lock, "[s]", "l"),
                         0);
        assert_true(ganger_dispatch(w.g) >= 0);
        answer(&w, take(&w, "lock.acquire", NULL));
        expect_told(&w, &lock, 0);
        if (release) {
                lock = (struct told){0};
                assert_int_equal(
                        ganger_start_request(w.g, NULL, "lock.release", NULL, on_reply, &lock, "[s]", "l"),
                        0);
                assert_true(ganger_dispatch(w.g) >= 0);
                answer(&w, take(&w, "lock.release", NULL));
                expect_told(&w, &lock, 0);
        }
        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &call, NULL), 0);
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

        assert_int_equal(
                ganger_start_request(w.g, NULL, "queue.get", NULL, on_reply, &got, "[s{sb}]", "q", "ack", 1),
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

        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &large, "[y]", bytes, sizeof bytes), 0);
        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &small, NULL), 0);
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

        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), 0);
        assert_true(ganger_dispatch(w.g) >= 0);
        world_die(&w);
        expect_told(&w, &told, -ETIMEDOUT);
        assert_true(clock_ms() - begin_ms >= 150);
        assert_true(clock_ms() - begin_ms < 1500);
        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), -ETIMEDOUT);
        ganger_close(w.g);
}

static void test_nobody_answers_hello(void **state)
{
        struct world w = world_open(150);
        struct told told = {0};

        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), 0);
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

        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), 0);
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

        assert_int_equal(ganger_start_request(w.g, &msgid, "call", NULL, on_reply, &given_up, "[s[]]", "f"),
                         0);
        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), 0);
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
        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), 0);
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

        assert_int_equal(ganger_start(w.g, NULL, "f", on_reply, &told, NULL), 0);
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
                cmocka_unit_test(test_task_is_another_attempt),
                cmocka_unit_test(test_attempts_are_added),
                cmocka_unit_test(test_made_meanwhile_is_sent_once),
                cmocka_unit_test(test_times_run_on),
                cmocka_unit_test(test_descriptors_go_along_again),
                cmocka_unit_test(test_refused_by_the_end_waits),
                cmocka_unit_test(test_map_goes_on_with_the_rest),
                cmocka_unit_test(test_map_whose_daemon_stays_away),
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

        return cmocka_run_group_tests(tests, setup, teardown);
}
