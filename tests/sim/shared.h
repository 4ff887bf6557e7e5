/* SPDX-License-Identifier: MIT */
/*
 * The ledger of shared objects: what each name stands for, who holds, leases and waits for what, in which
 * order. What is done to an object is entered first, then the core is asked; each answer is held against the
 * ledger at the moment when it comes, and changes it. So a grant that nobody may have, out of turn, or one
 * that does not come, is found at once.
 *
 * An owner (of a connection, as a thread) waits for one lock at a time, and a task for nothing else beside a
 * lock: then a circle can only be closed by who begins to wait, and none may ever be there.
 */
#ifndef SIM_SHARED_H
#define SIM_SHARED_H

#include <sys/queue.h>

#include "tests/sim/client.h"
#include "tests/sim/objects.h"

#define N_NAMES    12
#define N_OWNERS   2
#define MAX_KEYS   5
#define MAX_VALUES 40 /* of a list */
#define MAX_QUEUED 60 /* what is put beyond it is not put */
#define NOBODY     UINT32_MAX
#define NO_NAME    UINT32_MAX

struct shared_wait { /* all of them in the order in which they came */
        TAILQ_ENTRY(shared_wait) link;
        uint32_t connection, msgid, name;
        enum shared_row kind;
        uint64_t owner, after;
        uint32_t n,
                n_done; /* n: get: at most; put: of all; barrier: its number; condition: times it was held */
        bool ack, wants_lock, notified, given_up;
        int64_t timeout_at;
};
struct shared_ticket { /* of who waits for memory */
        TAILQ_ENTRY(shared_ticket) link;
        struct core_ticket ticket;
        uint64_t object;
        bool is_over; /* the request, not the ticket */
};
struct shared_hold { /* the oldest first */
        TAILQ_ENTRY(shared_hold) link;
        uint32_t connection, name;
        uint64_t owner, token; /* 0: not told (after a condition) */
        uint32_t n;
};
struct shared_value { /* what a payload is known by */
        uint64_t number, size_bytes;
};
struct shared_item { /* queued: in their order */
        TAILQ_ENTRY(shared_item) link;
        uint32_t name;
        struct shared_value value;
        enum { ITEM_WITH_PUT, ITEM_QUEUED, ITEM_LEASED } state;
        uint32_t connection, msgid; /* with a put: of that; leased: to whom */
        uint64_t order, token;
};
struct shared_key {
        struct shared_value value;
        uint64_t version, deleted; /* the last one; one of them is 0 */
};
struct shared_object {
        bool exists, is_going;
        enum core_object_kind kind;
        unsigned user;
        mode_t mode;
        gid_t gid;
        uint64_t id, values[N_PROPERTIES];
        uint64_t version;                        /* dict, list */
        bool is_set;                             /* event */
        bool is_broken, is_passing, unexplained; /* barrier; unexplained: nobody was seen to leave yet */
        uint64_t told_broken;                    /* meanwhile, to tasks: 1 << worker */
        unsigned n_abandoned;                    /* lock: not told yet */
        bool is_made;                            /* value */
        struct shared_key keys[MAX_KEYS];
        struct shared_value list[MAX_VALUES];
        unsigned n_values;
};

struct shared {
        struct shared_object objects[N_NAMES];
        TAILQ_HEAD(, shared_wait) waits;
        TAILQ_HEAD(, shared_hold) holds;
        TAILQ_HEAD(, shared_item) items;
        TAILQ_HEAD(, shared_ticket) tickets;
        uint64_t last_order, last_token;
        uint32_t hearing;  /* the worker whose message, or loss, is at hand */
        uint32_t presumed; /* the task's connection that must be over when the event at hand is */
        bool is_loss;
        bool is_beginning; /* the call at hand is this request's own */
        struct core_request beginning;
        uint32_t looked_at; /* the name that was held against the core last */
};

/* What an object that is not there is to a call. */
enum shared_absence {
        ABSENT_UNKNOWN, /* it is refused */
        ABSENT_MADE,
        ABSENT_EMPTY, /* it finds there what it would in an empty one, which is not made */
};

/* A request about an object, from its beginning to what the core returned. */
struct shared_call {
        uint32_t connection, name;
        struct core_request id;
        struct core_open open;
        int expected; /* what the core must refuse it with; 0 */
        bool is_new;  /* entered as made by it */
        bool is_open; /* it has a request that may wait */
};

extern const char *const shared_names[N_NAMES];

/* -- shared.c -- */

struct shared_object *shared_at(struct sim *, uint32_t name);
int64_t shared_timeout(struct sim *);
struct core_value shared_value(struct sim *, struct shared_value *ret);
bool shared_is_value(struct sim *, payload_t, const struct shared_value *);

/* -- shared_object.c -- */

/* A name, mostly of that kind. */
uint32_t shared_pick(struct sim *, enum core_object_kind);
struct shared_call shared_begin(struct sim *, uint32_t connection, uint32_t name, enum core_object_kind,
                                enum shared_absence, enum core_access need);
/* The same for a request that may wait: unless it is refused it has this wait. */
struct shared_call shared_begin_wait(struct sim *, uint32_t connection, uint32_t name, enum core_object_kind,
                                     enum shared_absence, enum core_access need, const struct shared_wait *);
