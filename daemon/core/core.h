/* SPDX-License-Identifier: MIT */
/*
 * The pure core: everything that gangerd decides, and nothing that it does. Events and the time go in by the
 * functions below; what is to be done comes out as calls on a table of operations. No I/O, no clock, no
 * randomness, no libevent: gangerd implements the table with sockets, the simulator with model workers, and
 * both run this same code.
 *
 * At its border everything is an integer: connections, workers and pools are indices that the caller hands
 * out (small, dense, reused after close), tasks are ids, bytes are payloads that the caller keeps and the
 * core only names and sizes. The core holds no bytes but labels.
 *
 * Rules of the border: event functions change states and may answer at once, but dispatch nothing;
 * core_turn() matches ready tasks with free slots, runs what is due and says when it wants to be called
 * again. Operations may be called from inside any event function; they must not call back into the core
 * (store() answers by core_stored() is the exception that core_store_done() describes). Times are nanoseconds
 * of one monotonic clock.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CORE_NEVER   INT64_MAX
#define CORE_SECOND  INT64_C(1000000000)
#define CORE_NO_POOL UINT32_MAX

struct core;
struct core_shared_answer;

/* Bytes (and descriptors) that the caller keeps under a number. PAYLOAD_CURRENT: what the event at hand
 * brought, still in its input buffer; who wants it longer calls keep(). */
typedef uint32_t payload_t;
#define PAYLOAD_NONE    0
#define PAYLOAD_CURRENT UINT32_MAX

enum task_state {
        TASK_DELAYED, /* not before its time (or waiting for a retry) */
        TASK_READY,   /* in its pool's queue */
        TASK_SENT,    /* sent ahead to a worker, not known to have begun; shown as ready */
        TASK_RUNNING,
        TASK_WAITING,  /* running, and itself waiting for an answer; shown as running */
        TASK_STOPPING, /* a verdict was taken; ends when the work is dead; shown as running */
        TASK_SUCCEEDED,
        TASK_FAILED,
        TASK_CANCELLED,
        TASK_EXPIRED,
        N_TASK_STATES
};
#define TASK_IS_END(state) ((state) >= TASK_SUCCEEDED)

/* Why an event function refused. The rpc layer makes wire errors of them. */
enum core_refusal {
        CORE_UNKNOWN_TASK = 1, /* none such, or another user's */
        CORE_UNKNOWN_POOL,
        CORE_QUEUE_FULL,
        CORE_QUOTA,      /* core_refused_quota() says which */
        CORE_STOPPING,   /* the daemon stops */
        CORE_NOT_READY,  /* result: not ended in time (comes through answer_refusal) */
        CORE_NOT_OPEN,   /* no such open request on this connection */
        CORE_MISUSE,     /* feed without the option feed, after last; more without window */
        CORE_BAD_WORKER, /* a worker's message makes no sense: ops.kill was called (core_worker_lost follows)
                          */
        CORE_OUT_OF_MEMORY, /* comes through answer_refusal only; functions return -ENOMEM */
        CORE_CANCELLED,     /* the request was given up by cancel_request (comes through answer_refusal) */
        CORE_TOO_LARGE,     /* the answer would be larger than a message may be */
        CORE_KEY_CONFLICT,  /* the user's task with that key has another function or other arguments */
        CORE_DEADLOCK,      /* a task would wait for what waits for it */
        CORE_NESTING,       /* all workers that the pool may have would wait; the quota is nesting_limit's */
        CORE_UNKNOWN_OBJECT,
        CORE_EXISTS,        /* an object that was to be new */
        CORE_CLASH,         /* the object is otherwise: core_refused_clash() says how */
        CORE_VERSION,       /* its version is another: the same */
        CORE_NOT_PERMITTED, /* the object's mode */
        CORE_NOT_HELD,      /* a lock, by who would release it */
        CORE_BROKEN,        /* a barrier */
        CORE_RANGE,         /* there is no such place in the list */
};

struct core_quota {
        const char *what; /* "user_tasks" … the configuration's key */
        uint64_t used, limit;
};

