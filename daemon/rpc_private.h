/* SPDX-License-Identifier: MIT */
/*
 * What the files of the rpc layer share: rpc.c (dispatch), rpc_reply.c (answers and errors), rpc_options.c
 * (decoding), rpc_task.c, rpc_wait.c, rpc_query.c, rpc_watch.c, rpc_admin.c and, of shared objects,
 * rpc_shared.c, rpc_lock.c, rpc_queue.c, rpc_dict.c, rpc_dict_add.c, rpc_list.c (handlers), backend.c and
 * encode.c.
 */
#ifndef DAEMON_RPC_PRIVATE_H
#define DAEMON_RPC_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/backend.h"
#include "daemon/memories.h"
#include "daemon/rpc.h"
#include "proto/errors.h"
#include "proto/methods.h"
#include "proto/options.h"
#include "proto/pack.h"
#include "proto/reader.h"

#define RPC_PARAMS_MAX 3

struct rpc {
        struct daemon *daemon;
        struct backend backend;
        struct memories memories; /* that are being made */
};

struct rpc_param {
        const uint8_t *data; /* one whole value; NULL: left out */
        size_t size_bytes;
        uint32_t n_descriptors;
};

/* A message that is being dealt with. */
struct rpc_call {
        struct rpc *rpc;
        struct daemon *daemon;
        struct connection *connection;
        const struct method_info *method;
        bool is_notification; /* nobody wants an answer */
        bool answered;
        uint32_t msgid;
        struct rpc_param params[RPC_PARAMS_MAX]; /* of the shape that the table says */
        struct reader options;                   /* over the pairs of the options' map */
        uint32_t n_options;
        int *fds; /* that came with it; who takes them sets n_fds to 0 */
        uint32_t n_fds;
};

static inline struct core_request rpc_request(const struct rpc_call *call)
{
        return (struct core_request){.connection = call->connection->index, .msgid = call->msgid};
}
static inline struct reader rpc_param(const struct rpc_call *call, uint32_t i)
{
        return reader_over(call->params[i].data, call->params[i].size_bytes);
}

/* -- rpc_reply.c -- */

/* Begins the answer: its result is to be packed next. False: nobody wants one. */
bool rpc_reply_begin(struct rpc_call *, struct packer *);
void rpc_reply_end(struct rpc_call *, struct packer *); /* as rpc_end_view() */
/* The end of any answer; one that is larger than a message may be is too_large instead. */
void rpc_end_answer(const struct daemon *, struct connection *, struct packer *, uint32_t msgid);
/* The same of one that can be asked for again: without room for it in the user's memory it is quota_exceeded.
 */
void rpc_end_view(const struct daemon *, struct connection *, struct packer *, uint32_t msgid);
void rpc_error(struct rpc_call *, enum error_code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The one place where refusals of the core become wire errors. r: an enum core_refusal, or -errno. */
void rpc_refuse(struct rpc_call *, int r);
void rpc_pack_refusal(struct packer *, const struct daemon *, int r);

/* -- rpc_task.c -- */

#define RPC_ARGS_TOO_LARGE "the arguments are larger than a worker takes"
/* Whether all descriptors of the message are its arguments', and what they should be; how much lies in
 * memfds. False: the connection is ended. */
bool rpc_check_args_fds(struct rpc_call *, const struct rpc_param *, uint64_t *ret_sealed_bytes);
/* Of an array. */
uint32_t rpc_n_elements(const struct rpc_param *);

/* -- rpc_feed.c -- */

/* The notification is wrong, and has no answer of its own: the open map that it is about ends so. message
 * NULL: by the refusal r. */
void rpc_end_map(struct rpc_call *, enum error_code, const char *message, int r);

/* -- rpc_wait.c -- */

/* The parameter i: one id, or an array of them, to be freed. 0, or < 0: answered. */
int rpc_ids(struct rpc_call *, uint32_t i, uint64_t **ret, size_t *ret_n);

/* -- rpc_options.c -- */

struct option_rule {
        const char *name;
        enum option_type type;
        uint64_t min, max; /* of OPTION_COUNT; max 0: 1 to 2^32-1 */
};
struct option_value {
        bool given;
        const char *text; /* not terminated */
        size_t text_size_bytes;
        int64_t level;
        int64_t duration; /* ns */
        uint64_t count;
        bool flag;
        unsigned streams;
        unsigned ends; /* enum retry_end */
};
/* One value. 0, or -EINVAL: it was answered with what is wrong. */
int rpc_option_value(struct rpc_call *, const struct option_rule *, struct reader *,
                     struct option_value *ret);
/* All options by a table of n rules, into ret[n]; the same. */
int rpc_options(struct rpc_call *, const struct option_rule *, size_t n, struct option_value *ret);
/* The name of the next option; the same. */
int rpc_option_name(struct rpc_call *, struct reader *, const char **ret, size_t *ret_size_bytes);
/* An option that there is not: answered with those that there are. */
int rpc_option_unknown(struct rpc_call *, const char *name, size_t size_bytes, const char *known);

/* -- handlers, one for each method of the table: a missing one does not link -- */

#define X(symbol, name, shape, flags) void rpc_on_##symbol(struct rpc_call *);
METHOD_TABLE(X)
#undef X

#endif
