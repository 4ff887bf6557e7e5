/* SPDX-License-Identifier: MIT */
/*
 * Dispatch: envelope, method, shape of the parameters, handler. A message that is neither request nor
 * notification, or a msgid that is open already, is the peer's breach of the protocol and ends the
 * connection; everything else that is wrong is answered.
 */
#include "daemon/rpc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/closer.h"
#include "daemon/daemon.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/rpc_private.h"
#include "proto/envelope.h"

#define SHOWN_BYTES 64

static void (*const handlers[N_METHODS])(struct rpc_call *) = {
#define X(symbol, name, shape, flags) [METHOD_##symbol] = rpc_on_##symbol,
        METHOD_TABLE(X)
#undef X
};
#define X(symbol, name, shape, flags)                                                                        \
        _Static_assert(sizeof(shape) - 1 <= RPC_PARAMS_MAX + 2, "room for the parameters of " name);
METHOD_TABLE(X)
#undef X

/* -- the shape of the parameters -- */

/* What stands where `want` is due. */
static int shape_wrong(struct rpc_call *call, uint32_t i, const char *want, const struct reader *reader)
{
        struct reader copy = *reader;
        struct value got = {.type = VALUE_NIL};

        reader_next(&copy, &got);
        rpc_error(call, ERROR_INVALID_PARAMS, "parameter %u of %s must be %s, not %s", i + 1,
                  call->method->name, want, value_type_name(got.type));
        return -EINVAL;
}

static bool is_id_list(struct reader reader)
{
        uint64_t id;
        uint32_t n;

        if (reader_array(&reader, &n) < 0)
                return false;
        for (; n > 0; n--)
                if (reader_uint(&reader, &id) < 0)
                        return false;
        return true;
}

static bool is_str_list(struct reader reader)
{
        const char *text;
        size_t size_bytes;
        uint32_t n;

        if (reader_array(&reader, &n) < 0)
                return false;
        for (; n > 0; n--)
                if (reader_str(&reader, &text, &size_bytes) < 0)
                        return false;
        return true;
}

/* Checks the value that stands next, not going on. */
static int check_type(struct rpc_call *call, uint32_t i, char letter, const struct reader *reader)
{
        struct reader copy = *reader;
        const char *text;
        size_t size_bytes;
        uint64_t number;
        int64_t integer;
        uint32_t n;

        switch (letter) {
        case 's':
                if (reader_str(&copy, &text, &size_bytes) < 0)
                        return shape_wrong(call, i, "a string", reader);
                return 0;
        case 'n':
                if (reader_uint(&copy, &number) < 0)
                        return shape_wrong(call, i, "an unsigned integer", reader);
                return 0;
        case 'N':
                if (reader_uint(&copy, &number) < 0 && !is_id_list(*reader))
                        return shape_wrong(call, i, "an unsigned integer or an array of them", reader);
                return 0;
        case 'I':
                if (!is_id_list(*reader))
                        return shape_wrong(call, i, "an array of unsigned integers", reader);
                return 0;
        case 'S':
                if (!is_str_list(*reader))
                        return shape_wrong(call, i, "an array of strings", reader);
                return 0;
        case 'a':
                if (reader_array(&copy, &n) < 0)
                        return shape_wrong(call, i, "an array", reader);
                return 0;
        case 'm':
                if (reader_map(&copy, &n) < 0)
                        return shape_wrong(call, i, "a map", reader);
                return 0;
        case 'i':
                if (reader_int(&copy, &integer) < 0)
                        return shape_wrong(call, i, "an integer", reader);
                return 0;
        case 'A':
                return 0;
        }
        assert(!"a letter of shapes that is known here");
        return -EINVAL;
}

static int take_param(struct rpc_call *call, uint32_t i, char letter, struct reader *reader)
{
        struct rpc_param *param = &call->params[i];
        int r = check_type(call, i, letter, reader);
        if (r < 0)
                return r;
        return reader_skip(reader, &param->data, &param->size_bytes, &param->n_descriptors);
}

