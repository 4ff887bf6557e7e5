/* SPDX-License-Identifier: MIT */
/* What the files of the zygotes share: zygote.c (life), zygote_table.c (all of them), zygote_exec.c (the
 * process), zygote_load.c (functions). */
#ifndef DAEMON_ZYGOTE_PRIVATE_H
#define DAEMON_ZYGOTE_PRIVATE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/channel.h"
#include "daemon/pools.h"
#include "daemon/zygote.h"

enum zygote_role {
        ROLE_CANDIDATE,
        ROLE_SERVING,
        ROLE_FORMER, /* dismissed: freed when it is reaped */
};

enum zygote_state {
        ZYGOTE_ABSENT,   /* no process; one that serves is to be started by the timer */
        ZYGOTE_STARTING, /* executed, has not said hello */
        ZYGOTE_LOADING,
        ZYGOTE_READY,
        ZYGOTE_STOPPING, /* told to exit when it has forked what it was asked for */
        ZYGOTE_DYING,    /* its channel is over or it was killed; to be reaped */
};

struct zygote {
        struct channel channel;
        struct zygotes *owner;
        uint64_t serial;
        char *name; /* of the pool */
        enum zygote_role role;
        enum zygote_state state;
        bool has_heard;                            /* zygote_hears_first() */
        const struct configuration *configuration; /* NULL: former */
        const struct pool_configuration *pool_configuration;
        uint32_t pool; /* that it serves */
        void (*on_news)(void *userdata);
        void *userdata;
        bool unfit;     /* why it cannot be used is known */
        bool is_short;  /* … and it is a shortage: it may be of use another time */
        char why[1200]; /* of the last failure */
        pid_t pid;      /* 0: none */
        int64_t ready_at;
        int64_t pause;       /* before the next start */
        uint32_t n_failures; /* ends since it was last ready */
        struct event
                timer; /* start_timeout while it starts, the pause while it is absent, its time to stop */
        struct pool_function *functions;
        uint32_t n_functions;
        bool has_functions;       /* it was loaded once: they do not change any more */
        TAILQ_ENTRY(zygote) link; /* zygotes.all, or .graveyard */
};

TAILQ_HEAD(zygote_list, zygote);

struct zygotes {
        struct daemon *daemon;
        struct channel_list flush;
        struct zygote_list all, graveyard;
        uint64_t last_serial;
};

/* -- zygote.c -- */
void zygote_on_timer(evutil_socket_t, short what, void *zygote);
/* Why it cannot be used, behind which the errno's text stands unless it is 0: kept for whoever wants it,
 * logged if it serves. */
void zygote_fail(struct zygote *, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* It was reaped. */
void zygote_on_reaped(struct zygote *, int wait_status);
/* It was stopped from outside. */
void zygote_on_stopped(struct zygote *);
void zygote_kill_process(struct zygote *);

/* -- zygote_exec.c -- */
/* Executes the program; *ret_fd is our end of the channel. > 0: it cannot be, by fault of the configuration.
 */
int zygote_execute(struct zygote *, pid_t *ret_pid, int *ret_fd);

/* -- zygote_load.c -- */
/* Says what to load. */
int zygote_send_load(struct zygote *);
/* The answer to that. NULL; or why it is none. Sets `unfit` if it says that it cannot. */
const char *zygote_take_loaded(struct zygote *, const struct envelope *);
void zygote_drop_functions(struct zygote *);

#endif
