/* SPDX-License-Identifier: MIT */
/*
 * The modules of a pool and the one table of their functions. Loaded by the zygote, once, before the first
 * fork; workers only read it. A function's place in the table is its number on the wire.
 */
#ifndef DAEMON_WORKER_LOAD_H
#define DAEMON_WORKER_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/worker/confine.h"
#include "daemon/worker/ganger_module.h"
#include "proto/reader.h"

struct loaded_module {
        const struct ganger_module *module;
        void *state; /* what its load() returned */
        struct ganger_setting *settings;
        size_t n_settings;
};

struct function {
        char *name; /* "module.function" */
        const struct ganger_function *function;
        const struct loaded_module *owner;
};

/* What a pool's workers need to know; filled from the message `load`. */
struct pool {
        char *name;
        struct loaded_module *modules;
        size_t n_modules;
        struct function *functions;
        size_t n_functions;
        int64_t kill_grace_ns;
        struct confinement confinement; /* of each worker */
        bool loaded;
};

struct load_error {
        char module[256];
        char message[2048]; /* what is wrong, where, and what to do */
};

enum load_result { LOAD_FAILED = 1 /* the error says why */ };

/* Loads what the map in `params` says. 0, LOAD_FAILED, or -errno (-EBADMSG: the map itself is wrong). */
int pool_load(struct pool *pool, struct reader *params, struct load_error *error);

#endif