/* Why a task came to a bad end: the failure record's code, and who did it. */
enum core_cause {
        CAUSE_NONE,
        CAUSE_FUNCTION, /* task_failed: the function said so; the error is a payload */
        CAUSE_WORKER,   /* worker_lost: it crashed or exited by itself */
        CAUSE_OUTSIDE,  /* worker_lost: by a signal that ganger did not send */
        CAUSE_KERNEL,   /* worker_lost: memory, when known */
        CAUSE_TIMEOUT,  /* timed_out */
        CAUSE_LIMIT,    /* worker_lost: over one of the pool's limits */
        CAUSE_CLIENT,   /* cancelled: by_uid, by_pid */
        CAUSE_SHUTDOWN, /* cancelled: the daemon stopped */
        CAUSE_EXPIRED,  /* expired */
};

/* A task (or a map, or one item of a map) as others see it. Times are of the core's clock, 0 where not yet.
 */
struct core_record {
        uint64_t id;
        enum task_state state;
        uint32_t pool, function;
        const char *label, *key; /* NULL: none; valid during the call */
        uid_t uid;
        pid_t pid; /* of the client, for people */
        int priority;
        uint32_t attempt, retries;
        int64_t submitted, due, started, ended, expires, timeout; /* timeout: a duration, 0: none */
        uint32_t worker;                                          /* index while on one; UINT32_MAX */
        pid_t worker_pid;                                         /* of the last attempt; 0 */
        double progress;                                          /* negative: none yet */
        uint64_t args_size_bytes, result_size_bytes;
        bool is_map;
        uint64_t index; /* an item of a map: which; else UINT64_MAX */
        uint64_t n_items, n_items_succeeded, n_items_failed, n_items_running; /* is_map */
        /* a bad end: */
        enum core_cause cause;
        bool exited_by_signal;
        int exit_status; /* or the signal; -1: the worker did not die of it */
        uid_t by_uid;
        pid_t by_pid;
        int64_t run_time;
        uint64_t max_rss_bytes; /* 0: unknown */
        payload_t error;        /* CAUSE_FUNCTION: the worker's error map; PAYLOAD_NONE */
        payload_t result;       /* success */
};

/* What is sent to a worker. */
struct core_dispatch {
        uint64_t task;
        uint32_t attempt, slot, function;
        payload_t args; /* of one task: the args array; of a map: the array of args arrays */
        bool is_chunk;
        uint64_t first;         /* chunk: index in the map of its first item … */
        uint64_t payload_first; /* … and its place in this payload */
        uint32_t n_items;
        bool streams; /* stdout, stderr of programs are wanted as streams */
};

/* What is read from a slot; the words are untrusted, the core checks them against what it knows. */
struct core_slot {
        uint64_t task;
        unsigned state; /* enum slot_state, or anything */
        int64_t begin;
        uint64_t index;
};

struct core_request {
        uint32_t connection;
        uint32_t msgid;
};

struct core_map_sum {
        uint64_t count, succeeded, failed;
        bool collect; /* the values that collect() was given, and errors, belong into the answer */
        uint64_t task;
};

/* What the core says, for log and events. */
enum core_note {
        NOTE_TASK_ENDED,   /* record */
        NOTE_WORKER_LOST,  /* worker (its task's record, or NULL) */
        NOTE_WORKER_BAD,   /* a worker broke the protocol */
        NOTE_WORKER_STUCK, /* could not be killed within 5 s */
        NOTE_POOL_DEGRADED,
        NOTE_POOL_RECOVERED,
        NOTE_USER_OVER, /* of the record's user nothing begins whose result would be kept: he holds too much
                         */
        NOTE_SPAWN_TIMEOUT, /* the zygote did not bring a worker within start_timeout; it was killed */
        NOTE_DRAINED,       /* stopping: nothing is left */
};

