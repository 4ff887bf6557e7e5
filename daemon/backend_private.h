/* SPDX-License-Identifier: MIT */
/* The core's operations that pack something for a client (backend_answer.c), as entries of backend_ops. */
#ifndef DAEMON_BACKEND_PRIVATE_H
#define DAEMON_BACKEND_PRIVATE_H

#include "daemon/core/core.h"

bool backend_answer_result(void *ctx, struct core_request, uint64_t task, payload_t result);
void backend_answer_record(void *ctx, struct core_request, const struct core_record *failed);
void backend_answer_states(void *ctx, struct core_request, const uint64_t *ids, const enum task_state *,
                           size_t n);
void backend_answer_map(void *ctx, struct core_request, const struct core_map_sum *);
void backend_answer_shared(void *ctx, struct core_request, const struct core_shared_answer *);
bool backend_in_group(void *ctx, uint32_t connection, gid_t gid);
void backend_answer_done(void *ctx, struct core_request, uint32_t pool);
void backend_answer_refusal(void *ctx, struct core_request, enum core_refusal);
void backend_item(void *ctx, struct core_request, uint64_t index, payload_t,
                  const struct core_record *failed);
void backend_stream(void *ctx, struct core_request, unsigned kind);
void backend_stream_tail(void *ctx, struct core_request, uint64_t task, unsigned kinds, uint32_t bytes);

#endif
