/* SPDX-License-Identifier: MIT */
/* A size in bytes as people write it, and as the configuration reads it: exact, with the largest unit of K, M
 * and G that divides it. */
#ifndef PROTO_SIZE_TEXT_H
#define PROTO_SIZE_TEXT_H

#include <stdint.h>

#define SIZE_TEXT_BYTES 24

/* Returns `ret`: "64M", "1000". */
const char *size_text(uint64_t size_bytes, char ret[SIZE_TEXT_BYTES]);

#endif
