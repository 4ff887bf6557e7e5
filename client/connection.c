/* SPDX-License-Identifier: MIT */
/*
 * Bytes in and out of a handle. hello is not waited for: it leaves with the first request, and what the
 * daemon says to it (its largest message) is taken note of when it comes. A daemon that speaks another
 * protocol, or no daemon at all, fails the connection like any other bad message.
 */
#include "client/connection.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/fork.h"
#include "client/reply.h"
#include "proto/envelope.h"
#include "proto/errors.h"

#define READ_BYTES        (64u << 10) /* room for one read; what an idle buffer may keep */
#define READS_A_DISPATCH  16          /* then the program's other work has its turn */
#define MAX_ANSWER_BYTES  (1u << 30)  /* memory is taken as bytes come, never for what is announced */
#define TAKE_OVER_BYTES   (64u << 10) /* replies from here on keep the input's buffer instead of a copy */
#define SEND_PAUSE_MS     10
#define STREAM_KIND_BYTES 32

/* ---- life ---- */

static void connection_on_hello(void *userdata, int r, struct ganger_reply *reply)
{
        struct ganger *g = userdata;
        uint64_t protocol = 0, max_message = 0;

        g->hello_open = false;
        g->n_callbacks--; /* it is none of the program's */
        if (r < 0)
                return;
        if (r > 0 || ganger_read_key(reply, "protocol", "u", &protocol) < 0 || protocol != PROTOCOL_VERSION)
                connection_fail(g, -EPROTO);
        else if (ganger_read_key(reply, "max_message", "u", &max_message) == 0 && max_message > 0)
                g->max_message = max_message < UINT32_MAX ? max_message : UINT32_MAX;
        if (r > 0)
                connection_keep_error(g, reply);
        else
                ganger_reply_free(reply);
}

static int connection_hello(struct ganger *g)
{
        int r = ganger_start_request(g, NULL, "hello", NULL, connection_on_hello, g, "[{susssb}]", "protocol",
                                     (uint64_t)PROTOCOL_VERSION, "client", program_invocation_short_name,
                                     "descriptors", 1);

        if (r == 0)
                g->hello_open = true;
        return r;
}

int connection_new(int fd, struct ganger **ret)
{
        struct ganger *g = calloc(1, sizeof *g);
        int r;

        if (g == NULL) {
                close(fd);
                return -ENOMEM;
        }
        g->fd = fd;
        g->pid = getpid();
        g->generation = fork_generation();
        g->max_message = LIMIT_MESSAGE_BYTES;
        scan_init(&g->scan, MAX_ANSWER_BYTES);
        output_init(&g->output);
        request_table_init(&g->requests);
        r = connection_hello(g);
        if (r < 0) {
                ganger_close(g);
                return r;
        }
        *ret = g;
        return 0;
}

int connection_open(struct ganger **ret, enum search_scope scope)
{
        int fd, r;

        r = search_connect(scope, &fd);
        return r < 0 ? r : connection_new(fd, ret);
}

int ganger_open(struct ganger **ret, const char *path)
{
        int fd, r;

        if (path == NULL)
                return connection_open(ret, SEARCH_USUAL);
        r = search_connect_path(path, &fd);
        return r < 0 ? r : connection_new(fd, ret);
}

/* Not a copy in a child that the program forked. */
static bool is_own(const struct ganger *g)
{
        return g->generation != 0 ? fork_is_same(g->generation) : g->pid == getpid();
}

/* Tells every open request that there will be no answer. */
static void connection_tell(struct ganger *g, int error, bool quietly)
{
        struct request *request;

        while ((request = TAILQ_FIRST(&g->requests.open)) != NULL) {
                ganger_on_reply on_reply = request->on_reply;
                void *userdata = request->userdata;

                request_free(&g->requests, request);
                if (on_reply == NULL || quietly)
                        continue;
                g->n_callbacks++;
                on_reply(userdata, error, NULL);
        }
}

struct ganger *ganger_close(struct ganger *g)
{
        if (g == NULL)
                return NULL;
        if (g->dispatching)
                return g;
        if (g->lost == 0)
                g->lost = -ECANCELED;
        connection_tell(g, -ECANCELED, !is_own(g));
        request_table_deinit(&g->requests);
        output_deinit(&g->output);
        fd_queue_deinit(&g->fds);
        buffer_deinit(&g->input);
        ganger_reply_free(g->error);
        close(g->fd);
        free(g);
        return NULL;
}

int connection_check(const struct ganger *g)
{
        if (!is_own(g))
                return -ECHILD;
        return g->lost;
}

void connection_fail(struct ganger *g, int error)
{
        assert(error < 0);
        if (g->failed == 0)
                g->failed = error;
}

void connection_keep_error(struct ganger *g, struct ganger_reply *reply)
{
        ganger_reply_free(g->error);
        g->error = reply;
}

