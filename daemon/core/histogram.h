/* SPDX-License-Identifier: MIT */
/*
 * How often which duration occurred, in fixed memory: log-linear, every power of two is divided into
 * HISTOGRAM_LINEAR places of equal width. From 1 us to 39 h what comes out is within 1.6 % of what went in;
 * shorter ones are exact to 32 ns, longer ones count as 39 h.
 */
#ifndef CORE_HISTOGRAM_H
#define CORE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_LINEAR    32
#define HISTOGRAM_UNIT_BITS 5  /* durations are counted in units of 32 ns … */
#define HISTOGRAM_MAX_BITS  42 /* … and so many of them, at most */
#define HISTOGRAM_PLACES    ((HISTOGRAM_MAX_BITS - 4) * HISTOGRAM_LINEAR)

struct histogram {
        uint64_t n;
        int64_t sum_ns, max_ns;
        uint64_t places[HISTOGRAM_PLACES];
};
/* n times the same duration; a negative one is 0. */
void histogram_add(struct histogram *, int64_t duration_ns, uint64_t n);
/* The duration that the share q (0 to 1) of all does not exceed; 0: there is none yet. */
int64_t histogram_quantile(const struct histogram *, double q);

#endif
