/* SPDX-License-Identifier: MIT */
/*
 * The error codes of the wire, one table: number (of libganger's enum ganger_code, never reused), name,
 * meaning. The name is what travels; PROTOCOL.md and ganger.h are held against this table by tests.
 */
#ifndef PROTO_ERRORS_H
#define PROTO_ERRORS_H

#include <stddef.h>

#define ERROR_TABLE(X)                                                                                       \
        X(1, PROTOCOL_ERROR, "protocol_error", "the message is not well formed; the connection ends")        \
        X(2, UNKNOWN_METHOD, "unknown_method", "there is no such method")                                    \
        X(3, INVALID_PARAMS, "invalid_params", "an argument or option is wrong; the message names it")       \
        X(4, UNKNOWN_FUNCTION, "unknown_function", "no pool that may be used has such a function")           \
        X(5, UNKNOWN_POOL, "unknown_pool", "there is no such pool")                                          \
        X(6, UNKNOWN_TASK, "unknown_task", "no such task is known, or no longer, or it is another user's")   \
        X(7, NOT_PERMITTED, "not_permitted", "this user may not do that")                                    \
        X(8, NOT_READY, "not_ready", "it has not come to be within the time given")                          \
        X(9, QUEUE_FULL, "queue_full", "the pool's queue is full")                                           \
        X(10, QUOTA_EXCEEDED, "quota_exceeded", "the user has reached a limit: what, used, limit")           \
        X(11, TOO_LARGE, "too_large", "the value is larger than can be taken or given")                      \
        X(12, SHUTTING_DOWN, "shutting_down", "the daemon stops and takes no new tasks")                     \
        X(13, OUT_OF_MEMORY, "out_of_memory", "the daemon has no memory for this request")                   \
        X(14, DEADLOCK, "deadlock", "waiting would never end")                                               \
        X(15, KEY_CONFLICT, "key_conflict", "what is known by this key or name is not as was said")          \
        X(16, NESTING_LIMIT, "nesting_limit", "too many tasks wait for tasks")                               \
        X(17, UNKNOWN_OBJECT, "unknown_object", "there is no shared object of this name")                    \
        X(18, BROKEN_BARRIER, "broken_barrier", "one of those who waited at the barrier has left it")        \
        X(32, TASK_FAILED, "task_failed", "the function reported an error")                                  \
        X(33, WORKER_LOST, "worker_lost", "the worker process died")                                         \
        X(34, TIMED_OUT, "timed_out", "the task ran longer than it may")                                     \
        X(35, CANCELLED, "cancelled", "the task was cancelled")                                              \
        X(36, EXPIRED, "expired", "the task did not begin in time")

enum error_code {
        ERROR_NONE = 0,
#define X(number, symbol, name, meaning) ERROR_##symbol = number,
        ERROR_TABLE(X)
#undef X
};

struct error_info {
        enum error_code code;
        const char *name;
        const char *meaning;
};

extern const struct error_info error_table[];
extern const size_t n_error_table;

/* The name of a code ("queue_full"). */
const char *error_name(enum error_code code);
/* What the code means, one line. */
const char *error_meaning(enum error_code code);
/* The code of a name; ERROR_NONE if there is none. */
enum error_code error_from_name(const char *name, size_t size_bytes);

#endif
