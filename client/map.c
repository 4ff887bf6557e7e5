/* SPDX-License-Identifier: MIT */
/*
 * Items are asked for one at a time into `item`, gathered in `batch_items`, and sent as a batch when it is
 * full or there are no more for now. Results come in any order; the ring of batches knows which request an
 * index came in, and forgets the oldest ones when all their items have ended.
 */
#include "client/map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/batch.h"
#include "client/options.h"
#include "client/reconnect.h"
#include "client/reply.h"

struct map {
        struct ganger *g;
        struct ganger_options options;
        const char *function;
        ganger_next_item next_item;
        ganger_on_item on_item;
        void *userdata;

        bool started;   /* the map request is sent, with … */
        uint32_t msgid; /* … this number */
        bool input_ended;
        bool last_sent; /* the daemon knows that there are no more */
        bool cancelled;
        bool told_enough; /* on_item gave up */
        bool ended;
        int result;
        struct ganger_reply *reply; /* of an ended map: the refusal's record */

        bool have_item; /* one is ready that is in no batch yet */
        struct buffer item;
        struct ganger_writer item_writer;

        struct buffer batch_items; /* one behind another, without an array's header */
        uint32_t n_batch_items;
        uint32_t n_batch_fds;
        int batch_fds[LIMIT_DESCRIPTORS];

        bool keeps_items; /* the handle can be connected again */
        bool is_to_begin; /* again, when … */
        uint64_t on_link; /* … this connection is over */
        uint64_t n_begun; /* map requests */
        struct batches batches;
};

static void fds_close(int *fds, uint32_t *n)
{
        while (*n > 0)
                close(fds[--*n]);
}

int map_new(struct ganger *g, const struct ganger_options *options, const char *function,
            ganger_next_item next_item, ganger_on_item on_item, void *userdata, struct map **ret)
{
        struct map *m = calloc(1, sizeof *m);
        int r;

        if (m == NULL)
                return -ENOMEM;
        r = options_import(&m->options, options);
        if (r < 0) {
                free(m);
                return r;
        }
        m->g = g;
        m->keeps_items = reconnect_is_on(g);
        m->function = function;
        m->next_item = next_item;
        m->on_item = on_item;
        m->userdata = userdata;
        *ret = m;
        return 0;
}

struct map *map_free(struct map *m)
{
        if (m == NULL)
                return NULL;
        if (m->started && !m->ended) {
                map_cancel(m, -ECANCELED);
                request_forget(m->g, m->msgid);
        }
        fds_close(m->item_writer.fds, &m->item_writer.n_fds);
        fds_close(m->batch_fds, &m->n_batch_fds);
        buffer_deinit(&m->item);
        buffer_deinit(&m->batch_items);
        batches_deinit(&m->batches);
        ganger_reply_free(m->reply);
        free(m);
        return NULL;
}

/* ---- what the daemon says ---- */

/* [index, error, value] */
static int map_on_item(struct map *m, struct reader *items)
{
        struct reader value;
        struct ganger_reply reply;
        const uint8_t *error, *result;
        size_t error_size_bytes, result_size_bytes;
        uint64_t place, index;
        uint32_t n;
        bool failed;
        int r;

        if (reader_array(items, &n) < 0 || n != 3 || reader_uint(items, &place) < 0 ||
            reader_skip(items, &error, &error_size_bytes, NULL) < 0 ||
            reader_skip(items, &result, &result_size_bytes, NULL) < 0)
                return -EPROTO;
        r = batches_item_ended(&m->batches, place, &index);
        if (r < 0 || m->told_enough || m->on_item == NULL)
                return r;
        value = reader_over(error, error_size_bytes);
        failed = !reader_nil(&value);
        reply_borrow(&reply,
                     failed ? reader_over(error, error_size_bytes) : reader_over(result, result_size_bytes),
                     failed);
        r = m->on_item(m->userdata, index, ganger_code(&reply), &reply);
        reply_deinit(&reply);
        m->told_enough = r != 0;
        if (m->told_enough)
                map_cancel(m, r);
        return 0;
}

static void map_on_stream(void *userdata, const char *kind, const struct ganger_reply *data)
{
        struct map *m = userdata;
        struct reader items = reply_reader(data);
        uint32_t n;
        int r;

        if (strcmp(kind, "items") != 0)
                return;
        r = reader_array(&items, &n);
        for (uint32_t i = 0; r == 0 && i < n && connection_check(m->g) != -ECHILD; i++)
                r = map_on_item(m, &items);
        if (r < 0)
                connection_fail(m->g, -EPROTO);
}

