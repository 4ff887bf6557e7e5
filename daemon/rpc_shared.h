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

/* The result of shared.open, with its memory's descriptor if it has one. 0; a
 * refusal or -errno: nothing was packed. */
int rpc_answer_object(struct daemon *, struct core_request, const struct core_object *);

/* Whether an answer to this caller may carry a descriptor, and one more of his may be on its way. 0, or < 0:
 * answered. */
int rpc_takes_descriptor(struct rpc_call *);
void rpc_pack_descriptor(struct packer *, enum descriptor_kind, uint64_t size_bytes);
/* -errno. */
int rpc_duplicate(int fd);

#endif
