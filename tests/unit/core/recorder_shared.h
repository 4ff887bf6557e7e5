/* SPDX-License-Identifier: MIT */
/*
 * The words of the tests of shared objects. All check the core's invariants when they are through. Times that
 * are not said are as long as it takes. Tokens run from 2.
 */
#ifndef TESTS_UNIT_CORE_RECORDER_SHARED_H
#define TESTS_UNIT_CORE_RECORDER_SHARED_H

#include "tests/unit/core/recorder.h"

/* As "refusal …" lines say them. */
#define STOPPING       "5"
#define NOT_READY      "6"
#define CANCELLED      "11"
#define UNKNOWN_OBJECT "16"
#define BROKEN         "22"
_Static_assert(CORE_STOPPING == 5 && CORE_NOT_READY == 6 && CORE_CANCELLED == 11, "as said");
_Static_assert(CORE_UNKNOWN_OBJECT == 16 && CORE_BROKEN == 22, "as said");

/* A core with clients 1 and 2 of Alice and 9 of Bob. */
struct recorder *begin_shared(void);
/* The calls 1 … n of client 1 run, each at a worker, with connections 51 … of their own; returns with nothing
 * recorded. */
struct recorder *begin_tasks(uint32_t n);
#define TASK_1 51
#define TASK_2 52
#define TASK_3 53

struct core_open a(enum core_object_kind);
struct core_open a_with(enum core_object_kind, enum core_property, uint64_t value);
struct core_value value(struct recorder *, payload_t);
struct core_request at(uint32_t connection, uint32_t msgid);
void leave(struct recorder *, uint32_t connection);
void give_up(struct recorder *, uint32_t connection, uint32_t msgid);
int unlink_object(struct recorder *, uint32_t connection, const char *name);
/* The object as client 1 sees it. */
struct core_object look(struct recorder *, const char *name);

/* What they are refused with at once, or 0. */
int acquire(struct recorder *, uint32_t connection, uint32_t msgid, const char *name);
int acquire_as(struct recorder *, uint32_t connection, uint32_t msgid, const char *name, uint64_t owner);
int acquire_within(struct recorder *, uint32_t connection, uint32_t msgid, const char *name, int64_t timeout);
int acquire_with(struct recorder *, uint32_t connection, uint32_t msgid, const char *name, struct core_open);
int release(struct recorder *, uint32_t connection, const char *name);
int release_as(struct recorder *, uint32_t connection, const char *name, uint64_t owner);
int release_token(struct recorder *, uint32_t connection, const char *name, uint64_t token);
int wait_condition(struct recorder *, uint32_t connection, uint32_t msgid, const char *name, int64_t timeout);
/* How many were notified. */
uint64_t notify(struct recorder *, uint32_t connection, const char *name, uint64_t n);

/* Payloads first, first + 1, …; a refused one's are taken back. */
int put(struct recorder *, uint32_t connection, uint32_t msgid, payload_t first, size_t n, uint64_t maxsize,
        int64_t timeout);
int get(struct recorder *, uint32_t connection, uint32_t msgid, uint32_t max, bool ack, int64_t timeout);
size_t done(struct recorder *, uint32_t connection, uint64_t token);
int join(struct recorder *, uint32_t connection, uint32_t msgid, int64_t timeout);

#endif
