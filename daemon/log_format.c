/* SPDX-License-Identifier: MIT */
/* Lines are built in a buffer of their own and leave in one piece: several processes write to the same
 * standard error. */
#include "daemon/log_format.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Shares of a line, as written: with all texts and all numbers it never overflows. */
#define FIELD_BYTES 448

static const int priorities[N_LOG_LEVELS] = {
        [LOG_LEVEL_ERROR] = 3,
        [LOG_LEVEL_WARNING] = 4,
        [LOG_LEVEL_INFO] = 6,
        [LOG_LEVEL_DEBUG] = 7,
};

int log_format_priority(enum log_level level)
{
        return priorities[level];
}

static void put(struct log_line *l, const char *data, size_t size_bytes)
{
        assert(size_bytes <= sizeof l->text - l->size_bytes);
        memcpy(l->text + l->size_bytes, data, size_bytes);
        l->size_bytes += size_bytes;
}

static void puts_to(struct log_line *l, const char *text)
{
        put(l, text, strlen(text));
}

static void printf_to(struct log_line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void printf_to(struct log_line *l, const char *format, ...)
{
        char text[64];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        puts_to(l, text);
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

void log_format_text(struct log_line *l, const char *text, size_t max_bytes, bool json)
{
        size_t end = l->size_bytes + max_bytes;

        for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
                if (end - l->size_bytes < 2 * sizeof "\\u0000") {
                        puts_to(l, "...");
                        return;
                }
                size_t n = character_size(at);
                if (n == 0)
                        printf_to(l, json ? "\\u00%02x" : "\\x%02x", *at);
                else if (json && (*at == '"' || *at == '\\'))
                        printf_to(l, "\\%c", *at);
                else
                        put(l, (const char *)at, n);
                at += n == 0 ? 1 : n;
        }
}

static void put_field(struct log_line *l, bool json, const char *name, const char *text)
{
        if (text == NULL)
                return;
        printf_to(l, json ? ",\"%s\":\"" : " %s=", name);
        log_format_text(l, text, FIELD_BYTES, json);
        if (json)
                puts_to(l, "\"");
}

static void put_number(struct log_line *l, bool json, const char *name, uint64_t value)
{
        printf_to(l, json ? ",\"%s\":%llu" : " %s=%llu", name, (unsigned long long)value);
}

static void put_fields(struct log_line *l, bool json, const struct log_entry *e)
{
        if (e->task != 0)
                put_number(l, json, "task", e->task);
        if (e->worker != 0)
                put_number(l, json, "worker", (uint64_t)e->worker);
        if (e->has_uid)
                put_number(l, json, "uid", e->uid);
        put_field(l, json, "pool", e->pool);
        put_field(l, json, "function", e->function);
        put_field(l, json, "stream", e->stream);
        put_field(l, json, "file", e->file);
        if (e->file != NULL)
                put_number(l, json, "line", e->line > 0 ? (uint64_t)e->line : 0);
        if (json)
                put_field(l, json, "message_id", e->message_id);
}

void log_format_line(const struct log_entry *e, enum log_format format, bool for_journal, struct log_line *l)
{
        const char *level = log_level_name(e->level);

        l->size_bytes = 0;
        if (for_journal)
                printf_to(l, "<%d>", priorities[e->level]);
        if (format == LOG_FORMAT_JSON) {
                printf_to(l, "{\"time\":%lld.%03ld,\"level\":\"%s\",\"message\":\"",
                          (long long)e->time.tv_sec, e->time.tv_nsec / 1000000, level);
                log_format_text(l, e->message, LOG_MESSAGE_BYTES, true);
                puts_to(l, "\"");
                put_fields(l, true, e);
                puts_to(l, "}");
        } else {
                for (const char *c = level; *c != 0; c++)
                        printf_to(l, "%c", *c - 'a' + 'A');
                puts_to(l, " ");
                log_format_text(l, e->message, LOG_MESSAGE_BYTES, false);
                put_fields(l, false, e);
        }
        puts_to(l, "\n");
}