/* What the core has done by others. `ctx` is what core_new() was given. */
struct core_ops {
        /* -- workers -- */
        /* Brings a new worker of the pool into being under this index; core_worker_hello() or
         * core_worker_lost() must follow. < 0: could not even begin (tried again later). */
        int (*spawn)(void *ctx, uint32_t pool, uint32_t worker);
        /* Ends the pool's zygote, which did not deliver; the caller brings a new one and says
         * core_zygote_ready(). */
        void (*kill_zygote)(void *ctx, uint32_t pool);
        /* Marks the slot SENT and queues the message. > 0: refused (the worker takes no bytes at the moment);
         * -ENOMEM. */
        int (*send)(void *ctx, uint32_t worker, const struct core_dispatch *);
        /* Compare-and-swap on the slot; true: won, the task has not begun and never will there. */
        bool (*take_back)(void *ctx, uint32_t worker, uint32_t slot, uint64_t task);
        void (*read_slot)(void *ctx, uint32_t worker, uint32_t slot, struct core_slot *ret);
        /* Tells the worker that this task is to end (cancel word, then SIGTERM). */
        void (*tell)(void *ctx, uint32_t worker, uint64_t task);
        /* SIGKILL, and nothing more is sent to it. core_worker_lost() follows when it is reaped. Also for one
         * that never said hello, and may not have been forked. */
        void (*kill)(void *ctx, uint32_t worker);
        /* Asks an idle worker to exit. core_worker_lost() follows. */
        void (*stop)(void *ctx, uint32_t worker);
        void (*credit)(void *ctx, uint32_t worker, uint64_t task, uint32_t bytes);

        /* Its resident memory, in bytes; 0: not known. Asked when it has nothing to do, and now and then. */
        uint64_t (*rss)(void *ctx, uint32_t worker);

        /* -- answers: each ends the request -- */
        /* False: it is larger than this client can take, and he was told so; it is kept for one who can. */
        bool (*answer_result)(void *ctx, struct core_request, uint64_t task, payload_t result);
        void (*answer_record)(void *ctx, struct core_request, const struct core_record *failed);
        void (*answer_states)(void *ctx, struct core_request, const uint64_t *ids,
                              const enum task_state *states, size_t n); /* N_TASK_STATES: unknown */
        void (*answer_map)(void *ctx, struct core_request, const struct core_map_sum *);
        void (*answer_refusal)(void *ctx, struct core_request, enum core_refusal);
        /* core_pool_drain(), core_pool_await_renewal(): it is so. pool: CORE_NO_POOL: all. */
        void (*answer_done)(void *ctx, struct core_request, uint32_t pool);
        /* Of requests about shared objects (core_shared.h). */
        void (*answer_shared)(void *ctx, struct core_request, const struct core_shared_answer *);
        /* A connection of core_connection_open_task() is over, its open requests get no answer: the number is
         * free again. */
        void (*connection_over)(void *ctx, uint32_t connection);

        /* -- streams, on an open request -- */
        /* One item of a map is ready for its client: a result, or a record if it failed (then payload is
         * NONE). */
        void (*item)(void *ctx, struct core_request, uint64_t index, payload_t,
                     const struct core_record *failed);
        /* The stream data at hand (PAYLOAD_CURRENT) goes to this request. */
        void (*stream)(void *ctx, struct core_request, unsigned kind);
        /* The kept tails of these kinds, at most `bytes` of each, go to this request. */
        void (*stream_tail)(void *ctx, struct core_request, uint64_t task, unsigned kinds, uint32_t bytes);
        /* The stream data at hand goes into the task's tail of that kind. Returns by how many bytes the
         * memory kept for it grew (it is charged). */
        uint32_t (*tail_keep)(void *ctx, uint64_t task, unsigned kind);
        /* Only its record is kept, and for that the last of what it wrote to stderr: LIMIT_STDERR_BYTES.
         * False: that is nothing, and nothing is kept. */
        bool (*tail_shrink)(void *ctx, uint64_t task);
        /* The task is forgotten, and its record: its tails may go. */
        void (*tail_drop)(void *ctx, uint64_t task);

