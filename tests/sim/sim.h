/* SPDX-License-Identifier: MIT */
/*
 * One simulated run: the core, its clients, its workers and their zygotes, in one process and one virtual
 * time. struct sim owns all of it; every chance comes from sim.random, every step goes into sim.trace, so
 * that a run is a function of its seed, to the byte.
 *
 * Four rooms, each with its file: the ledger (what the clients know: the oracle), the model clients (what
 * they do), the model workers (what they do between any two operations), the operations (what the core has
 * done). The oracle never looks at the core's counters.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/core_look.h"
#include "proto/area.h"
#include "tests/sim/coverage.h"
#include "tests/sim/random.h"

#define MICROSECOND INT64_C(1000)
#define MILLISECOND INT64_C(1000000)

#define MAX_POOLS       3
#define MAX_FUNCTIONS   8 /* of one pool, with those that are added */
#define MAX_DEPTH       4 /* of tasks that ask for tasks */
#define MAX_USERS       4
#define MAX_WORKERS     64
#define MAX_CLIENTS     10
#define MAX_CONNECTIONS (MAX_CLIENTS + MAX_WORKERS) /* each worker's task has one */
#define MAX_WAIT_IDS    8
#define OBSERVER        0 /* the connection that looks: an admin who asks for nothing, open to the end */
#define OBSERVER_UID    99
#define UNKNOWN_ID      7 /* below any id that a core gives */
#define NO_ENTRY        UINT32_MAX
#define ANY_GENERATION  UINT32_MAX

/* -- what happens next -- */

enum happening {
        HAPPEN_ACT,         /* client (connection) */
        HAPPEN_OPEN,        /* client comes back */
        HAPPEN_DRAIN,       /* a slow reader takes some bytes */
        HAPPEN_WAKE,        /* worker */
        HAPPEN_HELLO,       /* worker: begins to live */
        HAPPEN_DELIVER,     /* worker: its messages reach the core */
        HAPPEN_REAP,        /* worker */
        HAPPEN_READS_AGAIN, /* worker */
        HAPPEN_ZYGOTE_UP,   /* pool */
        HAPPEN_ZYGOTE_DOWN, /* pool */
        HAPPEN_RESUME,      /* pool: not paused any more */
        HAPPEN_MEMORY,      /* object: its memory is there, or cannot be had */
        HAPPEN_STOP,
        HAPPEN_LAST, /* the clients begin nothing more */
};

struct happening_entry {
        int64_t at;
        uint64_t order; /* breaks ties: first scheduled, first served */
        enum happening what;
        uint32_t subject, generation;
};

/* -- payloads -- */

enum payload_kind { PAYLOAD_ARGS, PAYLOAD_ITEMS, PAYLOAD_VALUE, PAYLOAD_ERROR, PAYLOAD_SHARED };

struct payload {
        bool used;
        enum payload_kind kind;
        uint32_t entry; /* of whose task these bytes are */
        uint64_t index; /* ITEMS: index in the map of the first one; of an item's value: the item */
        uint64_t n;     /* ITEMS */
        uint64_t value, size_bytes;
};

/* -- the ledger -- */

enum entry_kind { ENTRY_SUBMIT, ENTRY_CALL, ENTRY_MAP };

struct item {
        uint8_t n_begun, n_told, n_collected;
        bool sent;        /* was part of a chunk once */
        bool running;     /* in some worker's hands, truly */
        bool finished;    /* its answer has left a worker */
        bool lone;        /* at a worker without area: whether it began is not known */
        bool excused;     /* cut short by a verdict on its neighbour, or in the hands of a bad worker */
        uint32_t attempt; /* the last one that was sent */
        int64_t begin;
};

