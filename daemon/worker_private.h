/* SPDX-License-Identifier: MIT */
/*
 * What the files of the workers share: worker.c (life), worker_table.c (all of them), worker_send.c (what
 * goes to them), worker_message.c (what comes from them), reaper.c (how they end).
 *
 * What happens to a worker comes in any order, from its channel, from its zygote and from the kernel, so what
 * to do is one table, state × event, in worker.c; nobody else writes ->life.
 */
#ifndef DAEMON_WORKER_PRIVATE_H
#define DAEMON_WORKER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/channel.h"
#include "daemon/hash.h"
#include "daemon/pools.h"
#include "daemon/worker.h"
#include "proto/area.h"

enum worker_life {
        LIFE_ASKED, /* asked of the zygote; no process is known */
        LIFE_STRAY, /* the same, but its zygote is gone: hello or end-of-file decides */
        LIFE_SHUT,  /* the channel ended before a process was known: the zygote's report decides */
        LIFE_BORN,  /* the process is known, it has not said hello */
        LIFE_UP,
        LIFE_HUNG, /* its channel is over: to be reaped, or killed if it lives on */
        LIFE_OVER, /* told to the core, in the graveyard */
        N_LIVES
};

enum worker_event {
        EVENT_SPAWNED, /* the zygote reports the process */
        EVENT_SPAWN_FAILED,
        EVENT_ZYGOTE_LOST,
        EVENT_HELLO,  /* the first message; the sender is known */
        EVENT_HANGUP, /* its channel is over */
        EVENT_REAPED,
        N_WORKER_EVENTS
};

struct worker_end {
        bool by_signal;
        int status;
        bool over_limit;
        int64_t lived;
};

struct worker {
        struct channel channel;
        struct workers *owner;
        uint32_t index, pool;
        struct generation *generation; /* that it was born from */
        uint64_t zygote;               /* the serial of whom it was asked of */
        enum worker_life life;
        bool doomed;  /* SIGKILL was sent, or is as soon as the process is known; nothing is sent any more */
        bool mourned; /* its obituary is written */
        bool bad;     /* it cannot go on, and why was logged */
        uint64_t spawn_id;
        pid_t pid; /* 0: not known */
        int pidfd; /* -1: not open, though pid may be known */
        int statm; /* /proc/PID/statm, once worker_rss_now() was asked; -1 */
        struct area *area;
        bool shares_area;       /* its hello said so */
        bool takes_descriptors; /* the same */
        uint32_t n_asked;       /* requests, over all */
        uint32_t asks_by; /* number of the connection by which its task asks, if worker_asks_by() finds it */
        struct rights *rights[LIMIT_SLOTS]; /* of those who brought what was last sent there, or NULL */
        uint64_t task_at[LIMIT_SLOTS];      /* which was that */
        /* without an area: what it was sent last */
        uint64_t lone_task;
        int64_t lone_since;
        int64_t born;
        struct event hung_timer;
        unsigned n_graces; /* how often that was set since its channel ended */
        struct worker_end end;
        uint64_t max_rss_bytes;
        struct worker_usage usage;
        struct worker_lines *lines;     /* of task_log.c: NULL until a task wrote to its standard error */
        int64_t usage_at;               /* when it was sampled; 0: never */
        UT_hash_handle hh;              /* workers.by_pid, while pid is known and not reaped */
        TAILQ_ENTRY(worker) dead_link;  /* workers.graveyard */
        TAILQ_ENTRY(worker) watch_link; /* workers.watched, while is_watched */
        bool is_watched;
        unsigned n_looked; /* at its ring, in vain */
};

struct workers {
        struct daemon *daemon;
        struct worker **at; /* by index */
        uint32_t n_at;
        uint64_t n_spawns; /* the last spawn's number */
        struct worker *by_pid;
        const struct worker *speaking; /* whose message is being dealt with */
        bool orphans_suspected;        /* unknown children may be there, but so may newborns */
        bool reap_again;               /* one that was dead and unknown may be known now */
        struct channel_list flush;
        TAILQ_HEAD(, worker) watched; /* at whose rings gangerd looks by itself */
        TAILQ_HEAD(, worker) graveyard;
};

extern const struct channel_callbacks worker_channel_callbacks;
/* It hung up and was not reaped. */
void worker_on_hung_timer(evutil_socket_t, short what, void *worker);
/* It was reaped, or gangerd goes first: its pid means nothing any more. */
void worker_forget_process(struct worker *);
/* NULL if there is none. */
struct worker *worker_at(const struct workers *, uint32_t index);
/* Something happened to it; `value` is the event's: the pid (spawned, hello), the errno (failed), the wait
 * status (reaped). */
void worker_on(struct worker *, enum worker_event, int value);
/* The name of its pool. */
const char *worker_pool_name(const struct worker *);
/* It broke the protocol, or (channel.error) cannot be dealt with: one log line, and its life. */
void worker_bad(struct worker *, const char *why);
/* 0, or -1 and errno. */
int worker_signal(const struct worker *, int number);
/* SIGKILL, now or as soon as there is a process. */
void worker_doom(struct worker *);
/* Whether a process may exist whose pid nobody told us yet. */
bool workers_expect_newborn(const struct workers *);
/* Ends every child that is no worker and no zygote, unless it may be a newborn. */
void workers_end_orphans(struct workers *);
/* The connection of the task that it runs, if that has asked for something; else NULL. */
struct connection *worker_asks_by(const struct worker *);
/* From now on it need not wake gangerd, if it has a ring. */
void worker_watch(struct worker *);
/* It goes, or is not looked at any more. */
void worker_forget_watch(struct worker *);
/* What its message means. NULL, or why it makes no sense. */
const char *worker_on_message(struct worker *, const struct envelope *);

#endif