        /* -- payloads -- */
        payload_t (*keep)(void *ctx,
                          payload_t current); /* makes PAYLOAD_CURRENT last; PAYLOAD_NONE: no memory */
        void (*drop)(void *ctx, payload_t);
        /* collect: result or record of one item is kept for the answer, in any order of indices. Returns
         * bytes kept or -ENOMEM. collect_drop: the map is gone. */
        int64_t (*collect)(void *ctx, uint64_t task, uint64_t index, payload_t,
                           const struct core_record *failed);
        void (*collect_drop)(void *ctx, uint64_t task);

        /* -- the store: what must be safe before anybody is told. Answers by core_store_done(), at once (from
         * within: the memory store) or later. */
        void (*store)(void *ctx, uint64_t task, enum task_state accepted_or_end);

        /* -- the rest -- */
        double (*random)(void *ctx); /* [0, 1) */
        bool (*in_group)(void *ctx, uint32_t connection, gid_t);
        void (*note)(void *ctx, enum core_note, uint32_t pool, uint32_t worker, const struct core_record *);
};

struct core_config {
        uint64_t first_id;
        uint32_t history;            /* records of ended tasks that are kept */
        uint32_t max_requests;       /* open, a connection */
        uint64_t output_limit_bytes; /* the mark of a connection's unsent output */
        uint64_t memory_limit_bytes; /* of all users together */
        uint64_t max_answer_bytes;   /* collect */
        uint64_t user_connections, user_tasks, user_descriptors, user_memory_bytes, user_objects;
        int64_t stop_timeout;
};

struct core_pool_config {
        uint32_t workers;                  /* at the beginning */
        uint32_t min_workers, max_workers; /* where workers idle, or tasks wait for one */
        int64_t idle_timeout;              /* so long a worker idles before there is one less */
        uint32_t nesting_limit;            /* workers above max_workers for tasks that others wait for */
        uint32_t max_tasks;                /* a worker is replaced after about so many; 0: never */
        uint64_t max_rss_bytes;            /* or when its resident memory is larger; 0: never */
        uint32_t window; /* 1…LIMIT_SLOTS: tasks at one worker, the running one included */
        uint32_t queue_limit;
        bool closed;     /* takes no tasks, needs no workers: it was taken out of the configuration */
        int64_t timeout; /* default of its tasks; 0: none */
        int64_t kill_grace;
        int64_t start_timeout;
};

/* A task as a client asks for it. */
struct core_spec {
        uint32_t pool, function;
        payload_t args;           /* the core's from success on; the caller's if refused */
        uint64_t args_size_bytes; /* charged: with the caller's overhead */
        uint32_t n_descriptors;
        int priority;
        int64_t delay, expires, timeout,
                ttl;        /* durations; expires CORE_NEVER: never; timeout 0: the pool's; ttl of submit */
        const char *label;  /* NULL or copied */
        const char *key;    /* the same; a task of the user with this key that is known is joined */
        uint64_t args_hash; /* with key: equal for equal arguments */
        bool detached;
        unsigned streams;         /* call: kinds streamed to the request */
        uint32_t retries;         /* further attempts, of a map: of each item … */
        unsigned retry_on;        /* … after these ends: enum retry_end … */
        int64_t backoff;          /* … the first after such a pause, doubling */
        uint32_t attempts_before; /* the first attempt's number is one more */
        pid_t pid;
};

struct core_map_spec {
        uint64_t n_items;       /* in the first payload */
        uint32_t chunk;         /* 0: automatic */
        uint32_t limit, window; /* 0: none */
        bool ordered, fail_fast, feed, collect;
};

/* What a worker reports of one task or item. */
struct core_result {
        bool failed;         /* then the payload at hand is the error map */
        uint64_t size_bytes; /* of the payload at hand */
        int64_t took; /* what the worker says that the task or chunk ran (untrusted); 0: it does not say */
};

struct core_exit {
        bool by_signal;
        int status;      /* exit status or signal */
        bool over_limit; /* it died because its pool's limit left it no memory */
        uint64_t max_rss_bytes;
};

/* -- life -- */

