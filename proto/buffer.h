/* SPDX-License-Identifier: MIT */
/*
 * A plain linear byte buffer: bytes are appended at the end and consumed at the beginning. Owned by whoever
 * embeds it. An empty buffer holds no memory after buffer_trim(), so that idle connections cost none. Also
 * the sink of msgpack-c's packer (struct packer: a msgpack_packer that writes to a buffer and remembers
 * whether memory ran out).
 */
#ifndef PROTO_BUFFER_H
#define PROTO_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
        uint8_t *data;     /* of the allocation */
        size_t begin, end; /* the bytes held: data[begin..end) */
        size_t capacity_bytes;
};

#define BUFFER_INIT ((struct buffer){0})

void buffer_deinit(struct buffer *b);
static inline size_t buffer_size(const struct buffer *b)
{
        return b->end - b->begin;
}
static inline uint8_t *buffer_at(const struct buffer *b)
{
        return b->begin > 0 ? b->data + b->begin : b->data; /* NULL + 0 is not defined */
}
/* Makes room for at least `size_bytes` more behind the end (moving or growing); 0 or -ENOMEM. */
int buffer_reserve(struct buffer *b, size_t size_bytes);
/* Appends; 0 or -ENOMEM, then nothing was appended. */
int buffer_append(struct buffer *b, const void *data, size_t size_bytes);
/* Drops bytes at the beginning. */
void buffer_consume(struct buffer *b, size_t size_bytes);
/* Drops everything behind `size_bytes` held bytes. */
void buffer_truncate(struct buffer *b, size_t size_bytes);
/* Gives memory back: all of it when empty and `keep_bytes` is less than what is allocated. */
void buffer_trim(struct buffer *b, size_t keep_bytes);

#endif