static int take_options(struct rpc_call *call, uint32_t i, struct reader *reader)
{
        struct reader pairs = *reader;
        uint32_t n_descriptors;

        if (reader_map(&pairs, &call->n_options) < 0)
                return shape_wrong(call, i, "a map of options", reader);
        call->options = pairs;
        int r = reader_skip(reader, NULL, NULL, &n_descriptors);
        if (r == 0 && n_descriptors > 0) {
                rpc_error(call, ERROR_INVALID_PARAMS, "the options of %s take no descriptors",
                          call->method->name);
                r = -EINVAL;
        }
        return r;
}

static int wrong_number(struct rpc_call *call, const struct envelope *envelope)
{
        const char *shape = call->method->shape;
        uint32_t least = 0, most = 0;
        bool optional = false;

        for (; *shape; shape++) {
                if (*shape == '|') {
                        optional = true;
                        continue;
                }
                most++;
                least += !optional && *shape != 'o';
        }
        if (least == most)
                rpc_error(call, ERROR_INVALID_PARAMS, "%s takes %u parameters, not %u", call->method->name,
                          least, envelope->n_params);
        else
                rpc_error(call, ERROR_INVALID_PARAMS, "%s takes %u to %u parameters, not %u",
                          call->method->name, least, most, envelope->n_params);
        return -EINVAL;
}

/* Lays the parameters out by the method's shape. 0, or < 0: answered. */
static int take_params(struct rpc_call *call, const struct envelope *envelope)
{
        struct reader reader = envelope->params;
        uint32_t i = 0, n_descriptors = 0;
        bool optional = false;

        for (const char *shape = call->method->shape; *shape; shape++) {
                if (*shape == '|') {
                        optional = true;
                        continue;
                }
                if (i == envelope->n_params) {
                        if (optional || *shape == 'o')
                                break;
                        return wrong_number(call, envelope);
                }
                int r = *shape == 'o' ? take_options(call, i, &reader) : take_param(call, i, *shape, &reader);
                if (r < 0)
                        return r;
                if (*shape != 'o')
                        n_descriptors += call->params[i].n_descriptors;
                i++;
        }
        if (i < envelope->n_params)
                return wrong_number(call, envelope);
        if (n_descriptors > 0 && !(call->method->flags & METHOD_FLAG_TASK)) {
                rpc_error(call, ERROR_INVALID_PARAMS, "%s takes no descriptors", call->method->name);
                return -EINVAL;
        }
        return 0;
}

/* -- dispatch -- */

static void unknown_method(struct rpc_call *call, const struct envelope *envelope)
{
        size_t size_bytes = envelope->method_size_bytes;
        rpc_error(call, ERROR_UNKNOWN_METHOD, "there is no method \"%.*s\"",
                  (int)(size_bytes < SHOWN_BYTES ? size_bytes : SHOWN_BYTES), envelope->method);
}

static void dispatch(struct rpc_call *call, const struct envelope *envelope)
{
        enum method method = method_from_name(envelope->method, envelope->method_size_bytes);

        if (method == N_METHODS)
                return unknown_method(call, envelope);
        call->method = &method_table[method];
        if (call->method->flags & METHOD_FLAG_ADMIN && !call->connection->admin)
                return rpc_error(call, ERROR_NOT_PERMITTED, "%s is for admins", call->method->name);
        if (call->method->flags & METHOD_FLAG_NOTIFY && !call->is_notification)
                return rpc_error(call, ERROR_INVALID_PARAMS,
                                 "%s is a notification: it has no msgid and no answer", call->method->name);
        if (take_params(call, envelope) < 0)
                return;
        handlers[method](call);
}

/* NULL, or how the protocol is broken. */
static const char *serve(struct rpc_call *call, const struct envelope *envelope)
{
        call->is_notification = envelope->type == ENVELOPE_NOTIFICATION;
        call->msgid = envelope->msgid;
        if (envelope->type == ENVELOPE_RESPONSE)
                return "a response to a request that gangerd has not made";
        if (!call->is_notification && core_request_is_open(call->daemon->core, rpc_request(call)))
                return "the msgid of a request that is still open";
        dispatch(call, envelope);
        return NULL;
}

