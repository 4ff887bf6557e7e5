/* SPDX-License-Identifier: MIT */
/* The progress line. How many items there will be is not known while they are still read, so the bar is of
 * those sent. */
#include "client/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH   24
#define INTERVAL_NS 100000000

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void progress_init(struct progress *p, bool asked_for)
{
        p->on = asked_for || (isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO));
        p->began_ns = now_ns();
        p->next_ns = p->began_ns + INTERVAL_NS;
}

void progress_show(struct progress *p, uint64_t n_ended, uint64_t n_sent, uint64_t n_failed)
{
        static const char full[] = "########################", empty[] = "........................";
        int64_t now;

        if (!p->on || (now = now_ns()) < p->next_ns)
                return;
        int filled = n_sent > 0 ? (int)(n_ended * BAR_WIDTH / n_sent) : 0;
        double seconds = (double)(now - p->began_ns) / 1e9;

        p->next_ns = now + INTERVAL_NS;
        p->shown = true;
        fprintf(stderr, "\r\033[K[%.*s%.*s] %" PRIu64 " of %" PRIu64 ", %.0f/s", filled, full,
                BAR_WIDTH - filled, empty, n_ended, n_sent, (double)n_ended / seconds);
        if (n_failed > 0)
                fprintf(stderr, ", %" PRIu64 " failed", n_failed);
        fflush(stderr);
}

void progress_clear(struct progress *p)
{
        if (!p->shown)
                return;
        fputs("\r\033[K", stderr);
        p->shown = false;
}
