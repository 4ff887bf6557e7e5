/* SPDX-License-Identifier: MIT */
/*
 * The zygotes: programs that loaded a pool's modules and fork its workers. One begins as a candidate: it is
 * executed and told what to load, and whoever wants it hears when it has, or why it cannot. Then it serves a
 * pool, and is executed again whenever it ends, with a growing pause; what it brings then must be the same.
 * Or it is dismissed: it forks what it was asked for, exits, and is forgotten.
 *
 * All of them are owned by `struct zygotes`, which is the daemon's.
 */
#ifndef DAEMON_ZYGOTE_H
#define DAEMON_ZYGOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct configuration;
struct daemon;
struct pool_configuration;
struct pool_function;
struct zygote;
struct zygotes;

int zygotes_new(struct daemon *, struct zygotes **ret);
/* Takes NULL; returns NULL. Closes the channels; a zygote exits at that. */
struct zygotes *zygotes_free(struct zygotes *);

/* -- candidates -- */

enum zygote_progress {
        ZYGOTE_LOADS,
        ZYGOTE_LOADED,
        ZYGOTE_UNFIT, /* zygote_why() */
};

/* Executes one. Both configurations must last until it is dismissed. on_news is called, in a callback of the
 * loop, when its progress changes, as long as it is a candidate; if it cannot even be executed, it is unfit
 * from the beginning. 0 or -errno. */
int zygote_new(struct zygotes *, const struct configuration *, const struct pool_configuration *,
               void (*on_news)(void *userdata), void *userdata, struct zygote **ret);
enum zygote_progress zygote_progress(const struct zygote *);
/* Whether it is unfit for a shortage, and not for what the configuration says. */
bool zygote_is_short(const struct zygote *);
/* Why it is unfit: one sentence. */
const char *zygote_why(const struct zygote *);
/* Waits, blocking, until every candidate has loaded or one is unfit. 0 or -errno. */
int zygotes_await(struct zygotes *);

/* What it brings; its own numbers. */
uint32_t zygote_n_functions(const struct zygote *);
struct pool_function *zygote_function(const struct zygote *, uint32_t number);

/* -- serving -- */

/* It has loaded: from now on it is the pool's, and the core hears of it. */
void zygote_serve(struct zygote *, uint32_t pool);
/* Nobody wants it any more; its configurations may go. */
void zygote_dismiss(struct zygote *);
/* Its number; 0 is nobody's. */
uint64_t zygote_serial(const struct zygote *);
/* True once for each start of it: what all its workers say is logged once. */
bool zygote_hears_first(struct zygote *);
/* Asks for a worker; takes both descriptors over on success. -EAGAIN: it is not there at the moment. */
int zygote_spawn(struct zygote *, uint64_t spawn_id, int channel_fd, int area_fd);
/* Ends one that did not deliver; it is executed again. */
void zygote_kill(struct zygote *);

/* -- all of them -- */

/* The program that a pool's zygote is: its key, or in place of the default the environment's GANGER_ZYGOTE (a
 * build tree's own). */
const char *zygote_program(const struct pool_configuration *);
bool zygotes_is_child(const struct zygotes *, pid_t);
/* If this child, which was reaped, is a zygote: its end is dealt with. */
bool zygotes_reaped(struct zygotes *, pid_t, int wait_status);
/* If this child, which was stopped from outside, is a zygote: it is replaced. */
void zygotes_stopped(struct zygotes *, pid_t);
/* Reaps those that are dead. */
void zygotes_reap(struct zygotes *);
void zygotes_flush(struct zygotes *);
/* The loop's very end: frees those that are forgotten. */
void zygotes_sweep(struct zygotes *);

#endif
