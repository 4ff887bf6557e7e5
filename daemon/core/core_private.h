/* SPDX-License-Identifier: MIT */
/*
 * What the files of the core share: its objects and the functions by which one file uses another's. Nobody
 * outside daemon/core includes it.
 *
 *      user ─ peer (a connection) ─ waiter (an open request) ─ watch ─ task
 *      pool ─ hand (a worker) ─ run (what stands in one of its slots) ─ task, or a chunk of a map
 *      pool ─ rank ─ turn (a user) ─ level (a priority) ─ lane (a connection) ─ task
 *
 * One rule holds all of it together: memory is had before a state changes. So links are intrusive, a timer's
 * place in the heap is reserved with its owner, a hand is born with its slots, a map with its spare ranges,
 * and what happens after admission cannot fail.
 */
#ifndef CORE_CORE_PRIVATE_H
#define CORE_CORE_PRIVATE_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/core/core.h"
#include "proto/area.h"
#include "proto/limits.h"

#define MILLISECOND            (CORE_SECOND / 1000)
#define AHEAD_MAX_NS           (200 * INT64_C(1000)) /* expected run times of what is ahead at one worker */
#define AHEAD_ARGS_BYTES       4096                  /* larger arguments are never sent ahead */
#define RUN_LONG_NS            MILLISECOND           /* after so long what is ahead is taken back */
#define CHUNK_NS               (2 * MILLISECOND)
#define CREDIT_GRAIN_BYTES     (16u << 10)
#define SPAWNS_OUTSTANDING_MAX 4
#define BACKOFF_FIRST          (CORE_SECOND / 10)
#define BACKOFF_MAX            (30 * CORE_SECOND)
#define DEGRADED_AFTER         3                  /* young deaths in a row */
#define YOUNG_NS               CORE_SECOND        /* a worker that dies earlier and did nothing died young */
#define RECOVERED_NS           (10 * CORE_SECOND) /* a worker that lived so long shows that all is well */
#define STUCK_NS               (5 * CORE_SECOND)  /* killed and not reaped */
#define UNBEGUN_NS             CORE_SECOND /* beyond the timeout: a worker that begins nothing is ill */
#define UNBEGUN_LOSSES_MAX     16 /* workers that died before they began a task, until it is the task's fault */
#define SEND_AGAIN_NS          MILLISECOND /* to a worker that took no bytes */
#define PRIORITY_MAX           100
#define N_RANKS                (2 * PRIORITY_MAX + 1)
#define RESERVE_MAX            4096 /* freed tasks and waiters that are kept for the next */

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next)                                                           \
        for ((var) = TAILQ_FIRST(head); (var) && ((next) = TAILQ_NEXT(var, field), 1); (var) = (next))
#endif
#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, next)                                                            \
        for ((var) = LIST_FIRST(head); (var) && ((next) = LIST_NEXT(var, field), 1); (var) = (next))
#endif
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

struct hand;
struct pool;
struct run;
struct task;
struct waiter;

/* -- table.c: a hash table of objects that embed the link -- */

struct table_link {
        struct table_link *next;
        uint64_t key;
};
struct table {
        struct table_link **buckets;
        unsigned bits;
        size_t n;
        uint64_t multiplier; /* odd; random where the keys are a client's choice; 0: keys are consecutive */
};
int table_init(struct table *, uint64_t multiplier);
void table_deinit(struct table *);
/* The key must not be there yet. Cannot fail: a table that cannot grow becomes slower. */
void table_add(struct table *, struct table_link *, uint64_t key);
void table_remove(struct table *, struct table_link *);
struct table_link *table_find(const struct table *, uint64_t key);

/* -- timer.c: one binary heap -- */

enum timer_kind { TIMER_TASK, TIMER_WAITER, TIMER_RUN, TIMER_HAND, TIMER_POOL, TIMER_STOP };
struct timer {
        uint32_t place; /* in the heap, from 1; 0: not armed */
        enum timer_kind kind;
};
struct timer_entry {
        int64_t at;
        struct timer *timer;
};
struct timers {
        struct timer_entry *heap; /* from 1 */
        size_t n, n_reserved, capacity;
};
/* Makes sure that n more timers can be armed at any time; 0 or -ENOMEM. */
int timers_reserve(struct timers *, size_t n);
void timers_unreserve(struct timers *, size_t n);
/* Arms or moves it; CORE_NEVER disarms. */
void timer_set(struct core *, struct timer *, int64_t at);
static inline void timer_clear(struct core *core, struct timer *timer)
{
        if (timer->place)
                timer_set(core, timer, CORE_NEVER);
}
struct timer *timers_first_due(struct timers *, int64_t now);
int64_t timers_next(const struct timers *);

