/* SPDX-License-Identifier: MIT */
/*
 * The heap of timers. A timer is embedded in its owner, which reserves its place when it is made.
 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "daemon/core/base.h"

struct core;

enum timer_kind { TIMER_TASK, TIMER_WAITER, TIMER_RUN, TIMER_HAND, TIMER_POOL, TIMER_STOP };
struct timer {
        uint32_t place; /* in the heap, from 1; 0: not armed */
        enum timer_kind kind;
};
struct timer_entry {
        int64_t at;
        struct timer *timer;
};
struct timers {
        struct timer_entry *heap; /* from 1 */
        size_t n, n_reserved, capacity;
};
/* Makes sure that n more timers can be armed at any time; 0 or -ENOMEM. */
int timers_reserve(struct timers *, size_t n);
void timers_unreserve(struct timers *, size_t n);
/* Arms or moves it; CORE_NEVER disarms. */
void timer_move(struct core *, struct timer *, int64_t at);
static inline void timer_set(struct core *core, struct timer *timer, int64_t at)
{
        if (at != CORE_NEVER || timer->place)
                timer_move(core, timer, at);
}
static inline void timer_clear(struct core *core, struct timer *timer)
{
        if (timer->place)
                timer_set(core, timer, CORE_NEVER);
}
struct timer *timers_first_due(struct timers *, int64_t now);
int64_t timers_next(const struct timers *);

#endif
