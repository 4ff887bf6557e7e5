/* SPDX-License-Identifier: MIT */
/* Methods of queues, and of pipes. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/payload.h"
#include "daemon/rpc_object.h"
#include "daemon/rpc_shared.h"
#include "proto/descriptors.h"

enum { PUT_TIMEOUT, PUT_MAXSIZE, N_PUT_OPTIONS };
static const struct option_rule put_rules[N_PUT_OPTIONS] = {
        [PUT_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
        [PUT_MAXSIZE] = {.name = "maxsize", .type = OPTION_COUNT, .max = UINT32_MAX},
};

void rpc_on_QUEUE_PUT(struct rpc_call *call)
{
        struct core_open open = rpc_object_open(call, OBJECT_QUEUE);
        struct option_value options[N_PUT_OPTIONS];
        struct reader items = rpc_param(call, 1);
        struct rpc_values values;
        struct rpc_name name;
        uint32_t n;

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, put_rules, N_PUT_OPTIONS, options) < 0 || reader_array(&items, &n) < 0 ||
            rpc_may_be_so_many(call, n) < 0 || rpc_values(call, &items, n, &values) < 0)
                return;
        rpc_object_option(&open, PROPERTY_MAXSIZE, &options[PUT_MAXSIZE]);
        int r = core_queue_put(call->daemon->core, rpc_request(call), name.text, &open, values.values, n,
                               rpc_timeout(&options[PUT_TIMEOUT]), call->daemon->now);
        rpc_values_drop(call, &values, r == 0);
        if (r != 0)
                rpc_refuse(call, r);
}

enum { GET_MAX, GET_TIMEOUT, GET_ACK, N_GET_OPTIONS };
static const struct option_rule get_rules[N_GET_OPTIONS] = {
        [GET_MAX] = {.name = "max", .type = OPTION_COUNT, .min = 1, .max = LIMIT_ITEMS},
        [GET_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
        [GET_ACK] = {.name = "ack", .type = OPTION_FLAG},
};

void rpc_on_QUEUE_GET(struct rpc_call *call)
{
        const struct core_open open = rpc_object_open(call, OBJECT_QUEUE);
        struct option_value options[N_GET_OPTIONS];
        struct rpc_name name;

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, get_rules, N_GET_OPTIONS, options) < 0)
                return;
        uint32_t max = options[GET_MAX].given ? (uint32_t)options[GET_MAX].count : 1;
        int r = core_queue_get(call->daemon->core, rpc_request(call), name.text, &open, max,
                               options[GET_ACK].flag, rpc_timeout(&options[GET_TIMEOUT]), call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

void rpc_on_QUEUE_TASK_DONE(struct rpc_call *call)
{
        struct rpc_name name;
        struct packer packer;
        uint64_t *tokens;
        size_t n, n_done;

        if (rpc_object_name(call, &name) < 0 || rpc_ids(call, 1, &tokens, &n) < 0)
                return;
        int r = core_queue_done(call->daemon->core, call->connection->index, name.text, tokens, n,
                                call->daemon->now, &n_done);
        free(tokens);
        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_uint(&packer, n_done);
                rpc_reply_end(call, &packer);
        }
}

static const struct option_rule timeout_rule[1] = {{.name = "timeout", .type = OPTION_SECONDS}};

void rpc_on_QUEUE_JOIN(struct rpc_call *call)
{
        const struct core_open open = rpc_object_open(call, OBJECT_QUEUE);
        struct option_value timeout;
        struct rpc_name name;

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, timeout_rule, 1, &timeout) < 0)
                return;
        int r = core_queue_join(call->daemon->core, rpc_request(call), name.text, &open,
                                rpc_timeout(&timeout), call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

void rpc_on_QUEUE_SIZE(struct rpc_call *call)
{
        rpc_object_size(call, OBJECT_QUEUE);
}

/* -- pipes -- */

static void answer_pipe(struct rpc_call *call, unsigned end, int fd)
{
        struct packer packer;

        rpc_reply_begin(call, &packer);
        pack_map(&packer, 2);
        pack_str(&packer, "end");
        pack_uint(&packer, end);
        pack_str(&packer, "pipe");
        pack_fd(&packer);
        connection_message_end_with(call->connection, &packer, &fd, 1, 0);
}

/* The first one's end is his at once; the other one waits here. */
static int make_pipe(struct rpc_call *call, const char *name, int *ret)
{
        static const uint8_t nil = 0xc0;
        const struct core_open open = rpc_object_open(call, OBJECT_PIPE);
        struct payload_table *payloads = call->daemon->payloads;
        payload_t payload;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        int r = payload_new(payloads, &nil, sizeof(nil), &pair[1], 1, &payload);
        if (r < 0)
                close(pair[1]);
        else if ((r = core_pipe_leave(call->daemon->core, call->connection->index, name, &open, payload,
                                      call->daemon->now)) != 0)
                payload_drop(payloads, payload);
        if (r != 0)
                close(pair[0]);
        *ret = pair[0];
        return r;
}

/* The end that waits, as a descriptor of its own. */
static int take_pipe(struct rpc_call *call, const char *name, int *ret)
{
        payload_t payload;
        uint32_t n;
        int r = core_pipe_take(call->daemon->core, call->connection->index, name, &payload);

        if (r != 0)
                return r;
        *ret = rpc_duplicate(payload_fds(call->daemon->payloads, payload, &n)[0]);
        payload_drop(call->daemon->payloads, payload);
        return *ret < 0 ? *ret : 0;
}

void rpc_on_PIPE_OPEN(struct rpc_call *call)
{
        struct rpc_name name;
        unsigned end = 1;
        int fd = -1;

        if (call->is_notification || rpc_object_name(call, &name) < 0 || rpc_takes_descriptor(call) < 0)
                return;
        int r = connection_admit_descriptor(call->connection);
        if (r == 0)
                r = take_pipe(call, name.text, &fd);
        if (r == CORE_UNKNOWN_OBJECT) {
                end = 0;
                r = make_pipe(call, name.text, &fd);
        }
        if (r != 0)
                rpc_refuse(call, r);
        else
                answer_pipe(call, end, fd);
}
