/* SPDX-License-Identifier: MIT */
/*
 * The kinds of events that `subscribe` tells of, one table: symbol, name, what happened. PROTOCOL.md has a
 * row for each (checked by a test), the command line's help lists them.
 */
#ifndef PROTO_EVENTS_H
#define PROTO_EVENTS_H

#include <stddef.h>

#define EVENT_TABLE(X)                                                                                       \
        X(TASK_SUCCEEDED, "task_succeeded", "a task succeeded")                                              \
        X(TASK_FAILED, "task_failed", "a task failed")                                                       \
        X(TASK_CANCELLED, "task_cancelled", "a task was cancelled")                                          \
        X(TASK_EXPIRED, "task_expired", "a task did not begin in time")                                      \
        X(USER_OVER, "user_over", "nothing of a user begins until he takes results")                         \
        X(WORKER_STARTED, "worker_started", "a worker said hello")                                           \
        X(WORKER_LOST, "worker_lost", "a worker died that was not asked to")                                 \
        X(WORKER_STUCK, "worker_stuck", "a worker was killed and does not die")                              \
        X(POOL_DEGRADED, "pool_degraded", "workers of the pool die young again and again")                   \
        X(POOL_RECOVERED, "pool_recovered", "the pool's workers live again")                                 \
        X(POOL_PAUSED, "pool_paused", "an admin paused the pool")                                            \
        X(POOL_RESUMED, "pool_resumed", "an admin resumed the pool")                                         \
        X(POOL_SCALED, "pool_scaled", "an admin changed the number of the pool's workers")                   \
        X(RELOADED, "reloaded", "a configuration came into force")                                           \
        X(RELOAD_FAILED, "reload_failed", "a configuration could not come into force")                       \
        X(STOPPING, "stopping", "the daemon was asked to stop")

enum event_kind {
#define X(symbol, name, summary) EVENT_KIND_##symbol,
        EVENT_TABLE(X)
#undef X
                N_EVENT_KINDS
};

struct event_kind_info {
        const char *name, *summary;
};
extern const struct event_kind_info event_table[N_EVENT_KINDS];

/* The kind of a name; N_EVENT_KINDS if there is none. */
enum event_kind event_kind_from_name(const char *name, size_t size_bytes);

/* What a subscriber is told beside them, whatever kinds it asked for: from where on it is told, and that some
 * are not kept any more. */
#define EVENT_SUBSCRIBED "subscribed"
#define EVENT_LOST       "lost"

#endif
