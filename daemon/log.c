/* SPDX-License-Identifier: MIT */
/*
 * Who logs: levels, shares, and the making of entries, in the ring if the thread is there, else in a buffer
 * that is written at once. All but the thread itself is the loop's alone.
 */
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/log_entry.h"
#include "daemon/log_sink.h"
#include "daemon/log_thread.h"

static const char *const level_names[N_LOG_LEVELS] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
};

static struct {
        enum log_level level;
        enum log_format format;
        log_journal_send *send;
        enum { BEFORE_THREAD, THREAD, AFTER_THREAD, OVER } phase; /* OVER: the thread could not end */
        LIST_HEAD(, log_limit) owing;
} state = {.level = LOG_LEVEL_INFO};

void log_init(enum log_level level, enum log_format format)
{
        state.level = level;
        state.format = format;
        log_sink_set(format, state.send);
}

void log_use_journal(log_journal_send *send)
{
        state.send = send;
        log_sink_set(state.format, send);
}

int log_start(void)
{
        int r;

        assert(state.phase != THREAD);
        r = log_thread_start();
        if (r == 0)
                state.phase = THREAD;
        return r;
}

bool log_stop(void)
{
        log_settle(0, true);
        if (state.phase == THREAD)
                state.phase = log_thread_stop() ? AFTER_THREAD : OVER;
        return state.phase != OVER;
}

enum log_level log_get_level(void)
{
        return state.level;
}

enum log_level log_set_level(enum log_level level)
{
        enum log_level before = state.level;

        state.level = level;
        return before;
}

const char *log_level_name(enum log_level level)
{
        return level_names[level];
}

enum log_level log_level_from_name(const char *name)
{
        enum log_level level = 0;

        while (level < N_LOG_LEVELS && strcmp(level_names[level], name) != 0)
                level++;
        return level;
}

bool log_enabled(enum log_level level)
{
        return level <= state.level;
}

/* -- entries -- */

/* Copies a name behind the entry. */
static const char *put_name(char **at, const char *name)
{
        const char *begin = *at;
        size_t n;

        if (name == NULL)
                return NULL;
        n = strnlen(name, LOG_NAME_BYTES - 1);
        memcpy(*at, name, n);
        (*at)[n] = 0;
        *at += n + 1;
        return begin;
}

static size_t fill(struct log_entry *e, const struct log_origin *origin, enum log_level level,
                   const struct log_fields *fields, const char *format, va_list args)
        __attribute__((format(printf, 5, 0)));
/* Returns the bytes that it takes with its texts. */
static size_t fill(struct log_entry *e, const struct log_origin *origin, enum log_level level,
                   const struct log_fields *fields, const char *format, va_list args)
{
        static const struct log_fields none;
        char *at = (char *)(e + 1);

        fields = fields != NULL ? fields : &none;
        *e = (struct log_entry){.level = level,
                                .origin = origin,
                                .message_id = fields->message_id,
                                .stream = fields->stream,
                                .task = fields->task,
                                .worker = fields->worker,
                                .has_uid = fields->uid != NULL,
                                .uid = fields->uid != NULL ? *fields->uid : 0,
                                .line = fields->line};
        clock_gettime(CLOCK_REALTIME, &e->time);
        e->pool = put_name(&at, fields->pool);
        e->function = put_name(&at, fields->function);
        e->file = put_name(&at, fields->file);
        e->message = at;
        *at = 0;
        vsnprintf(at, LOG_MESSAGE_BYTES, format, args);
        at += strlen(at) + 1;
        return (size_t)(at - (char *)e);
}

static void write_now(const struct log_origin *origin, enum log_level level, const struct log_fields *fields,
                      const char *format, va_list args) __attribute__((format(printf, 4, 0)));
static void write_now(const struct log_origin *origin, enum log_level level, const struct log_fields *fields,
                      const char *format, va_list args)
{
        _Alignas(struct log_entry) char block[LOG_BLOCK_BYTES];
        struct log_entry *e = (struct log_entry *)(void *)block;

        fill(e, origin, level, fields, format, args);
        log_sink_write(e);
}

static void log_writev(const struct log_origin *origin, enum log_level level, const struct log_fields *fields,
                       const char *format, va_list args) __attribute__((format(printf, 4, 0)));
static void log_writev(const struct log_origin *origin, enum log_level level, const struct log_fields *fields,
                       const char *format, va_list args)
{
        int saved = errno;

        if (state.phase == THREAD) {
                struct log_entry *e = log_thread_reserve(level);
                if (e != NULL)
                        log_thread_commit(e, fill(e, origin, level, fields, format, args));
        } else if (state.phase != OVER)
                write_now(origin, level, fields, format, args);
        errno = saved;
}

void log_write_at(const struct log_origin *origin, enum log_level level, const struct log_fields *fields,
                  const char *format, ...)
{
        va_list args;

        if (!log_enabled(level))
                return;
        va_start(args, format);
        log_writev(origin, level, fields, format, args);
        va_end(args);
}

/* -- shares -- */

static void say_owed(struct log_limit *limit)
{
        if (!limit->owes)
                return;
        log_with(limit->level, LOG_FIELDS(.uid = limit->has_uid ? &limit->uid : NULL),
                 "%llu messages were left out that are like this one: %s",
                 (unsigned long long)limit->suppressed, limit->like);
        LIST_REMOVE(limit, owing);
        limit->owes = false;
        limit->suppressed = 0;
}

/* Whether it may be written. If not the caller says what was left out, where nothing is said of it yet. */
static bool take_share(struct log_limit *limit, enum log_level level, const uid_t *uid)
{
        struct timespec clock;

        clock_gettime(CLOCK_MONOTONIC, &clock);
        if (log_limit_take(limit, (int64_t)clock.tv_sec * 1000000000 + clock.tv_nsec)) {
                say_owed(limit);
                return true;
        }
        limit->level = level;
        limit->has_uid = uid != NULL;
        limit->uid = uid != NULL ? *uid : 0;
        return false;
}

static void owe(struct log_limit *limit)
{
        limit->owes = true;
        LIST_INSERT_HEAD(&state.owing, limit, owing);
}

bool log_may(struct log_limit *limit, enum log_level level, const uid_t *uid, const char *like)
{
        if (!log_enabled(level))
                return false;
        if (take_share(limit, level, uid))
                return true;
        if (!limit->owes) {
                snprintf(limit->like, sizeof(limit->like), "%s", like);
                owe(limit);
        }
        return false;
}

uint64_t log_n_dropped(void)
{
        return log_thread_n_dropped();
}

int64_t log_settle(int64_t now, bool all)
{
        struct log_limit *limit, *next;
        int64_t at = INT64_MAX;

        for (limit = LIST_FIRST(&state.owing); limit != NULL; limit = next) {
                next = LIST_NEXT(limit, owing);
                if (all || now >= log_limit_ends(limit))
                        say_owed(limit);
                else if (log_limit_ends(limit) < at)
                        at = log_limit_ends(limit);
        }
        return at;
}

void log_limited_at(const struct log_origin *origin, struct log_limit *limit, enum log_level level,
                    const struct log_fields *fields, const char *format, ...)
{
        va_list args;

        if (!log_enabled(level))
                return;
        va_start(args, format);
        if (take_share(limit, level, fields != NULL ? fields->uid : NULL))
                log_writev(origin, level, fields, format, args);
        else if (!limit->owes) {
                vsnprintf(limit->like, sizeof(limit->like), format, args);
                owe(limit);
        }
        va_end(args);
}
