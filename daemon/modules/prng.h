/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that are the same on every machine for the same seed: xoshiro256**, seeded by splitmix64,
 * and a normal distribution that uses only operations which IEEE 754 rounds exactly (libm's log and cos
 * differ between versions and between CPUs).
 */
#ifndef DAEMON_MODULES_PRNG_H
#define DAEMON_MODULES_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
        uint64_t state[4];
        double spare;
        bool has_spare;
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);

/* Evenly from [0, 1), in steps of 2^-53. */
double prng_uniform(struct prng *prng);

/* Mean 0, variance 1. */
double prng_normal(struct prng *prng);

#endif