const struct ganger_reply *ganger_error(const struct ganger *g)
{
        return g->error;
}

/* ---- messages from the daemon ---- */

/* Drops the message of `size_bytes` at the input's beginning. */
static void connection_consume(struct ganger *g, size_t size_bytes)
{
        buffer_consume(&g->input, size_bytes);
        scan_init(&g->scan, MAX_ANSWER_BYTES);
}

/* The reply of a large message keeps the input's buffer; what had come behind the message moves instead. */
static int connection_take_reply(struct ganger *g, size_t size_bytes, struct reader value, bool is_error,
                                 struct ganger_reply **ret)
{
        struct buffer rest = BUFFER_INIT;
        int r;

        if (size_bytes < TAKE_OVER_BYTES)
                return reply_new(ret, value, is_error);
        r = buffer_append(&rest, buffer_at(&g->input) + size_bytes, buffer_size(&g->input) - size_bytes);
        if (r < 0)
                return r;
        r = reply_new_over(ret, &g->input, value, is_error);
        if (r < 0)
                buffer_deinit(&rest);
        else
                g->input = rest;
        return r;
}

/* What came with the message at hand; who takes some over leaves none. */
struct claimed {
        int fds[LIMIT_DESCRIPTORS];
        uint32_t n;
};

static void claimed_close(struct claimed *claimed)
{
        while (claimed->n > 0)
                close(claimed->fds[--claimed->n]);
}

static void connection_on_response(struct ganger *g, size_t size_bytes, const struct envelope *envelope,
                                   struct claimed *claimed)
{
        struct request *request = request_find(&g->requests, envelope->msgid);
        struct reader error = envelope->error;
        bool is_error = !reader_nil(&error);
        struct ganger_reply *reply = NULL;
        ganger_on_reply on_reply;
        void *userdata;
        int r;

        if (request == NULL) {
                connection_fail(g, -EPROTO);
                return;
        }
        on_reply = request->on_reply;
        userdata = request->userdata;
        request_free(&g->requests, request);
        if (on_reply == NULL) {
                connection_consume(g, size_bytes);
                return;
        }
        r = connection_take_reply(g, size_bytes, is_error ? envelope->error : envelope->result, is_error,
                                  &reply);
        if (r == 0 && size_bytes >= TAKE_OVER_BYTES)
                size_bytes = 0; /* it left the input with its buffer */
        connection_consume(g, size_bytes);
        r = r < 0 ? r : reply_take_fds(reply, claimed->fds, claimed->n);
        if (r == 0)
                claimed->n = 0;
        else
                reply = ganger_reply_free(reply);
        g->n_callbacks++;
        on_reply(userdata, r < 0 ? r : ganger_code(reply), reply);
}

/* [msgid, kind, data]; for a request that is no longer open it is dropped. */
static int connection_on_stream(struct ganger *g, const struct envelope *envelope)
{
        struct reader params = envelope->params;
        struct ganger_reply data;
        struct request *request;
        char kind[STREAM_KIND_BYTES];
        const char *name;
        size_t size_bytes;
        uint64_t msgid;

        if (envelope->n_params != 3 || reader_uint(&params, &msgid) < 0 || msgid > UINT32_MAX ||
            reader_str(&params, &name, &size_bytes) < 0 || size_bytes >= sizeof kind)
                return -EPROTO;
        request = request_find(&g->requests, (uint32_t)msgid);
        if (request == NULL || request->on_stream == NULL)
                return 0;
        memcpy(kind, name, size_bytes);
        kind[size_bytes] = '\0';
        reply_borrow(&data, params, false);
        g->n_callbacks++;
        request->on_stream(request->userdata, kind, &data);
        reply_deinit(&data);
        return 0;
}

/* The daemon's last word before it closes the connection: why. */
static int connection_on_error(struct ganger *g, const struct envelope *envelope)
{
        struct ganger_reply *reply;
        int code;

        if (envelope->n_params != 1)
                return -EPROTO;
        if (reply_new(&reply, envelope->params, true) < 0)
                return -ENOMEM;
        code = ganger_code(reply);
        connection_keep_error(g, reply);
        switch (code) {
        case GANGER_NOT_PERMITTED:
                return -EACCES;
        case GANGER_QUOTA_EXCEEDED:
                return -EUSERS;
        case GANGER_SHUTTING_DOWN:
                return -ESHUTDOWN;
        default:
                return -EPROTO;
        }
}

static int connection_on_notification(struct ganger *g, const struct envelope *envelope)
{
        if (envelope->method_size_bytes == 6 && memcmp(envelope->method, "stream", 6) == 0)
                return connection_on_stream(g, envelope);
        if (envelope->method_size_bytes == 5 && memcmp(envelope->method, "error", 5) == 0)
                return connection_on_error(g, envelope);
        return 0; /* of a later protocol, which adds only what can be ignored */
}

