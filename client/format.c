/* SPDX-License-Identifier: MIT */
/*
 * Writing by format. The format is checked as a whole before the first argument is taken, because an array's
 * header needs the number of its elements and because a wrong letter would take arguments of a wrong type.
 */
#include "client/format.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "proto/descriptors.h"
#include "proto/reader.h"
#include "proto/scan.h"
#include "proto/sealed.h"

/* A va_list that nested functions advance in common, which a va_list parameter itself does not promise. */
struct arguments {
        va_list list;
};

/* ---- the format itself ---- */

static const char *format_skip_container(const char *at, unsigned depth)
{
        char end = *at == '[' ? ']' : '}';
        unsigned n = 0;

        if (depth >= LIMIT_DEPTH)
                return NULL;
        for (at++; *at != end; n++) {
                if (end == '}' && n % 2 == 0 && *at != 's')
                        return NULL;
                at = format_skip(at, depth + 1);
                if (at == NULL)
                        return NULL;
        }
        return end == '}' && n % 2 != 0 ? NULL : at + 1;
}

const char *format_skip(const char *at, unsigned depth)
{
        switch (*at) {
        case '[':
        case '{':
                return format_skip_container(at, depth);
        case 's':
        case 'y':
        case 'n':
        case 'i':
        case 'u':
        case 'd':
        case 'b':
        case 'h':
        case 'm':
        case 'M':
                return at + 1;
        default:
                return NULL;
        }
}

int format_count(const char *format)
{
        int n = 0;

        for (const char *at = format; *at != '\0'; n++) {
                at = format_skip(at, 0);
                if (at == NULL)
                        return -EINVAL;
        }
        return n;
}

/* The elements of the container that begins at `at`, in a checked format. */
static size_t format_elements(const char *at)
{
        size_t n = 0;

        for (at++; *at != ']' && *at != '}'; n++)
                at = format_skip(at, 0);
        return n;
}

/* ---- the writer ---- */

void writer_begin(struct ganger_writer *w, struct buffer *buffer)
{
        pack_begin(&w->packer, buffer);
        w->error = 0;
        w->n_fds = w->n_made = 0;
        w->is_plain = false;
        w->large_beside = false;
}

static void writer_fail(struct ganger_writer *w, int error)
{
        if (w->error == 0)
                w->error = error;
}

int writer_abort(struct ganger_writer *w, int error)
{
        writer_fail(w, error);
        return writer_end(w);
}

int writer_end(struct ganger_writer *w)
{
        int r = pack_end(&w->packer);

        if (r < 0)
                writer_fail(w, r);
        if (w->error == 0)
                return 0;
        if (r == 0)
                buffer_truncate(w->packer.buffer, w->packer.start);
        while (w->n_fds > 0)
                close(w->fds[--w->n_fds]);
        return w->error;
}

static void writer_values(struct ganger_writer *w, const void *data, size_t size_bytes, uint32_t n,
                          uint32_t n_fds)
{
        const uint8_t *at = data;
        size_t left_bytes = size_bytes;
        uint32_t n_claimed = 0;

        w->is_plain = false;
        for (uint32_t i = 0; i < n; i++) {
                struct scan scan;

                if (left_bytes == 0) {
                        writer_fail(w, -EINVAL);
                        return;
                }
                scan_init(&scan, left_bytes);
                if (scan_feed(&scan, at, left_bytes) != SCAN_DONE) {
                        writer_fail(w, -EINVAL);
                        return;
                }
                at += scan.at;
                left_bytes -= scan.at;
                n_claimed += scan.n_descriptors;
        }
        /* A descriptor's ext value without its descriptor would end the connection. */
        if (left_bytes > 0 || n_claimed != n_fds)
                writer_fail(w, -EINVAL);
        else
                pack_raw(&w->packer, data, size_bytes);
}

void writer_raw(struct ganger_writer *w, const void *data, size_t size_bytes, uint32_t n)
{
        writer_values(w, data, size_bytes, n, 0);
}

void writer_keep_fd(struct ganger_writer *w, int fd)
{
        int copy;

        if (w->n_fds == LIMIT_DESCRIPTORS) {
                writer_fail(w, -E2BIG);
                return;
        }
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0) {
                writer_fail(w, -errno);
                return;
        }
        w->fds[w->n_fds++] = copy;
}

static void writer_fd(struct ganger_writer *w, int fd)
{
        writer_keep_fd(w, fd);
        pack_fd(&w->packer);
}