static bool on_message(void *userdata, struct connection *connection, const uint8_t *data, size_t size_bytes,
                       int *fds, uint32_t n_fds)
{
        struct rpc *rpc = userdata;
        struct rpc_call call = {
                .rpc = rpc, .daemon = rpc->daemon, .connection = connection, .fds = fds, .n_fds = n_fds};
        struct envelope envelope;
        const char *why = NULL;

        if (envelope_parse(&envelope, data, size_bytes, &why) == 0)
                why = serve(&call, &envelope);
        if (why)
                connection_protocol_error(connection, why);
        for (uint32_t i = 0; i < call.n_fds; i++)
                closer_close(call.fds[i]);
        return call.method && call.method->flags & METHOD_FLAG_BRIEF && call.n_options == 0;
}

const char *rpc_serve_task(struct rpc *rpc, struct connection *connection, const struct envelope *envelope)
{
        struct rpc_call call = {.rpc = rpc, .daemon = rpc->daemon, .connection = connection};
        const char *why = serve(&call, envelope);
        return why ? why : connection->breach;
}

/* What was to go into an open map and does not must not be missing there unnoticed. */
static void on_skipped(void *userdata, struct connection *connection, const uint8_t *head, size_t size_bytes)
{
        struct rpc *rpc = userdata;
        struct rpc_call call = {
                .rpc = rpc, .daemon = rpc->daemon, .connection = connection, .is_notification = true};
        struct reader reader = reader_over(head, size_bytes);
        struct rpc_param *first = &call.params[0];
        const char *name;
        size_t name_size_bytes;
        uint64_t type;
        uint32_t n;

        if (reader_array(&reader, &n) < 0 || reader_uint(&reader, &type) < 0 ||
            reader_str(&reader, &name, &name_size_bytes) < 0 || reader_array(&reader, &n) < 0)
                return;
        enum method method = method_from_name(name, name_size_bytes);
        if (method == N_METHODS || !(method_table[method].flags & METHOD_FLAG_NOTIFY) || n == 0 ||
            reader_skip(&reader, &first->data, &first->size_bytes, NULL) < 0)
                return;
        call.method = &method_table[method];
        rpc_end_map(&call, ERROR_NONE, NULL, CORE_QUOTA);
}

/* -- connections -- */

static int on_open(void *userdata, struct connection *connection)
{
        struct rpc *rpc = userdata;
        struct packer packer;
        int r = core_connection_open(rpc->daemon->core, connection->index, connection->uid, connection->pid,
                                     connection->admin);
        if (r == 0)
                return 0;
        connection_message_begin(connection, &packer);
        pack_notification(&packer, "error", 1);
        rpc_pack_refusal(&packer, rpc->daemon, r);
        connection_message_end(connection, &packer);
        return r;
}

static void on_close(void *userdata, struct connection *connection)
{
        struct rpc *rpc = userdata;
        core_connection_close(rpc->daemon->core, connection->index, rpc->daemon->now);
}

static void on_leave(void *userdata, struct connection *connection)
{
        struct rpc *rpc = userdata;
        core_connection_leave(rpc->daemon->core, connection->index, rpc->daemon->now);
        events_forget_connection(rpc->daemon->events, connection->index);
        backend_forget_connection(rpc->daemon, connection->index);
}

static void on_over(void *userdata, struct connection *connection)
{
        struct rpc *rpc = userdata;
        events_forget_connection(rpc->daemon->events, connection->index);
        backend_forget_connection(rpc->daemon, connection->index);
}

const struct connection_callbacks rpc_connection_callbacks = {.on_open = on_open,
                                                              .on_message = on_message,
                                                              .on_skipped = on_skipped,
                                                              .on_leave = on_leave,
                                                              .on_close = on_close,
                                                              .on_over = on_over};

bool rpc_turn(struct rpc *rpc)
{
        bool more = events_turn(rpc->daemon->events);
        return (rpc->memories.first && memories_turn(rpc->daemon)) || more;
}

int rpc_new(struct daemon *daemon, struct rpc **ret)
{
        struct rpc *rpc = calloc(1, sizeof(*rpc));
        if (!rpc)
                return -ENOMEM;
        rpc->daemon = daemon;
        int r = backend_init(&rpc->backend);
        if (r < 0) {
                free(rpc);
                return r;
        }
        *ret = rpc;
        return 0;
}

struct rpc *rpc_free(struct rpc *rpc)
{
        if (!rpc)
                return NULL;
        memories_deinit(&rpc->memories);
        backend_deinit(&rpc->backend);
        free(rpc);
        return NULL;
}
