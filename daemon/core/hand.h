/* SPDX-License-Identifier: MIT */
/*
 * A hand: a worker as the core knows it; and a run: what stands in one of its slots, a task or a chunk of a
 * map.
 */
#ifndef CORE_HAND_H
#define CORE_HAND_H

#include "daemon/core/task.h"

struct again;
struct pool;
struct segment;

enum run_state { RUN_FREE, RUN_SENT, RUN_RUNNING, RUN_STOPPING };
struct run {
        TAILQ_ENTRY(run) link;   /* hand.runs, in the order of sending */
        TAILQ_ENTRY(run) of_map; /* map.chunks */
        struct hand *hand;
        struct task *task;
        struct timer timer; /* timeout of the task or item; under a verdict: when to kill */
        uint64_t sequence;  /* of messages to this worker */
        uint64_t order;     /* the place to go back to */
        int64_t since;      /* when it, or its item, is taken to have begun */
        int64_t began;      /* the same of the whole chunk */
        int64_t expected_ns;
        uint64_t revoked_task, revoked_sequence; /* a message for that task may still wait unread */
        struct segment *segment;
        struct again *again;  /* of an item that is tried again: its place in the map */
        uint64_t first, next; /* of a chunk; next: the item that is to be answered */
        uint32_t n_items;     /* 0: a plain task */
        uint32_t attempt, credit_bytes, consumed_bytes;
        enum run_state state;
        bool claimed;    /* known to have begun */
        bool used_turn;  /* as of the task */
        bool stays;      /* not to be taken back: another task's message may wait unread before it */
        bool has_waited; /* for others: its time says nothing of its function */
        bool begin_read; /* `since` is what the slot says; it is believed once an item */
        struct bad_end verdict;
        uint64_t verdict_index; /* of a chunk: the item that it is about; UINT64_MAX: all, or dealt with */
};
enum hand_offer { OFFER_NONE, OFFER_FREE, OFFER_ROOM };
struct hand {
        struct core *core;
        uint32_t index, n_slots;
        struct pool *pool;
        pid_t pid;
        enum worker_state state;
        enum hand_offer offer;
        bool has_area;
        bool awaits_answer; /* something was taken back from it: nothing more is sent until it answers */
        bool clogged;       /* it took no bytes */
        bool condemned;     /* it broke the protocol: nothing from it counts any more */
        bool asked_to_stop;
        bool is_retiring;                     /* to be replaced, and then asked to exit */
        bool was_told;                        /* to end a task, or may keep a file of one: may die of it */
        uint32_t n_runs, n_ahead, n_stopping; /* n_ahead: sent, not begun */
        int64_t ahead_ns;
        uint64_t free_slots; /* bits */
        uint64_t sequence, consumed_sequence;
        int64_t since, born; /* since: in this state */
        uint64_t n_done;
        uint32_t max_tasks;   /* after so many it is replaced; 0: never */
        uint32_t generation;  /* of its pool, when it was asked for … */
        uint32_t n_functions; /* … and how many it had: it knows no others */
        int64_t rss_at;       /* when its memory was last looked at */
        struct peer *peer;    /* of its first run, if that has asked for something */
        struct {
                uint32_t function;
                int64_t ns;
                uint64_t n;
        } batch; /* results that came at once, not yet measured */
        struct timer timer;
        TAILQ_HEAD(run_list, run) runs;
        TAILQ_ENTRY(hand) link;       /* pool.hands[state] */
        TAILQ_ENTRY(hand) offer_link; /* pool.free or pool.room */
        TAILQ_ENTRY(hand) ahead_link; /* pool.ahead, while n_ahead */
        struct run runs_at[LIMIT_SLOTS];
};
int hand_new(struct core *, struct pool *, struct hand **ret);
struct hand *hand_free(struct hand *);
struct hand *hand_at(const struct core *, uint32_t worker);
void hand_set_state(struct hand *, enum worker_state);
/* After every change of what stands in its slots: begins the next, sets state, offers, timer. */
void hand_settle(struct hand *);
void hand_stop(struct hand *);
/* It works on until there is another one in its place. */
void hand_retire(struct hand *);
/* What its task has asked for is over: it has ended, or is about to. */
void hand_end_requests(struct hand *);
void hand_kill(struct hand *);
/* It broke the protocol. Returns CORE_BAD_WORKER. */
int hand_condemn(struct hand *);
void hand_on_timer(struct hand *);

/* Sends the task, or the map's next chunk. > 0: refused; < 0: no memory. Nothing has changed then. */
int run_send(struct hand *, struct task *);
bool run_may_go_ahead(struct hand *, const struct task *);
bool hand_has_slot(struct hand *, const struct task *);
void run_begin(struct run *);
/* Asks for a task back that may not have begun; true: it has not and never will, and the run is free. Of a
 * chunk the items are the map's again. Where the task goes is the caller's business. */
bool run_take_back(struct run *);
/* Takes back at most n of what is ahead at this worker, the latest first, into the queue. */
void run_take_back_ahead(struct hand *, uint32_t n);
void run_verdict(struct run *, const struct bad_end *);
/* Under a verdict after which it would be tried again: this one it would not. False: there is no such. */
bool run_replace_verdict(struct run *, const struct bad_end *);
/* Whether what stands there is tried again after this end: another attempt is left, and this one is dead. */
bool run_may_retry(const struct run *, enum core_cause);
/* It leaves the slot: nothing stands there any more. */
void run_leave(struct run *);
void run_on_timer(struct run *);
/* The worker is dead. killed_by_us: its signal was ours. */
void run_lost(struct run *, const struct core_exit *, bool killed_by_us, bool is_head);
/* A task (of a map: a chunk's items) that was taken back goes to its place in the queue. */
void task_put_back(struct core *, struct task *, uint64_t order);
void run_arm(struct run *);

#endif
