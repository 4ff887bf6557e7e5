/* SPDX-License-Identifier: MIT */
/*
 * A task, its places, its life.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "daemon/core/table.h"
#include "daemon/core/timer.h"

struct core;
struct lane;
struct map;
struct peer;
struct pool;
struct run;
struct user;

enum task_place { PLACE_NONE, PLACE_DELAYED, PLACE_LANE, PLACE_HELD, PLACE_PARKED, PLACE_ASIDE };
#define TASK_UNBORN N_TASK_STATES

/* Why and how a task, or a map's item, came to a bad end. */
struct bad_end { /* small, for every task has one of these */
        uid_t by_uid;
        pid_t by_pid;
        uint32_t max_rss_kib;
        int16_t exit_status;
        enum core_cause cause : 8;
        bool exited_by_signal;
};
/* What few tasks have. */
struct task_extra {
        struct table_link by_key;
        struct task *task;
        char *label, *key; /* NULL: none */
        uint64_t args_hash;
        bool joined; /* others than its first caller want it */
        /* submitted by a task: */
        struct peer *parent; /* that task's; NULL: it has ended */
        uint32_t depth;
        bool is_ready;                     /* in a lane: in a group of parent.awaited */
        TAILQ_ENTRY(task_extra) of_parent; /* parent.children */
        TAILQ_ENTRY(task_extra) of_ready;  /* awaited.children */
        uint32_t retries;
        unsigned retry_on;
        int64_t backoff;
        uint32_t attempts_before;
};
struct task {
        struct table_link by_id;
        TAILQ_ENTRY(task)
        link; /* pool.delayed, lane.tasks, peer.held, user.parked, pool.aside: `place` says */
        TAILQ_ENTRY(task) all; /* core.tasks, in the order of ids */
        struct timer timer;    /* due, expires, or the end of ttl */
        struct user *user;
        struct lane *lane; /* until its end */
        struct map *map;   /* NULL: a plain task */
        struct run *run;   /* a plain task: the slot that it stands in */
        LIST_HEAD(, watch) watches;
        struct task_extra *extra; /* NULL: none of it */
        union {
                uint64_t order; /* of its place in the lane, until its end */
                int64_t ended;
        };
        int64_t submitted, started, due, expires, timeout, ttl;
        uint64_t args_size_bytes, result_size_bytes;
        struct bad_end bad;
        payload_t args, result; /* result: also the error map */
        uint32_t function, attempt, tail_bytes;
        pid_t pid, worker_pid;
        float progress;
        int8_t priority;
        uint8_t pool, state, streams, place : 7;
        bool used_turn : 1; /* it left the queue in its user's turn, which is his again if it comes back */
        uint8_t n_unbegun_losses, n_descriptors;
        bool is_call : 1, detached : 1, accepted : 1, settled : 1, taken : 1, result_lost : 1, has_tail : 1,
                result_charged : 1;
};
/* With malloc's 8 bytes a multiple of 16. Beside it a queued task has its places in the table and in the
 * heap, and its arguments the head, the place and malloc's rounding of payload.c. */
_Static_assert(sizeof(struct task) <= 232, "a queued task costs less than 300 bytes");

static inline uint64_t task_id(const struct task *task)
{
        return task->by_id.key;
}
static inline const char *task_label(const struct task *task)
{
        return task->extra ? task->extra->label : NULL;
}
static inline const char *task_key(const struct task *task)
{
        return task->extra ? task->extra->key : NULL;
}
/* The number of its first attempt; of a map, of each item's. */
static inline uint32_t task_first_attempt(const struct task *task)
{
        return task->extra ? 1 + task->extra->attempts_before : 1;
}
/* Whether it is cancelled when the one goes who called it. */
static inline bool task_is_of_caller(const struct task *task)
{
        return !task->extra || !task->extra->joined;
}
struct pool *task_pool(const struct core *, const struct task *);
struct task *task_find(const struct core *, uint64_t id);
/* Checks a spec against every limit; then makes the task, not yet in any state. n: as many tasks does it
 * count. */
int task_new(struct peer *, const struct core_spec *, uint64_t n, int64_t now, struct task **ret);
/* Undoes task_new(). */
void task_discard(struct core *, struct task *);
/* It is accepted: through the store into its first state. */
void task_accept(struct core *, struct task *);
/* It is stored and may go on. */
void task_on_accepted(struct core *, struct task *);
/* The only writer of ->state. */
void task_set_state(struct core *, struct task *, enum task_state);
/* Counts n tasks of the pool from one state into another. */
void pool_count(struct pool *, enum task_state from, enum task_state to, uint64_t n);
/* The one way to an end: result is what was answered (PAYLOAD_CURRENT, PAYLOAD_NONE); bad: why it failed. */
void task_end(struct core *, struct task *, enum task_state, payload_t result, uint64_t size_bytes);
/* The end is stored: everybody who waits is told. */
void task_settle(struct core *, struct task *);
void task_forget(struct core *, struct task *);
void task_free(struct core *, struct task *);
/* Takes the verdict on an unfinished task, or ends it if it has not begun. False: there was one already. */
bool task_verdict(struct core *, struct task *, const struct bad_end *);
void task_on_timer(struct core *, struct task *);
void task_record(const struct core *, const struct task *, struct core_record *ret);
void bad_end_record(const struct bad_end *, struct core_record *ret);
enum task_state cause_state(enum core_cause);
/* The attempt is dead, and another one is left: it waits for that one's time. */
void task_try_again(struct core *, struct task *);
/* When it ends as expired: not any more once it has begun. */
int64_t task_expires(const struct task *);
/* A peer is no longer blocked: what it held goes on. `before`: the one before, or NULL. */
void task_unhold(struct core *, struct task *, struct task *before);

#endif
