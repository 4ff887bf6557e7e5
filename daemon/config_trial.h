/* SPDX-License-Identifier: MIT */
/*
 * Whether the kernel lets a process of ours have what a pool says for its workers: CPUs, nice value,
 * scheduling. It is tried, in a thread that is over then, since all three are a thread's own.
 */
#ifndef DAEMON_CONFIG_TRIAL_H
#define DAEMON_CONFIG_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

struct pool_configuration;

/* False: `why` names the key and says what it cannot be. True also where it could not be tried. */
bool config_trial(const struct pool_configuration *, char *why, size_t why_bytes);

#endif
