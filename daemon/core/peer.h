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

struct peer {
        struct core *core;
        uint32_t index;
        pid_t pid;
        struct user *user;
        bool admin, blocked;
        uint32_t n_waiters;
        uint64_t unsent_bytes, input_bytes; /* both charged */
        TAILQ_HEAD(, waiter) waiters;
        LIST_HEAD(, lane) lanes;
        struct lane *last_lane;  /* kept while empty, so that call after call needs no memory */
        TAILQ_HEAD(, task) held; /* ready, but what they would stream has no room here */
        /* of a task: */
        struct run *run;                   /* where it runs; NULL: a client's */
        struct pool *pool;                 /* … and in which pool */
        uint32_t depth;                    /* how many tasks above this one submitted each other */
        bool is_waiting;                   /* it has open requests: its place is lent */
        bool is_over;                      /* it is being closed */
        TAILQ_ENTRY(peer) waiting_link;    /* pool.waiting */
        TAILQ_HEAD(, task_extra) children; /* unfinished tasks that it submitted … */
        TAILQ_HEAD(, task_extra) ready;    /* … and those of its own pool that stand in a lane */
};
struct peer *peer_at(const struct core *, uint32_t connection);
bool peer_sees(const struct peer *, uid_t);
/* References the user. 0, or -ENOMEM. */
int peer_new(struct core *, uint32_t index, struct user *, pid_t, struct peer **ret);
/* Its open requests are over; what was only for them is cancelled. */
void peer_close(struct peer *);

/* -- nested.c -- */

/* Whether a task may have one more open request: 0, CORE_NESTING, or CORE_CANCELLED under a verdict. */
int peer_admit_waiting(struct peer *);
/* Whether the task, if it waited for that one, would wait for itself. */
bool peer_would_deadlock(const struct peer *, const struct task *);
/* After its open requests have changed. */
void peer_update_waiting(struct peer *);
void peer_stop_waiting(struct peer *);
/* Its task was told to end: so are its children, and it need wait for nothing. */
void peer_on_verdict(struct peer *);
/* A task's children: until they have ended, or the task has. */
void child_add(struct peer *parent, struct task *);
void child_remove(struct task *);
/* It has come into its lane, or left it. */
void child_ready(struct task *, bool is_ready, bool at_head);
/* The first ready task that another one of the pool may wait for; NULL. */
struct task *pool_first_awaited(const struct pool *);

#endif
