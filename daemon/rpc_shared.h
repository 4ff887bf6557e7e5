/* SPDX-License-Identifier: MIT */
/*
 * Shared objects as such: made, listed, unlinked, described; and descriptors in answers.
 */
#ifndef DAEMON_RPC_SHARED_H
#define DAEMON_RPC_SHARED_H

#include "daemon/core/core_shared.h"
#include "daemon/rpc_private.h"
#include "proto/descriptors.h"

/* Answers with how many there are in it; 0 if there is no such object. */
void rpc_object_size(struct rpc_call *, enum core_object_kind);

/* The result of shared.open, with its memory's descriptor if it has one, which was admitted in this turn. 0;
 * a refusal or -errno: nothing was packed. */
int rpc_answer_object(struct daemon *, struct core_request, const struct core_object *);

/* Whether one more descriptor may be on its way to who asked. 0, or a refusal. */
int rpc_admit_descriptor(struct daemon *, struct core_request);
/* Whether an answer to this caller may carry a descriptor, and one more of his may be on its way. 0, or < 0:
 * answered. */
int rpc_takes_descriptor(struct rpc_call *);
/* -errno. */
int rpc_duplicate(int fd);

#endif
