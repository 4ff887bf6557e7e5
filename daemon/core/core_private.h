/* SPDX-License-Identifier: MIT */
/*
 * What the files of the core share: its objects and the functions by which one file uses another's. Nobody
 * outside daemon/core includes it.
 *
 *      user ─ peer (a connection) ─ waiter (an open request) ─ watch ─ task
 *      user ─ object (shared) ─ hold, lease, object_wait ─ peer
 *      pool ─ hand (a worker) ─ run (what stands in one of its slots) ─ task, or a chunk of a map
 *      pool ─ rank ─ turn (a user) ─ level (a priority) ─ lane (a connection) ─ task
 *
 * One rule holds all of it together: memory is had before a state changes. So links are intrusive, a timer's
 * place in the heap is reserved with its owner, a hand is born with its slots, a map with its spare ranges,
 * and what happens after admission cannot fail.
 */
#ifndef CORE_CORE_PRIVATE_H
#define CORE_CORE_PRIVATE_H

#include "daemon/core/history.h"
#include "daemon/core/map.h"
#include "daemon/core/object.h"
#include "daemon/core/peer.h"
#include "daemon/core/pool.h"
#include "daemon/core/waiter.h"
#include "proto/area.h"

struct core {
        struct core_config config;
        struct core_ops ops;
        void *ctx;
        int64_t now;
        uint64_t next_id, next_order;
        struct core_quota quota;
        struct core_clash clash;
        char circle[512];
        struct timers timers;
        struct table users, tasks, waiters, keys, lanes, objects, memories, leases;
        TAILQ_HEAD(task_list, task) all_tasks;
        struct object *objects_root; /* the same in the order of their names */
        size_t n_unfinished;
        struct history history;
        struct peer **peers;
        size_t n_peers; /* places */
        struct hand **hands;
        size_t n_hands;
        struct pool *pools[LIMIT_POOLS];
        uint32_t n_pools;
        uint64_t bytes;        /* of all users */
        uint64_t table_secret; /* odd */
        uint64_t hash_key[2];
        uint64_t last_object, last_token, last_ticket;
        bool stopping, stop_is_over, drained, in_store;
        struct timer stop_timer;
        LIST_HEAD(, waiter) pool_waiters;
        TAILQ_HEAD(, user) parked_users, overfed_users;
        struct task *spare_tasks;
        struct waiter *spare_waiters;
        size_t n_spare_tasks, n_spare_waiters;
};
void core_update_now(struct core *, int64_t now);
/* Makes room for index `i` in an array of pointers. */
int pointers_reserve(void *array, size_t *n, size_t i);

/* -- key.c -- */

/* A number for a text that no client can know or choose, so that texts share one by chance alone. */
uint64_t core_hash(const struct core *, uint64_t seed, const char *text);

/* The task that this spec joins: *ret NULL if there is none. 0 or CORE_KEY_CONFLICT. */
int key_find(const struct peer *, const struct core_spec *, struct task **ret);
void key_add(struct core *, struct task *);
void key_remove(struct core *, struct task *);
/* It is not only its first caller's any more; the arguments of who joins are not needed. */
void key_join(struct core *, struct task *, const struct core_spec *);

/* -- stream.c -- */

void task_drop_tail(struct core *, struct task *);
/* The tail is for the record in history from now on, and nobody's account. True: something is left of it. */
bool task_shrink_tail(struct core *, struct task *);
/* The peer's output drained: credit that was withheld is granted. */
void streams_resume(struct peer *);
/* One of those who stream it is gone. */
void task_resume_stream(struct task *);

#endif
