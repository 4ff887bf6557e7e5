/* SPDX-License-Identifier: MIT */
/*
 * A peer: a client's connection as the core knows it.
 */
#ifndef CORE_PEER_H
#define CORE_PEER_H

#include "daemon/core/account.h"

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

#endif
