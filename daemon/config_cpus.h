/* SPDX-License-Identifier: MIT */
/*
 * Lists of CPUs in the configuration, as taskset and systemd write them: "0 2-3 5", "0,2-3". Which of them
 * there are is another question (config_trial.c).
 */
#ifndef DAEMON_CONFIG_CPUS_H
#define DAEMON_CONFIG_CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/limits.h"

struct config_cpus {
        bool all; /* nothing is said: the set is empty */
        cpu_set_t set[LIMIT_CPUS / CPU_SETSIZE];
};

/* "all", or numbers and ranges separated by blanks or commas. 0, -ENOMEM, or 1: `why` says what is wrong. */
int config_cpus_read(const char *text, struct config_cpus **ret, char *why, size_t why_bytes);
/* As config_cpus_read() would read it. */
void config_cpus_print(const struct config_cpus *, FILE *);
/* How many the list names. */
uint32_t config_cpus_count(const struct config_cpus *);
bool config_cpus_has(const struct config_cpus *, uint32_t cpu);

#endif
