/* SPDX-License-Identifier: MIT */
/*
 * What is done to a mapped object of i64 numbers by programs, by tasks and in unit tests: the same, so that
 * it is the memory that they differ by and nothing else.
 */
#ifndef TESTS_SUPPORT_SHARED_WORK_H
#define TESTS_SUPPORT_SHARED_WORK_H

#include "proto/ganger_shared.h"

enum { SHARED_PATIENCE_MS = 20000, SHARED_CALL_MS = 10 };

/* CLOCK_MONOTONIC. */
int64_t shared_now_ms(void);

/* Adds one to the first number, read and written apart: for who holds a lock. 0 or -errno. */
int shared_add_apart(const struct ganger_shared *);
/* The same n times, each under the object's own lock. How often that was abandoned, or -errno. While the
 * number is -1 it waits, so that many can begin at once. */
int64_t shared_add_locked(const struct ganger_shared *, int64_t n);
/* n times by an atomic addition, beginning alike; 0 or -errno. */
int shared_add_atomically(const struct ganger_shared *, int64_t n);

struct shared_take {
        int r; /* of ganger_shared_lock() */
        int64_t took_ms;
};
/* Takes the object's own lock and gives it back. */
struct shared_take shared_take(const struct ganger_shared *, int64_t timeout_ms);

/* One of the functions, chosen by `which`, on an object of 4 that others may overwrite meanwhile: whether it
 * returned what it may. Each is told to last SHARED_CALL_MS at most. */
int shared_use_once(const struct ganger_shared *, int which);
struct shared_use {
        int wrong; /* 1 + which one returned what it must not; 0: none */
        int64_t n, longest_ms;
};
/* All of them, again and again, for so long; the first one is `which`. */
struct shared_use shared_use(const struct ganger_shared *, int which, int64_t duration_ms);

#endif
