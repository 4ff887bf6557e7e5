/* SPDX-License-Identifier: MIT */
/*
 * Reloads: the configuration is read again and put in force, whole or not at all; or one pool is served anew
 * by what is in force. The loop goes on meanwhile: new zygotes are executed and load, and only when all of
 * them have does anything change, at once and without a step that could fail. Until then whatever goes wrong
 * ends the new zygotes, and nothing has happened. Workers are replaced afterwards, by the core, as they
 * finish.
 *
 * There is one at a time. Owned by struct daemon.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/core.h"

struct configuration_problem;
struct daemon;
struct reload;

enum reload_result {
        RELOAD_BAD = 1,    /* the configuration cannot be put in force */
        RELOAD_UNFINISHED, /* … as long as there are tasks of what would be gone */
        RELOAD_BUSY,       /* another one is on its way */
        RELOAD_STOPPING,   /* gangerd stops */
};

/* Who asked for it. */
struct reload_caller {
        bool waits; /* there is a request, to be answered by rpc_reload_over() */
        struct core_ticket ticket;
        bool until_renewed; /* the answer comes when the last old worker is gone */
};

int reload_new(struct daemon *, struct reload **ret);
/* Takes NULL; returns NULL. */
struct reload *reload_free(struct reload *);

/* Reads the configuration again. How it went is logged, and told to the caller, perhaps before this returns.
 */
void reload_configuration(struct reload *, struct reload_caller);
/* The same of one pool alone, with the configuration that is in force. */
void reload_pool(struct reload *, uint32_t pool, struct reload_caller);
/* SIGHUP: reads it again now, or as soon as the reload that is on its way is over. */
void reload_on_signal(struct reload *);
/* gangerd stops: what is on its way is given up. */
void reload_stop(struct reload *);

#endif
