/* SPDX-License-Identifier: MIT */
/*
 * The pools as they are at run time, by the core's index. The core's indices, and the numbers of functions
 * within a pool, are only ever added to, so what tasks and records name stays readable; the configuration
 * that is in force says which pools there are, the zygote that serves a pool which functions it has. A pool
 * that is taken out of the configuration keeps its place, and gets it back if it comes again. Owned by struct
 * daemon.
 *
 * A generation is one zygote's view of a pool: its own numbers of the functions, by the core's. Workers hold
 * the one that they were born from.
 *
 * Succession: with a zygote that has loaded, everything that can fail happens in pools_prepare(); what
 * follows puts it in force and cannot fail.
 */
#ifndef DAEMON_POOLS_H
#define DAEMON_POOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct configuration;
struct daemon;
struct generation;
struct pool_configuration;
struct pools;
struct zygote;

struct pool_function {
        char *name, *module, *summary; /* module: NULL for what is always there */
};

int pools_new(struct daemon *, struct pools **ret);
/* Takes NULL; returns NULL. */
struct pools *pools_free(struct pools *);

/* -- which there are -- */

/* Indices are below this. */
uint32_t pools_end(const struct pools *);
/* NULL: it is not in force (any more), or never was. */
const struct pool_configuration *pools_configuration(const struct pools *, uint32_t pool);
/* Also of one that is not in force any more; NULL: it never was. */
const char *pools_name(const struct pools *, uint32_t pool);
/* The pool in force with this name; CORE_NO_POOL. */
uint32_t pools_find(const struct pools *, const char *name, size_t size_bytes);
/* Who serves it; NULL: it is not in force. */
struct zygote *pools_zygote(const struct pools *, uint32_t pool);

/* -- functions -- */

/* Also one that the pool has no more; NULL: it never had it. */
const struct pool_function *pools_function(const struct pools *, uint32_t pool, uint32_t function);
/* Numbers of the pool's functions are below this. */
uint32_t pools_functions_end(const struct pools *, uint32_t pool);
/* Whether the pool has it now. */
bool pools_has_function(const struct pools *, uint32_t pool, uint32_t function);
/* UINT32_MAX: the pool has none such. */
uint32_t pools_function_number(const struct pools *, uint32_t pool, const char *name, size_t size_bytes);

/* -- generations -- */

/* The pool's present one, with a reference; NULL if it is not in force. */
struct generation *pools_generation(const struct pools *, uint32_t pool);
/* Takes NULL; returns NULL. */
struct generation *generation_unref(struct generation *);
/* The zygote's number of the core's function. */
uint32_t generation_function(const struct generation *, uint32_t function);

/* -- succession -- */

enum pools_result {
        POOLS_FULL = 1, /* there were as many pools as there can be */
};

/* A function that the pool has, this zygote has not, and of which tasks are unfinished; true: there is one.
 */
bool pools_would_lose(const struct pools *, uint32_t pool, const struct zygote *, const char **ret_function,
                      uint64_t *ret_n_tasks);
/* Makes ready what this zygote brings to the pool of this name, which may be new. Nobody but who prepares
 * sees anything of it. 0, POOLS_FULL, -ENOMEM. */
int pools_prepare(struct pools *, const struct configuration *, const char *name, const struct zygote *,
                  struct generation **ret);
/* In force from here on: the generation's zygote serves its pool, workers of former ones are replaced as they
 * finish. Takes zygote and generation over; the former zygote is dismissed. */
void pools_commit(struct pools *, struct generation *, struct zygote *, const struct configuration *,
                  const struct pool_configuration *);
/* Not in force any more: it has no unfinished tasks. */
void pools_close(struct pools *, uint32_t pool, const struct configuration *);

#endif
