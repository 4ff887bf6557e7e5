/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 (Aumasson and Bernstein): a hash under a key, of which nobody without the key can find two
 * texts with the same value. */
#ifndef CORE_SIPHASH_H
#define CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *data, size_t size_bytes);

#endif
