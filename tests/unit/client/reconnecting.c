/* SPDX-License-Identifier: MIT */
#include "tests/unit/client/reconnecting.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/clock.h"
#include "tests/unit/cmocka_includes.h"

#define BOUND_MS 10000

static char directory[] = "/tmp/ganger-test-XXXXXX";
static char path[64];

int world_setup(void **state)
{
        if (mkdtemp(directory) == NULL)
                return -1;
        snprintf(path, sizeof path, "%s/sock", directory);
        return 0;
}

int world_teardown(void **state)
{
        unlink(path);
        return rmdir(directory);
}

/* ---- the daemon ---- */

void world_listen(struct world *w)
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

void world_die(struct world *w)
{
        fake_close(&w->daemon);
        close(w->listener);
}

void world_greet(struct world *w, uint64_t max_message)
{
        struct envelope hello;

        assert_true(fake_take(&w->daemon, &hello));
        assert_memory_equal(hello.method, "hello", 5);
        assert_true(fake_send(&w->daemon, "[uun{susu}]", (uint64_t)1, (uint64_t)hello.msgid, "protocol",
                              (uint64_t)1, "max_message", max_message));
}

struct world world_open(int64_t patience_ms)
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

int turn(struct ganger *g)
{
        struct pollfd p = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};

        int64_t timeout_ms = ganger_timeout_ms(g);

        if (timeout_ms < 0 || timeout_ms > BOUND_MS)
                timeout_ms = BOUND_MS;
        assert_true(poll(&p, 1, (int)timeout_ms) >= 0);
        return ganger_dispatch(g);
}

/* Until the listener has somebody to accept. */
void world_come_back(struct world *w)
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

void world_close(struct world *w)
{
        ganger_close(w->g);
        world_die(w);
}

/* ---- whoever waits ---- */

void told_on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct told *told = userdata;

        told->n++;
        told->r = r;
        ganger_reply_free(reply);
}

void told_on_stream(void *userdata, const char *kind, const struct ganger_reply *data)
{
        (void)kind;
        (void)data;
        ((struct told *)userdata)->n_streamed++;
}

uint32_t take(struct world *w, const char *method, struct ganger_reply *ret_options)
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

uint32_t take_just(struct world *w, const char *method, const char *format, ...)
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

void answer(struct world *w, uint32_t msgid)
{
        assert_true(fake_send(&w->daemon, "[uuns]", (uint64_t)1, (uint64_t)msgid, "done"));
}

void world_restart(struct world *w)
{
        world_die(w);
        world_come_back(w);
        world_greet(w, LIMIT_MESSAGE_BYTES);
        assert_true(turn(w->g) >= 0);
}

void expect_told(struct world *w, const struct told *told, int r)
{
        int64_t end_ms = clock_ms() + BOUND_MS;

        while (told->n == 0 && turn(w->g) >= 0)
                assert_true(clock_ms() < end_ms);
        assert_int_equal(told->n, 1);
        assert_int_equal(told->r, r);
}
