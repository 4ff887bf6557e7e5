/* SPDX-License-Identifier: MIT */
/*
 * Requests are packed straight into the connection's output; only a whole message stays there. The open
 * request is entered first, so that nothing can fail once the message is complete.
 */
#include "client/request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/connection.h"
#include "client/options.h"
#include "client/reconnect.h"
#include "proto/envelope.h"

#define CHAINS_AT_FIRST  64
#define SPARE_REQUESTS   64
#define SENT_VALUES_MOST 64          /* a program has its own use for descriptors */
#define FLUSH_AT_BYTES   (64u << 10) /* output beyond it is sent while requests are still being made */

/* ---- the table ---- */

void request_table_init(struct request_table *t)
{
        *t = (struct request_table){0};
        TAILQ_INIT(&t->open);
}

void request_table_deinit(struct request_table *t)
{
        struct request *request;

        assert(t->n == 0);
        while ((request = SLIST_FIRST(&t->spare)) != NULL) {
                SLIST_REMOVE_HEAD(&t->spare, chain_link);
                free(request);
        }
        free(t->chains);
        t->chains = NULL;
}

static struct request_chain *chain_of(const struct request_table *t, uint32_t msgid)
{
        return &t->chains[msgid & (t->n_chains - 1)];
}

static int request_table_grow(struct request_table *t)
{
        uint32_t n_chains = t->n_chains > 0 ? t->n_chains * 2 : CHAINS_AT_FIRST;
        struct request_chain *chains = calloc(n_chains, sizeof *chains);
        struct request *request;

        if (chains == NULL)
                return -ENOMEM;
        free(t->chains);
        t->chains = chains;
        t->n_chains = n_chains;
        TAILQ_FOREACH (request, &t->open, link)
                SLIST_INSERT_HEAD(chain_of(t, request->msgid), request, chain_link);
        return 0;
}

struct request *request_find(const struct request_table *t, uint32_t msgid)
{
        struct request *request;

        if (t->n == 0)
                return NULL;
        SLIST_FOREACH (request, chain_of(t, msgid), chain_link)
                if (request->msgid == msgid)
                        return request;
        return NULL;
}

static struct request *request_allocate(struct request_table *t)
{
        struct request *request = SLIST_FIRST(&t->spare);

        if (request == NULL)
                return malloc(sizeof *request);
        SLIST_REMOVE_HEAD(&t->spare, chain_link);
        t->n_spare--;
        return request;
}

int request_new(struct request_table *t, struct request **ret)
{
        struct request *request;
        int r = t->n == t->n_chains ? request_table_grow(t) : 0;

        if (r < 0)
                return r;
        request = request_allocate(t);
        if (request == NULL)
                return -ENOMEM;
        *request = (struct request){0};
        while (request_find(t, t->next_msgid) != NULL)
                t->next_msgid++;
        request->msgid = t->next_msgid++;
        SLIST_INSERT_HEAD(chain_of(t, request->msgid), request, chain_link);
        TAILQ_INSERT_TAIL(&t->open, request, link);
        t->n++;
        *ret = request;
        return 0;
}

struct sent *request_take_sent(struct request_table *t, struct request *request)
{
        struct sent *sent = request->sent;

        t->n_values -= sent_n(sent);
        request->sent = NULL;
        return sent;
}

static void request_keep_sent(struct request_table *t, struct request *request, const struct ganger_writer *w)
{
        if (w->n_made > 0 && t->n_values + w->n_made <= SENT_VALUES_MOST)
                request->sent = sent_new(w->made, w->n_made);
        t->n_values += sent_n(request->sent);
}

struct request *request_free(struct request_table *t, struct request *request)
{
        if (request == NULL)
                return NULL;
        SLIST_REMOVE(chain_of(t, request->msgid), request, request, chain_link);
        TAILQ_REMOVE(&t->open, request, link);
        t->n--;
        kept_free(request->kept);
        sent_unref(request_take_sent(t, request));
        if (t->n_spare < SPARE_REQUESTS) {
                SLIST_INSERT_HEAD(&t->spare, request, chain_link);
                t->n_spare++;
        } else {
                free(request);
        }
        return NULL;
}

void request_table_forget(struct request_table *t)
{
        struct request *request;

        TAILQ_FOREACH (request, &t->open, link)
                request->on_reply = NULL;
}

/* ---- messages ---- */

static int message_begin(struct message *m, struct ganger *g, const char *method)
{
        int r = connection_check(g);

        *m = (struct message){.g = g, .method = N_METHODS};
        g->answered = sent_unref(g->answered);
        if (r == 0 && g->reconnect != NULL) {
                m->method = method_from_name(method, strlen(method));
                r = reconnect_may_send(g, m->method);
        }
        return r;
}

int message_begin_request(struct message *m, struct ganger *g, const char *method, ganger_on_stream on_stream,
                          ganger_on_reply on_reply, void *userdata)
{
        int r = message_begin(m, g, method);

        if (r == 0)
                r = request_new(&g->requests, &m->request);
        if (r != 0)
                return r;
        m->request->on_stream = on_stream;
        m->request->on_reply = on_reply;
        m->request->userdata = userdata;
        writer_begin(&m->writer, &g->output.bytes);
        pack_request_head(&m->writer.packer, m->request->msgid, method);
        return 0;
}