/* Whether the connection is lost, or about to be, and what has not ended is sent again on the next one. */
static bool map_waits_for_daemon(struct map *m, int r)
{
        if (!m->keeps_items || m->cancelled)
                return false;
        if (r != GANGER_SHUTTING_DOWN && !(r < 0 && reconnect_is_waiting(m->g)))
                return false;
        m->started = false;
        m->last_sent = false;
        m->is_to_begin = true;
        m->on_link = reconnect_link(m->g);
        return true;
}

static void map_on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct map *m = userdata;

        if (map_waits_for_daemon(m, r)) {
                ganger_reply_free(reply);
                return;
        }
        m->ended = true;
        if (!m->cancelled)
                m->result = r;
        if (!m->cancelled && r > 0)
                m->reply = reply;
        else
                ganger_reply_free(reply);
}

/* ---- sending ---- */

/* Whether what the program wrote is one item: one array. */
static bool item_is_array(const struct buffer *item)
{
        struct reader reader;
        uint32_t n;

        if (buffer_size(item) == 0)
                return false;
        reader = reader_over(buffer_at(item), buffer_size(item));
        if (reader_skip(&reader, NULL, NULL, NULL) < 0 || !reader_at_end(&reader))
                return false;
        reader = reader_over(buffer_at(item), buffer_size(item));
        return reader_array(&reader, &n) == 0;
}

/* Asks for one item: 0, or 1 if there are no more, or -errno. */
static int map_fetch(struct map *m)
{
        struct ganger_writer *w = &m->item_writer;
        bool calling = m->g->calling;
        int r;

        buffer_truncate(&m->item, 0);
        writer_begin(w, &m->item);
        w->large_beside = true;
        m->g->calling = true;
        r = m->next_item(m->userdata, w);
        m->g->calling = calling;
        if (connection_check(m->g) == -ECHILD)
                r = -ECHILD;
        if (r <= 0) {
                writer_abort(w, -ECANCELED);
                return r == 0 ? 1 : r;
        }
        r = writer_end(w);
        if (r < 0)
                return r;
        if (!item_is_array(&m->item)) {
                fds_close(w->fds, &w->n_fds);
                return -EINVAL;
        }
        m->have_item = true;
        return 0;
}

static bool map_item_fits(const struct map *m)
{
        if (m->n_batch_items == 0)
                return true;
        return m->n_batch_items < BATCH_ITEMS &&
               buffer_size(&m->batch_items) + buffer_size(&m->item) <= BATCH_BYTES &&
               m->n_batch_fds + m->item_writer.n_fds <= LIMIT_DESCRIPTORS;
}

static int map_add_item(struct map *m)
{
        struct ganger_writer *w = &m->item_writer;
        int r = buffer_append(&m->batch_items, buffer_at(&m->item), buffer_size(&m->item));

        if (r < 0)
                return r;
        memcpy(m->batch_fds + m->n_batch_fds, w->fds, w->n_fds * sizeof w->fds[0]);
        m->n_batch_fds += w->n_fds;
        w->n_fds = 0;
        m->n_batch_items++;
        m->have_item = false;
        buffer_truncate(&m->item, 0);
        buffer_trim(&m->item, BATCH_BYTES);
        return 0;
}

static void map_write_items(struct map *m, const struct batch *batch, struct ganger_writer *w)
{
        if (batch != NULL) {
                batch_write(batch, w);
                return;
        }
        pack_array(&w->packer, m->n_batch_items);
        if (m->n_batch_items > 0)
                pack_raw(&w->packer, buffer_at(&m->batch_items), buffer_size(&m->batch_items));
        memcpy(w->fds, m->batch_fds, m->n_batch_fds * sizeof m->batch_fds[0]);
        w->n_fds = m->n_batch_fds;
        m->n_batch_fds = 0; /* the writer closes them if it fails */
}

/* batch NULL: the one at hand. */
static int map_begin(struct map *m, struct message *message, const struct batch *batch, bool last)
{
        struct packer *packer = &message->writer.packer;
        bool with_options = !last || m->n_begun > 0 || !options_are_default(&m->options);
        int r = message_begin_request(message, m->g, "map", map_on_stream, map_on_reply, m);

        if (r < 0)
                return r;
        message->method = N_METHODS; /* what of it is sent again is decided here */
        pack_array(packer, with_options ? 3 : 2);
        pack_str(packer, m->function);
        map_write_items(m, batch, &message->writer);
        options_write(&message->writer, &m->options, !last, m->n_begun);
        return 0;
}

