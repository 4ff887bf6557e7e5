/* SPDX-License-Identifier: MIT */
/*
 * What every file of the core stands on: its constants, each with its name, and the lists' missing macros.
 * Nobody outside daemon/core includes it.
 */
#ifndef CORE_BASE_H
#define CORE_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/core/core_look.h"
#include "proto/limits.h"

#define MILLISECOND            (CORE_SECOND / 1000)
#define AHEAD_MAX_NS           (200 * INT64_C(1000)) /* expected run times of what is ahead at one worker */
#define AHEAD_ARGS_BYTES       4096                  /* larger arguments are never sent ahead */
#define RUN_LONG_NS            MILLISECOND           /* after so long what is ahead is taken back */
#define CHUNK_NS               (2 * MILLISECOND)
#define CREDIT_GRAIN_BYTES     (16u << 10)
#define SPAWNS_OUTSTANDING_MAX 4
#define BACKOFF_FIRST          (CORE_SECOND / 10)
#define BACKOFF_MAX            (30 * CORE_SECOND)
#define DEGRADED_AFTER         3                  /* young deaths in a row */
#define YOUNG_NS               CORE_SECOND        /* a worker that dies earlier and did nothing died young */
#define RECOVERED_NS           (10 * CORE_SECOND) /* a worker that lived so long shows that all is well */
#define LENT_NS                CORE_SECOND        /* workers above the target stay so long for the next */
#define MAX_TASKS_JITTER       0.1                /* a worker is replaced after 0.9 to 1 times max_tasks */
#define RSS_NS                 (10 * MILLISECOND) /* how often a busy worker's memory is looked at */
#define STUCK_NS               (5 * CORE_SECOND)  /* killed and not reaped */
#define UNBEGUN_NS             CORE_SECOND /* beyond the timeout: a worker that begins nothing is ill */
#define UNBEGUN_LOSSES_MAX     16 /* workers in turn that died before they began a task: then it is its fault */
#define SEND_AGAIN_NS          MILLISECOND          /* to a worker that took no bytes */
#define RETRY_PAUSE_MAX        (3600 * CORE_SECOND) /* the doubling stops here */
#define LET_IN_AT_ONCE         64                   /* items of a map that has none in */
#define SEGMENT_BYTES          80                   /* what its payload and the allocator take beside it */
#define RESUMED_AT_ONCE        64                   /* tasks of a user who held too much, a turn */
#define PRIORITY_MAX           100
#define N_RANKS                (2 * PRIORITY_MAX + 1)
#define RESERVE_MAX            4096 /* freed tasks and waiters that are kept for the next */

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next)                                                           \
        for ((var) = TAILQ_FIRST(head); (var) && ((next) = TAILQ_NEXT(var, field), 1); (var) = (next))
#endif
#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, next)                                                            \
        for ((var) = LIST_FIRST(head); (var) && ((next) = LIST_NEXT(var, field), 1); (var) = (next))
#endif
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

#endif