int core_new(const struct core_config *, const struct core_ops *, void *ctx, struct core **ret);
/* Takes NULL; returns NULL. Asserts that all accounts are zero when everything was closed and drained before.
 */
struct core *core_free(struct core *);
/* Pools and functions get the next index; they can be added at any time, and never go. */
int core_pool_add(struct core *, const struct core_pool_config *, uint32_t *ret_pool);
int core_function_add(struct core *, uint32_t pool, uint32_t *ret_function);
/* The limits that may change while running. */
void core_configure(struct core *, const struct core_config *);
void core_pool_configure(struct core *, uint32_t pool, const struct core_pool_config *);
/* From now on it has n workers; where their number may vary, at most n. */
void core_pool_scale(struct core *, uint32_t pool, uint32_t n, int64_t now);
/* Paused: nothing further begins. */
void core_pool_pause(struct core *, uint32_t pool, bool paused, int64_t now);
/* All workers that there are now are replaced by new ones, one after another as they finish; until then they
 * work on. They are not given functions that were added since they were asked for. */
void core_pool_renew(struct core *, uint32_t pool, int64_t now);
/* Unfinished tasks of one function of the pool; function UINT32_MAX: of all. An open map counts as one.
 * Linear. */
uint64_t core_pool_unfinished(const struct core *, uint32_t pool, uint32_t function);
/* The pool's zygote is there (again): workers may be asked for. */
void core_zygote_ready(struct core *, uint32_t pool, int64_t now);
void core_zygote_lost(struct core *, uint32_t pool, int64_t now);
/* It ended once more before it was ready: for the pool that is as if a worker died young. */
void core_zygote_failed(struct core *, uint32_t pool, int64_t now);
/* Dispatches, runs timers; returns when it wants to be called at the latest (CORE_NEVER: only after an
 * event). */
int64_t core_turn(struct core *, int64_t now);
/* All is quiet: frees what is kept for the next flood. */
void core_trim(struct core *);
/* No new tasks; what has not begun (ready, delayed, the rest of maps) is cancelled by shutdown at once; what
 * runs may finish until stop_timeout, then it is told, then killed; idle workers are asked to exit.
 * NOTE_DRAINED when nothing unfinished and no worker is left. Said again: the time of what runs is up now. */
void core_stop(struct core *, int64_t now);
bool core_is_stopping(const struct core *);
void core_store_done(struct core *, uint64_t id);

/* -- clients; all of these: 0, an enum core_refusal, or -ENOMEM -- */

int core_connection_open(struct core *, uint32_t connection, uid_t, pid_t, bool admin);
/* The peer is gone: its calls and maps are cancelled, its waits given up, what it submitted stays. */
void core_connection_close(struct core *, uint32_t connection, int64_t now);
/* The same, ahead of that, where its output is not yet gone: the connection and what waits in it stay its
 * user's until it is closed. */
void core_connection_leave(struct core *, uint32_t connection, int64_t now);
/* The worker's task (of a map: the item) asks for something itself, after its worker's last answer: a
 * connection for it under this number, in the name of its user, no admin. It is over when the task has ended
 * (connection_over); what was submitted by it and is not detached ends then too. CORE_NOT_OPEN: it runs
 * nothing. */
int core_connection_open_task(struct core *, uint32_t connection, uint32_t worker, int64_t now);
/* How many bytes wait in the connection's output now (the daemon says so when it has flushed or appended). */
void core_connection_output(struct core *, uint32_t connection, uint64_t unsent_bytes);
/* Whether there is room for a further answer of that size: 0, or CORE_QUOTA; a small one has it always, and a
 * task, which must read. Asked for what can be asked for again; nothing else is refused. */
