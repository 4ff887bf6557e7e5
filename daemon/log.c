/* SPDX-License-Identifier: MIT */
/*
 * The log's one writer. Each line is built in a buffer of its own and leaves in one write(2), so lines of
 * several processes on the same standard error do not mix. A line that cannot be written is lost and counted;
 * the next one that can be says so.
 */
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 4096
/* Shares of a line, as written: with both texts and all numbers it never overflows. */
#define MESSAGE_BYTES 2048
#define FIELD_BYTES   768

static const char *const level_names[N_LOG_LEVELS] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
};
static const char journal_priorities[N_LOG_LEVELS] = {
        [LOG_LEVEL_ERROR] = '3',
        [LOG_LEVEL_WARNING] = '4',
        [LOG_LEVEL_INFO] = '6',
        [LOG_LEVEL_DEBUG] = '7',
};

static struct {
        enum log_level level;
        enum log_format format;
        bool to_journal;
        uint64_t lost;
} state = {.level = LOG_LEVEL_INFO};

struct line {
        char text[LINE_BYTES];
        size_t size;
};

/* JOURNAL_STREAM names device and inode of the stream that systemd gave us; whoever redirected us since has
 * another. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(enum log_level level, enum log_format format)
{
        state.level = level;
        state.format = format;
        state.to_journal = stderr_is_journal();
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

static void line_put(struct line *l, const char *data, size_t size)
{
        assert(size <= LINE_BYTES - l->size);
        memcpy(l->text + l->size, data, size);
        l->size += size;
}

static void line_puts(struct line *l, const char *text)
{
        line_put(l, text, strlen(text));
}

static void line_printf(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line_printf(struct line *l, const char *format, ...)
{
        char text[64];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        line_puts(l, text);
}

/* Length of the valid UTF-8 character at `at`, 0 if it is none (or a control character). */
static size_t character_size(const unsigned char *at)
{
        size_t n = *at < 0x80 ? 1 : *at >= 0xc2 && *at < 0xe0 ? 2 : *at >= 0xe0 && *at < 0xf0 ? 3 : 4;

        if (*at < 0x20 || *at == 0x7f || (n == 4 && (*at < 0xf0 || *at > 0xf4)))
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((at[i] & 0xc0) != 0x80)
                        return 0;
        if ((*at == 0xc2 && at[1] < 0xa0) || (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) ||
            (*at == 0xf0 && at[1] < 0x90) || (*at == 0xf4 && at[1] > 0x8f))
                return 0;
        return n;
}

/* A text that may come from outside: whatever could end the line or fool a terminal is escaped. */
static void line_text(struct line *l, const char *text, size_t max_bytes)
{
        bool json = state.format == LOG_FORMAT_JSON;
        size_t end = l->size + max_bytes;

        for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
                if (end - l->size < 2 * sizeof "\\u0000") {
                        line_puts(l, "...");
                        return;
                }
                size_t n = character_size(at);
                if (n == 0)
                        line_printf(l, json ? "\\u00%02x" : "\\x%02x", *at);
                else if (json && (*at == '"' || *at == '\\'))
                        line_printf(l, "\\%c", *at);
                else
                        line_put(l, (const char *)at, n);
                at += n == 0 ? 1 : n;
        }
}

static void line_field(struct line *l, const char *name, const char *text)
{
        if (text == NULL)
                return;
        line_printf(l, state.format == LOG_FORMAT_JSON ? ",\"%s\":\"" : " %s=", name);
        line_text(l, text, FIELD_BYTES);
        if (state.format == LOG_FORMAT_JSON)
                line_puts(l, "\"");
}

static void line_number(struct line *l, const char *name, uint64_t value)
{
        line_printf(l, state.format == LOG_FORMAT_JSON ? ",\"%s\":%llu" : " %s=%llu", name,
                    (unsigned long long)value);
}

static void line_fields(struct line *l, const struct log_fields *fields)
{
        if (fields == NULL)
                return;
        if (fields->task != 0)
                line_number(l, "task", fields->task);
        if (fields->worker != 0)
                line_number(l, "worker", (uint64_t)fields->worker);
        if (fields->uid != NULL)
                line_number(l, "uid", *fields->uid);
        line_field(l, "pool", fields->pool);
        line_field(l, "function", fields->function);
}

static void line_build(struct line *l, enum log_level level, const struct log_fields *fields,
                       const char *message)
{
        struct timespec now;

        if (state.to_journal)
                line_printf(l, "<%c>", journal_priorities[level]);
        if (state.format == LOG_FORMAT_JSON) {
                clock_gettime(CLOCK_REALTIME, &now);
                line_printf(l, "{\"time\":%lld.%03ld,\"level\":\"%s\",\"message\":\"", (long long)now.tv_sec,
                            now.tv_nsec / 1000000, level_names[level]);
                line_text(l, message, MESSAGE_BYTES);
                line_puts(l, "\"");
                line_fields(l, fields);
                line_puts(l, "}");
        } else {
                for (const char *c = level_names[level]; *c != 0; c++)
                        line_printf(l, "%c", *c - 'a' + 'A');
                line_puts(l, " ");
                line_text(l, message, MESSAGE_BYTES);
                line_fields(l, fields);
        }
        l->text[l->size++] = '\n';
}

static void line_write(const struct line *l)
{
        ssize_t n;

        do
                n = write(STDERR_FILENO, l->text, l->size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                state.lost++;
}

static void emit(enum log_level level, const struct log_fields *fields, const char *message)
{
        struct line l = {.size = 0};
        uint64_t lost = state.lost;

        if (lost > 0) {
                char text[64];
                snprintf(text, sizeof text, "%llu messages could not be written", (unsigned long long)lost);
                line_build(&l, LOG_LEVEL_WARNING, NULL, text);
                line_write(&l);
                if (state.lost == lost)
                        state.lost = 0;
                l.size = 0;
        }
        line_build(&l, level, fields, message);
        line_write(&l);
}

static void log_writev(enum log_level level, const struct log_fields *fields, const char *format,
                       va_list args) __attribute__((format(printf, 3, 0)));
static void log_writev(enum log_level level, const struct log_fields *fields, const char *format,
                       va_list args)
{
        char message[MESSAGE_BYTES];
        int saved = errno;

        vsnprintf(message, sizeof message, format, args);
        emit(level, fields, message);
        errno = saved;
}

void log_write(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
        va_list args;

        if (!log_enabled(level))
                return;
        va_start(args, format);
        log_writev(level, fields, format, args);
        va_end(args);
}

void log_limited(struct log_limit *limit, enum log_level level, const struct log_fields *fields,
                 const char *format, ...)
{
        struct timespec clock;
        int64_t now;
        va_list args;

        if (!log_enabled(level))
                return;
        clock_gettime(CLOCK_MONOTONIC, &clock);
        now = (int64_t)clock.tv_sec * 1000000000 + clock.tv_nsec;
        if (limit->since == 0 || now - limit->since >= LOG_LIMIT_INTERVAL_S * INT64_C(1000000000)) {
                limit->since = now;
                limit->n = 0;
        }
        if (limit->n == LOG_LIMIT_BURST) {
                limit->suppressed++;
                return;
        }
        limit->n++;
        if (limit->suppressed > 0) {
                log_write(level, NULL, "%llu messages like the next one were left out",
                          (unsigned long long)limit->suppressed);
                limit->suppressed = 0;
        }
        va_start(args, format);
        log_writev(level, fields, format, args);
        va_end(args);
}
