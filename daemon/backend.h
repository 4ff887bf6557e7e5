/* SPDX-License-Identifier: MIT */
/*
 * The backend: what the core has done, done with sockets. Part of struct rpc; `backend_ops` (daemon/rpc.h) is
 * the core's table, its ctx is struct daemon. Answers are packed straight into the connection's output,
 * values as the bytes that they are.
 *
 * What an event brought is "at hand" as long as the event is dealt with: that is the core's PAYLOAD_CURRENT.
 */
#ifndef DAEMON_BACKEND_H
#define DAEMON_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/collection.h"
#include "daemon/core/core.h"
#include "daemon/tails.h"

struct daemon;

#define BATCH_PLACES 64 /* connections whose items can be batched at the same time; a power of two */

/* The last message of a connection's output, if it is one of items: more of the same request's join it. */
struct batch {
        uint32_t connection, msgid, n;
        uint64_t count_at, end; /* positions in the stream of output */
};

struct overruled;

struct backend {
        const uint8_t *at_hand;
        size_t at_hand_size_bytes;
        const int *at_hand_fds; /* that its ext values claim */
        uint32_t n_at_hand_fds;
        struct batch batches[BATCH_PLACES]; /* by connection, modulo */
        struct overruled *overruled;        /* requests that are to be answered with an error of ours */
        struct tails tails;
        struct collections collections;
        uint64_t random_state;
};

int backend_init(struct backend *);
void backend_deinit(struct backend *);
/* What PAYLOAD_CURRENT means from now on; NULL, 0: nothing. All is borrowed. */
void backend_at_hand(struct daemon *, const uint8_t *data, size_t size_bytes, const int *fds, uint32_t n_fds);
/* The bytes of a payload. */
const uint8_t *backend_payload(const struct daemon *, payload_t, size_t *ret_size_bytes);
/* The descriptors that it claims, which stay its own. */
const int *backend_payload_fds(const struct daemon *, payload_t, uint32_t *ret_n);
/* Whatever the core answers to this request, the client gets this error (a whole value, copied). */
int backend_overrule(struct daemon *, struct core_request, const uint8_t *error, size_t size_bytes);
/* The connection is gone. */
void backend_forget_connection(struct daemon *, uint32_t connection);

#endif