struct entry {
        enum entry_kind kind;
        uint64_t id, value; /* id: 0 until learned (a call's is seen when it is stored or sent) */
        unsigned user;
        uint32_t connection, generation, msgid, pool, function;
        int priority;
        int64_t accepted, due, expires, timeout, ttl;
        unsigned streams;
        unsigned key; /* 0: none */
        bool joined, detached;
        /* asked for by a task: */
        bool by_task, orphaned; /* orphaned: that task, or its item, is over */
        uint32_t parent, depth;
        uint64_t parent_item;
        uint32_t retries;
        unsigned retry_on;
        int64_t backoff;
        /* the truth about its body */
        unsigned n_begun, n_sent;
        uint32_t attempt; /* the last one that was sent */
        int64_t over_at;  /* when the core heard that an attempt was over */
        bool was_lone;    /* some attempt was */
        bool sent_out;    /* at a worker, as far as the operations say */
        bool finished;    /* its answer has left a worker */
        bool tainted;     /* was in the hands of a worker that lies: begin and ends prove nothing */
        bool stuck;       /* its worker cannot be killed for a while */
        bool lone;        /* its worker has no area: what it began is not known but from its answers */
        uint32_t worker;
        int64_t begin, sent_at;
        /* what was asked and told */
        bool cancel_asked, told; /* told: the core took a verdict */
        int64_t end_by;          /* after a verdict: no later than this */
        unsigned n_ends, n_answers;
        enum task_state end;
        enum core_cause cause;
        int64_t ended;
        bool taken; /* its result may be gone by now */
        /* a map */
        struct core_map_spec map;
        uint64_t n_items, n_begun_items, n_confirmed, n_told, n_told_failed, n_running, next_ordered;
        bool last_fed, failed_fast;
        struct item *items;
};

/* -- model clients -- */

struct request {
        uint32_t connection, msgid, entry;
        enum {
                REQUEST_CALL,
                REQUEST_MAP,
                REQUEST_RESULT,
                REQUEST_WAIT,
                REQUEST_ATTACH,
                REQUEST_DRAIN,
                REQUEST_RENEWAL,
                REQUEST_SHARED
        } kind;
        uint32_t pool; /* drain, renewal */
        bool open, keep, given_up;
        unsigned streams;
        int64_t timeout_at;
        uint32_t n_ids, count;
        uint32_t entries[MAX_WAIT_IDS]; /* wait: NO_ENTRY for an unknown id */
        uint64_t ids[MAX_WAIT_IDS];
};

struct model_connection {
        bool lets_go; /* of a task: that is over, and what it has open waits for nothing any more */
        bool open;
        unsigned user;
        uint32_t generation, next_msgid;
        uint32_t entry;        /* of a task's: that task … */
        uint64_t item;         /* … and which item of it */
        uint64_t output_bytes; /* not yet read by the peer */
        uint64_t told_bytes;   /* what the core was told of it */
        bool slow, drain_set;
};

struct model_user {
        uid_t uid;
        bool admin;
        uint32_t n_ready[MAX_POOLS];  /* single tasks that could be sent and never were */
        uint32_t n_passed[MAX_POOLS]; /* turns of others since one of its own */
};

/* -- model workers -- */

enum model_life { LIFE_NONE, LIFE_FORKING, LIFE_ALIVE, LIFE_DEAD };

struct run_message {
        uint64_t task, first;
        uint32_t attempt, slot, entry, n_items;
        bool is_chunk, streams;
};

enum answer_kind {
        ANSWER_HELLO,
        ANSWER_RESULT,
        ANSWER_ITEM,
        ANSWER_STREAM,
        ANSWER_PROGRESS,
        ANSWER_ASK, /* a request of its task */
        ANSWER_GARBAGE
};

struct answer_message {
        enum answer_kind kind;
        uint64_t task, index, value;
        int64_t took;
        uint32_t slot, attempt, entry, size_bytes;
        unsigned stream;
        bool failed, bogus; /* bogus: the core must refuse it */
        bool item_value;    /* the value is that of an item */
};

