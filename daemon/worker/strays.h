/* SPDX-License-Identifier: MIT */
/*
 * Strays: processes that a task left behind. The worker is a subreaper, so they are its children, sooner or
 * later; it ends and reaps them before it answers, or, of runs too short to have left any, before it rests.
 */
#ifndef DAEMON_WORKER_STRAYS_H
#define DAEMON_WORKER_STRAYS_H

#include <stdbool.h>

/* Kills and reaps every child until none is left. False: some could not be killed within a second. One system
 * call when there is none. */
bool strays_end(void);

#endif
