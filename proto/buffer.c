/* SPDX-License-Identifier: MIT */
/*
 * The buffer grows by half at least, so that appending is linear in all. It moves its bytes to the front only
 * when at least as many were consumed: a move is paid for by them, and a buffer that is filled and drained in
 * step costs no more than one copy of each byte.
 */
#include "proto/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_LEAST_BYTES 512

void buffer_deinit(struct buffer *b)
{
        free(b->data);
        *b = BUFFER_INIT;
}

static void buffer_move_to_front(struct buffer *b, size_t held_bytes)
{
        memmove(b->data, b->data + b->begin, held_bytes);
        b->begin = 0;
        b->end = held_bytes;
}

static int buffer_grow(struct buffer *b, size_t held_bytes, size_t need_bytes)
{
        size_t capacity_bytes = b->capacity_bytes + b->capacity_bytes / 2;
        uint8_t *data;

        if (capacity_bytes < need_bytes)
                capacity_bytes = need_bytes;
        if (capacity_bytes < BUFFER_LEAST_BYTES)
                capacity_bytes = BUFFER_LEAST_BYTES;
        if (b->begin > 0) {
                data = malloc(capacity_bytes);
                if (data == NULL)
                        return -ENOMEM;
                memcpy(data, b->data + b->begin, held_bytes);
                free(b->data);
                b->begin = 0;
                b->end = held_bytes;
        } else {
                data = realloc(b->data, capacity_bytes);
                if (data == NULL)
                        return -ENOMEM;
        }
        b->data = data;
        b->capacity_bytes = capacity_bytes;
        return 0;
}

int buffer_reserve(struct buffer *b, size_t size_bytes)
{
        size_t held_bytes = buffer_size(b);

        if (b->capacity_bytes - b->end >= size_bytes)
                return 0;
        if (size_bytes > PTRDIFF_MAX - held_bytes)
                return -ENOMEM;
        if (b->begin >= held_bytes && b->capacity_bytes - held_bytes >= size_bytes) {
                buffer_move_to_front(b, held_bytes);
                return 0;
        }
        return buffer_grow(b, held_bytes, held_bytes + size_bytes);
}

int buffer_append(struct buffer *b, const void *data, size_t size_bytes)
{
        int r;

        if (size_bytes == 0)
                return 0;
        r = buffer_reserve(b, size_bytes);
        if (r < 0)
                return r;
        memcpy(b->data + b->end, data, size_bytes);
        b->end += size_bytes;
        return 0;
}

void buffer_consume(struct buffer *b, size_t size_bytes)
{
        assert(size_bytes <= buffer_size(b));
        b->begin += size_bytes;
        if (b->begin == b->end)
                b->begin = b->end = 0;
}

void buffer_truncate(struct buffer *b, size_t size_bytes)
{
        assert(size_bytes <= buffer_size(b));
        b->end = b->begin + size_bytes;
        if (b->begin == b->end)
                b->begin = b->end = 0;
}

void buffer_trim(struct buffer *b, size_t keep_bytes)
{
        if (buffer_size(b) == 0 && b->capacity_bytes > keep_bytes)
                buffer_deinit(b);
}