/* -- account.c -- */

enum account_kind { ACCOUNT_CONNECTIONS, ACCOUNT_TASKS, ACCOUNT_DESCRIPTORS, ACCOUNT_BYTES, N_ACCOUNTS };
struct user {
        struct table_link by_uid;
        struct core *core;
        uint64_t used[N_ACCOUNTS];
        LIST_HEAD(, turn) turns;
        uint32_t n_refs; /* peers, tasks, turns */
};
int user_get(struct core *, uid_t, struct user **ret);
struct user *user_unref(struct user *);
/* Whether so much more is within every limit; else CORE_QUOTA and core->quota says which. */
int user_admit(struct user *, enum account_kind, uint64_t amount);
/* The one function that charges, the one that releases. Charging does not ask: what was accepted is kept. */
void user_charge(struct user *, enum account_kind, uint64_t amount);
void user_release(struct user *, enum account_kind, uint64_t amount);
static inline uid_t user_uid(const struct user *user)
{
        return (uid_t)user->by_uid.key;
}

/* -- peer.c: connections -- */

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
};
struct peer *peer_at(const struct core *, uint32_t connection);
bool peer_sees(const struct peer *, uid_t);

/* -- queue.c: lanes and turns -- */

struct lane {
        struct table_link by_key; /* core.lanes, while its peer is there */
        struct peer *peer;        /* NULL: of closed connections */
        struct level *level;
        struct lane *merged_into; /* its peer is gone and its tasks went there */
        uint32_t n_refs;          /* tasks that belong here, wherever they are; lanes merged into this */
        bool in_ring;
        TAILQ_HEAD(, task) tasks;
        TAILQ_ENTRY(lane) ring;   /* level.lanes, while it has tasks */
        LIST_ENTRY(lane) of_peer; /* peer.lanes */
};
struct level {
        struct turn *turn;
        int priority;
        uint32_t n_lanes;
        bool is_active;
        struct lane *closed; /* the tasks of closed connections */
        TAILQ_HEAD(, lane) lanes;
        TAILQ_ENTRY(level) link;   /* turn.levels */
        TAILQ_ENTRY(level) active; /* turn.active, higher priorities first */
};
struct turn {
        struct user *user;
        struct pool *pool;
        int rank;
        bool in_ring;
        TAILQ_HEAD(, level) levels;
        TAILQ_HEAD(, level) active;
        TAILQ_ENTRY(turn) ring;   /* pool.queue.ranks[] */
        LIST_ENTRY(turn) of_user; /* user.turns */
};
struct queue {
        TAILQ_HEAD(turn_ring, turn) ranks[N_RANKS];
        uint64_t active[(N_RANKS + 63) / 64];
};
void queue_init(struct queue *);
/* The lane for a peer's tasks of this priority, referenced; -ENOMEM. */
int lane_get(struct peer *, struct pool *, int priority, struct lane **ret);
void lane_unref(struct core *, struct lane *);
/* The peer goes: its lanes become, or join, those of closed connections. */
void lanes_orphan(struct peer *);
/* To the end of its lane; the lane, if it had nothing, to the end of the turn. */
void queue_push(struct task *);
/* Back to the place that it had (order), as if it had never been taken. */
void queue_put_back(struct task *, uint64_t order);
void queue_remove(struct task *);
struct task *queue_first(const struct pool *);
/* Takes the first; its lane, level and user go to the end of their rings. */
struct task *queue_take(struct pool *);

/* -- task.c -- */

enum task_place { PLACE_NONE, PLACE_DELAYED, PLACE_LANE, PLACE_HELD };
#define TASK_UNBORN N_TASK_STATES

/* Why and how a task, or a map's item, came to a bad end. */
struct bad_end {
        enum core_cause cause;
        int exit_status;
        uid_t by_uid;
        pid_t by_pid;
        uint32_t max_rss_kib; /* small, for every task has one of these */
        bool exited_by_signal;
};
struct task {
        struct table_link by_id;
        TAILQ_ENTRY(task) link; /* pool.delayed, lane.tasks or peer.held: `place` says which */
        TAILQ_ENTRY(task) all;  /* core.tasks, in the order of ids */
        struct timer timer;     /* due, expires, or the end of ttl */
        struct user *user;
        struct lane *lane; /* until its end */
        struct map *map;   /* NULL: a plain task */
        struct run *run;   /* a plain task: the slot that it stands in */
        LIST_HEAD(, watch) watches;
        char *label;
        uint64_t order; /* of its place in the lane */
        int64_t submitted, started, ended, due, expires, timeout, ttl;
        uint64_t args_size_bytes, result_size_bytes;
        struct bad_end bad;
        payload_t args, result; /* result: also the error map */
        uint32_t function, attempt, tail_bytes;
        pid_t pid, worker_pid;
        float progress;
        int8_t priority;
        uint8_t pool, state, place, streams;
        uint8_t n_unbegun_losses, n_descriptors;
        bool is_call : 1, detached : 1, accepted : 1, settled : 1, taken : 1, result_lost : 1, has_tail : 1,
                result_charged : 1;
};
/* With malloc's 8 bytes a multiple of 16; beside it a task has its places in the table and in the heap. */
_Static_assert(sizeof(struct task) <= 248, "a queued task costs less than 300 bytes");

