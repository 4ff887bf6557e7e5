/* SPDX-License-Identifier: MIT */
/* Methods about tasks that exist: result, wait, attach, cancel, cancel_request. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/rpc_private.h"
#include "proto/limits.h"

static uint64_t id_param(const struct rpc_call *call)
{
        struct reader reader = rpc_param(call, 0);
        uint64_t id = 0;
        reader_uint(&reader, &id);
        return id;
}

int rpc_ids(struct rpc_call *call, uint32_t i, uint64_t **ret, size_t *ret_n)
{
        struct reader reader = rpc_param(call, i);
        uint32_t n = 1;

        if (reader_array(&reader, &n) == 0 && n > LIMIT_WAIT_IDS) {
                rpc_error(call, ERROR_INVALID_PARAMS, "%s takes at most %d ids, not %u", call->method->name,
                          LIMIT_WAIT_IDS, n);
                return -EINVAL;
        }
        uint64_t *ids = calloc(n ? n : 1, sizeof(*ids));
        if (!ids) {
                rpc_refuse(call, -ENOMEM);
                return -ENOMEM;
        }
        for (uint32_t at = 0; at < n; at++)
                reader_uint(&reader, &ids[at]);
        *ret = ids;
        *ret_n = n;
        return 0;
}

enum { WAIT_TIMEOUT, WAIT_KEEP, N_RESULT_OPTIONS };
static const struct option_rule result_rules[N_RESULT_OPTIONS] = {
        [WAIT_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
        [WAIT_KEEP] = {.name = "keep", .type = OPTION_FLAG},
};

void rpc_on_RESULT(struct rpc_call *call)
{
        struct option_value options[N_RESULT_OPTIONS];

        if (call->is_notification || rpc_options(call, result_rules, N_RESULT_OPTIONS, options) < 0)
                return;
        int64_t timeout = options[WAIT_TIMEOUT].given ? options[WAIT_TIMEOUT].duration : CORE_NEVER;
        int r = core_result(call->daemon->core, rpc_request(call), id_param(call), timeout,
                            options[WAIT_KEEP].flag, call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

enum { MANY_TIMEOUT, MANY_COUNT, N_MANY_OPTIONS };
static const struct option_rule wait_rules[N_MANY_OPTIONS] = {
        [MANY_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
        [MANY_COUNT] = {.name = "count", .type = OPTION_COUNT, .min = 0, .max = UINT32_MAX},
};

void rpc_on_WAIT(struct rpc_call *call)
{
        struct option_value options[N_MANY_OPTIONS];
        uint64_t *ids;
        size_t n;

        if (call->is_notification || rpc_options(call, wait_rules, N_MANY_OPTIONS, options) < 0 ||
            rpc_ids(call, 0, &ids, &n) < 0)
                return;
        int64_t timeout = options[MANY_TIMEOUT].given ? options[MANY_TIMEOUT].duration : CORE_NEVER;
        size_t count =
                options[MANY_COUNT].given && options[MANY_COUNT].count < n ? options[MANY_COUNT].count : n;
        int r = core_wait(call->daemon->core, rpc_request(call), ids, n, timeout, count, call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
        free(ids);
}

enum { ATTACH_STREAM, ATTACH_TAIL, N_ATTACH_OPTIONS };
static const struct option_rule attach_rules[N_ATTACH_OPTIONS] = {
        [ATTACH_STREAM] = {.name = "stream", .type = OPTION_STREAMS},
        [ATTACH_TAIL] = {.name = "tail", .type = OPTION_COUNT, .min = 0, .max = UINT32_MAX},
};

void rpc_on_ATTACH(struct rpc_call *call)
{
        struct option_value options[N_ATTACH_OPTIONS];

        if (call->is_notification || rpc_options(call, attach_rules, N_ATTACH_OPTIONS, options) < 0)
                return;
        uint64_t tail_bytes = options[ATTACH_TAIL].count;
        if (tail_bytes > LIMIT_TAIL_BYTES)
                tail_bytes = LIMIT_TAIL_BYTES;
        int r = core_attach(call->daemon->core, rpc_request(call), id_param(call),
                            options[ATTACH_STREAM].streams, (uint32_t)tail_bytes, call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

void rpc_on_CANCEL(struct rpc_call *call)
{
        struct packer packer;
        uint64_t *ids;
        size_t n, n_cancelled = 0;

        if (rpc_ids(call, 0, &ids, &n) < 0)
                return;
        int r = core_cancel(call->daemon->core, call->connection->index, ids, n, call->daemon->now,
                            &n_cancelled);
        free(ids);
        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_uint(&packer, n_cancelled);
                rpc_reply_end(call, &packer);
        }
}

void rpc_on_CANCEL_REQUEST(struct rpc_call *call)
{
        struct packer packer;
        uint64_t msgid = id_param(call);
        const struct core_request request = {.connection = call->connection->index, .msgid = (uint32_t)msgid};
        int r = msgid > UINT32_MAX ? CORE_NOT_OPEN
                                   : core_cancel_request(call->daemon->core, request, call->daemon->now);
        if (r != 0 && r != CORE_NOT_OPEN) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_bool(&packer, r == 0);
                rpc_reply_end(call, &packer);
        }
}