int core_connection_admit_output(const struct core *, uint32_t connection, uint64_t size_bytes);
/* How many descriptors of answers wait there: fewer, or more where the user may have them (CORE_QUOTA). */
int core_connection_descriptors(struct core *, uint32_t connection, uint32_t n);
/* Whether it is above its mark: then nothing is read from it. */
bool core_connection_blocked(const struct core *, uint32_t connection);
/* Input held for an unfinished message, charged to the connection's user. CORE_QUOTA: not taken. */
int core_connection_input(struct core *, uint32_t connection, uint64_t held_bytes);
uint32_t core_connection_requests(const struct core *, uint32_t connection); /* open ones */
bool core_request_is_open(const struct core *, struct core_request);
/* Whether it is open, and a map. */
bool core_map_is_open(const struct core *, struct core_request);

int core_submit(struct core *, uint32_t connection, const struct core_spec *, int64_t now, uint64_t *ret_id);
int core_call(struct core *, struct core_request, const struct core_spec *, int64_t now);
int core_map(struct core *, struct core_request, const struct core_spec *, const struct core_map_spec *,
             int64_t now);
/* Further items of an open map: a payload that is an array of args arrays (PAYLOAD_NONE with n_items 0 and
 * last). */
int core_feed(struct core *, struct core_request, payload_t, uint64_t size_bytes, uint64_t n_items,
              uint32_t n_descriptors, bool last, int64_t now);
int core_more(struct core *, struct core_request, uint64_t n, int64_t now);
/* timeout: a duration, CORE_NEVER: as long as it takes. */
int core_result(struct core *, struct core_request, uint64_t id, int64_t timeout, bool keep, int64_t now);
int core_wait(struct core *, struct core_request, const uint64_t *ids, size_t n, int64_t timeout,
              size_t count, int64_t now);
int core_attach(struct core *, struct core_request, uint64_t id, unsigned streams, uint32_t tail_bytes,
                int64_t now);
int core_cancel(struct core *, uint32_t connection, const uint64_t *ids, size_t n, int64_t now,
                size_t *ret_n);
/* Gives up an open request: call and map are cancelled (and answered when dead), waits end with `cancelled`.
 */
int core_cancel_request(struct core *, struct core_request, int64_t now);
/* Pauses the pool; answered when nothing runs there, or with CORE_NOT_READY at its time. */
int core_pool_drain(struct core *, struct core_request, uint32_t pool, int64_t timeout, int64_t now);
/* Answered when no worker is left in the pool (CORE_NO_POOL: in any) that was to be replaced by
 * core_pool_renew(). */
int core_pool_await_renewal(struct core *, struct core_request, uint32_t pool, int64_t now);
/* A request that the caller will answer itself: counted, open, given up like any other. */
struct core_ticket {
        struct core_request request;
        uint64_t serial; /* tells it from a later request of the same number */
};
int core_request_begin(struct core *, struct core_request, struct core_ticket *ret);
/* The caller answers it now. False: nobody waits for that any more. */
bool core_request_end(struct core *, const struct core_ticket *);
/* Of the last CORE_QUOTA, CORE_QUEUE_FULL or CORE_NESTING. */
struct core_quota core_refused_quota(const struct core *);

/* -- workers; > 0: CORE_BAD_WORKER -- */

int core_worker_hello(struct core *, uint32_t worker, pid_t pid, uint32_t n_slots, int64_t now);
int core_worker_result(struct core *, uint32_t worker, uint32_t slot, uint64_t task, uint32_t attempt,
                       const struct core_result *, int64_t now);
int core_worker_item(struct core *, uint32_t worker, uint64_t task, uint32_t attempt, uint64_t index,
                     const struct core_result *, int64_t now);
int core_worker_stream(struct core *, uint32_t worker, uint64_t task, unsigned kind, uint32_t size_bytes,
                       int64_t now);
int core_worker_progress(struct core *, uint32_t worker, uint64_t task, double done, int64_t now);
/* It broke the protocol in a way that only the caller can see (bytes that are no message). The core has it
 * killed, as after each CORE_BAD_WORKER: ops.kill() has been called when this returns. */
int core_worker_bad(struct core *, uint32_t worker, int64_t now);
/* It was reaped (or never came to be), and its channel was read to the end. */
void core_worker_lost(struct core *, uint32_t worker, const struct core_exit *, int64_t now);

#endif
