/* SPDX-License-Identifier: MIT */
/*
 * Who is next: lanes of tasks, in levels of priority, in turns of users, in ranks of admins' priorities.
 */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include "daemon/core/table.h"

struct core;
struct peer;
struct pool;
struct task;
struct user;

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
/* Back to the place that it had (order), as if it had never been taken: if that was in its user's turn, it is
 * his turn again. */
void queue_put_back(struct task *, uint64_t order);
/* The same, looking for its place from this one on, which stands in some lane, or NULL. */
void queue_put_back_behind(struct task *, uint64_t order, struct task *before);
void queue_remove(struct task *);
struct task *queue_first(const struct pool *);
/* Takes the first; its lane, level and user go to the end of their rings. */
struct task *queue_take(struct pool *);

#endif
