/* SPDX-License-Identifier: MIT */
/* What the files of the zygotes share: zygote.c (life), zygote_exec.c (the process), zygote_load.c
 * (functions). */
#ifndef DAEMON_ZYGOTE_PRIVATE_H
#define DAEMON_ZYGOTE_PRIVATE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/channel.h"
#include "daemon/hash.h"
#include "daemon/zygote.h"

enum zygote_state {
        ZYGOTE_ABSENT,   /* to be started by the timer */
        ZYGOTE_STARTING, /* executed, has not said hello */
        ZYGOTE_LOADING,
        ZYGOTE_READY,
        ZYGOTE_DYING, /* its channel is over or it was killed; to be reaped */
};

struct function_entry {
        struct pool_function function;
        uint32_t number;
        UT_hash_handle hh; /* zygote.by_name */
};

struct zygote {
        struct channel channel;
        struct zygotes *owner;
        uint32_t pool;
        enum zygote_state state;
        bool has_heard; /* zygotes_hears_first() */
        bool refused;   /* why it cannot be used was logged */
        pid_t pid;      /* 0: none */
        int64_t ready_at;
        int64_t pause;      /* before the next start */
        struct event timer; /* start_timeout while it starts, the pause while it is absent */
        struct function_entry *functions;
        uint32_t n_functions;
        bool has_functions; /* it was loaded once: they do not change any more */
        struct function_entry *by_name;
};

struct zygotes {
        struct daemon *daemon;
        struct channel_list flush;
        bool serving; /* the first start is over: news go to core and workers */
        uint32_t n;
        struct zygote zygotes[];
};

struct pool_configuration;
const struct pool_configuration *zygote_pool(const struct zygote *);
/* Executes the program; *ret_fd is our end of the channel. */
int zygote_execute(struct zygote *, pid_t *ret_pid, int *ret_fd);
/* Says what to load. */
int zygote_send_load(struct zygote *);
/* The answer to that. NULL; or why it is none. Sets `refused` if it says that it cannot. */
const char *zygote_take_loaded(struct zygote *, const struct envelope *);
void zygote_drop_functions(struct zygote *);

#endif
