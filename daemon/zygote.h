/* SPDX-License-Identifier: MIT */
/*
 * The zygotes, one per pool: the program that loaded the pool's modules and forks its workers. Owned by
 * struct daemon; each has the number of its pool in configuration and core, and keeps the pool's table of
 * functions, which is made at the first start and never changes: a zygote that is started again must bring
 * the same.
 *
 * The first start is waited for (nothing is served yet) and its failure is an error of the configuration;
 * later ones go by events, with a growing pause.
 */
#ifndef DAEMON_ZYGOTE_H
#define DAEMON_ZYGOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon;
struct pool_configuration;
struct zygotes;

struct pool_function {
        char *name, *module, *summary; /* module: NULL for what is always there */
};

enum zygotes_result {
        ZYGOTES_NOT_LOADED = 1, /* a program or module cannot be used; the log says which and why */
};

/* Executes the zygote of each pool, waits until all have loaded their modules, tells the core their functions
 * (its pools exist already, in the configuration's order) and that they are ready. 0, ZYGOTES_NOT_LOADED
 * (exit 78), or -errno. */
int zygotes_start(struct daemon *);
/* The program that a pool's zygote is: its key, or in place of the default the environment's GANGER_ZYGOTE (a
 * build tree's own). */
const char *zygote_program(const struct pool_configuration *);
/* Takes NULL; returns NULL. Closes the channels; a zygote exits at that. */
struct zygotes *zygotes_free(struct zygotes *);

/* Asks for a worker; takes both descriptors over on success. -EAGAIN: there is no zygote at the moment. */
int zygote_spawn(struct zygotes *, uint32_t pool, uint64_t spawn_id, int channel_fd, int area_fd);
/* Ends one that did not deliver; another is started. */
void zygote_kill(struct zygotes *, uint32_t pool);
bool zygotes_is_child(const struct zygotes *, pid_t);
/* If this child, which was reaped, is a zygote: its end is dealt with. */
bool zygotes_reaped(struct zygotes *, pid_t, int wait_status);
/* If this child, which was stopped from outside, is a zygote: it is replaced. */
void zygotes_stopped(struct zygotes *, pid_t);
/* Reaps those that are dead. */
void zygotes_reap(struct zygotes *);
void zygotes_flush(struct zygotes *);
/* True once for each start of the pool's zygote: what all its workers say is logged once. */
bool zygotes_hears_first(struct zygotes *, uint32_t pool);

/* A pool's function by its number; NULL if there is none. */
const struct pool_function *zygotes_function(const struct zygotes *, uint32_t pool, uint32_t number);
uint32_t zygotes_n_functions(const struct zygotes *, uint32_t pool);
/* The number of a function in a pool; UINT32_MAX if it has none such. */
uint32_t zygotes_function_number(const struct zygotes *, uint32_t pool, const char *name, size_t size_bytes);

#endif
