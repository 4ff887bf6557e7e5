/* SPDX-License-Identifier: MIT */
/*
 * xoshiro256** 1.0 by David Blackman and Sebastiano Vigna (public domain), and Box and Muller's normal
 * distribution in Marsaglia's polar form, which needs a logarithm and no cosine. Compiled without contraction
 * of a * b + c.
 */
#include "daemon/modules/prng.h"

#include <math.h>

static uint64_t rotate(uint64_t x, int n)
{
        return x << n | x >> (64 - n);
}

void prng_init(struct prng *prng, uint64_t seed)
{
        *prng = (struct prng){0};
        for (int i = 0; i < 4; i++) {
                seed += 0x9e3779b97f4a7c15;
                uint64_t z = seed;
                z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
                z = (z ^ z >> 27) * 0x94d049bb133111eb;
                prng->state[i] = z ^ z >> 31;
        }
}

uint64_t prng_next(struct prng *prng)
{
        uint64_t *s = prng->state;
        uint64_t ret = rotate(s[1] * 5, 7) * 9;
        uint64_t t = s[1] << 17;

        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate(s[3], 45);
        return ret;
}

double prng_uniform(struct prng *prng)
{
        return (double)(prng_next(prng) >> 11) * 0x1p-53;
}

/* ln(x) for x > 0: x = m * 2^e with m near 1, ln(m) = 2 artanh((m - 1) / (m + 1)) as a series; off by some
 * 1e-16. */
static double natural_log(double x)
{
        enum { TERMS = 11 };
        int exponent;
        double m = frexp(x, &exponent);

        if (m < 0.70710678118654752) {
                m *= 2;
                exponent--;
        }
        double t = (m - 1) / (m + 1);
        double sum = 0;
        for (int k = TERMS - 1; k >= 0; k--)
                sum = sum * (t * t) + 1.0 / (2 * k + 1);
        return 2 * t * sum + exponent * 0.69314718055994531;
}

double prng_normal(struct prng *prng)
{
        double x, y, square;

        if (prng->has_spare) {
                prng->has_spare = false;
                return prng->spare;
        }
        do {
                x = 2 * prng_uniform(prng) - 1;
                y = 2 * prng_uniform(prng) - 1;
                square = x * x + y * y;
        } while (square >= 1 || square == 0);
        double scale = sqrt(-2 * natural_log(square) / square);
        prng->spare = y * scale;
        prng->has_spare = true;
        return x * scale;
}
