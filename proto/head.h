/* SPDX-License-Identifier: MIT */
/*
 * The head of a MessagePack value: its first byte and the length or count that follows. One table of 256
 * first bytes, shared by the scanner and the reader, so that the two cannot disagree about where a value
 * ends.
 */
#ifndef PROTO_HEAD_H
#define PROTO_HEAD_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/reader.h"

#define FIRST_BYTE_RESERVED 255

struct first_byte {
        uint8_t type;         /* enum value_type (of a signed integer: VALUE_INT), or FIRST_BYTE_RESERVED */
        uint8_t head_bytes;   /* with the length and an ext's type */
        uint8_t length_bytes; /* 0: the length is `fixed` */
        uint8_t fixed;        /* bytes behind the head, or elements, or pairs */
        uint8_t whole_bytes;  /* of a value that holds no others and has no length of its own; else 0 */
};

extern const struct first_byte first_byte_table[256];

static inline uint16_t load_be16(const uint8_t *at)
{
        uint16_t value;
        memcpy(&value, at, sizeof value);
        return be16toh(value);
}
static inline uint32_t load_be32(const uint8_t *at)
{
        uint32_t value;
        memcpy(&value, at, sizeof value);
        return be32toh(value);
}
static inline uint64_t load_be64(const uint8_t *at)
{
        uint64_t value;
        memcpy(&value, at, sizeof value);
        return be64toh(value);
}

/* The length or count of the value that begins at `at`; the whole head must be there. */
static inline uint32_t head_length(const struct first_byte *first, const uint8_t *at)
{
        if (first->length_bytes == 0)
                return first->fixed;
        if (first->length_bytes == 1)
                return at[1];
        return first->length_bytes == 2 ? load_be16(at + 1) : load_be32(at + 1);
}

static inline bool head_is_small_array(uint8_t byte)
{
        return (byte & 0xf0) == 0x90;
}

/* Values directly within an array or map of `length`; 0 for every other type. */
static inline uint64_t head_children(const struct first_byte *first, uint32_t length)
{
        if (first->type == VALUE_ARRAY)
                return length;
        return first->type == VALUE_MAP ? (uint64_t)length * 2 : 0;
}

#endif
