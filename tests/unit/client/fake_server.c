/* SPDX-License-Identifier: MIT */
/*
 * The fake daemon: the half that serves by itself, in a thread. A map's items are kept, with the size of the
 * request that they came in, and answered out of order, newest first of those at hand, as a gang of workers
 * might.
 */
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>

#include "client/reply.h"
#include "proto/reader.h"
#include "tests/unit/client/fake_daemon.h"

#define ITEMS_A_STREAM 64

struct item {
        STAILQ_ENTRY(item) link; /* fake_server.items */
        uint64_t index;
        uint64_t value;
        struct batch *batch;
};

struct batch {
        uint64_t n_unfinished, size_bytes;
};

struct fake_server {
        struct fake fake;
        pthread_t thread;
        struct fake_totals totals;
        STAILQ_HEAD(, item) items;
        uint64_t msgid; /* of the map */
        uint64_t n_unfinished, held_bytes, n_succeeded, n_failed;
        bool map_open, map_last;
};

static void peak(uint64_t *of, uint64_t value)
{
        if (value > *of)
                *of = value;
}

/* Takes in an array of args arrays. */
static bool server_take_items(struct fake_server *s, struct reader *r, uint64_t size_bytes)
{
        struct batch *batch = calloc(1, sizeof *batch);
        uint32_t n, n_args;

        assert(batch != NULL);
        if (reader_array(r, &n) < 0 || n == 0) {
                free(batch);
                return true;
        }
        *batch = (struct batch){.n_unfinished = n, .size_bytes = size_bytes};
        s->held_bytes += size_bytes;
        s->n_unfinished += n;
        for (uint32_t i = 0; i < n; i++) {
                struct item *item = calloc(1, sizeof *item);

                assert(item != NULL);
                *item = (struct item){.index = s->totals.n_items++, .batch = batch};
                if (i % 3 == 0)
                        STAILQ_INSERT_HEAD(&s->items, item, link);
                else
                        STAILQ_INSERT_TAIL(&s->items, item, link);
                if (reader_array(r, &n_args) < 0)
                        return false;
                for (uint32_t k = 0; k < n_args; k++)
                        if ((k > 0 || reader_uint(r, &item->value) < 0) &&
                            reader_skip(r, NULL, NULL, NULL) < 0)
                                return false;
        }
        peak(&s->totals.n_unfinished_peak, s->n_unfinished);
        peak(&s->totals.held_bytes_peak, s->held_bytes);
        return true;
}

static void server_end_item(struct fake_server *s, struct item *item)
{
        STAILQ_REMOVE_HEAD(&s->items, link);
        s->n_unfinished--;
        if (--item->batch->n_unfinished == 0) {
                s->held_bytes -= item->batch->size_bytes;
                free(item->batch);
        }
        free(item);
}

/* Ends some items, and the map after the last one. */
static bool server_work(struct fake_server *s)
{
        struct buffer items = BUFFER_INIT;
        struct packer packer;
        uint32_t n = 0;
        bool sent = true;

        pack_begin(&packer, &items);
        for (; n < ITEMS_A_STREAM && !STAILQ_EMPTY(&s->items); n++) {
                struct item *item = STAILQ_FIRST(&s->items);

                if (item->value == 13) {
                        fake_pack(&items, "[u{ssss}n]", item->index, "code", "task_failed", "message", "13");
                        s->n_failed++;
                } else {
                        fake_pack(&items, "[unu]", item->index, item->value);
                        s->n_succeeded++;
                }
                server_end_item(s, item);
        }
        if (n > 0) {
                struct buffer all = BUFFER_INIT;

                pack_begin(&packer, &all);
                pack_notification(&packer, "stream", 3);
                pack_uint(&packer, s->msgid);
                pack_str(&packer, "items");
                pack_array(&packer, n);
                pack_raw(&packer, buffer_at(&items), buffer_size(&items));
                assert(packer.error == 0);
                sent = fake_send_bytes(&s->fake, buffer_at(&all), buffer_size(&all));
                buffer_deinit(&all);
        }
        buffer_deinit(&items);
        if (sent && s->map_open && s->map_last && STAILQ_EMPTY(&s->items)) {
                s->map_open = false;
                sent = fake_send(&s->fake, "[uun{sususu}]", (uint64_t)1, s->msgid, "count", s->totals.n_items,
                                 "succeeded", s->n_succeeded, "failed", s->n_failed);
        }
        return sent;
}

static bool is(const struct envelope *e, const char *method)
{
        return strlen(method) == e->method_size_bytes && memcmp(e->method, method, e->method_size_bytes) == 0;
}

static bool server_on_map(struct fake_server *s, const struct envelope *e)
{
        struct reader params = e->params, feed;

        s->map_open = true;
        s->map_last = true;
        s->msgid = e->msgid;
        if (reader_skip(&params, NULL, NULL, NULL) < 0 || !server_take_items(s, &params, s->fake.taken_bytes))
                return false;
        feed = params;
        if (e->n_params == 3 && reader_find_key(&feed, "feed") == 0)
                s->map_last = false;
        return true;
}

