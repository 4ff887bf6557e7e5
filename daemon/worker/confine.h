/* SPDX-License-Identifier: MIT */
/*
 * What the configuration makes of each worker's process. It comes with the message `load`; each worker
 * applies it to itself before the modules' start(), so that their threads have it, too. What the kernel
 * refuses is told in the worker's hello; the worker does its work without.
 */
#ifndef DAEMON_WORKER_CONFINE_H
#define DAEMON_WORKER_CONFINE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/limits.h"
#include "proto/reader.h"

struct confinement {
        bool has_nice, has_policy, has_cpus;
        int nice;
        int policy; /* SCHED_… */
        cpu_set_t cpus[LIMIT_CPUS / CPU_SETSIZE];
};

enum { CONFINE_KEYS = 3 };

struct confine_refusals {
        size_t n;
        struct {
                const char *key;
                int error; /* errno */
        } refusals[CONFINE_KEYS];
};

/* Reads the map; 0 or -EBADMSG. */
int confinement_read(struct confinement *, struct reader *);
/* Applies it to this process. */
void confine(const struct confinement *, struct confine_refusals *ret);

#endif
