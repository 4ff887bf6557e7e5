/* SPDX-License-Identifier: MIT */
/*
 * Open requests of clients, and what they watch.
 */
#ifndef CORE_WAITER_H
#define CORE_WAITER_H

#include "daemon/core/table.h"
#include "daemon/core/timer.h"

#define WAITERS_FREE 64 /* open requests of a connection that cost its user nothing */

struct awaited;
struct object_wait;
struct peer;
struct task;

enum waiter_kind {
        WAITER_CALL,
        WAITER_MAP,
        WAITER_RESULT,
        WAITER_ATTACH,
        WAITER_WAIT,
        WAITER_DRAIN,
        WAITER_RENEWAL,
        WAITER_CALLERS, /* the core's caller answers it */
        WAITER_OBJECT   /* for something of a shared object */
};
struct watch {
        LIST_ENTRY(watch) link; /* task.watches */
        struct waiter *waiter;
        struct task *task; /* NULL: not linked */
        size_t index;      /* of a wait: which id */
        TAILQ_ENTRY(watch) of_awaited;
        struct awaited *awaited; /* the group that it is in: by a task, of one that could begin; NULL */
};
/* Linked to its task; unlinked. */
void watch_begin(struct watch *, struct task *);
void watch_end(struct watch *);
struct wait { /* what a `wait` needs beyond other requests */
        size_t n, n_ended, count;
        uint64_t *ids;
        enum task_state *states; /* TASK_READY: not ended yet */
        struct watch *watches;
        uint64_t cost_bytes;
};
struct waiter {
        struct table_link by_request;
        struct peer *peer;
        TAILQ_ENTRY(waiter) link; /* peer.waiters */
        struct watch watch;
        struct timer timer;
        struct wait *wait;               /* WAITER_WAIT */
        struct object_wait *object_wait; /* WAITER_OBJECT */
        enum waiter_kind kind;
        LIST_ENTRY(waiter) of_pool; /* core.pool_waiters: a drain, a renewal */
        uint32_t pool;              /* of those; CORE_NO_POOL: all */
        bool keep;
        unsigned streams;
        uint32_t reserved_bytes; /* charged to its user: its own, or output that it may be copied */
        uint64_t serial;         /* WAITER_CALLERS: tells it from a later one of the same number */
};
static inline uint64_t request_key(struct core_request request)
{
        return (uint64_t)request.connection << 32 | request.msgid;
}
static inline struct core_request waiter_request(const struct waiter *waiter)
{
        return (struct core_request){(uint32_t)(waiter->by_request.key >> 32),
                                     (uint32_t)waiter->by_request.key};
}
struct waiter *waiter_find(const struct core *, struct core_request);
/* CORE_MISUSE: open already; CORE_QUOTA: too many; -ENOMEM. */
int waiter_new(struct peer *, uint32_t msgid, enum waiter_kind, struct waiter **ret);
void waiter_free(struct core *, struct waiter *);
void waiter_watch(struct waiter *, struct watch *, struct task *, size_t index);
/* Answers from the ended task and ends the request. */
void waiter_answer(struct core *, struct waiter *, struct task *);
void waiter_refuse(struct core *, struct waiter *, enum core_refusal);
/* Answers a request that is no waiter (any more) from the ended task; `is_last`: nobody else gets the result,
 * so it is not refused for want of room. False: it is larger than the client can take, which he was told. */
bool task_answer(struct core *, struct task *, struct core_request, bool is_last);
/* It is given up, and is nobody's task's call: it ends as its kind does that. */
void waiter_give_up(struct core *, struct waiter *);
/* It waits for what will not come, for the daemon ends. */
void waiter_stop(struct core *, struct waiter *);
void waiter_on_timer(struct core *, struct waiter *);
void wait_free(struct core *, struct waiter *);
void wait_on_end(struct core *, struct watch *, enum task_state);
void wait_answer(struct core *, struct waiter *);

#endif
