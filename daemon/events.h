/* SPDX-License-Identifier: MIT */
/*
 * What happened, for those who subscribed. Each event has a number, one more than the one before, whoever is
 * told; the last LIMIT_EVENTS are kept in a ring. A subscriber is a place in it that moves on as his output
 * drains: who reads slowly, or comes back and says how far he was, misses nothing that is still there, and is
 * told how much is not. Owned by struct daemon.
 *
 * events_note() only writes into the ring; events_turn() tells.
 */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/core.h"
#include "proto/events.h"

struct daemon;
struct events;

/* Numbers begin above `seq`. */
int events_new(struct daemon *, uint64_t seq, struct events **ret);
/* Takes NULL; returns NULL. */
struct events *events_free(struct events *);

/* CORE_NO_POOL: of none. */
void events_note_pool(struct events *, enum event_kind, uint32_t pool);
/* record: the task that it is about, or that the worker ran; NULL: none. */
void events_note_task(struct events *, enum event_kind, const struct core_record *);
void events_note_worker(struct events *, enum event_kind, uint32_t pool, pid_t, const struct core_record *);
void events_note_ended(struct events *, const struct core_record *);

/* A request that is open with the core. kinds: 1 << enum event_kind. after: the last one that the subscriber
 * knows; NULL: it is told from here on. 0 or -ENOMEM. */
int events_subscribe(struct events *, const struct core_ticket *, uint32_t kinds, const uint64_t *after);
/* The request is over, or all of this connection are. */
void events_forget(struct events *, struct core_request);
void events_forget_connection(struct events *, uint32_t connection);
/* Packs what is new. True: there is more, and room for it. */
bool events_turn(struct events *);
/* The daemon is gone soon: subscriptions are answered. */
void events_end(struct events *);

#endif
