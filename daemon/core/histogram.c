/* SPDX-License-Identifier: MIT */
#include "daemon/core/histogram.h"

#include <stddef.h>

#define LINEAR_BITS 5
_Static_assert(HISTOGRAM_LINEAR == 1 << LINEAR_BITS, "a power of two is divided by a power of two");

static size_t place_of(int64_t duration_ns)
{
        uint64_t units = (uint64_t)duration_ns >> HISTOGRAM_UNIT_BITS;
        if (units >> HISTOGRAM_MAX_BITS)
                return HISTOGRAM_PLACES - 1;
        if (units < HISTOGRAM_LINEAR)
                return units;
        unsigned shift = 63 - LINEAR_BITS - (unsigned)__builtin_clzll(units);
        return ((size_t)shift << LINEAR_BITS) + (units >> shift);
}

/* The middle of the place. */
static int64_t duration_at(size_t place)
{
        if (place < 2 * HISTOGRAM_LINEAR)
                return (int64_t)((2 * place + 1) << HISTOGRAM_UNIT_BITS) / 2;
        unsigned shift = (unsigned)(place >> LINEAR_BITS) - 1;
        uint64_t low = HISTOGRAM_LINEAR + place % HISTOGRAM_LINEAR;
        return (int64_t)((2 * low + 1) << (shift + HISTOGRAM_UNIT_BITS)) / 2;
}

void histogram_add(struct histogram *histogram, int64_t duration_ns, uint64_t n)
{
        if (duration_ns < 0)
                duration_ns = 0;
        histogram->places[place_of(duration_ns)] += n;
        histogram->n += n;
        histogram->sum_ns += duration_ns * (int64_t)n;
        if (n && duration_ns > histogram->max_ns)
                histogram->max_ns = duration_ns;
}

int64_t histogram_quantile(const struct histogram *histogram, double q)
{
        uint64_t rank = (uint64_t)(q * (double)histogram->n), sum = 0;
        if (!histogram->n)
                return 0;
        if (rank >= histogram->n)
                rank = histogram->n - 1;
        for (size_t i = 0; i < HISTOGRAM_PLACES; i++) {
                sum += histogram->places[i];
                if (sum > rank) {
                        int64_t duration = duration_at(i);
                        return duration < histogram->max_ns ? duration : histogram->max_ns;
                }
        }
        return histogram->max_ns;
}
