/* SPDX-License-Identifier: MIT */
/*
 * Over libevent's evhttp, which knows no bound on connections nor on their time, and does not say when one is
 * gone. So each gets its bufferevent from here, and a reference to it is kept: evhttp has dropped its own
 * when it has taken its callbacks away. While all places are taken nobody is accepted, and who comes waits in
 * the kernel.
 */
#include "daemon/metrics_http.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/exhaustion.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/socket_file.h"
#include "proto/limits.h"

#define PATH         "/metrics"
#define PLAIN_TEXT   "text/plain; charset=utf-8"
#define EVERY_METHOD UINT16_MAX                        /* what evhttp refuses itself it refuses as unknown */
#define UNREAD_BYTES (2 * LIMIT_METRICS_REQUEST_BYTES) /* of what comes; evhttp reads on while it answers */

struct reader {
        struct bufferevent *bev; /* NULL: the place is free */
        struct event deadline;
};

struct entrance {
        struct metrics_http *owner;
        struct evconnlistener *listener;
        struct socket_file *file; /* NULL: the socket is the listener's */
        struct exhaustion exhaustion;
};

struct metrics_http {
        struct daemon *daemon;
        struct evhttp *http;
        struct reader readers[LIMIT_METRICS_READERS];
        unsigned n_readers;
        struct entrance entrances[LIMIT_METRICS_SOCKETS];
        unsigned n_entrances;
        bool started;
};

/* evhttp hands to a listener's error callback itself, and not who uses it. */
static struct metrics_http *the_one;

/* -- who comes in -- */

static void update_entrances(struct metrics_http *h)
{
        for (unsigned i = 0; i < h->n_entrances; i++) {
                struct entrance *e = &h->entrances[i];
                if (h->started && h->n_readers < LIMIT_METRICS_READERS && !e->exhaustion.resting)
                        evconnlistener_enable(e->listener);
                else
                        evconnlistener_disable(e->listener);
        }
}

static void entrance_on_exhaustion(void *userdata)
{
        struct entrance *e = userdata;

        update_entrances(e->owner);
}

static void entrance_on_error(struct evconnlistener *listener, void *http)
{
        int error = errno;

        assert(the_one != NULL && http == the_one->http);
        for (unsigned i = 0; i < the_one->n_entrances; i++)
                if (the_one->entrances[i].listener == listener)
                        exhaustion_begins(&the_one->entrances[i].exhaustion, error);
}

/* -- readers -- */

static bool is_gone(const struct reader *reader)
{
        bufferevent_data_cb read_cb, write_cb;
        bufferevent_event_cb event_cb;
        void *arg;

        bufferevent_getcb(reader->bev, &read_cb, &write_cb, &event_cb, &arg);
        return event_cb == NULL;
}

/* Reset, so that the kernel does not keep for him what he did not read. evhttp sees the end, and frees. */
static void reader_on_deadline(evutil_socket_t unused, short events, void *arg)
{
        static const struct linger none = {.l_onoff = 1};
        struct reader *reader = arg;
        int fd = bufferevent_getfd(reader->bev);

        if (is_gone(reader))
                return;
        log_debug("metrics: a reader was cut off after %d s", LIMIT_METRICS_SECONDS);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        shutdown(fd, SHUT_RDWR);
}

/* Of each connection that evhttp has accepted. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
        static const struct timeval time = {.tv_sec = LIMIT_METRICS_SECONDS};
        struct metrics_http *h = arg;
        struct reader *reader = h->readers;

        assert(h->n_readers < LIMIT_METRICS_READERS);
        while (reader->bev != NULL)
                reader++;
        reader->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
        if (reader->bev == NULL)
                return NULL; /* evhttp tries once more, and has no memory either */
        bufferevent_incref(reader->bev);
        bufferevent_setwatermark(reader->bev, EV_READ, 0, UNREAD_BYTES);
        event_add(&reader->deadline, &time);
        h->n_readers++;
        update_entrances(h);
        return reader->bev;
}

void metrics_http_sweep(struct metrics_http *h)
{
        unsigned n = h != NULL ? h->n_readers : 0;

        for (unsigned i = 0; n > 0 && i < LIMIT_METRICS_READERS; i++) {
                struct reader *reader = &h->readers[i];
                if (reader->bev == NULL || !is_gone(reader))
                        continue;
                event_del(&reader->deadline);
                bufferevent_decref(reader->bev);
                reader->bev = NULL;
                h->n_readers--;
        }
        if (n > 0 && h->n_readers < n)
                update_entrances(h);
}

/* -- answers -- */

static void log_answer(struct evhttp_request *request, int code, size_t size_bytes)
{
        char *peer = NULL;
        ev_uint16_t port = 0;

        if (!log_enabled(LOG_LEVEL_DEBUG))
                return;
        evhttp_connection_get_peer(evhttp_request_get_connection(request), &peer, &port);
        log_debug("metrics: %s from %s: %d, %zu bytes", evhttp_request_get_uri(request),
                  peer != NULL ? peer : "?", code, size_bytes);
}