static bool server_on_feed(struct fake_server *s, const struct envelope *e)
{
        struct reader params = e->params;
        uint64_t msgid;

        return s->map_open && !s->map_last && reader_uint(&params, &msgid) == 0 && msgid == s->msgid &&
               server_take_items(s, &params, s->fake.taken_bytes) && reader_bool(&params, &s->map_last) == 0;
}

static bool server_cancel_map(struct fake_server *s)
{
        s->totals.cancelled = true;
        s->map_open = false;
        while (!STAILQ_EMPTY(&s->items))
                server_end_item(s, STAILQ_FIRST(&s->items));
        return fake_send(&s->fake, "[uu{ssss}n]", (uint64_t)1, s->msgid, "code", "cancelled", "message",
                         "given up");
}

static bool server_wait(struct fake_server *s, const struct envelope *e)
{
        struct reader params = e->params;
        struct buffer all = BUFFER_INIT;
        struct packer packer;
        uint32_t n;
        uint64_t id;
        bool sent;

        if (reader_array(&params, &n) < 0)
                return false;
        pack_begin(&packer, &all);
        pack_response(&packer, e->msgid);
        pack_array(&packer, n);
        for (uint32_t i = 0; i < n && reader_uint(&params, &id) == 0; i++)
                fake_pack(&all, "[us]", id, "succeeded");
        sent = fake_send_bytes(&s->fake, buffer_at(&all), buffer_size(&all));
        buffer_deinit(&all);
        return sent;
}

/* The value of parameter `at` back, or a number if there is none. */
static bool server_echo(struct fake_server *s, const struct envelope *e, uint32_t at)
{
        struct reader params = e->params;
        const uint8_t *value = NULL;
        size_t size_bytes = 0;
        uint32_t n_descriptors = 0;

        for (uint32_t i = 0; i <= at; i++)
                if (reader_skip(&params, &value, &size_bytes, &n_descriptors) < 0)
                        return false;
        if (n_descriptors > 0)
                return fake_send(&s->fake, "[uunu]", (uint64_t)1, (uint64_t)e->msgid,
                                 (uint64_t)s->fake.n_message_fds);
        return fake_send(&s->fake, "[uunm]", (uint64_t)1, (uint64_t)e->msgid, (const void *)value,
                         size_bytes);
}

static bool server_on_message(struct fake_server *s, const struct envelope *e)
{
        uint64_t msgid = e->msgid;

        s->totals.n_fds += s->fake.n_message_fds;
        peak(&s->totals.request_bytes_peak, s->fake.taken_bytes);
        if (is(e, "feed"))
                return server_on_feed(s, e);
        if (is(e, "cancel_request"))
                return server_cancel_map(s);
        if (is(e, "map"))
                return server_on_map(s, e);
        if (is(e, "wait"))
                return server_wait(s, e);
        if (is(e, "call"))
                return server_echo(s, e, 1);
        if (is(e, "result"))
                return server_echo(s, e, 0);
        if (is(e, "submit"))
                return fake_send(&s->fake, "[uunu]", (uint64_t)1, msgid, (uint64_t)7);
        if (is(e, "cancel"))
                return fake_send(&s->fake, "[uunu]", (uint64_t)1, msgid, (uint64_t)1);
        if (is(e, "hello"))
                return fake_send(&s->fake, "[uun{susu}]", (uint64_t)1, msgid, "protocol", (uint64_t)1,
                                 "max_message", (uint64_t)(1 << 20));
        if (is(e, "refuse"))
                return fake_send(&s->fake, "[uu{ssss}n]", (uint64_t)1, msgid, "code", "not_permitted",
                                 "message", "not you");
        return fake_send(&s->fake, "[uu{ssss}n]", (uint64_t)1, msgid, "code", "unknown_method", "message",
                         "no such method");
}

/* All that comes is taken in before an item ends: so the library's bounds are put to the test. */
static bool server_has_input(const struct fake_server *s)
{
        struct pollfd poller = {.fd = s->fake.fd, .events = POLLIN};
        struct timespec patience = {.tv_nsec = 300000};

        return buffer_size(&s->fake.input) > s->fake.taken_bytes || ppoll(&poller, 1, &patience, NULL) > 0;
}

static void *server_main(void *userdata)
{
        struct fake_server *s = userdata;
        struct envelope e;
        sigset_t all;

        sigfillset(&all); /* they are for the library in the other thread */
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        while (fake_take(&s->fake, &e) && server_on_message(s, &e))
                while (s->map_open && (!STAILQ_EMPTY(&s->items) || s->map_last) && !server_has_input(s))
                        if (!server_work(s))
                                return NULL;
        return NULL;
}

struct fake_server *fake_serve(struct ganger **ret)
{
        struct fake_server *s = calloc(1, sizeof *s);
        int r;

        assert(s != NULL);
        STAILQ_INIT(&s->items);
        fake_open(&s->fake, ret);
        r = pthread_create(&s->thread, NULL, server_main, s);
        assert(r == 0);
        return s;
}

void fake_stop(struct fake_server *s, struct fake_totals *ret)
{
        pthread_join(s->thread, NULL);
        while (!STAILQ_EMPTY(&s->items))
                server_end_item(s, STAILQ_FIRST(&s->items));
        fake_close(&s->fake);
        if (ret != NULL)
                *ret = s->totals;
        free(s);
}
