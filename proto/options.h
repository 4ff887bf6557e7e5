/* SPDX-License-Identifier: MIT */
/*
 * The options of a task, one table: what `call`, `submit` and `map` take in their last map, and what the
 * command line offers under the same names. The daemon decodes by it, the command line's help is made from
 * it, PROTOCOL.md is held against it. An option that is not here does not exist and is refused by name.
 */
#ifndef PROTO_OPTIONS_H
#define PROTO_OPTIONS_H

#include <stddef.h>

enum option_type {
        OPTION_NAME,    /* str of at most LIMIT_NAME_BYTES */
        OPTION_TEXT,    /* str of at most LIMIT_LABEL_BYTES */
        OPTION_LEVEL,   /* integer -100...100 */
        OPTION_SECONDS, /* number >= 0, at most LIMIT_SECONDS */
        OPTION_COUNT,   /* integer 1...2^32-1 */
        OPTION_FLAG,    /* bool */
        OPTION_STREAMS, /* list of "progress", "stdout", "stderr" */
        OPTION_RETRIES, /* integer 0...LIMIT_RETRIES */
        OPTION_ENDS,    /* list of "worker_lost", "timed_out", "task_failed" */
};

enum option_use {
        OPTION_FOR_SINGLE = 1 << 0, /* call, submit */
        OPTION_FOR_MAP = 1 << 1,
        OPTION_FOR_ALL = OPTION_FOR_SINGLE | OPTION_FOR_MAP,
};

#define TASK_OPTION_TABLE(X)                                                                                 \
        X(POOL, "pool", NAME, ALL, "the pool to run in")                                                     \
        X(PRIORITY, "priority", LEVEL, ALL, "-100 to 100, higher first among the user's own")                \
        X(DELAY, "delay", SECONDS, ALL, "time before it may begin")                                          \
        X(EXPIRES, "expires", SECONDS, ALL, "time from now by which it must have begun")                     \
        X(TIMEOUT, "timeout", SECONDS, ALL, "time that it may run")                                          \
        X(RETRIES, "retries", RETRIES, ALL, "further attempts after a bad end")                              \
        X(RETRY_ON, "retry_on", ENDS, ALL, "after which ends: worker_lost, timed_out, task_failed")          \
        X(BACKOFF, "backoff", SECONDS, ALL, "pause before the second attempt, then doubling")                \
        X(ATTEMPTS_BEFORE, "attempts_before", RETRIES, ALL, "attempts that were made before")                \
        X(TTL, "ttl", SECONDS, SINGLE, "time that a result is kept if nobody takes it")                      \
        X(KEY, "key", NAME, SINGLE, "join the task that is known by this name, if there is one")             \
        X(LABEL, "label", TEXT, ALL, "a text for people")                                                    \
        X(STREAM, "stream", STREAMS, SINGLE, "what to stream: progress, stdout, stderr")                     \
        X(DETACHED, "detached", FLAG, ALL, "not ended with the task that submitted it")                      \
        X(CHUNK, "chunk", COUNT, MAP, "items a dispatch (default: about 2 ms of work)")                      \
        X(ORDERED, "ordered", FLAG, MAP, "deliver results in input order")                                   \
        X(FAIL_FAST, "fail_fast", FLAG, MAP, "stop at the first failure")                                    \
        X(LIMIT, "limit", COUNT, MAP, "at most so many items running at once")                               \
        X(WINDOW, "window", COUNT, MAP, "items begun and not yet confirmed by more")                         \
        X(FEED, "feed", FLAG, MAP, "more arguments follow by feed")                                          \
        X(COLLECT, "collect", FLAG, MAP, "the answer holds all values too")

enum task_option {
#define X(symbol, name, type, use, help) TASK_OPTION_##symbol,
        TASK_OPTION_TABLE(X)
#undef X
                N_TASK_OPTIONS
};

struct option_info {
        const char *name;
        enum option_type type;
        enum option_use use;
        const char *help;
};

extern const struct option_info task_option_table[N_TASK_OPTIONS];

/* The option of a name; N_TASK_OPTIONS if there is none. */
enum task_option task_option_from_name(const char *name, size_t size_bytes);

/* The streams that a client can ask for, as bits. */
enum stream_kind { STREAM_PROGRESS = 1 << 0, STREAM_STDOUT = 1 << 1, STREAM_STDERR = 1 << 2 };
/* The kind of a name, 0 if there is none; the name of a kind. */
enum stream_kind stream_from_name(const char *name, size_t size_bytes);
const char *stream_name(enum stream_kind kind);

/* The bad ends after which a task can be tried again, as bits; their names are the error codes. */
enum retry_end {
        RETRY_WORKER_LOST = 1 << 0,
        RETRY_TIMED_OUT = 1 << 1,
        RETRY_TASK_FAILED = 1 << 2,
};
/* The end of a name, 0 if there is none such. */
enum retry_end retry_end_from_name(const char *name, size_t size_bytes);

#endif
