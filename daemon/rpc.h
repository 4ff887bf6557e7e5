/* SPDX-License-Identifier: MIT */
/*
 * The rpc layer: between the whole messages of clients, and of tasks that ask for something, and the core. It
 * takes the envelope off, finds the method, checks the shape of the parameters by the table and calls the
 * method's handler; it is the one layer that makes wire errors. Owned by struct daemon. Arguments and results
 * pass as the bytes that they are.
 *
 * A request is answered exactly once: by its handler, or later by the core through backend_ops.
 */
#ifndef DAEMON_RPC_H
#define DAEMON_RPC_H

#include <stdint.h>

#include "daemon/connection.h"
#include "daemon/core/core.h"

struct configuration_problem;
struct daemon;
struct reload_caller;
struct rpc;

int rpc_new(struct daemon *, struct rpc **ret);
/* Takes NULL; returns NULL. */
struct rpc *rpc_free(struct rpc *);

/* What a worker asks for its task: one request or notification of a method. NULL, or how it broke the
 * protocol. */
struct envelope;
const char *rpc_serve_task(struct rpc *, struct connection *, const struct envelope *);

/* userdata: struct rpc. */
extern const struct connection_callbacks rpc_connection_callbacks;

/* What takes more than one turn goes on. True: it will need the next one, too. */
bool rpc_turn(struct rpc *);

/* A reload is over: its caller is told. pool: the one that was reloaded, or CORE_NO_POOL. r: 0, an enum
 * reload_result or -errno; then why. */
void rpc_reload_over(struct daemon *, const struct reload_caller *, uint32_t pool, int r,
                     const struct configuration_problem *why);

/* What the core has done; ctx: struct daemon. */
extern const struct core_ops backend_ops;

#endif