/* The body is taken, and may be NULL only where memory is short. */
static void answer(struct evhttp_request *request, int code, const char *type, struct evbuffer *body)
{
        struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
        size_t size_bytes = body != NULL ? evbuffer_get_length(body) : 0;
        char length[24];

        snprintf(length, sizeof length, "%zu", size_bytes);
        /* What he asks of the connection is not asked for: each has one answer. */
        evhttp_remove_header(evhttp_request_get_input_headers(request), "Connection");
        evhttp_add_header(headers, "Connection", "close");
        evhttp_add_header(headers, "Content-Type", type);
        evhttp_add_header(headers, "Content-Length", length); /* evhttp has none for HEAD */
        log_answer(request, code, size_bytes);
        if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD && body != NULL)
                evbuffer_drain(body, size_bytes);
        evhttp_send_reply(request, code, NULL, body);
        if (body != NULL)
                evbuffer_free(body);
}

static void answer_text(struct evhttp_request *request, int code, const char *text)
{
        struct evbuffer *body = evbuffer_new();

        if (body != NULL)
                evbuffer_add(body, text, strlen(text));
        answer(request, code, PLAIN_TEXT, body);
}

static void free_text(const void *text, size_t size_bytes, void *unused)
{
        free((void *)text);
}

static void answer_metrics(struct metrics_http *h, struct evhttp_request *request)
{
        static struct log_limit limit;
        struct evbuffer *body = evbuffer_new();
        char *text = NULL;
        size_t size_bytes = 0;

        daemon_update_now(h->daemon);
        if (body != NULL && metrics_text(h->daemon, &text, &size_bytes) == 0 &&
            evbuffer_add_reference(body, text, size_bytes, free_text, NULL) == 0) {
                answer(request, HTTP_OK, METRICS_CONTENT_TYPE, body);
                return;
        }
        log_limited(&limit, LOG_LEVEL_ERROR, NULL, "metrics: no memory for an answer");
        free(text);
        if (body != NULL)
                evbuffer_free(body);
        answer(request, HTTP_SERVUNAVAIL, PLAIN_TEXT, NULL);
}

static void on_request(struct evhttp_request *request, void *arg)
{
        const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
        enum evhttp_cmd_type method = evhttp_request_get_command(request);
        bool is_root = path != NULL && strcmp(path, "/") == 0;

        if (path == NULL || (!is_root && strcmp(path, PATH) != 0)) {
                answer_text(request, HTTP_NOTFOUND, "There is only " PATH ".\n");
        } else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
                evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
                answer_text(request, HTTP_BADMETHOD, "It can only be read.\n");
        } else if (is_root) {
                answer_text(request, HTTP_OK, "The figures of gangerd for Prometheus: " PATH "\n");
        } else {
                answer_metrics(arg, request);
        }
}

/* -- the whole -- */

int metrics_http_new(struct daemon *daemon, struct metrics_http **ret)
{
        struct metrics_http *h = calloc(1, sizeof *h);

        if (h == NULL)
                return -ENOMEM;
        assert(the_one == NULL);
        the_one = h;
        h->daemon = daemon;
        for (unsigned i = 0; i < LIMIT_METRICS_READERS; i++)
                event_assign(&h->readers[i].deadline, daemon->base, -1, 0, reader_on_deadline,
                             &h->readers[i]);
        h->http = evhttp_new(daemon->base);
        if (h->http == NULL) {
                metrics_http_free(h);
                return -ENOMEM;
        }
        evhttp_set_max_headers_size(h->http, LIMIT_METRICS_REQUEST_BYTES);
        evhttp_set_max_body_size(h->http, 0);
        evhttp_set_timeout(h->http, LIMIT_METRICS_SECONDS);
        evhttp_set_allowed_methods(h->http, EVERY_METHOD);
        evhttp_set_bevcb(h->http, on_connection, h);
        evhttp_set_gencb(h->http, on_request, h);
        *ret = h;
        return 0;
}

int metrics_http_listen(struct metrics_http *h, int fd, struct socket_file *file)
{
        struct entrance *e = &h->entrances[h->n_entrances];
        unsigned flags =
                LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED | (file == NULL ? LEV_OPT_CLOSE_ON_FREE : 0);

        assert(h->n_entrances < LIMIT_METRICS_SOCKETS);
        *e = (struct entrance){.owner = h, .file = file, .exhaustion = EXHAUSTION_INIT};
        e->listener = evconnlistener_new(h->daemon->base, NULL, NULL, flags, 0, fd);
        if (e->listener == NULL || evhttp_bind_listener(h->http, e->listener) == NULL) {
                if (e->listener != NULL)
                        evconnlistener_free(e->listener);
                else if (file == NULL)
                        close(fd);
                socket_file_free(file);
                return -ENOMEM;
        }
        h->n_entrances++;
        evconnlistener_set_error_cb(e->listener, entrance_on_error);
        return exhaustion_init(&e->exhaustion, h->daemon->base, fd, entrance_on_exhaustion, e);
}

void metrics_http_start(struct metrics_http *h)
{
        if (h == NULL)
                return;
        h->started = true;
        update_entrances(h);
}

struct metrics_http *metrics_http_free(struct metrics_http *h)
{
        if (h == NULL)
                return NULL;
        for (unsigned i = 0; i < h->n_entrances; i++)
                exhaustion_deinit(&h->entrances[i].exhaustion);
        if (h->http != NULL)
                evhttp_free(h->http); /* with its connections and its listeners */
        h->started = false;
        for (unsigned i = 0; i < h->n_entrances; i++)
                socket_file_free(h->entrances[i].file);
        h->n_entrances = 0;
        metrics_http_sweep(h);
        assert(h->n_readers == 0);
        the_one = NULL;
        free(h);
        return NULL;
}