static void writer_raw_with_fds(struct ganger_writer *w, const void *data, size_t size_bytes, const int *fds,
                                size_t n_fds)
{
        if (n_fds > LIMIT_DESCRIPTORS) {
                writer_fail(w, -E2BIG);
                return;
        }
        writer_values(w, data, size_bytes, 1, (uint32_t)n_fds);
        for (size_t i = 0; w->error == 0 && i < n_fds; i++)
                writer_keep_fd(w, fds[i]);
}

/* Large ones beside the message where that is allowed and can be; else in it. */
static void writer_bytes(struct ganger_writer *w, const void *data, size_t size_bytes)
{
        int fd;

        if (!w->large_beside || size_bytes < LIMIT_LARGE_BYTES || w->n_fds == LIMIT_DESCRIPTORS ||
            sealed_copy(data, size_bytes, &fd) < 0) {
                pack_bin(&w->packer, data, size_bytes);
                return;
        }
        w->fds[w->n_fds++] = w->made[w->n_made++] = fd;
        pack_descriptor(&w->packer, DESCRIPTOR_VALUE, size_bytes);
}

static void writer_letter(struct ganger_writer *w, char letter, struct arguments *arguments)
{
        const void *data;
        const int *fds;
        size_t size_bytes;

        switch (letter) {
        case 's':
                pack_str(&w->packer, va_arg(arguments->list, const char *));
                return;
        case 'y':
                data = va_arg(arguments->list, const void *);
                writer_bytes(w, data, va_arg(arguments->list, size_t));
                return;
        case 'n':
                pack_nil(&w->packer);
                return;
        case 'i':
                pack_int(&w->packer, va_arg(arguments->list, int64_t));
                return;
        case 'u':
                pack_uint(&w->packer, va_arg(arguments->list, uint64_t));
                return;
        case 'd':
                pack_double(&w->packer, va_arg(arguments->list, double));
                return;
        case 'b':
                pack_bool(&w->packer, va_arg(arguments->list, int) != 0);
                return;
        case 'h':
                writer_fd(w, va_arg(arguments->list, int));
                return;
        case 'm':
                data = va_arg(arguments->list, const void *);
                writer_raw(w, data, va_arg(arguments->list, size_t), 1);
                return;
        case 'M':
                data = va_arg(arguments->list, const void *);
                size_bytes = va_arg(arguments->list, size_t);
                fds = va_arg(arguments->list, const int *);
                writer_raw_with_fds(w, data, size_bytes, fds, va_arg(arguments->list, size_t));
                return;
        default:
                writer_fail(w, -EINVAL);
        }
}

/* Writes by a checked format. It is walked flat: what closes a container needs no action. */
static void writer_walk(struct ganger_writer *w, const char *format, struct arguments *arguments)
{
        for (const char *at = format; *at != '\0' && w->error == 0; at++) {
                if (*at == '[')
                        pack_array(&w->packer, format_elements(at));
                else if (*at == '{')
                        pack_map(&w->packer, format_elements(at) / 2);
                else if (*at != ']' && *at != '}')
                        writer_letter(w, *at, arguments);
                if (at > format && (*at == '[' || *at == '{'))
                        w->is_plain = false;
        }
}

static void writer_format_checked(struct ganger_writer *w, const char *format, va_list list)
{
        struct arguments arguments;

        if (w->error < 0)
                return;
        va_copy(arguments.list, list);
        writer_walk(w, format, &arguments);
        va_end(arguments.list);
}

void writer_format(struct ganger_writer *w, const char *format, va_list list)
{
        if (format == NULL || format_count(format) < 0)
                writer_fail(w, -EINVAL);
        else
                writer_format_checked(w, format, list);
}

void writer_format_array(struct ganger_writer *w, const char *format, va_list list)
{
        size_t before = buffer_size(w->packer.buffer);
        struct value value;
        struct reader reader;

        if (format == NULL) {
                pack_array(&w->packer, 0);
                return;
        }
        if (format_count(format) != 1) {
                writer_fail(w, -EINVAL);
                return;
        }
        w->is_plain = format[0] == '[';
        writer_format_checked(w, format, list);
        if (w->error < 0 || w->packer.error < 0 || format[0] == '[')
                return;
        reader = reader_over(buffer_at(w->packer.buffer) + before, buffer_size(w->packer.buffer) - before);
        if (reader_next(&reader, &value) < 0 || value.type != VALUE_ARRAY)
                writer_fail(w, -EINVAL);
}

int ganger_write(struct ganger_writer *w, const char *format, ...)
{
        va_list list;

        va_start(list, format);
        writer_format(w, format, list);
        va_end(list);
        return w->error < 0 ? w->error : w->packer.error;
}
