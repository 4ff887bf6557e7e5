/* SPDX-License-Identifier: MIT */
/*
 * The log. A message goes to the journal with its fields where standard error is the journal, else to
 * standard error as one line, `LEVEL message task=… worker=… uid=…` or one JSON object. A failure is logged
 * once, where it is decided. What comes from outside (names, texts) cannot begin a line of its own: control
 * characters are escaped.
 *
 * From log_start() to log_stop() a thread does the writing, and whoever logs (the loop, nobody else) never
 * waits for it: what finds no room is dropped and counted. Before and after that, messages are written at
 * once.
 *
 * What strangers can cause any number of times goes through a struct log_limit, one per cause.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/log_limit.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, N_LOG_LEVELS };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Where in the source a message is written. */
struct log_origin {
        const char *file, *function;
        int line;
};

/* What a message is about; what is 0 or NULL is not shown. */
struct log_fields {
        uint64_t task;
        pid_t worker;
        const uid_t *uid;
        const char *pool;
        const char *function;
        const char *message_id; /* static: 32 hexadecimal digits, what the journal's catalog knows it by */
        const char *stream;     /* static: what the message was read from */
        const char *file;       /* where a module's source wrote it, and not ours */
        int line;
};

struct iovec;
/* Who sends one message to the journal, field by field ("NAME=value"); 0 or -errno. May block. */
typedef int log_journal_send(const struct iovec *fields, int n_fields);

/* Before the first message; may be called again. */
void log_init(enum log_level, enum log_format);
/* NULL, as it is at first: lines with their priority go to the journal by standard error. */
void log_use_journal(log_journal_send *);
/* From now on a thread writes. 0 or -errno (then all stays as it was). Signals are blocked in it. */
int log_start(void);
/* What was logged is written, for at most LOG_STOP_MS. False: not all of it. */
#define LOG_STOP_MS 1000
bool log_stop(void);
/* Messages that the thread never got, because there was no room for them. */
uint64_t log_n_dropped(void);
/* Says what is owed about messages that were left out and whose time is over (all: is over or not); returns
 * when it wants to be called at the latest, INT64_MAX if nothing is owed. The time is CLOCK_MONOTONIC, ns. */
int64_t log_settle(int64_t now, bool all);

enum log_level log_get_level(void);
/* Sets the level; returns the one before. */
enum log_level log_set_level(enum log_level);
/* "error", "warning", "info", "debug"; N_LOG_LEVELS: no such name. */
const char *log_level_name(enum log_level);
enum log_level log_level_from_name(const char *name);
/* Whether a message of this level would be written (for what costs something to tell). */
bool log_enabled(enum log_level);
/* Whether a message of this cause and level may be written now, else it is counted; `like`: what its sort is
 * called. Who got true writes one. */
bool log_may(struct log_limit *, enum log_level, const uid_t *, const char *like);

void log_write_at(const struct log_origin *, enum log_level, const struct log_fields *, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
void log_limited_at(const struct log_origin *, struct log_limit *, enum log_level, const struct log_fields *,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* It outlives its message. */
#define LOG_ORIGIN                                                                                           \
        ({                                                                                                   \
                static const struct log_origin log_origin_ = {__FILE__, __func__, __LINE__};                 \
                &log_origin_;                                                                                \
        })
/* For instance log_with(LOG_LEVEL_INFO, LOG_FIELDS(.task = id, .worker = pid), "ended"). */
#define LOG_FIELDS(...)                        (&(const struct log_fields){__VA_ARGS__})
#define log_with(level, fields, ...)           log_write_at(LOG_ORIGIN, level, fields, __VA_ARGS__)
#define log_limited(limit, level, fields, ...) log_limited_at(LOG_ORIGIN, limit, level, fields, __VA_ARGS__)
#define log_error(...)                         log_with(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...)                       log_with(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_info(...)                          log_with(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...)                         log_with(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

#endif
