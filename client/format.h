/* SPDX-License-Identifier: MIT */
/*
 * The little language in which values are written: see ganger.h. A writer appends to a packer's buffer and
 * collects the descriptors that go with it; it remembers the first failure, which its owner asks for at the
 * end.
 */
#ifndef CLIENT_FORMAT_H
#define CLIENT_FORMAT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/ganger.h"
#include "proto/limits.h"
#include "proto/pack.h"

struct ganger_writer {
        struct packer packer;
        int error;         /* -errno: the first failure; nothing is written after it */
        bool is_plain;     /* after writer_format_array(): one flat array of which every byte was made here */
        bool large_beside; /* large bytes go into a memfd: the writer's owner says so after writer_begin() */
        uint32_t n_fds, n_made;
        int fds[LIMIT_DESCRIPTORS];  /* the writer's own duplicates, until their message is queued … */
        int made[LIMIT_DESCRIPTORS]; /* … and which of them are memfds that it made */
};

/* Begins to append to the buffer. */
void writer_begin(struct ganger_writer *, struct buffer *);
/* 0, or the first failure: then what was written is gone from the buffer and the descriptors are closed. */
int writer_end(struct ganger_writer *);
/* Gives up, with this error: as writer_end() after it. */
int writer_abort(struct ganger_writer *, int error);
/* Appends values; misuse of the format is the writer's error -EINVAL. */
void writer_format(struct ganger_writer *, const char *format, va_list);
/* The same for a format that is exactly one array; NULL: an empty one. */
void writer_format_array(struct ganger_writer *, const char *format, va_list);
/* Appends n values that are MessagePack already; they are checked. */
void writer_raw(struct ganger_writer *, const void *data, size_t size_bytes, uint32_t n);
/* A duplicate of the descriptor goes with what is written. */
void writer_keep_fd(struct ganger_writer *, int fd);

/* Whether a format is well formed, and how many values it describes: -EINVAL or their number. */
int format_count(const char *format);
/* Behind the value (a letter, or a whole array or map) that begins at `at`; NULL: malformed. */
const char *format_skip(const char *at, unsigned depth);

#endif
