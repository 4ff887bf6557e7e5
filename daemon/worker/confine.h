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
#include <stdint.h>

#include "proto/limits.h"
#include "proto/reader.h"

struct confinement {
        bool has_nice, has_policy, has_cpus;
        int nice;
        int policy; /* SCHED_… */
        cpu_set_t cpus[LIMIT_CPUS / CPU_SETSIZE];
        uint64_t memory_limit_bytes; /* 0: none */
};

enum { CONFINE_KEYS = 4, CONFINE_NOTE_BYTES = 64 };

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

/* -- memory_limit, in a process that is confined -- */

/* Whether it is why this process is in trouble, as far as that can be known: it is in force, and either the
 * last call that failed failed for want of memory (`error`: its errno), or so little is left that the next
 * one would. For signal handlers, too. */
bool confine_has_starved(int error);
/* " under memory_limit = 64M", or "" where none is in force. Returns `ret`. */
const char *confine_note(const struct confinement *, char ret[CONFINE_NOTE_BYTES]);
/* In the child that becomes a program: its whole address space, since it shares nothing with the zygote. */
void confine_program(const struct confinement *);

#endif