/* Whether its own call answers it. */
bool shared_is_at_once(const struct sim *, const struct shared_wait *);
/* What the core returned: true: it was done. A refusal that may be takes back what was entered. */
bool shared_done(struct sim *, struct shared_call *, int r);
void shared_meet_refusal(struct sim *, const struct shared_call *, int r);
void shared_open(struct sim *, uint32_t connection);
void shared_unlink(struct sim *, uint32_t connection);
void shared_list_all(struct sim *, uint32_t connection);
/* Whether the connection may do so with the object. */
bool shared_may(const struct sim *, uint32_t connection, const struct shared_object *, unsigned need);

/* -- shared_memory.c -- */

/* The value or array was opened: its memory comes, and is waited for. */
void shared_memory_opened(struct sim *, const struct shared_call *);
/* The request ends before the memory is there; false: it waits for none. */
bool shared_ticket_is_over(struct sim *, uint32_t connection, uint32_t msgid, enum shared_end);
void shared_tickets_gone(struct sim *, uint32_t connection, enum shared_end);
void shared_tickets_deinit(struct sim *);

/* -- shared_check.c -- */

/* After a call on the core: what it must have come to. */
void shared_settle(struct sim *);

/* -- shared_wait.c -- */

struct shared_wait *shared_find_wait(struct sim *, uint32_t connection, uint32_t msgid);
/* Whether it is the next in turn of its list. */
bool shared_is_first(struct sim *, const struct shared_wait *);
struct shared_wait *shared_first(struct sim *, uint32_t name, enum shared_row);
struct shared_wait *shared_first_of(struct sim *, uint32_t connection);
void shared_add_wait(struct sim *, const struct shared_wait *);
/* It is over; what it had put and was not in goes with it. */
void shared_end_wait(struct sim *, struct shared_wait *);
unsigned shared_count_waits(const struct sim *, uint32_t name);
/* Whether what it waits for is there, and it is its turn. */
bool shared_is_due(struct sim *, const struct shared_wait *);
void shared_check_waits(struct sim *);
/* It ends otherwise than it wanted: a barrier breaks of it, a notification is the next one's. */
void shared_left(struct sim *, struct shared_wait *);
/* The lock is all that it waits for now. */
void shared_wants_lock(struct sim *, struct shared_wait *);
void shared_meet_end(struct sim *, enum shared_row, enum shared_end);
_Noreturn void shared_wrong(struct sim *, const struct shared_wait *, const char *what);
/* The worker's task that the event at hand may be the end of has ended, if that explains something: true. */
bool shared_presume(struct sim *, uint32_t name);

/* -- shared_lock.c -- */

void shared_acquire(struct sim *, uint32_t connection);
void shared_release(struct sim *, uint32_t connection);
void shared_condition_wait(struct sim *, uint32_t connection);
void shared_condition_notify(struct sim *, uint32_t connection);
void shared_granted(struct sim *, struct shared_wait *, const struct core_shared_answer *);
unsigned shared_n_holds(const struct sim *, uint32_t name);
void shared_drop_hold(struct sim *, struct shared_hold *);
/* Whether this owner waits for a lock. */
bool shared_owner_waits(struct sim *, uint32_t connection, uint64_t owner);
bool shared_waits_for_lock(struct sim *, uint32_t connection);

/* -- shared_circle.c -- */

/* Whether the owner could go on if all who can did. */
bool shared_can_go_on(struct sim *, uint32_t connection, uint64_t owner);
/* Whether the task could end if all could go on who can, but for the one that asks for it. */
bool shared_task_can_end(struct sim *, uint32_t entry, uint32_t asking_connection);

/* -- shared_meet.c: events, barriers -- */

void shared_event_set(struct sim *, uint32_t connection);
void shared_event_wait(struct sim *, uint32_t connection);
void shared_barrier_wait(struct sim *, uint32_t connection);
void shared_barrier_reset(struct sim *, uint32_t connection);
void shared_flagged(struct sim *, struct shared_wait *, const struct core_shared_answer *);
void shared_passed(struct sim *, struct shared_wait *, const struct core_shared_answer *);
void shared_broken(struct sim *, struct shared_wait *);
void shared_barrier_left(struct sim *, const struct shared_wait *);

/* -- shared_queue.c: queues, pipes -- */

void shared_put(struct sim *, uint32_t connection);
void shared_get(struct sim *, uint32_t connection);
void shared_task_done(struct sim *, uint32_t connection);
void shared_join(struct sim *, uint32_t connection);
void shared_pipe(struct sim *, uint32_t connection);
void shared_was_put(struct sim *, struct shared_wait *, const struct core_shared_answer *);
void shared_got(struct sim *, struct shared_wait *, const struct core_shared_answer *);
void shared_joined(struct sim *, struct shared_wait *);
/* What waits is moved in as far as there is room. */
void shared_fill(struct sim *, uint32_t name);
unsigned shared_count_items(const struct sim *, uint32_t name, int state);
void shared_drop_items(struct sim *, uint32_t name);
/* What of it is not in. */
void shared_forget_put(struct sim *, const struct shared_wait *);
/* What is leased to it is queued again; true: there was some. */
bool shared_give_back(struct sim *, uint32_t connection);
bool shared_is_idle(struct sim *, uint32_t name); /* nothing to join for */

/* -- shared_dict.c -- */

void shared_dict_change(struct sim *, uint32_t connection);
void shared_dict_look(struct sim *, uint32_t connection);
void shared_dict_watch(struct sim *, uint32_t connection);
void shared_changed(struct sim *, struct shared_wait *, const struct core_shared_answer *);

/* -- shared_list.c -- */

void shared_list_push(struct sim *, uint32_t connection);
void shared_list_pop(struct sim *, uint32_t connection);
void shared_list_set(struct sim *, uint32_t connection);

#endif
