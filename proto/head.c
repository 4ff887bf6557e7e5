/* SPDX-License-Identifier: MIT */
/*
 * The table of first bytes, after the overview of formats in MessagePack's specification. Ranges are gcc's
 * and clang's designated ranges; where the low bits of the first byte are the length, each is written out.
 */
#include "proto/head.h"

#define FIXED(type_, n)                                                                                      \
        {                                                                                                    \
                .type = type_, .head_bytes = 1, .fixed = n, .whole_bytes = type_ <= VALUE_BIN ? 1 + n : 0    \
        }
#define FIXED_EXT(n)                                                                                         \
        {                                                                                                    \
                .type = VALUE_EXT, .head_bytes = 2, .fixed = n                                               \
        }
#define SIZED(type_, length)                                                                                 \
        {                                                                                                    \
                .type = type_, .head_bytes = 1 + length, .length_bytes = length                              \
        }
#define SIZED_EXT(length)                                                                                    \
        {                                                                                                    \
                .type = VALUE_EXT, .head_bytes = 2 + length, .length_bytes = length                          \
        }
#define FOUR(type_, n)    FIXED(type_, n), FIXED(type_, n + 1), FIXED(type_, n + 2), FIXED(type_, n + 3)
#define SIXTEEN(type_, n) FOUR(type_, n), FOUR(type_, n + 4), FOUR(type_, n + 8), FOUR(type_, n + 12)

const struct first_byte first_byte_table[256] = {
        [0x00 ... 0x7f] = FIXED(VALUE_UINT, 0),
        [0x80] = SIXTEEN(VALUE_MAP, 0),
        [0x90] = SIXTEEN(VALUE_ARRAY, 0),
        [0xa0] = SIXTEEN(VALUE_STR, 0),
        [0xb0] = SIXTEEN(VALUE_STR, 16),
        [0xc0] = FIXED(VALUE_NIL, 0),
        [0xc1] = {.type = FIRST_BYTE_RESERVED, .head_bytes = 1},
        [0xc2 ... 0xc3] = FIXED(VALUE_BOOL, 0),
        [0xc4] = SIZED(VALUE_BIN, 1),
        [0xc5] = SIZED(VALUE_BIN, 2),
        [0xc6] = SIZED(VALUE_BIN, 4),
        [0xc7] = SIZED_EXT(1),
        [0xc8] = SIZED_EXT(2),
        [0xc9] = SIZED_EXT(4),
        [0xca] = FIXED(VALUE_DOUBLE, 4),
        [0xcb] = FIXED(VALUE_DOUBLE, 8),
        [0xcc] = FIXED(VALUE_UINT, 1),
        [0xcd] = FIXED(VALUE_UINT, 2),
        [0xce] = FIXED(VALUE_UINT, 4),
        [0xcf] = FIXED(VALUE_UINT, 8),
        [0xd0] = FIXED(VALUE_INT, 1),
        [0xd1] = FIXED(VALUE_INT, 2),
        [0xd2] = FIXED(VALUE_INT, 4),
        [0xd3] = FIXED(VALUE_INT, 8),
        [0xd4] = FIXED_EXT(1),
        [0xd5] = FIXED_EXT(2),
        [0xd6] = FIXED_EXT(4),
        [0xd7] = FIXED_EXT(8),
        [0xd8] = FIXED_EXT(16),
        [0xd9] = SIZED(VALUE_STR, 1),
        [0xda] = SIZED(VALUE_STR, 2),
        [0xdb] = SIZED(VALUE_STR, 4),
        [0xdc] = SIZED(VALUE_ARRAY, 2),
        [0xdd] = SIZED(VALUE_ARRAY, 4),
        [0xde] = SIZED(VALUE_MAP, 2),
        [0xdf] = SIZED(VALUE_MAP, 4),
        [0xe0 ... 0xff] = FIXED(VALUE_INT, 0),
};