static int map_feed(struct map *m, struct message *message, const struct batch *batch, bool last)
{
        struct packer *packer = &message->writer.packer;
        int r = message_begin_notification(message, m->g, "feed");

        if (r < 0)
                return r;
        pack_array(packer, 3);
        pack_uint(packer, m->msgid);
        map_write_items(m, batch, &message->writer);
        pack_bool(packer, last);
        return 0;
}

static int map_send_message(struct map *m, const struct batch *batch, bool last)
{
        struct message message;
        int r = m->started ? map_feed(m, &message, batch, last) : map_begin(m, &message, batch, last);

        if (r == 0)
                r = message_end(&message, m->started ? NULL : &m->msgid);
        if (r < 0)
                return r;
        if (!m->started)
                m->n_begun++;
        m->started = true;
        m->last_sent = last;
        return 0;
}

/* Sends the batch at hand, which may be empty. A map that is fed waits for room in the queue, and one that is
 * not must find it: so several items are never all of the request. */
static int map_send(struct map *m)
{
        uint32_t n_fds = m->n_batch_fds;
        struct batch_copy *copy = NULL;
        bool last = m->input_ended && !m->have_item && (m->started || m->n_batch_items <= 1);
        int r = 0;

        if (m->keeps_items && m->n_batch_items > 0)
                r = batch_copy_new(&m->batch_items, m->batch_fds, n_fds, &copy);
        if (r == 0)
                r = map_send_message(m, NULL, last);
        if (r < 0) {
                batch_copy_free(copy);
                return r;
        }
        batches_add(&m->batches, m->n_batch_items, buffer_size(&m->batch_items), n_fds, copy);
        m->n_batch_items = 0;
        buffer_truncate(&m->batch_items, 0);
        buffer_trim(&m->batch_items, BATCH_BYTES);
        return 0;
}

/* Sends what has not ended once more. */
static int map_send_again(struct map *m)
{
        int r = batches_begin_again(&m->batches);

        m->is_to_begin = false;
        for (uint32_t i = 0; r == 0 && i < m->batches.n; i++)
                r = map_send_message(m, batches_at(&m->batches, i), false);
        return r;
}

bool map_wants_items(const struct map *m)
{
        return !m->ended && !m->cancelled && !m->input_ended && !m->have_item;
}

/* Fills the batch: 0 when it is full or the input has ended, or -EAGAIN, or another failure. */
static int map_gather(struct map *m)
{
        for (;;) {
                int r = 0;

                if (map_wants_items(m))
                        r = map_fetch(m);
                if (r < 0)
                        return r;
                if (r > 0)
                        m->input_ended = true;
                if (!m->have_item || !map_item_fits(m))
                        return 0;
                r = map_add_item(m);
                if (r < 0)
                        return r;
        }
}

int map_advance(struct map *m)
{
        int r = m->started || m->ended ? 0 : connection_check(m->g); /* nobody else would tell */

        if (r == 0 && (reconnect_is_waiting(m->g) || (m->is_to_begin && m->on_link == reconnect_link(m->g))))
                return 0;
        if (r == 0 && m->is_to_begin && !m->ended)
                r = map_send_again(m);
        while (r == 0 && !m->ended && !m->cancelled && !m->last_sent) {
                int sent;

                r = map_gather(m);
                if (r < 0 && r != -EAGAIN)
                        break;
                if (m->n_batch_items > 0 ? !batches_have_room(&m->batches) : !m->input_ended)
                        break;
                sent = map_send(m);
                if (sent < 0)
                        r = sent;
        }
        if (r < 0 && r != -EAGAIN)
                map_cancel(m, r);
        return r;
}

void map_cancel(struct map *m, int value)
{
        if (m->ended || m->cancelled)
                return;
        m->cancelled = true;
        m->result = value;
        /* A lost connection ends it as well: then the answer's place is taken by the loss. */
        if (!m->started)
                m->ended = true;
        else if (ganger_notify(m->g, "cancel_request", "[u]", (uint64_t)m->msgid) == -ENOMEM)
                connection_fail(m->g, -ENOMEM);
}

bool map_has_ended(const struct map *m)
{
        return m->ended;
}

int map_result(const struct map *m)
{
        return m->result;
}

struct ganger_reply *map_take_reply(struct map *m)
{
        struct ganger_reply *reply = m->reply;

        m->reply = NULL;
        return reply;
}

uint64_t map_sent(const struct map *m)
{
        return m->batches.n_items;
}

uint64_t map_ended(const struct map *m)
{
        return m->batches.n_ended;
}
