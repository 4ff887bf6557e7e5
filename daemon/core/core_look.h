/* SPDX-License-Identifier: MIT */
/*
 * What can be seen of the core: tasks, pools, workers, how long things took, accounts. Nothing here changes
 * anything; what a connection's user may not see is left out where one is given.
 */
#ifndef CORE_CORE_LOOK_H
#define CORE_CORE_LOOK_H

#include "daemon/core/core.h"

/* What this connection's user may see. 0 or CORE_UNKNOWN_TASK. */
int core_task(const struct core *, uint32_t connection, uint64_t id, struct core_record *ret);
/* All that the user may see with id > after, in the order of ids, until `each` says false. Ended ones from
 * history too. */
void core_tasks(const struct core *, uint32_t connection, uint64_t after,
                bool (*each)(void *userdata, const struct core_record *), void *userdata);

struct core_totals {
        uint64_t submitted, succeeded, failed, cancelled, expired, retried, workers_started, workers_lost;
};
struct core_pool_status {
        uint32_t target, starting, idle, busy; /* workers; busy: those that wait for tasks too */
        uint64_t ready, delayed, running;      /* tasks; an item of a map counts as one */
        bool paused, degraded;
        struct core_totals totals;
};
void core_pool_status(const struct core *, uint32_t pool, struct core_pool_status *ret);

/* How long things took, each within 1.6 %. */
struct core_times {
        uint64_t n;
        int64_t sum_ns, p50_ns, p90_ns, p99_ns, max_ns;
};
/* How long a function's tasks waited from when they were due until they began (each attempt; of a map: its
 * first item), and how long they ran (items that came back together count with their mean). False: none has
 * begun yet. */
bool core_function_times(const struct core *, uint32_t pool, uint32_t function, struct core_times *ret_wait,
                         struct core_times *ret_run);

enum worker_state {
        WORKER_STARTING, /* asked for, has not said hello */
        WORKER_IDLE,
        WORKER_BUSY,
        WORKER_STOPPING, /* asked to exit, or under a verdict: does not count for the pool */
        WORKER_KILLED,   /* SIGKILL sent, not reaped */
        WORKER_STUCK,    /* the same for more than 5 s */
};
struct core_worker_status {
        uint32_t pool;
        enum worker_state state;
        pid_t pid;
        uint64_t task; /* 0: none; `visible`: this connection's user may see it */
        bool visible;
        uint32_t function;
        int64_t since;
        uint64_t tasks_done;
};
/* False: no such worker. Indices run from 0 below core_workers_end(). */
bool core_worker_status(const struct core *, uint32_t connection, uint32_t worker,
                        struct core_worker_status *ret);
/* What it runs, or begins next, and in whose name; false: nothing. */
struct core_running {
        uint64_t task;
        uint32_t function;
        uid_t uid;
};
bool core_worker_runs(const struct core *, uint32_t worker, struct core_running *ret);
uint32_t core_workers_end(const struct core *);

struct core_account {
        uint64_t connections, tasks, descriptors, bytes, objects;
};
/* Of one user; all zero if unknown. */
void core_account(const struct core *, uid_t, struct core_account *ret);
/* Asserts every invariant: states and containers, sums, accounts, windows. For tests and the simulator;
 * linear. */
void core_check(const struct core *);

#endif
