/* SPDX-License-Identifier: MIT */
/*
 * All times at which the core wants to act, in one binary heap. A timer is embedded in its owner, which has
 * reserved a place for it when it was made: arming cannot fail.
 */
#include "daemon/core/core_private.h"

#define CAPACITY_KEPT 4096 /* however few are reserved; what a flood needed beyond is given back */

int timers_reserve(struct timers *timers, size_t n)
{
        size_t need = timers->n_reserved + n + 1; /* place 0 stays empty */
        if (need > timers->capacity) {
                size_t capacity = timers->capacity ? timers->capacity : 64;
                while (capacity < need)
                        capacity += capacity / 2;
                struct timer_entry *heap = realloc(timers->heap, capacity * sizeof(*heap));
                if (!heap)
                        return -ENOMEM;
                timers->heap = heap;
                timers->capacity = capacity;
        }
        timers->n_reserved += n;
        return 0;
}

void timers_unreserve(struct timers *timers, size_t n)
{
        assert(timers->n_reserved >= n);
        timers->n_reserved -= n;
        assert(timers->n <= timers->n_reserved);
        if (timers->capacity <= CAPACITY_KEPT || timers->n_reserved + 1 > timers->capacity / 8)
                return;
        struct timer_entry *heap = realloc(timers->heap, timers->capacity / 2 * sizeof(*heap));
        if (!heap)
                return;
        timers->heap = heap;
        timers->capacity /= 2;
}

static void put(struct timers *timers, size_t place, struct timer_entry entry)
{
        timers->heap[place] = entry;
        entry.timer->place = (uint32_t)place;
}

static void sift_up(struct timers *timers, size_t place, struct timer_entry entry)
{
        for (; place > 1 && timers->heap[place / 2].at > entry.at; place /= 2)
                put(timers, place, timers->heap[place / 2]);
        put(timers, place, entry);
}

static void sift_down(struct timers *timers, size_t place, struct timer_entry entry)
{
        for (size_t child; (child = 2 * place) <= timers->n; place = child) {
                if (child < timers->n && timers->heap[child + 1].at < timers->heap[child].at)
                        child++;
                if (timers->heap[child].at >= entry.at)
                        break;
                put(timers, place, timers->heap[child]);
        }
        put(timers, place, entry);
}

static void move(struct timers *timers, size_t place, struct timer_entry entry)
{
        if (place > 1 && timers->heap[place / 2].at > entry.at)
                sift_up(timers, place, entry);
        else
                sift_down(timers, place, entry);
}

void timer_move(struct core *core, struct timer *timer, int64_t at)
{
        struct timers *timers = &core->timers;
        size_t place = timer->place;
        if (at == CORE_NEVER) {
                if (!place)
                        return;
                struct timer_entry last = timers->heap[timers->n--];
                timer->place = 0;
                if (last.timer != timer)
                        move(timers, place, last);
                return;
        }
        if (!place) {
                assert(timers->n < timers->n_reserved);
                place = ++timers->n;
                sift_up(timers, place, (struct timer_entry){at, timer});
                return;
        }
        move(timers, place, (struct timer_entry){at, timer});
}

struct timer *timers_first_due(struct timers *timers, int64_t now)
{
        return timers->n && timers->heap[1].at <= now ? timers->heap[1].timer : NULL;
}

int64_t timers_next(const struct timers *timers)
{
        return timers->n ? timers->heap[1].at : CORE_NEVER;
}