static inline uint64_t task_id(const struct task *task)
{
        return task->by_id.key;
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
/* A peer is no longer blocked: what it held goes on. */
void task_unhold(struct core *, struct task *);

/* -- map.c, map_item.c -- */

struct segment {                   /* the items of the first message, or of one feed */
        TAILQ_ENTRY(segment) link; /* map.segments */
        payload_t payload;
        uint32_t n_descriptors;
        uint64_t first, n_items, n_left, size_bytes;
};
struct range {                   /* items that came back */
        TAILQ_ENTRY(range) link; /* map.returned, or map.spare */
        uint64_t first, n;
};
struct held_item { /* an item of an ordered map that has ended before its turn */
        bool is_filled, failed;
        payload_t payload;
        uint64_t size_bytes;
        int64_t started, ended;
        pid_t worker_pid;
        struct bad_end bad;
};
struct map {
        struct waiter *waiter; /* the request; NULL when it is gone */
        TAILQ_HEAD(, segment) segments;
        struct segment *cursor_segment;                /* the one that holds `cursor`; NULL at the end */
        TAILQ_HEAD(range_list, range) returned, spare; /* spare: at least one for every chunk */
        TAILQ_HEAD(, run) chunks;
        uint32_t n_chunks, n_spare;
        uint32_t chunk, limit, window;
        bool ordered, fail_fast, fed_all, collect;
        enum core_refusal refusal; /* it ended because the answer cannot be given */
        uint64_t n_items, cursor, n_returned;
        uint64_t n_succeeded, n_failed, n_cancelled;
        uint64_t n_delivered, n_delivered_failed, n_confirmed;
        uint64_t collected_bytes, held_bytes;
        uint64_t failed_at;  /* ordered, fail_fast: nothing beyond it begins; UINT64_MAX: no failure yet */
        uint64_t n_held_max; /* places of held[] */
        struct held_item *held;
        uint64_t held_cost_bytes;
};
/* What the map would give a worker now; false: nothing. */
bool map_next(const struct core *, const struct task *, uint64_t *ret_first, uint32_t *ret_n,
              struct segment **ret_segment);
int map_reserve_chunk(struct map *);
/* The chunk that map_next() named stands in this run now. */
void map_take(struct core *, struct task *, struct run *);
/* The run's items that have not ended go back, and it is none of the map's any more. */
void map_leave(struct core *, struct task *, struct run *);
void map_put_back(struct core *, struct task *, uint64_t order);
/* Puts the map into its lane or takes it out, ends it if all is done. */
void map_update(struct core *, struct task *);
/* The run's next item has ended; bad: badly. */
void map_item_end(struct core *, struct task *, struct run *, payload_t, uint64_t size_bytes,
                  const struct bad_end *bad);
/* The rest is cancelled, running chunks get the verdict. */
void map_verdict(struct core *, struct task *, const struct bad_end *);
/* What has not begun is cancelled; what runs may finish, of a chunk all that is in it. */
void map_cancel_rest(struct core *, struct task *, const struct bad_end *);
void map_free(struct core *, struct task *);
void map_answer(struct core *, const struct task *, struct core_request);
enum task_state map_rest_state(const struct task *);
uint64_t map_n_unbegun(const struct map *);
void map_drop_held(struct core *, struct task *);
void map_drop_segment(struct core *, struct task *, struct segment *);

/* -- waiter.c, wait.c: open requests -- */

enum waiter_kind { WAITER_CALL, WAITER_MAP, WAITER_RESULT, WAITER_ATTACH, WAITER_WAIT };
struct watch {
        LIST_ENTRY(watch) link; /* task.watches */
        struct waiter *waiter;
        struct task *task; /* NULL: not linked */
        size_t index;      /* of a wait: which id */
};
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
        struct wait *wait;
        enum waiter_kind kind;
        bool keep;
        unsigned streams;
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
/* Answers a request that is no waiter (any more) from the ended task. */
void task_answer(struct core *, struct task *, struct core_request);
void waiter_on_timer(struct core *, struct waiter *);
void wait_free(struct core *, struct waiter *);
void wait_on_end(struct core *, struct watch *, enum task_state);
void wait_answer(struct core *, struct waiter *);

/* -- history.c: records of tasks that are forgotten -- */

struct old_task;
#define HISTORY_ERROR_BYTES 4096 /* larger error maps are not kept with the record */
struct history {
        struct old_task *ring;
        size_t n_max, n, next;
        struct table by_id;
};
int history_init(struct history *, size_t n_max);
void history_deinit(struct core *);
/* Takes over the task's label, and its error map if that is small. */
void history_add(struct core *, struct task *);
bool history_find(const struct history *, uint64_t id, struct core_record *ret);
/* Ids of the user's (or all) records above `after`, sorted, in memory to be freed; NULL: none. */
uint64_t *history_ids(const struct history *, const struct peer *, uint64_t after, size_t *ret_n);

/* -- function.c -- */

struct function {
        int64_t mean_ns; /* 0: not measured yet */
};
void function_measure(struct function *, int64_t run_time);
/* n tasks of the function took so long together at this worker. Results that come at once are measured
 * together, for only the first of them shows a time. */
void hand_measure(struct hand *, struct function *, int64_t run_time, uint64_t n);
void hand_measure_end(struct hand *);
struct function *task_function(const struct core *, const struct task *);

/* -- hand.c: workers; run.c: what stands in their slots -- */

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
        uint64_t first, next; /* of a chunk; next: the item that is to be answered */
        uint32_t n_items;     /* 0: a plain task */
        uint32_t attempt, credit_bytes, consumed_bytes;
        enum run_state state;
        bool claimed;    /* known to have begun */
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
        bool was_told;                        /* it was told to end a task once: its death may come of that */
        uint32_t n_runs, n_ahead, n_stopping; /* n_ahead: sent, not begun */
        int64_t ahead_ns;
        uint64_t free_slots; /* bits */
        uint64_t sequence, consumed_sequence;
        int64_t since, born; /* since: in this state */
        uint64_t n_done;
        struct {
                struct function *function;
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
void hand_kill(struct hand *);
/* It broke the protocol. Returns CORE_BAD_WORKER. */
int hand_condemn(struct hand *);
void hand_on_timer(struct hand *);

/* Sends the task, or the map's next chunk. > 0: refused; < 0: no memory. Nothing has changed then. */
int run_send(struct hand *, struct task *);
bool run_may_go_ahead(const struct hand *, const struct task *);
void run_begin(struct run *);
/* Asks for a task back that may not have begun; true: it has not and never will, and the run is free. Of a
 * chunk the items are the map's again. Where the task goes is the caller's business. */
bool run_take_back(struct run *);
/* Takes back at most n of what is ahead at this worker, the latest first, into the queue. */
void run_take_back_ahead(struct hand *, uint32_t n);
void run_verdict(struct run *, const struct bad_end *);
/* It leaves the slot: nothing stands there any more. */
void run_leave(struct run *);
void run_on_timer(struct run *);
/* The worker is dead. killed_by_us: its signal was ours. */
void run_lost(struct run *, const struct core_exit *, bool killed_by_us, bool is_head);
/* A task (of a map: a chunk's items) that was taken back goes to its place in the queue. */
void task_put_back(struct core *, struct task *, uint64_t order);
void run_arm(struct run *);

/* -- pool.c, scheduler.c -- */

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

/* -- stream.c -- */

void task_drop_tail(struct core *, struct task *);
/* The peer's output drained: credit that was withheld is granted. */
void streams_resume(struct peer *);

/* -- core.c -- */

struct core {
        struct core_config config;
        struct core_ops ops;
        void *ctx;
        int64_t now;
        uint64_t next_id, next_order;
        struct core_quota quota;
        struct timers timers;
        struct table users, tasks, waiters, lanes;
        TAILQ_HEAD(, task) all_tasks;
        size_t n_unfinished;
        struct history history;
        struct peer **peers;
        size_t n_peers; /* places */
        struct hand **hands;
        size_t n_hands;
        struct pool *pools[LIMIT_POOLS];
        uint32_t n_pools;
        uint64_t bytes; /* of all users */
        bool stopping, stop_is_over, drained, in_store;
        struct timer stop_timer;
        struct task *spare_tasks;
        struct waiter *spare_waiters;
        size_t n_spare_tasks, n_spare_waiters;
};
void core_update_now(struct core *, int64_t now);
/* Makes room for index `i` in an array of pointers. */
int pointers_reserve(void *array, size_t *n, size_t i);

#endif
