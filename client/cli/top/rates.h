/* SPDX-License-Identifier: MIT */
/*
 * How fast counters grow: from two looks at each, by the time that has passed between them on the clock of
 * the daemon that counts (its uptime). What is missing from a look is forgotten, and everything when it is
 * another daemon's; a counter that is new, or has gone back, has no rate yet: NAN.
 */
#ifndef CLI_TOP_RATES_H
#define CLI_TOP_RATES_H

#include <stdint.h>

#include "proto/look.h"

#define RATES_SHORTEST_SECONDS 0.09 /* looks nearer to each other say nothing: the rate before stays */

struct rate;

struct rates {
        struct rate *table; /* by key */
        uint64_t daemon;
        double time;
        unsigned look;
};

void rates_deinit(struct rates *);
/* Between these two, every counter is asked for once. `daemon`: its pid; `time`: its uptime. */
void rates_begin(struct rates *, uint64_t daemon, double time);
void rates_end(struct rates *);
/* Per second. Its key: kind, name and owner (which may be ""). A value that stays the same only counts as
 * such when `hold_s` is over: the daemon takes some of them seldom. */
double rates_of(struct rates *, char kind, struct look_text name, struct look_text owner, double value,
                double hold_s);

#endif
