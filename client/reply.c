/* SPDX-License-Identifier: MIT */
/* Reading by format, the mirror of format.c: each letter takes pointers. */
#include "client/reply_beside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/format.h"
#include "proto/errors.h"

struct reply_text {
        struct reply_text *next;
        char text[];
};

#define X(number, symbol, name, meaning)                                                                     \
        _Static_assert((int)GANGER_##symbol == (int)ERROR_##symbol, "ganger.h has other numbers");
ERROR_TABLE(X)
#undef X

/* ---- life ---- */

static int reply_code(struct reader record)
{
        const char *name;
        size_t size_bytes;
        enum error_code code = ERROR_NONE;

        if (reader_find_key(&record, "code") == 0 && reader_str(&record, &name, &size_bytes) == 0)
                code = error_from_name(name, size_bytes);
        return code != ERROR_NONE ? (int)code : GANGER_OTHER;
}

void reply_borrow(struct ganger_reply *reply, struct reader value, bool is_error)
{
        *reply = (struct ganger_reply){
                .data = value.at,
                .size_bytes = (size_t)(value.end - value.at),
                .code = is_error ? reply_code(value) : 0,
        };
}

int reply_new_over(struct ganger_reply **ret, struct buffer *buffer, struct reader value, bool is_error)
{
        struct ganger_reply *reply = malloc(sizeof *reply);

        if (reply == NULL)
                return -ENOMEM;
        reply_borrow(reply, value, is_error);
        reply->bytes = *buffer;
        *buffer = BUFFER_INIT;
        *ret = reply;
        return 0;
}

int reply_new(struct ganger_reply **ret, struct reader value, bool is_error)
{
        size_t size_bytes = (size_t)(value.end - value.at);
        struct ganger_reply *reply = malloc(sizeof *reply + size_bytes);

        if (reply == NULL)
                return -ENOMEM;
        uint8_t *copy = (uint8_t *)(reply + 1);
        memcpy(copy, value.at, size_bytes);
        reply_borrow(reply, reader_over(copy, size_bytes), is_error);
        *ret = reply;
        return 0;
}

void reply_deinit(struct ganger_reply *reply)
{
        reply_free_beside(reply);
        while (reply->texts != NULL) {
                struct reply_text *text = reply->texts;
                reply->texts = text->next;
                free(text);
        }
        buffer_deinit(&reply->bytes);
}

struct ganger_reply *ganger_reply_free(struct ganger_reply *reply)
{
        if (reply != NULL) {
                reply_deinit(reply);
                free(reply);
        }
        return NULL;
}

/* ---- reading ---- */

/* A reply is constant to its reader but for what it keeps for him. */
const char *reply_keep(const struct ganger_reply *reply, const void *data, size_t size_bytes)
{
        struct ganger_reply *keeper = (struct ganger_reply *)(uintptr_t)reply;
        struct reply_text *text = malloc(sizeof *text + size_bytes + 1);

        if (text == NULL)
                return NULL;
        memcpy(text->text, data, size_bytes);
        text->text[size_bytes] = '\0';
        text->next = keeper->texts;
        keeper->texts = text;
        return text->text;
}

static int read_text(const struct ganger_reply *reply, struct reader *reader, const char **ret)
{
        const char *data;
        size_t size_bytes;
        int r;

        if (reader_nil(reader)) {
                *ret = NULL;
                return 0;
        }
        r = reader_str(reader, &data, &size_bytes);
        if (r < 0)
                return r;
        if (memchr(data, '\0', size_bytes) != NULL)
                return -EINVAL; /* it would be cut there, unnoticed */
        *ret = reply_keep(reply, data, size_bytes);
        return *ret != NULL ? 0 : -ENOMEM;
}

static int read_letter(const struct ganger_reply *reply, struct reader *reader, char letter, va_list *list)
{
        const void **ret_data;
        bool boolean = false;
        int r;

        switch (letter) {
        case 's':
                return read_text(reply, reader, va_arg(*list, const char **));
        case 'y':
                ret_data = va_arg(*list, const void **);
                return reply_read_bytes(reply, reader, ret_data, va_arg(*list, size_t *));
        case 'n':
                return reader_nil(reader) ? 0 : -EINVAL;
        case 'i':
                return reader_int(reader, va_arg(*list, int64_t *));
        case 'u':
                return reader_uint(reader, va_arg(*list, uint64_t *));
        case 'd':
                return reader_double(reader, va_arg(*list, double *));
        case 'b':
                r = reader_bool(reader, &boolean);
                if (r == 0)
                        *va_arg(*list, int *) = boolean;
                return r;
        case 'm':
                ret_data = va_arg(*list, const void **);
                return reply_read_whole(reply, reader, ret_data, va_arg(*list, size_t *));
        case 'h':
                return reply_read_fd(reply, reader, va_arg(*list, int *));
        default:
                return -EINVAL; /* {, } and M are for writing alone */
        }
}

static int read_array_header(struct reader *reader, const char *at)
{
        uint32_t n, n_wanted = 0;
        int r = reader_array(reader, &n);

        for (at++; r == 0 && *at != ']'; n_wanted++)
                at = format_skip(at, 0);
        return r == 0 && n != n_wanted ? -EINVAL : r;
}

/* The list is the caller's own: to copy it would be to wait until it is written. */
static int read_format(const struct ganger_reply *reply, struct reader reader, const char *format,
                       va_list *list)
{
        int r = format != NULL && format_count(format) >= 0 ? 0 : -EINVAL;

        for (const char *at = format; r == 0 && *at != '\0'; at++) {
                if (*at == '[')
                        r = read_array_header(&reader, at);
                else if (*at != ']')
                        r = read_letter(reply, &reader, *at, list);
        }
        return r == 0 || r == -ENOMEM ? r : -EINVAL;
}

int ganger_read(const struct ganger_reply *reply, const char *format, ...)
{
        va_list list;
        int r;

        va_start(list, format);
        r = read_format(reply, reply_reader(reply), format, &list);
        va_end(list);
        return r;
}

int reader_find_key(struct reader *reader, const char *key)
{
        struct reader at = *reader;
        size_t key_size_bytes = strlen(key);
        uint32_t n;

        if (reader_map(&at, &n) < 0)
                return -EINVAL;
        for (uint32_t i = 0; i < n; i++) {
                const char *name;
                size_t size_bytes;

                if (reader_str(&at, &name, &size_bytes) == 0) {
                        if (size_bytes == key_size_bytes && memcmp(name, key, size_bytes) == 0) {
                                *reader = at;
                                return 0;
                        }
                } else if (reader_skip(&at, NULL, NULL, NULL) < 0) {
                        return -EINVAL;
                }
                if (reader_skip(&at, NULL, NULL, NULL) < 0)
                        return -EINVAL;
        }
        return -ENOENT;
}

int ganger_read_key(const struct ganger_reply *reply, const char *key, const char *format, ...)
{
        struct reader reader = reply_reader(reply);
        va_list list;
        int r = reader_find_key(&reader, key);

        if (r < 0)
                return r;
        va_start(list, format);
        r = read_format(reply, reader, format, &list);
        va_end(list);
        return r;
}

int64_t ganger_count(const struct ganger_reply *reply)
{
        struct reader reader = reply_reader(reply);
        uint32_t n;

        if (reader_array(&reader, &n) == 0 || reader_map(&reader, &n) == 0)
                return n;
        return -EINVAL;
}

/* Elements are mostly read in order: where the last one was is remembered, or reading all would be quadratic.
 */
static int reply_seek_item(const struct ganger_reply *reply, uint64_t index, struct reader *ret)
{
        struct ganger_reply *keeper = (struct ganger_reply *)(uintptr_t)reply;
        struct reader reader = reply_reader(reply);
        uint32_t n;

        if (reader_array(&reader, &n) < 0)
                return -EINVAL;
        if (index >= n)
                return -ENOENT;
        if (keeper->item_index == 0 || keeper->item_index > index) {
                keeper->item = reader;
                keeper->item_index = 0;
        }
        for (; keeper->item_index < index; keeper->item_index++)
                if (reader_skip(&keeper->item, NULL, NULL, NULL) < 0)
                        return -EINVAL;
        *ret = keeper->item;
        return 0;
}

int ganger_read_item(const struct ganger_reply *reply, uint64_t index, const char *format, ...)
{
        struct reader reader;
        va_list list;
        int r = reply_seek_item(reply, index, &reader);

        if (r < 0)
                return r;
        va_start(list, format);
        r = read_format(reply, reader, format, &list);
        va_end(list);
        return r;
}

const void *ganger_data(const struct ganger_reply *reply, size_t *ret_size_bytes)
{
        struct reader reader = reply_reader(reply);
        const void *data;

        if (reply->fds == NULL) {
                *ret_size_bytes = reply->size_bytes;
                return reply->data;
        }
        return reply_read_whole(reply, &reader, &data, ret_size_bytes) == 0 ? data : NULL;
}

/* ---- errors ---- */

static const char *reply_record_text(const struct ganger_reply *reply, const char *key)
{
        const char *text = NULL;

        if (reply->code != 0 && ganger_read_key(reply, key, "s", &text) == 0 && text != NULL)
                return text;
        return "";
}

const char *ganger_message(const struct ganger_reply *reply)
{
        return reply_record_text(reply, "message");
}

int ganger_code(const struct ganger_reply *reply)
{
        return reply->code;
}

const char *ganger_code_name(const struct ganger_reply *reply)
{
        if (reply->code != 0 && reply->code != GANGER_OTHER)
                return error_name((enum error_code)reply->code);
        return reply_record_text(reply, "code");
}