static int connection_claim_fds(struct ganger *g, size_t size_bytes, struct claimed *ret)
{
        uint64_t message_end = g->stream_at - (buffer_size(&g->input) - size_bytes);
        uint32_t n = g->scan.n_descriptors;

        ret->n = 0;
        if (n > LIMIT_DESCRIPTORS || !fd_queue_take(&g->fds, n, ret->fds))
                return -EPROTO;
        ret->n = n;
        return fd_queue_left_over(&g->fds, message_end) ? -EPROTO : 0;
}

static void connection_on_message(struct ganger *g, size_t size_bytes)
{
        struct envelope envelope;
        struct claimed claimed;
        int r = connection_claim_fds(g, size_bytes, &claimed);
        if (r == 0 && envelope_parse(&envelope, buffer_at(&g->input), size_bytes, NULL) < 0)
                r = -EPROTO;
        if (r == 0 && envelope.type == ENVELOPE_RESPONSE) {
                connection_on_response(g, size_bytes, &envelope, &claimed);
                claimed_close(&claimed);
                return;
        }
        if (r == 0)
                r = envelope.type == ENVELOPE_NOTIFICATION ? connection_on_notification(g, &envelope)
                                                           : -EPROTO;
        claimed_close(&claimed);
        if (r < 0)
                connection_fail(g, r);
        connection_consume(g, size_bytes);
}

/* Handles every whole message of the input. */
static void connection_deliver(struct ganger *g)
{
        while (g->failed == 0 && buffer_size(&g->input) > 0) {
                int r = scan_feed(&g->scan, buffer_at(&g->input), buffer_size(&g->input));

                if (r == SCAN_MORE)
                        return;
                if (r == SCAN_DONE)
                        connection_on_message(g, g->scan.at);
                else
                        connection_fail(g, -EPROTO);
        }
}

/* ---- bytes ---- */

/* One read: 1 if there may be more, 0 if not for now. */
static int connection_read(struct ganger *g)
{
        size_t room_bytes, size_bytes;
        int r = buffer_reserve(&g->input, READ_BYTES);

        if (r < 0)
                return r;
        room_bytes = g->input.capacity_bytes - g->input.end;
        r = fds_receive(g->fd, &g->input, &g->stream_at, &g->fds, &size_bytes, NULL);
        if (r == -EAGAIN)
                return 0;
        if (r != 0)
                return r < 0 ? r : -EMFILE;
        if (size_bytes == 0)
                return -ECONNRESET;
        return size_bytes == room_bytes || g->send_error < 0;
}

static void connection_receive(struct ganger *g)
{
        for (int i = 0; i < READS_A_DISPATCH && g->failed == 0; i++) {
                int r = connection_read(g);

                if (r < 0)
                        connection_fail(g, r);
                else
                        connection_deliver(g);
                if (r == 0) {
                        if (g->send_error < 0)
                                connection_fail(g, g->send_error);
                        return;
                }
        }
}

int ganger_flush(struct ganger *g)
{
        int r = connection_check(g);

        if (r < 0 || g->send_error < 0)
                return r < 0 ? r : g->send_error;
        r = output_flush(&g->output, g->fd);
        g->send_pause = r == -ETOOMANYREFS;
        if (g->send_pause)
                return 1; /* this user has too many descriptors on their way: some will arrive */
        if (r < 0)
                g->send_error = r;
        if (r == 0)
                buffer_trim(&g->output.bytes, READ_BYTES);
        return r;
}

int ganger_dispatch(struct ganger *g)
{
        int r = connection_check(g);

        if (r < 0)
                return r;
        if (g->dispatching)
                return -EBUSY;
        g->dispatching = true;
        g->n_callbacks = 0;
        ganger_flush(g);
        connection_receive(g);
        if (g->failed < 0) {
                g->lost = g->failed;
                connection_tell(g, g->lost, false);
        } else {
                ganger_flush(g); /* what the callbacks started */
        }
        buffer_trim(&g->input, READ_BYTES);
        g->dispatching = false;
        if (g->lost < 0)
                return g->lost;
        return g->n_callbacks < INT_MAX ? (int)g->n_callbacks : INT_MAX;
}

int ganger_fd(const struct ganger *g)
{
        return g->fd;
}

int ganger_events(const struct ganger *g)
{
        if (g->lost < 0)
                return 0;
        return output_size(&g->output) > 0 && !g->send_pause ? POLLIN | POLLOUT : POLLIN;
}

int64_t ganger_timeout_ms(const struct ganger *g)
{
        if (g->lost < 0)
                return -1;
        if (g->failed < 0 || g->send_error < 0)
                return 0;
        return g->send_pause ? SEND_PAUSE_MS : -1;
}

size_t ganger_pending(const struct ganger *g)
{
        return g->requests.n - (g->hello_open ? 1 : 0);
}
