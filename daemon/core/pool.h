/* SPDX-License-Identifier: MIT */
/*
 * A pool: its queue, its workers, its functions and how long they take.
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "daemon/core/account.h"
#include "daemon/core/hand.h"
#include "daemon/core/histogram.h"
#include "daemon/core/queue.h"

struct function {
        int64_t mean_ns;              /* 0: not measured yet */
        struct function_times *times; /* NULL: none of it has begun yet, or no memory */
};
/* What people are told: how long tasks waited until they began, how long they ran. */
struct function_times {
        struct histogram wait, run;
};
/* n tasks took so long each. */
void function_measure(struct function *, int64_t run_time, uint64_t n);
/* The same, but it says nothing about the next ones: they waited for others, or did not end by themselves. */
void function_record_run(struct function *, int64_t run_time);
void function_record_wait(struct function *, int64_t wait);
/* n tasks of the function took so long together at this worker. Results that come at once are measured
 * together, for only the first of them shows a time. */
void hand_measure(struct hand *, uint32_t function, int64_t run_time, uint64_t n);
void hand_measure_end(struct hand *);
struct function *task_function(const struct core *, const struct task *);
void functions_free(struct pool *);

struct pool {
        struct core *core;
        uint32_t index;
        struct core_pool_config config;
        struct function *functions;
        uint32_t n_functions;
        struct queue queue;
        TAILQ_HEAD(, task) delayed;
        TAILQ_HEAD(aside_list, task) aside; /* ready, but no worker is there yet that has their function */
        struct map_line overfed;            /* by the room in the queue */
        uint64_t n_fed;                     /* tasks that wait or run: items of maps that are fed */
        uint64_t n_tasks[N_TASK_STATES];    /* an item of a map counts as one; of the ends: ever */
        uint64_t n_submitted, n_retried, n_workers_started, n_workers_lost;
        TAILQ_HEAD(hand_list, hand) hands[WORKER_STUCK + 1];
        uint32_t n_hands[WORKER_STUCK + 1];
        struct hand_list free, room, ahead;
        TAILQ_HEAD(, peer) waiting;    /* tasks that wait for something: their hands are busy */
        TAILQ_HEAD(, awaited) awaited; /* by whomever: what could begin here, the deepest first */
        uint32_t n_waiting;
        uint32_t target; /* workers it shall have; between config.min_workers and .max_workers */
        bool is_elastic; /* as it was configured, and so is: */
        uint32_t least_workers;
        uint32_t generation;
        uint32_t n_retiring; /* idle or busy hands that are to be replaced */
        uint32_t lent;       /* workers above the target, for tasks that others waited for not long ago */
        int64_t lent_until;
        bool zygote_is_ready, degraded, paused;
        bool is_short; /* a task has a place and no free worker */
        bool is_dirty; /* something happened: to be looked at in the next turn */
        uint32_t n_young_deaths;
        int64_t spawn_at, recover_at, unclog_at;
        struct timer timer;
};
struct pool *pool_at(const struct core *, uint32_t pool);
/* How many more tasks may wait; whether so many may: 0 or CORE_QUEUE_FULL. */
uint64_t pool_room(const struct pool *);
int pool_admit(struct pool *, uint64_t n);
bool pool_may_begin(const struct pool *);

/* -- pool_size.c: how many workers -- */

/* Asks for workers and sends workers away, until there are as many as there shall be. */
void pool_balance(struct pool *);
/* When it wants to be balanced again at the latest. */
int64_t pool_balance_at(const struct pool *);
/* The answers to those who wait for the pool to be drained or renewed. */
void pools_tell(struct core *);
/* Whether one more task may wait here: 0 or CORE_NESTING. */
int pool_admit_waiting(struct pool *);

/* -- pool_health.c: workers that die young -- */

void pool_on_young_death(struct pool *);
void pool_on_health(struct pool *);
/* Has some worker lived long enough? Else: when will the oldest have. */
void pool_look_for_health(struct pool *);

void pool_on_timer(struct pool *);
void pool_set_timer(struct pool *);
struct pool *pool_free(struct pool *);
/* A worker has come that may know more functions. */
void pool_resume_aside(struct pool *);
/* Matches ready tasks with free slots. */
void pool_schedule(struct pool *);

#endif
