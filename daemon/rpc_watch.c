/* SPDX-License-Identifier: MIT */
/* Methods for who watches: status, subscribe, metrics. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/events.h"
#include "daemon/metrics.h"
#include "daemon/rpc_private.h"

void rpc_on_STATUS(struct rpc_call *call)
{
        struct packer packer;

        if (!rpc_reply_begin(call, &packer))
                return;
        encode_status(&packer, call->daemon, call->connection);
        rpc_reply_end(call, &packer);
}

/* -- events -- */

enum { SUBSCRIBE_AFTER, N_SUBSCRIBE_OPTIONS };
static const struct option_rule subscribe_rules[N_SUBSCRIBE_OPTIONS] = {
        [SUBSCRIBE_AFTER] = {.name = "after", .type = OPTION_COUNT, .min = 0, .max = LIMIT_TASK_ID},
};

/* The kinds that the first parameter lists, all if it is empty. 0, or < 0: answered. */
static int take_kinds(struct rpc_call *call, uint32_t *ret)
{
        struct reader reader = rpc_param(call, 0);
        uint32_t n = 0;

        *ret = 0;
        reader_array(&reader, &n);
        for (uint32_t i = 0; i < n; i++) {
                const char *name = "";
                size_t size_bytes = 0;
                reader_str(&reader, &name, &size_bytes);
                enum event_kind kind = event_kind_from_name(name, size_bytes);
                if (kind == N_EVENT_KINDS) {
                        rpc_error(call, ERROR_INVALID_PARAMS, "there is no kind of event \"%.*s\"",
                                  (int)(size_bytes < LIMIT_NAME_BYTES ? size_bytes : LIMIT_NAME_BYTES), name);
                        return -EINVAL;
                }
                *ret |= 1u << kind;
        }
        if (n == 0)
                *ret = UINT32_MAX;
        return 0;
}

void rpc_on_SUBSCRIBE(struct rpc_call *call)
{
        const struct option_value *after;
        struct option_value options[N_SUBSCRIBE_OPTIONS];
        struct daemon *daemon = call->daemon;
        struct core_ticket ticket;
        uint32_t kinds;

        if (call->is_notification || rpc_options(call, subscribe_rules, N_SUBSCRIBE_OPTIONS, options) < 0 ||
            take_kinds(call, &kinds) < 0)
                return;
        int r = core_request_begin(daemon->core, rpc_request(call), &ticket);
        if (r != 0)
                return rpc_refuse(call, r);
        after = &options[SUBSCRIBE_AFTER];
        r = events_subscribe(daemon->events, &ticket, kinds, after->given ? &after->count : NULL);
        if (r < 0 && core_request_end(daemon->core, &ticket))
                rpc_refuse(call, r);
}

/* -- metrics -- */

void rpc_on_METRICS(struct rpc_call *call)
{
        struct packer packer;
        char *text = NULL;
        size_t size_bytes = 0;
        int r = metrics_text(call->daemon, &text, &size_bytes);

        if (r < 0)
                return rpc_refuse(call, r);
        if (rpc_reply_begin(call, &packer)) {
                pack_str_n(&packer, text, size_bytes);
                rpc_reply_end(call, &packer);
        }
        free(text);
}
