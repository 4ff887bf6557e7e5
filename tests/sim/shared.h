/* SPDX-License-Identifier: MIT */
/*
 * Shared objects as the model clients and tasks know them: who holds which lock, which items are where, who
 * waits at which barrier. A few names, so that all meet. What the core answers is held against it at the
 * moment of the answer; an owner may be gone just then (a client before the core is told, a task before the
 * core says that its connection is over).
 */
#ifndef SIM_SHARED_H
#define SIM_SHARED_H

#include "daemon/core/core_shared.h"
#include "tests/sim/sim.h"

#define N_LOCKS       3 /* the last one is a semaphore */
#define N_QUEUES      2
#define N_SHARED      (N_LOCKS + N_QUEUES + 1)
#define BARRIER       (N_SHARED - 1)
#define PARTIES       3
#define N_OWNERS      2 /* of one connection */
#define MAX_HELD      64
#define MAX_QUEUED    512
#define MAX_PUT       3
#define OBJECTS_LIMIT 4 /* user_objects, in some runs */

struct held {
        uint32_t connection;
        uint64_t owner, token; /* token 0: it came back to a condition's waiter */
};

struct queued {
        uint64_t value;
        uint64_t token; /* while it is leased */
        uint32_t connection;
        bool leased;
};

struct model_object {
        /* a lock */
        struct held held[MAX_HELD];
        uint32_t n_held, n_presumed; /* presumed: of tasks that must turn out to be over in this turn */
        bool abandoned, maybe_abandoned;
        uint64_t gone_in_turn; /* in which several went at once: each may be told of */
        /* a queue: what is in it, the oldest first */
        struct queued items[MAX_QUEUED];
        uint32_t n_items;
        /* a barrier */
        bool broken, maybe_broken; /* maybe: somebody who waits there is a task's */
        uint32_t n_left, answered; /* of the round that is being answered: how many yet, which numbers */
        bool going;                /* it is being unlinked */
};

struct shared {
        struct model_object objects[N_SHARED];
        uint64_t last_token, last_value, order;
};

struct shared *shared_new(void);
/* One thing that this connection does with one of them. */
void shared_act(struct sim *, uint32_t connection);
/* The connection is over: what it held, leased and waited for. Before the core is told, or when it says so.
 */
void shared_gone(struct sim *, uint32_t connection);
/* It gives this request up. */
void shared_given_up(struct sim *, const struct request *);
/* What the core answers; the request is closed already. */
void shared_answered(struct sim *, const struct request *, const struct core_shared_answer *);
void shared_refused(struct sim *, const struct request *, enum core_refusal);
/* Whether its answer is due by what the model knows. */
bool shared_is_due(struct sim *, const struct request *);
/* After each turn. */
void shared_check(struct sim *);
/* All objects go, so that all who wait end. */
void shared_finish(struct sim *);

/* model_locks.c */
void locks_act(struct sim *, uint32_t connection, unsigned which);
void lock_answered(struct sim *, const struct request *, const struct core_shared_answer *);

/* model_queues.c */
void queues_act(struct sim *, uint32_t connection, unsigned which);
void queue_answered(struct sim *, const struct request *, const struct core_shared_answer *);

/* model_shared.c */
struct core_open shared_open_of(unsigned which);
const char *shared_name(unsigned which);
struct request *shared_begin(struct sim *, uint32_t connection, unsigned which, int kind,
                             struct core_request *);
/* The core's word on it: 0, or it was closed because of r. expected: the refusal that is right here, too. */
void shared_began(struct sim *, struct core_request, int r, int expected);
int64_t shared_timeout(struct sim *, struct request *);

#endif
