/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of shared objects have in common: names, keys, values and conditions out of a request.
 */
#ifndef DAEMON_RPC_OBJECT_H
#define DAEMON_RPC_OBJECT_H

#include "daemon/core/core_shared.h"
#include "daemon/rpc_private.h"
#include "proto/limits.h"

struct rpc_name {
        char text[LIMIT_NAME_BYTES + 1];
};
/* The first parameter. 0, or < 0: answered. */
int rpc_object_name(struct rpc_call *, struct rpc_name *ret);
struct rpc_key {
        char text[LIMIT_KEY_BYTES + 1];
};
/* A dictionary's key, which stands next. 0, or < 0: answered. */
int rpc_key(struct rpc_call *, struct reader *, struct rpc_key *ret);
/* One that is there and that the caller may read: 0, a refusal, or CORE_UNKNOWN_OBJECT. */
int rpc_object_read(const struct rpc_call *, const struct rpc_name *, enum core_object_kind,
                    struct core_object *ret);
/* What is made of this kind if it is not there. */
struct core_open rpc_object_open(const struct rpc_call *, enum core_object_kind);
void rpc_object_say(struct core_open *, enum core_property, uint64_t value);
/* Where it is given. */
void rpc_object_option(struct core_open *, enum core_property, const struct option_value *);
int64_t rpc_timeout(const struct option_value *);
/* The answer nil, or the refusal. */
void rpc_object_done(struct rpc_call *, int r);

/* A number of values as payloads, from a reader that stands before the first. The core takes those that it is
 * given; rpc_values_drop() frees the array, and what was not taken. 0, or < 0: answered. */
struct rpc_values {
        struct core_value *values;
        size_t n;
};
int rpc_values(struct rpc_call *, struct reader *, size_t n, struct rpc_values *ret);
/* Whether so many items, keys or values may be in one request: 0, or < 0: answered. Before memory is taken
 * for them: each may be one byte of the message. */
int rpc_may_be_so_many(struct rpc_call *, uint32_t n);
int rpc_value(struct rpc_call *, struct reader *, struct core_value *ret);
void rpc_values_drop(struct rpc_call *, struct rpc_values *, bool taken);

#endif
