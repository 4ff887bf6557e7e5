/* SPDX-License-Identifier: MIT */
/*
 * The history of a run: every event, operation and model step is one line of words. Always hashed, printed
 * only on demand; two runs of one seed have the same hash or the simulator itself is broken. Also how a run
 * fails.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t hash_word(uint64_t hash, uint64_t word)
{
        return mix64(hash ^ word);
}

void sim_trace(struct sim *s, const char *what, const uint64_t *words, unsigned n)
{
        uint64_t hash = hash_word(s->trace.hash, (uint64_t)s->now);

        for (const char *c = what; *c; c++)
                hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
        for (unsigned i = 0; i < n; i++)
                hash = hash_word(hash, words[i]);
        s->trace.hash = hash;
        if (!s->trace.printed)
                return;
        printf("%14" PRId64 " %s", s->now, what);
        for (unsigned i = 0; i < n; i++)
                printf(words[i] == UINT64_MAX ? " -" : " %" PRIu64, words[i]);
        putchar('\n');
}

_Noreturn void sim_fail(struct sim *s, const char *format, ...)
{
        va_list args;

        fflush(stdout);
        fprintf(stderr, "seed %" PRIu64 " FAILED at %" PRId64 " ns: ", s->seed, s->now);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fprintf(stderr, "\n  replay: ganger-sim --seed %" PRIu64 " --trace\n", s->seed);
        exit(1);
}

void sim_meet_task(struct sim *s, const struct entry *e, enum task_event event)
{
        struct core_record record;

        if (e->id && core_task(s->core, OBSERVER, e->id, &record) == 0)
                s->coverage->tasks[record.state][event]++;
}

void sim_meet_worker(struct sim *s, uint32_t worker, enum worker_event event)
{
        struct core_worker_status status;

        if (core_worker_status(s->core, OBSERVER, worker, &status))
                s->coverage->workers[status.state][event]++;
}
