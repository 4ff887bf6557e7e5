/* SPDX-License-Identifier: MIT */
/* A line on a terminal that says how far a map is. Cleared before anything else is written, so that nothing
 * mixes. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
        bool on, shown;
        int64_t began_ns, next_ns; /* not drawn before */
};

/* On if asked for, or if standard error is a terminal and standard output is none (there the results are to
 * be seen). */
void progress_init(struct progress *, bool asked_for);
void progress_show(struct progress *, uint64_t n_ended, uint64_t n_sent, uint64_t n_failed);
void progress_clear(struct progress *);

#endif
