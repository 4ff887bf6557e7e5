/* SPDX-License-Identifier: MIT */
/*
 * The log: one line a message to standard error, `LEVEL message task=… worker=… uid=…` or one JSON object. A
 * failure is logged once, where it is decided. What comes from outside (names, texts) cannot begin a line of
 * its own: control characters are escaped. Under systemd each line carries its journal priority.
 *
 * What strangers can cause any number of times goes through a struct log_limit, one per cause.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, N_LOG_LEVELS };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* What a message is about; what is 0 or NULL is not shown. */
struct log_fields {
        uint64_t task;
        pid_t worker;
        const uid_t *uid;
        const char *pool;
        const char *function;
};

/* Before the first message; may be called again. */
void log_init(enum log_level, enum log_format);
enum log_level log_get_level(void);
/* Sets the level; returns the one before. */
enum log_level log_set_level(enum log_level);
/* "error", "warning", "info", "debug"; N_LOG_LEVELS: no such name. */
const char *log_level_name(enum log_level);
enum log_level log_level_from_name(const char *name);
/* Whether a message of this level would be written (for what costs something to tell). */
bool log_enabled(enum log_level);

void log_write(enum log_level, const struct log_fields *, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)
/* For instance log_with(LOG_LEVEL_INFO, LOG_FIELDS(.task = id, .worker = pid), "ended"). */
#define LOG_FIELDS(...)              (&(const struct log_fields){__VA_ARGS__})
#define log_with(level, fields, ...) log_write(level, fields, __VA_ARGS__)

/* One cause's share of the log: LOG_LIMIT_BURST messages every LOG_LIMIT_INTERVAL_S seconds; the next one
 * that is let through says how many were not. Static, all zero. */
#define LOG_LIMIT_BURST      10
#define LOG_LIMIT_INTERVAL_S 10
struct log_limit {
        int64_t since; /* begin of the interval, CLOCK_MONOTONIC, ns */
        uint32_t n;    /* let through in it */
        uint64_t suppressed;
};
void log_limited(struct log_limit *, enum log_level, const struct log_fields *, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#endif