int message_begin_notification(struct message *m, struct ganger *g, const char *method)
{
        int r = message_begin(m, g, method);

        if (r < 0)
                return r;
        writer_begin(&m->writer, &g->output.bytes);
        pack_array(&m->writer.packer, 3);
        pack_uint(&m->writer.packer, ENVELOPE_NOTIFICATION);
        pack_str(&m->writer.packer, method);
        return 0;
}

/* What the daemon would end the connection for is refused here: other requests live on it. What the library
 * itself made flat can only be too large. */
static int message_check(const struct ganger *g, bool is_plain, const uint8_t *data, size_t size_bytes)
{
        struct scan scan;
        int r;

        if (is_plain)
                return size_bytes > g->max_message ? -EMSGSIZE : 0;

        scan_init(&scan, g->max_message);
        r = scan_feed(&scan, data, size_bytes);
        if (r == SCAN_LARGE)
                return -EMSGSIZE;
        return r == SCAN_DONE && scan.at == size_bytes ? 0 : -EINVAL;
}

/* The message is whole and stands at the end of the output. */
static int message_queue(struct message *m, size_t size_bytes)
{
        struct output *output = &m->g->output;
        struct ganger_writer *w = &m->writer;
        int r = 0;

        if (m->g->reconnect != NULL)
                r = reconnect_on_message(m, buffer_at(&output->bytes) + w->packer.start, size_bytes);
        if (r == 0)
                r = output_mark(output, size_bytes, w->fds, w->n_fds);
        if (r != 0)
                writer_abort(w, -ECANCELED);
        return r < 0 ? r : 0;
}

int message_end(struct message *m, uint32_t *ret_msgid)
{
        struct output *output = &m->g->output;
        struct ganger_writer *w = &m->writer;
        size_t size_bytes = 0;
        int r = w->error < 0 ? w->error : w->packer.error;

        if (r == 0) {
                size_bytes = buffer_size(&output->bytes) - w->packer.start;
                r = message_check(m->g, w->is_plain, buffer_at(&output->bytes) + w->packer.start, size_bytes);
        }
        r = r < 0 ? writer_abort(w, r) : writer_end(w);
        if (r == 0)
                r = message_queue(m, size_bytes);
        if (r < 0) {
                request_free(&m->g->requests, m->request);
                return r;
        }
        if (ret_msgid != NULL && m->request != NULL)
                *ret_msgid = m->request->msgid;
        if (output_size(output) > FLUSH_AT_BYTES)
                ganger_flush(m->g); /* what fails here is told by the next dispatch */
        return 0;
}

/* ---- what programs start ---- */

int request_start(struct ganger *g, uint32_t *ret_msgid, const char *method, ganger_on_stream on_stream,
                  ganger_on_reply on_reply, void *userdata, const char *format, va_list list)
{
        struct message m;
        int r = message_begin_request(&m, g, method, on_stream, on_reply, userdata);

        if (r < 0)
                return r;
        writer_format_array(&m.writer, format, list);
        return message_end(&m, ret_msgid);
}

int request_start_task(struct ganger *g, const char *method, const struct ganger_options *options_in,
                       const char *function, ganger_on_reply on_reply, void *userdata, const char *format,
                       va_list list)
{
        struct ganger_options options;
        struct message m;
        int r = options_import(&options, options_in);

        if (r < 0)
                return r;
        r = message_begin_request(&m, g, method, NULL, on_reply, userdata);
        if (r < 0)
                return r;
        bool has_options = options_in != NULL && !options_are_default(&options);
        pack_array(&m.writer.packer, has_options ? 3 : 2);
        pack_str(&m.writer.packer, function);
        m.writer.large_beside = !options_have_key(&options); /* such arguments are compared as bytes */
        writer_format_array(&m.writer, format, list);
        m.writer.large_beside = false;
        if (has_options)
                options_write(&m.writer, &options, false, 0);
        request_keep_sent(&g->requests, m.request, &m.writer);
        return message_end(&m, NULL);
}

int ganger_start(struct ganger *g, const struct ganger_options *options, const char *function,
                 ganger_on_reply on_reply, void *userdata, const char *format, ...)
{
        va_list list;
        int r;

        va_start(list, format);
        r = request_start_task(g, "call", options, function, on_reply, userdata, format, list);
        va_end(list);
        return r;
}

int ganger_start_request(struct ganger *g, uint32_t *ret_msgid, const char *method,
                         ganger_on_stream on_stream, ganger_on_reply on_reply, void *userdata,
                         const char *format, ...)
{
        va_list list;
        int r;

        va_start(list, format);
        r = request_start(g, ret_msgid, method, on_stream, on_reply, userdata, format, list);
        va_end(list);
        return r;
}

int ganger_notify(struct ganger *g, const char *method, const char *format, ...)
{
        struct message m;
        va_list list;
        int r = message_begin_notification(&m, g, method);

        if (r < 0)
                return r;
        va_start(list, format);
        writer_format_array(&m.writer, format, list);
        va_end(list);
        return message_end(&m, NULL);
}

void request_forget(struct ganger *g, uint32_t msgid)
{
        struct request *request = request_find(&g->requests, msgid);

        if (request != NULL) {
                request->on_stream = NULL;
                request->on_reply = NULL;
        }
}
