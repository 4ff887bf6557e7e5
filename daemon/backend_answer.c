/* SPDX-License-Identifier: MIT */
/*
 * Answers and streams. Items of one map that become ready in one turn go into one message: its count is
 * written with a fixed width and corrected as items join, which they can as long as the message is the last
 * of the connection's output and no byte of it was sent.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/answer_value.h"
#include "daemon/backend_private.h"
#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/events.h"
#include "daemon/rpc_private.h"

#define BATCH_BYTES (64u << 10) /* a batch that is so large is followed by another */

/* A request that ends with an error of the rpc layer's, whatever the core says. */
struct overruled {
        struct overruled *next;
        struct core_request request;
        size_t size_bytes;
        uint8_t error[];
};

static struct connection *peer(struct daemon *daemon, struct core_request request)
{
        return connection_by_index(daemon->connections, request.connection);
}

/* -- overruling -- */

int backend_overrule(struct daemon *daemon, struct core_request request, const uint8_t *error,
                     size_t size_bytes)
{
        struct overruled *overruled = malloc(sizeof(*overruled) + size_bytes);
        if (!overruled)
                return -ENOMEM;
        overruled->next = daemon->rpc->backend.overruled;
        overruled->request = request;
        overruled->size_bytes = size_bytes;
        memcpy(overruled->error, error, size_bytes);
        daemon->rpc->backend.overruled = overruled;
        return 0;
}

/* True: it was answered so. */
static bool answer_overruled(struct daemon *daemon, struct connection *connection,
                             struct core_request request)
{
        struct overruled **link = &daemon->rpc->backend.overruled, *overruled;
        struct packer packer;

        while (*link &&
               ((*link)->request.connection != request.connection || (*link)->request.msgid != request.msgid))
                link = &(*link)->next;
        overruled = *link;
        if (!overruled)
                return false;
        *link = overruled->next;
        connection_message_begin(connection, &packer);
        pack_error_response(&packer, request.msgid);
        pack_raw(&packer, overruled->error, overruled->size_bytes);
        pack_nil(&packer);
        connection_message_end(connection, &packer);
        free(overruled);
        return true;
}

void backend_forget_connection(struct daemon *daemon, uint32_t connection)
{
        struct overruled **link = &daemon->rpc->backend.overruled;

        while (*link) {
                struct overruled *overruled = *link;
                if (overruled->request.connection == connection) {
                        *link = overruled->next;
                        free(overruled);
                } else {
                        link = &overruled->next;
                }
        }
        daemon->rpc->backend.batches[connection % BATCH_PLACES].n = 0;
}

void backend_deinit(struct backend *backend)
{
        while (backend->overruled) {
                struct overruled *next = backend->overruled->next;
                free(backend->overruled);
                backend->overruled = next;
        }
        tails_deinit(&backend->tails);
        collections_deinit(&backend->collections);
}

/* -- answers -- */

/* Whom to answer, the answer begun; NULL: nobody is there any more, or he got an overruling error. */
static struct connection *answer_begin(struct daemon *daemon, struct core_request request, bool is_error,
                                       struct packer *packer)
{
        struct connection *connection = peer(daemon, request);

        if (!connection || answer_overruled(daemon, connection, request))
                return NULL;
        connection_message_begin(connection, packer);
        if (is_error)
                pack_error_response(packer, request.msgid);
        else
                pack_response(packer, request.msgid);
        return connection;
}

static void error_end(struct connection *connection, struct packer *packer)
{
        pack_nil(packer); /* the result */
        connection_message_end(connection, packer);
}

bool backend_answer_result(void *ctx, struct core_request request, uint64_t task, payload_t result)
{
        struct daemon *daemon = ctx;
        struct connection *connection = peer(daemon, request);

        return !connection || answer_value(daemon, connection, request.msgid, task, result);
}

void backend_answer_record(void *ctx, struct core_request request, const struct core_record *failed)
{
        struct packer packer;
        struct connection *connection = answer_begin(ctx, request, true, &packer);

        if (!connection)
                return;
        encode_failure(&packer, ctx, failed);
        pack_nil(&packer);
        rpc_end_view(ctx, connection, &packer, request.msgid);
}

void backend_answer_states(void *ctx, struct core_request request, const uint64_t *ids,
                           const enum task_state *states, size_t n)
{
        struct packer packer;
        struct connection *connection = answer_begin(ctx, request, false, &packer);

        if (!connection)
                return;
        pack_array(&packer, n);
        for (size_t i = 0; i < n; i++) {
                pack_array(&packer, 2);
                pack_uint(&packer, ids[i]);
                pack_str(&packer, encode_state(states[i]));
        }
        rpc_end_view(ctx, connection, &packer, request.msgid);
}

void backend_answer_map(void *ctx, struct core_request request, const struct core_map_sum *sum)
{
        struct daemon *daemon = ctx;
        struct packer packer;
        struct connection *connection = answer_begin(daemon, request, false, &packer);

        if (!connection)
                return;
        pack_map(&packer, sum->collect ? 5 : 3);
        pack_str(&packer, "count");
        pack_uint(&packer, sum->count);
        pack_str(&packer, "succeeded");
        pack_uint(&packer, sum->succeeded);
        pack_str(&packer, "failed");
        pack_uint(&packer, sum->failed);
        if (sum->collect)
                collections_pack(&daemon->rpc->backend.collections, sum->task, sum->count, &packer);
        connection_message_end(connection, &packer);
}

