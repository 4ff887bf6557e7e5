/* SPDX-License-Identifier: MIT */
/*
 * A user and what is held for him. One function charges, one releases.
 */
#ifndef CORE_ACCOUNT_H
#define CORE_ACCOUNT_H

#include "daemon/core/table.h"

struct map;
struct task;
TAILQ_HEAD(map_line, map); /* maps that are fed, and have items for which there is no room yet */

enum account_kind {
        ACCOUNT_CONNECTIONS,
        ACCOUNT_TASKS,
        ACCOUNT_DESCRIPTORS,
        ACCOUNT_BYTES,
        ACCOUNT_OBJECTS,
        N_ACCOUNTS
};
struct user {
        struct table_link by_uid;
        struct core *core;
        uint64_t used[N_ACCOUNTS];
        uint64_t unsent_bytes; /* of the bytes: what waits in his connections */
        LIST_HEAD(, turn) turns;
        TAILQ_HEAD(, task) parked;      /* ready, but their results would be more than he may hold */
        TAILQ_ENTRY(user) link;         /* core.parked_users, while some are parked */
        struct map_line overfed;        /* by his share of tasks */
        TAILQ_ENTRY(user) overfed_link; /* core.overfed_users, while there are some */
        uint64_t n_fed;                 /* of his tasks: items of maps that are fed */
        uint32_t n_refs;                /* peers, tasks, turns, objects */
};
int user_get(struct core *, uid_t, struct user **ret);
struct user *user_unref(struct user *);
/* Whether so much more is within every limit; else CORE_QUOTA and core->quota says which. */
int user_admit(struct user *, enum account_kind, uint64_t amount);
/* How much more is within the user's own limit. */
uint64_t user_room(const struct user *, enum account_kind);
/* The one function that charges, the one that releases. Charging does not ask: what was accepted is kept. */
void user_charge(struct user *, enum account_kind, uint64_t amount);
void user_release(struct user *, enum account_kind, uint64_t amount);
/* Whether he holds more bytes than he may: by results, for what he asks is refused before. Then nothing of
 * his begins whose result would be kept. */
bool user_is_over(const struct user *);
/* Whether that is so by what he does not read alone: then not even a call begins. */
bool user_is_behind(const struct user *);
void user_park(struct user *, struct task *);
void user_unpark(struct user *, struct task *);
/* A parked task, no map, goes back to its place in the queue. */
void task_unpark(struct task *);
/* Puts back what is parked of those who are not over any more, not all at once. True: there is more. */
bool users_resume(struct core *);
static inline uid_t user_uid(const struct user *user)
{
        return (uid_t)user->by_uid.key;
}

#endif