struct model_worker {
        enum model_life life;
        uint32_t pool, index, generation;
        bool forked;      /* its zygote may die, it lives on */
        bool hello_heard; /* the core knows that it lives */
        bool evil, deaf;  /* lies; reads nothing at the moment */
        bool told_stop, killed, dies_late, by_outside, silent, no_area, said_hello;
        uint32_t n_slots, n_functions; /* n_functions: those of its pool when it was born */
        uint32_t renewal;              /* of its pool, then */
        uint32_t n_held;               /* messages that it was sent and has not answered, as the core knows */
        uint32_t n_asks;               /* what its body wants to ask for yet */
        bool claimed_ahead;      /* what was to be taken back for a verdict had begun: then nobody is told */
        bool under_verdict;      /* it was told to end what it runs, and has not answered */
        bool ask_pending, waits; /* an ask is on the way; it goes on when all its requests are answered */
        uint64_t rss_bytes;
        struct area area;
        uint64_t told_task; /* SIGTERM came for it; all that a worker without area knows */
        uint64_t lone_task; /* without area: what the daemon sent last, and when */
        int64_t lone_since;
        int64_t credit;
        uint32_t n_to_write, unwritten_bytes; /* unwritten: what it wants to write and has no credit for */
        /* what it runs */
        bool busy, answered, ignores, cut_short;
        struct run_message run;
        uint64_t item;
        int64_t until, wake_at, claimed_at;
        bool wake_set, deliver_set;
        struct core_exit exit;
        struct run_message *inbox; /* vectors, oldest first */
        uint32_t n_inbox, inbox_capacity;
        struct answer_message *outbox;
        uint32_t n_outbox, outbox_capacity;
        unsigned slot_revoked[LIMIT_SLOTS]; /* messages of revoked tasks that still wait, a slot */
};

struct model_pool {
        struct core_pool_config config;
        uint32_t n_functions;
        uint32_t functions[MAX_FUNCTIONS];
        bool zygote_up, zygote_told; /* told: what the core was told last */
        bool paused, elastic;
        uint32_t least_workers; /* as it was configured */
        uint32_t generation, renewals;
        uint32_t most_nesting; /* that it ever might lend */
};

/* How often what goes wrong in this run; per mille of its occasions. */
struct intensity {
        unsigned poke; /* steps of model workers before an operation, at most */
        unsigned crash, outside, ignores, deaf, evil, no_area, spawn_refused, spawn_failed, spawn_silent;
        unsigned zygote_dies, slow, cancel, leaves, no_memory, dies_late, fails, streams;
        unsigned skip_turn; /* several events in one turn of the loop */
        unsigned bad_client;
        unsigned asks, nests, admin; /* bodies that ask for something, of that for a call; what admins do */
        unsigned shared, shares;     /* what is done with shared objects; of what a body asks for */
        int64_t memory;              /* how long theirs takes to come, at most */
        unsigned too_large;          /* results, for who asks for them */
};

/* -- the run -- */

struct trace {
        bool printed;
        bool unchecked; /* core_check() is not called: the oracle is on its own */
        uint64_t hash;
};

struct sim {
        uint64_t seed;
        struct random random;
        struct trace trace;
        struct coverage *coverage;
        struct intensity intensity;
        struct core *core;
        struct core_config config;
        int64_t now, deadline; /* when the core wants its turn */
        bool in_turn, stopping, stop_planned, ending, faults_over, drained;
        uint64_t n_turns, n_spins;
        uint32_t n_acts, n_acts_left;
        int64_t act_pause;
        unsigned n_pools, n_users;
        struct model_pool pools[MAX_POOLS];
        struct model_user users[MAX_USERS];
        struct model_connection connections[MAX_CONNECTIONS];
        unsigned n_connections;
        struct model_worker workers[MAX_WORKERS];
        struct entry *entries;
        uint32_t n_entries, entries_capacity;
        uint32_t accepting; /* the entry that a call on the core may just be accepting */
        uint32_t asking;    /* the worker whose task just asks; NO_ENTRY: a client does */
        struct request *requests;
        uint32_t n_requests, requests_capacity;
        struct happening_entry *queue;
        uint32_t n_queue, queue_capacity;
        uint64_t order;
        struct payload *payloads; /* [0] is never used */
        uint32_t n_payloads, payloads_capacity;
        uint32_t *free_payloads; /* a stack: the last freed number is the next one given, so mix-ups show */
        uint32_t n_free_payloads;
        struct shared *shared;
        struct payload current; /* what PAYLOAD_CURRENT means while .current_valid */
        bool current_valid;
};

