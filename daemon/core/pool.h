/* SPDX-License-Identifier: MIT */
/*
 * A pool: its queue, its workers, its functions and how long they take.
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "daemon/core/hand.h"
#include "daemon/core/queue.h"

struct function {
        int64_t mean_ns; /* 0: not measured yet */
};
void function_measure(struct function *, int64_t run_time);
/* n tasks of the function took so long together at this worker. Results that come at once are measured
 * together, for only the first of them shows a time. */
void hand_measure(struct hand *, struct function *, int64_t run_time, uint64_t n);
void hand_measure_end(struct hand *);
struct function *task_function(const struct core *, const struct task *);

struct pool {
        struct core *core;
        uint32_t index;
        struct core_pool_config config;
        struct function *functions;
        uint32_t n_functions;
        struct queue queue;
        TAILQ_HEAD(, task) delayed;
        uint64_t n_tasks[N_TASK_STATES]; /* an item of a map counts as one; of the ends: ever */
        uint64_t n_submitted, n_retried, n_workers_started, n_workers_lost;
        TAILQ_HEAD(hand_list, hand) hands[WORKER_STUCK + 1];
        uint32_t n_hands[WORKER_STUCK + 1];
        struct hand_list free, room, ahead;
        bool zygote_is_ready, degraded;
        bool is_dirty; /* something happened: to be looked at in the next turn */
        uint32_t n_young_deaths;
        int64_t spawn_at, recover_at, unclog_at;
        struct timer timer;
};
struct pool *pool_at(const struct core *, uint32_t pool);
/* Whether so many more tasks may wait: 0 or CORE_QUEUE_FULL. */
int pool_admit(struct pool *, uint64_t n);
/* Workers that count for the target. */
uint32_t pool_n_counted(const struct pool *);
void pool_balance(struct pool *);
void pool_on_timer(struct pool *);
void pool_on_young_death(struct pool *);
void pool_on_health(struct pool *);
void pool_set_timer(struct pool *);
struct pool *pool_free(struct pool *);
/* Matches ready tasks with free slots. */
void pool_schedule(struct pool *);

#endif
