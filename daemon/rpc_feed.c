/* SPDX-License-Identifier: MIT */
/* What is said of a map that is open, in notifications: feed and more. */
#include <errno.h>

#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/payload.h"
#include "daemon/rpc_private.h"

/* The open map that a notification is about; false: it has ended while that was on its way, or never was. */
static bool find_map(const struct rpc_call *call, struct core_request *ret)
{
        struct reader reader = rpc_param(call, 0);
        uint64_t msgid;

        if (reader_uint(&reader, &msgid) < 0 || msgid > UINT32_MAX)
                return false;
        *ret = (struct core_request){.connection = call->connection->index, .msgid = (uint32_t)msgid};
        return core_map_is_open(call->daemon->core, *ret);
}

/* A feed that is wrong has no answer of its own: its map ends, with the feed's error. */
static void end_map(struct rpc_call *call, struct core_request request, enum error_code code,
                    const char *message, int r)
{
        struct daemon *daemon = call->daemon;
        struct buffer error = BUFFER_INIT;
        struct packer packer;

        pack_begin(&packer, &error);
        if (message)
                encode_error(&packer, code, message, NULL);
        else
                rpc_pack_refusal(&packer, daemon, r);
        if (pack_end(&packer) == 0)
                backend_overrule(daemon, request, buffer_at(&error), buffer_size(&error));
        buffer_deinit(&error);
        core_cancel_request(daemon->core, request, daemon->now);
}

void rpc_end_map(struct rpc_call *call, enum error_code code, const char *message, int r)
{
        struct core_request request;

        if (call->params[0].data && find_map(call, &request))
                end_map(call, request, code, message, r);
}

static int feed_items(struct rpc_call *call, struct core_request request, bool last, uint64_t sealed_bytes)
{
        struct daemon *daemon = call->daemon;
        uint32_t n = rpc_n_elements(&call->params[1]);
        struct core_spec spec = {.args = PAYLOAD_NONE};
        uint64_t bad;

        if (n > 0) {
                const struct rpc_param *param = &call->params[1];
                if (param->size_bytes > LIMIT_ARGS_BYTES || sealed_bytes > LIMIT_SEALED_BYTES) {
                        end_map(call, request, ERROR_TOO_LARGE, RPC_ARGS_TOO_LARGE, 0);
                        return -EMSGSIZE;
                }
                int r = payload_new_items(daemon->payloads, param->data, param->size_bytes, call->fds,
                                          call->n_fds, &spec.args, &bad);
                if (r == -EINVAL)
                        end_map(call, request, ERROR_INVALID_PARAMS,
                                "an element of a feed's arguments is no array: the arguments of one call", 0);
                else if (r < 0)
                        end_map(call, request, ERROR_NONE, NULL, r);
                if (r < 0)
                        return r;
                payload_set_rights(daemon->payloads, spec.args, call->connection->rights);
                spec.n_descriptors = call->n_fds;
                spec.args_size_bytes = payload_cost_bytes(param->size_bytes, call->n_fds) + sealed_bytes;
                call->n_fds = 0;
        }
        int r = core_feed(daemon->core, request, spec.args, spec.args_size_bytes, n, spec.n_descriptors, last,
                          daemon->now);
        if (r != 0 && spec.args != PAYLOAD_NONE)
                payload_drop(daemon->payloads, spec.args);
        if (r != 0 && r != CORE_NOT_OPEN)
                end_map(call, request, ERROR_NONE, NULL, r);
        return 0;
}

void rpc_on_FEED(struct rpc_call *call)
{
        struct core_request request;
        struct reader reader = rpc_param(call, 2);
        uint64_t sealed_bytes;
        bool last = false;

        if (!find_map(call, &request))
                return;
        if (call->params[2].data && reader_bool(&reader, &last) < 0) {
                end_map(call, request, ERROR_INVALID_PARAMS, "`last` of feed must be true or false", 0);
                return;
        }
        if (rpc_check_args_fds(call, &call->params[1], &sealed_bytes))
                feed_items(call, request, last, sealed_bytes);
}

void rpc_on_MORE(struct rpc_call *call)
{
        struct core_request request;
        struct reader reader = rpc_param(call, 1);
        uint64_t n = 0;

        if (!find_map(call, &request))
                return;
        reader_uint(&reader, &n);
        int r = core_more(call->daemon->core, request, n, call->daemon->now);
        if (r == CORE_MISUSE)
                end_map(call, request, ERROR_INVALID_PARAMS,
                        "more confirms items that were delivered, of a map that was begun with the option "
                        "window",
                        0);
}