/* Runs one seed from birth to the last freed byte; returns the hash of its history. A failure ends the
 * process. */
uint64_t sim_run(uint64_t seed, bool printed, bool unchecked, struct coverage *);

/* sim.c: time */
void sim_schedule(struct sim *, int64_t in, enum happening, uint32_t subject, uint32_t generation);
/* The worker takes its next steps: soon, or when its body is done. */
void sim_wake(struct sim *, uint32_t worker);
void sim_wake_soon(struct sim *, uint32_t worker);

/* world.c */
void world_begin(struct sim *, uint64_t seed);
void world_check_accounts(struct sim *); /* at the end: nobody has anything left */
void pool_draw(struct sim *, struct model_pool *);

/* trace.c */
#define TRACE(s, what, ...)                                                                                  \
        sim_trace((s), (what), (const uint64_t[]){__VA_ARGS__},                                              \
                  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
void sim_trace(struct sim *, const char *what, const uint64_t *words, unsigned n);
/* The run is wrong: says why, at which seed, and ends the process. */
_Noreturn void sim_fail(struct sim *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Counts a cell; looks up the state through the observer. To be called before the event. */
void sim_meet_task(struct sim *, const struct entry *, enum task_event);
void sim_meet_worker(struct sim *, uint32_t worker, enum worker_event);
#define MEET(s, kind, name) ((s)->coverage->kind[name]++)

/* payloads.c */
payload_t payloads_new(struct sim *, const struct payload *);
void payloads_drop(struct sim *, payload_t);
/* Also of PAYLOAD_CURRENT; fails the run on a number that names nothing. */
const struct payload *payloads_get(struct sim *, payload_t);
size_t payloads_count(const struct sim *);

/* ops.c */
extern const struct core_ops sim_ops;

/* model_worker.c */
void workers_poke(struct sim *); /* before each operation: a random number of steps of random workers */
bool worker_step(struct sim *, struct model_worker *);
void worker_die(struct sim *, struct model_worker *, bool by_signal, int status);
void worker_happen(struct sim *, enum happening, uint32_t worker, uint32_t generation);
void worker_born(struct sim *, uint32_t pool, uint32_t worker);
void worker_receive(struct sim *, struct model_worker *, const struct run_message *);
void worker_reset(struct model_worker *);
/* Puts a message into its channel. */
void worker_says(struct sim *, struct model_worker *, const struct answer_message *);
/* liar.c */
void worker_lies(struct sim *, struct model_worker *);
/* What leaves a running worker between the core's decision to kill it and its death. */
void worker_last_words(struct sim *, struct model_worker *);

/* deliver.c */
void worker_deliver_one(struct sim *, struct model_worker *);

/* model_client.c */
void client_act(struct sim *, uint32_t connection);
void client_open(struct sim *, uint32_t connection);
void client_close(struct sim *, uint32_t connection);
void client_drain(struct sim *, uint32_t connection);
/* Tells the core what waits in each output, as the daemon does after each turn; true: something changed. */
bool clients_flush(struct sim *);
/* When nothing new is begun: what is open is brought to its end. */
void clients_finish(struct sim *);

/* model_task.c */
bool is_of_task(uint32_t connection);
/* What its task asks for reaches the core. */
void task_asks(struct sim *, struct model_worker *, const struct answer_message *);
/* An answer came for it. */
void task_answered(struct sim *, uint32_t connection);
/* The body of this worker, or its item, is over: so is what it had asked for. */
void task_lets_go(struct sim *, uint32_t worker);
void task_connection_over(struct sim *, uint32_t connection);
/* Whether it is right that a task is told so. */
void task_check_refused(struct sim *, int refusal, const struct entry *wanted);
/* Whether the task may be cancelled with the one that asked for it. */
bool task_may_be_let_go(const struct sim *, const struct entry *);

/* model_admin.c */
void admin_act(struct sim *, uint32_t connection);
void admin_resume(struct sim *, uint32_t pool);
/* Nothing is held up any more, so that all can end. */
void admin_finish(struct sim *);
/* At each send, spawn and stop: what may be. */
void admin_check_send(struct sim *, const struct model_worker *, const struct entry *, uint32_t attempt);
void admin_check_spawn(struct sim *, uint32_t pool);
void admin_check_stop(struct sim *, const struct model_worker *);
void admin_check_done(struct sim *, const struct request *);
/* What had not begun has ended, now that the core was stopped. */
void admin_check_stopped(struct sim *);
bool admin_is_done(const struct sim *, const struct request *);
uint32_t pool_n_waiting(const struct sim *, uint32_t pool);

/* requests.c */
struct request *request_open(struct sim *, uint32_t connection, uint32_t msgid, int kind, uint32_t entry);
struct request *request_find(struct sim *, uint32_t connection, uint32_t msgid);
struct request *request_answer(struct sim *, struct core_request); /* finds it open, and closes it */
void requests_gone(struct sim *, uint32_t connection);
uint32_t requests_open(const struct sim *, uint32_t connection);
/* Whether some task's request waits for it. */
bool requests_of_tasks_want(const struct sim *, uint32_t entry);
/* After each turn: no request whose answer is there still waits. */
void requests_check(struct sim *);

/* ledger.c */
uint64_t entry_args(const struct entry *, uint64_t index); /* index: UINT64_MAX for a single task */
uint64_t entry_value(const struct entry *, uint64_t index);
bool entry_fails(const struct sim *, const struct entry *, uint64_t index); /* its last attempt */
int64_t entry_duration(const struct entry *, uint64_t index);
struct entry *ledger_by_id(struct sim *, uint64_t id);
bool counts_for_turns(const struct entry *);
uint32_t ledger_index(const struct sim *, const struct entry *);
uint32_t ledger_add(struct sim *, const struct entry *);
void ledger_learn_id(struct sim *, struct entry *, uint64_t id);
void ledger_feed(struct sim *, struct entry *, uint64_t n);
/* It has not begun: it stands where it stood, and nobody's turn is used up. */
void ledger_taken_back(struct sim *, struct entry *);
void ledger_sent(struct sim *, struct entry *, const struct core_dispatch *, uint32_t worker);
/* The core hears that what this worker had of it is over: answered, or lost. */
void ledger_attempt_over(struct sim *, struct entry *);
/* Whether another attempt must follow an end for this cause. */
bool ledger_must_retry(const struct sim *, const struct entry *, enum core_cause, uint32_t attempt);
void ledger_verdict(struct sim *, struct entry *); /* from now on its end has a bound */
void ledger_ended(struct sim *, const struct core_record *);
void ledger_check_value(struct sim *, struct entry *, uint64_t index, payload_t);
void ledger_check_record(struct sim *, struct entry *, const struct core_record *);
void ledger_check_bounds(struct sim *);
void ledger_close(struct sim *); /* at the end: everything accepted has ended */

/* ledger_map.c: maps */
void ledger_begin(struct sim *, struct model_worker *); /* a body begins */
void ledger_finish(struct sim *, struct model_worker *, bool item);
void ledger_item_told(struct sim *, struct entry *, uint64_t index, payload_t, const struct core_record *);
void ledger_item_collected(struct sim *, struct entry *, uint64_t index, payload_t,
                           const struct core_record *);
void ledger_map_answered(struct sim *, struct entry *, const struct core_map_sum *);

#endif
