/* SPDX-License-Identifier: MIT */
/*
 * Messages from the daemon: whole ones of the input go to whom they are for, with the descriptors that they
 * claim.
 */
#include <errno.h>
#include <unistd.h>

#include "client/connection.h"
#include "client/reconnect.h"
#include "client/reply.h"
#include "proto/envelope.h"

#define MAX_ANSWER_BYTES  (1u << 30)  /* memory is taken as bytes come, never for what is announced */
#define TAKE_OVER_BYTES   (64u << 10) /* replies from here on keep the input's buffer instead of a copy */
#define STREAM_KIND_BYTES 32

void connection_begin_input(struct ganger *g)
{
        scan_init(&g->scan, MAX_ANSWER_BYTES);
        g->stream_at = 0;
}

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
        if (reconnect_on_answer(g, request, is_error ? envelope->error : envelope->result, is_error)) {
                connection_consume(g, size_bytes);
                return; /* it stays open */
        }
        on_reply = request->on_reply;
        userdata = request->userdata;
        sent_unref(g->answered);
        g->answered = request_take_sent(&g->requests, request);
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
        if (r == 0) {
                claimed->n = 0;
                reply->sent = sent_ref(g->answered);
        } else {
                reply = ganger_reply_free(reply);
        }
        g->n_callbacks++;
        on_reply(userdata, r < 0 ? r : ganger_code(reply), reply);
        connection_called(g);
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
        request->streamed = true;
        reply_borrow(&data, params, false);
        g->n_callbacks++;
        request->on_stream(request->userdata, kind, &data);
        connection_called(g);
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

void connection_deliver(struct ganger *g)
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
