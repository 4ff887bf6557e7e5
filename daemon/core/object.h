/* SPDX-License-Identifier: MIT */
/*
 * Shared objects within the core: what all kinds have in common, who waits for one, who holds a lock.
 */
#ifndef CORE_OBJECT_H
#define CORE_OBJECT_H

#include "daemon/core/core_shared.h"
#include "daemon/core/table.h"

struct peer;
struct user;
struct waiter;

enum object_wait_kind {
        WAIT_ACQUIRE,
        WAIT_CONDITION,
        WAIT_EVENT,
        WAIT_BARRIER,
        WAIT_GET,
        WAIT_PUT,
        WAIT_JOIN,
        WAIT_CHANGE,
};
TAILQ_HEAD(queue_items, queue_item);
struct object_wait {
        TAILQ_ENTRY(object_wait) link; /* object.waits[…] */
        enum object_wait_kind kind;
        struct waiter *waiter;
        struct object *object;
        uint64_t owner;
        struct hold *hold; /* acquire, condition: the memory for it, until it has the lock */
        uint64_t after;    /* change */
        uint32_t n;        /* get: at most so many; condition: how often it was held; barrier: its number */
        uint32_t n_done;   /* put */
        struct queue_items items; /* put: those for which there was no room yet */
        bool ack;                 /* get */
        bool wants_lock;          /* condition: it was notified, or its time is over */
        bool notified;            /* condition; put: all is in */
        bool is_looked_at;        /* while a circle is looked for */
};
TAILQ_HEAD(object_waits, object_wait);

struct hold {
        TAILQ_ENTRY(hold) of_object;
        LIST_ENTRY(hold) of_peer;
        struct object *object;
        struct peer *peer;
        uint64_t owner, token;
        uint32_t n; /* how often the owner has it */
};

struct queue_item {
        struct core_item item;        /* token: its number, in the order in which they came */
        TAILQ_ENTRY(queue_item) link; /* object's items, or those of a put that waits */
        struct table_link by_token;   /* while leased: core.leases */
        LIST_ENTRY(queue_item) of_peer;
        struct object *object;
        struct peer *peer; /* leased to; NULL */
};

struct entry {
        struct core_entry entry;
        struct table_link by_key;
        struct object *object;
        TAILQ_ENTRY(entry) by_version;
        TAILQ_ENTRY(entry) of_deleted;
        uint64_t size_bytes;
        char key[];
};
TAILQ_HEAD(entries, entry);

struct object {
        struct core *core;
        struct table_link by_name;
        struct object *lower, *higher; /* in the order of names */
        uint64_t id;
        struct user *user;
        enum core_object_kind kind;
        gid_t gid;
        mode_t mode;
        bool is_going; /* being unlinked */
        int64_t created;
        uint64_t cost_bytes; /* charged to its user */
        uint64_t values[N_PROPERTIES];
        struct object_waits waits, others; /* others: conditions; puts */
        struct object_waits joins;
        uint32_t n_waiting;
        union {
                struct {
                        payload_t payload;
                        struct table_link by_id; /* core.memories, while it is made */
                } memory;                        /* value, array, pipe */
                struct {
                        TAILQ_HEAD(, hold) holds;
                        uint32_t n_holds;
                        bool abandoned;
                } lock;
                struct {
                        bool is_set;
                } event;
                struct {
                        bool is_broken, is_passing;
                } barrier;
                struct {
                        struct queue_items items;
                        uint64_t n_items, n_leased;
                } queue;
                struct {
                        struct table by_key;
                        struct entries by_version, deleted;
                        uint64_t version, n_keys, n_deleted,
                                forgotten; /* the last deletion not known any more */
                } dict;
                struct {
                        struct core_value *ring;
                        size_t capacity, first, n;
                        uint64_t version;
                } list;
        } as;
        char name[];
};

/* The object of a name, for what `need` says. *ret NULL: there is none. */
int object_find(const struct peer *, const char *name, enum core_object_kind, enum core_access need,
                struct object **ret);
/* The same, for writing; made if it is not there. */
int object_use(struct peer *, const char *name, const struct core_open *, struct object **ret);
/* It has come to hold more, or less, of its user's memory. */
int object_admit(const struct object *, uint64_t bytes);
void object_charge(struct object *, uint64_t bytes);
void object_release(struct object *, uint64_t bytes);
int object_clash(const struct object *, int property);
/* With whoever waits for it or holds something of it. */
void object_free(struct object *);
void objects_free(struct core *);

/* -- object_order.c -- */

void object_order_add(struct object **root, struct object *);
void object_order_remove(struct object **root, struct object *);
/* Those in the range, in the order of names, until `each` says false; then false. */
bool object_order_walk(struct object *root, const struct core_range *,
                       bool (*each)(void *userdata, const struct object *), void *userdata);

/* -- object_wait.c -- */

/* Makes the request wait; 0, a refusal or -ENOMEM. */
int object_wait_new(struct peer *, uint32_t msgid, struct object *, enum object_wait_kind, int64_t timeout,
                    struct object_wait **ret);
/* Of a waiter that is freed. */
void object_wait_free(struct core *, struct object_wait *);
/* Its time is over, or it is given up: how it is answered is the kind's. */
void object_wait_on_timer(struct core *, struct object_wait *);
/* Nothing comes of it any more, for this reason. */
void object_wait_end(struct core *, struct object_wait *, enum core_refusal);
/* Answers it and ends the request. */
void object_wait_answer(struct object_wait *, const struct core_shared_answer *);
void answer_shared(struct core *, struct core_request, const struct core_shared_answer *);

/* -- by kind -- */

void hold_free(struct hold *);
/* Its peer is gone. */
void hold_abandon(struct hold *);
void lock_serve(struct object *);
/* The wait leaves the condition for the lock. */
void condition_return(struct object_wait *);
/* Who was notified is gone before he had the lock again: another one is notified instead. */
void condition_pass_on(struct object *);
void barrier_break(struct object *);
void queue_settle(struct object *);
void queue_free(struct object *);
void queue_put_free(struct object_wait *);
/* The consumer is gone: the item is at the front again. Of many, *near is the one before; at first NULL. */
void queue_give_back(struct queue_item *, struct queue_item **near);
int dict_init(struct object *);
void dict_free(struct object *);
void list_free(struct object *);

/* -- circle.c -- */

/* Whether the owner, if it waited for the lock, would wait for itself; then core->circle says how. */
bool circle_by_lock(const struct peer *, uint64_t owner, const struct object *lock);
/* Asserts their invariants; returns what they cost, in bytes. */
uint64_t objects_check(const struct core *);

#endif
