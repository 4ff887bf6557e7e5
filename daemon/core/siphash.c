/* SPDX-License-Identifier: MIT */
#include "daemon/core/siphash.h"

#include <endian.h>
#include <string.h>

#define ROUNDS_A_WORD  2
#define ROUNDS_AT_LAST 4

static uint64_t rotate(uint64_t x, unsigned n)
{
        return x << n | x >> (64 - n);
}

static void mix(uint64_t v[4], unsigned n_rounds)
{
        while (n_rounds-- > 0) {
                v[0] += v[1];
                v[2] += v[3];
                v[1] = rotate(v[1], 13) ^ v[0];
                v[3] = rotate(v[3], 16) ^ v[2];
                v[0] = rotate(v[0], 32);
                v[2] += v[1];
                v[0] += v[3];
                v[1] = rotate(v[1], 17) ^ v[2];
                v[3] = rotate(v[3], 21) ^ v[0];
                v[2] = rotate(v[2], 32);
        }
}

static void take(uint64_t v[4], uint64_t word)
{
        v[3] ^= word;
        mix(v, ROUNDS_A_WORD);
        v[0] ^= word;
}

uint64_t siphash(const uint64_t key[2], const void *data, size_t size_bytes)
{
        const unsigned char *at = data;
        uint64_t word, last = (uint64_t)size_bytes << 56;
        uint64_t v[4] = {
                key[0] ^ UINT64_C(0x736f6d6570736575),
                key[1] ^ UINT64_C(0x646f72616e646f6d),
                key[0] ^ UINT64_C(0x6c7967656e657261),
                key[1] ^ UINT64_C(0x7465646279746573),
        };
        for (; size_bytes >= sizeof(word); at += sizeof(word), size_bytes -= sizeof(word)) {
                memcpy(&word, at, sizeof(word));
                take(v, le64toh(word));
        }
        for (size_t i = 0; i < size_bytes; i++)
                last |= (uint64_t)at[i] << (8 * i);
        take(v, last);
        v[2] ^= 0xff;
        mix(v, ROUNDS_AT_LAST);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}