/* Of one pool: nil; of all: {pools: [name…]}. */
void backend_answer_done(void *ctx, struct core_request request, uint32_t pool)
{
        struct packer packer;
        struct connection *connection = answer_begin(ctx, request, false, &packer);

        if (!connection)
                return;
        if (pool == CORE_NO_POOL)
                encode_pools(&packer, ctx);
        else
                pack_nil(&packer);
        connection_message_end(connection, &packer);
}

void backend_answer_refusal(void *ctx, struct core_request request, enum core_refusal refusal)
{
        struct daemon *daemon = ctx;
        struct packer packer;

        events_forget(daemon->events, request);
        struct connection *connection = answer_begin(daemon, request, true, &packer);
        if (!connection)
                return;
        rpc_pack_refusal(&packer, daemon, refusal);
        error_end(connection, &packer);
}

/* -- items -- */

static uint64_t output_end(const struct output *output)
{
        return output->sent + output_size(output);
}

/* An array's header of fixed width: 0xdd and 32 bits. */
static void pack_count(struct packer *packer)
{
        static const uint8_t header[5] = {0xdd};
        pack_raw(packer, header, sizeof(header));
}

static void write_count(const struct output *output, const struct batch *batch)
{
        uint8_t *at = buffer_at(&output->bytes) + (batch->count_at - output->sent);
        const uint32_t n = __builtin_bswap32(batch->n);
        memcpy(at + 1, &n, sizeof(n));
}

static bool may_join(const struct batch *batch, const struct output *output, struct core_request request)
{
        return batch->n > 0 && batch->connection == request.connection && batch->msgid == request.msgid &&
               batch->end == output_end(output) && batch->count_at >= output->sent &&
               batch->end - batch->count_at < BATCH_BYTES;
}

/* Packs the head of a new message of items. The whole message is begun: nothing of it has been sent. */
static void begin_batch(struct batch *batch, const struct output *output, struct core_request request,
                        struct packer *packer)
{
        pack_notification(packer, "stream", 3);
        pack_uint(packer, request.msgid);
        pack_str(packer, "items");
        *batch = (struct batch){
                .connection = request.connection, .msgid = request.msgid, .count_at = output_end(output)};
        pack_count(packer);
}

static void pack_item(struct packer *packer, const struct daemon *daemon, uint64_t index, payload_t payload,
                      const struct core_record *failed)
{
        size_t size_bytes;

        pack_array(packer, 3);
        pack_uint(packer, index);
        if (failed) {
                encode_failure(packer, daemon, failed);
                pack_nil(packer);
                return;
        }
        const uint8_t *data = backend_payload(daemon, payload, &size_bytes);
        pack_nil(packer);
        pack_raw(packer, data, size_bytes);
}

void backend_item(void *ctx, struct core_request request, uint64_t index, payload_t payload,
                  const struct core_record *failed)
{
        struct daemon *daemon = ctx;
        struct connection *connection = peer(daemon, request);
        struct batch *batch = &daemon->rpc->backend.batches[request.connection % BATCH_PLACES];
        struct packer packer;

        if (!connection)
                return;
        const struct output *output = connection_output(connection);
        connection_message_begin(connection, &packer);
        if (!may_join(batch, output, request))
                begin_batch(batch, output, request, &packer);
        pack_item(&packer, daemon, index, payload, failed);
        if (connection_message_end(connection, &packer) < 0) {
                batch->n = 0;
                return;
        }
        batch->n++;
        batch->end = output_end(output);
        write_count(output, batch);
}

/* -- streams -- */

static void begin_stream(struct packer *packer, struct connection *connection, struct core_request request,
                         unsigned kind)
{
        connection_message_begin(connection, packer);
        pack_notification(packer, "stream", 3);
        pack_uint(packer, request.msgid);
        pack_str(packer, stream_name((enum stream_kind)kind));
}

void backend_stream(void *ctx, struct core_request request, unsigned kind)
{
        struct daemon *daemon = ctx;
        struct connection *connection = peer(daemon, request);
        struct packer packer;
        size_t size_bytes;

        if (!connection)
                return;
        const uint8_t *data = backend_payload(daemon, PAYLOAD_CURRENT, &size_bytes);
        begin_stream(&packer, connection, request, kind);
        pack_raw(&packer, data, size_bytes);
        connection_message_end(connection, &packer);
}

static void stream_tail(struct daemon *daemon, struct connection *connection, struct core_request request,
                        uint64_t task, unsigned kind, uint32_t bytes)
{
        struct tail_part parts[2];
        struct packer packer;
        size_t n = tails_last(&daemon->rpc->backend.tails, task, kind,
                              kind == STREAM_PROGRESS ? LIMIT_TAIL_BYTES : bytes, parts);

        if (n == 0)
                return;
        begin_stream(&packer, connection, request, kind);
        if (kind != STREAM_PROGRESS)
                msgpack_pack_bin(&packer.pk, n);
        for (int i = 0; i < 2; i++)
                if (parts[i].size_bytes > 0)
                        pack_raw(&packer, parts[i].data, parts[i].size_bytes);
        connection_message_end(connection, &packer);
}

void backend_stream_tail(void *ctx, struct core_request request, uint64_t task, unsigned kinds,
                         uint32_t bytes)
{
        struct daemon *daemon = ctx;
        struct connection *connection = peer(daemon, request);

        if (!connection)
                return;
        for (unsigned kind = STREAM_PROGRESS; kind <= STREAM_STDERR; kind <<= 1)
                if (kinds & kind)
                        stream_tail(daemon, connection, request, task, kind, bytes);
}
