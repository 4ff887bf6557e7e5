/* SPDX-License-Identifier: MIT */
/*
 * The simulator's only source of chance: xoshiro256** seeded by splitmix64, so that a run is a function of
 * its seed. mix64() is the same finalizer without state: values that depend on values.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
        uint64_t s[4];
};

static inline uint64_t mix64(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static inline void random_seed(struct random *r, uint64_t seed)
{
        for (unsigned i = 0; i < 4; i++)
                r->s[i] = mix64(seed + i * UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t random_rotate(uint64_t x, unsigned k)
{
        return x << k | x >> (64 - k);
}

static inline uint64_t random_next(struct random *r)
{
        uint64_t ret = random_rotate(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
        r->s[2] ^= r->s[0];
        r->s[3] ^= r->s[1];
        r->s[1] ^= r->s[2];
        r->s[0] ^= r->s[3];
        r->s[2] ^= t;
        r->s[3] = random_rotate(r->s[3], 45);
        return ret;
}

/* Of [0, n); n > 0. The bias of the remainder does not matter here. */
static inline uint64_t random_below(struct random *r, uint64_t n)
{
        return random_next(r) % n;
}

/* Of [low, high]. */
static inline uint64_t random_between(struct random *r, uint64_t low, uint64_t high)
{
        return low + random_below(r, high - low + 1);
}

/* True in so many of a thousand cases. */
static inline bool random_chance(struct random *r, unsigned per_mille)
{
        return random_below(r, 1000) < per_mille;
}

#endif
