/* SPDX-License-Identifier: MIT */
/*
 * A peer: a client's connection as the core knows it, or that of a task that asks for something itself.
 */
#ifndef CORE_PEER_H
#define CORE_PEER_H

#include "daemon/core/account.h"

struct pool;
struct run;
struct task;
struct task_extra;
struct waiter;
struct watch;

struct peer {
        struct core *core;
        uint32_t index;
        pid_t pid;
        struct user *user;
        bool admin, blocked;
        bool is_over;  /* it is being closed */
        bool has_left; /* nothing but its charges is there any more */
        uint32_t n_waiters;
        uint64_t unsent_bytes, input_bytes; /* both charged */
        uint32_t n_unsent_fds;              /* the same */
        TAILQ_HEAD(, waiter) waiters;
        LIST_HEAD(, lane) lanes;
        struct lane *last_lane;  /* kept while empty, so that call after call needs no memory */
        TAILQ_HEAD(, task) held; /* ready, but what they would stream has no room here */
        LIST_HEAD(, hold) holds; /* of locks */
        LIST_HEAD(, queue_item) leases;
        /* of a task: */
        struct run *run;                   /* where it runs; NULL: a client's */
        struct pool *pool;                 /* … and in which pool */
        uint32_t depth;                    /* how many tasks above this one submitted each other */
        bool is_waiting;                   /* it has open requests: its place is lent */
        bool is_looked_at;                 /* while a circle is looked for */
        TAILQ_ENTRY(peer) waiting_link;    /* pool.waiting */
        TAILQ_HEAD(, task_extra) children; /* unfinished tasks that it submitted */
        SLIST_HEAD(, awaited) awaited;     /* what it may wait for, by pool */
};
struct awaited {                   /* what one task waits for in one pool, and could begin */
        TAILQ_ENTRY(awaited) link; /* pool.awaited, while the task waits and there is something */
        SLIST_ENTRY(awaited) of_peer;
        struct peer *peer;
        struct pool *pool;
        bool is_listed;
        TAILQ_HEAD(, task_extra) children;
        TAILQ_HEAD(, watch) watched; /* not its children */
};
struct peer *peer_at(const struct core *, uint32_t connection);
bool peer_sees(const struct peer *, uid_t);
/* References the user. 0, or -ENOMEM. */
int peer_new(struct core *, uint32_t index, struct user *, pid_t, struct peer **ret);
/* Ends in some way all its open requests but those that are its own tasks. */
void peer_end_waiting(struct peer *, void (*end)(struct core *, struct waiter *));
/* Its open requests are over; what was only for them is cancelled. */
void peer_close(struct peer *);
/* It is being closed, or its task is told to end: all its requests that only wait are being ended. */
bool peer_gives_up(const struct peer *);

/* -- nested.c -- */

/* Whether a task may have one more open request: 0, CORE_NESTING, or CORE_CANCELLED under a verdict. */
int peer_admit_waiting(struct peer *);
/* After its open requests have changed. */
void peer_update_waiting(struct peer *);
void peer_stop_waiting(struct peer *);
/* Its task was told to end: so are its children, and it need wait for nothing. */
void peer_on_verdict(struct peer *);
/* A task's children: until they have ended, or the task has. */
void child_add(struct peer *parent, struct task *);
void child_remove(struct task *);

/* -- circle.c -- */

/* Whether the task, if it waited for that one, would wait for itself; then core->circle says how. */
bool peer_would_deadlock(const struct peer *, const struct task *);
bool peer_wait_would_deadlock(const struct waiter *);

/* -- awaited.c -- */

/* Memory for what the peer's task may wait for in this pool. 0 or -ENOMEM. */
int awaited_reserve(struct peer *, uint32_t pool);
void awaited_free_all(struct peer *);
/* It has begun to wait, or waits no more. */
void awaited_update(struct peer *);
/* The task has come into its lane, or left it. */
void awaited_enter(struct task *, bool at_head);
void awaited_leave(struct task *);
void child_leave(struct task_extra *);
/* Whether a running task waits for it. */
bool task_is_watched_by_task(const struct task *);
/* The first ready task of the pool that a running one may wait for; NULL. */
struct task *pool_first_awaited(const struct pool *);

#endif
