/* SPDX-License-Identifier: MIT */
/*
 * gangerd's one object: what lives as long as the process. Made in main.c, handed by pointer to whoever needs
 * it; the rooms know each other only through their headers. The loop's order is daemon_run()'s: events →
 * core_turn → flush → sweep → timer.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* Exit statuses of gangerd: systemd does not restart after the first. */
#define EXIT_CONFIGURATION 78

struct event;
struct event_base;
struct events;
struct core;
struct configuration;
struct connections;
struct listener;
struct metrics_http;
struct payload_table;
struct pools;
struct readiness;
struct reload;
struct start_options;
struct workers;
struct zygotes;
struct rpc;

struct daemon {
        struct event_base *base;
        struct configuration *config;
        struct core *core;
        struct payload_table *payloads;
        struct listener *listener;
        struct metrics_http *metrics_http; /* NULL: nobody asked for it */
        struct connections *connections;
        struct pools *pools; /* by the core's indices */
        struct zygotes *zygotes;
        struct readiness *readiness;
        struct reload *reload;
        const struct start_options *options;
        struct workers *workers;
        struct rpc *rpc;
        struct events *events;
        int64_t now;                 /* CLOCK_MONOTONIC in ns, as of the last daemon_update_now() */
        int64_t event_at;            /* when something that others did was last noticed */
        int64_t started;             /* the same clock */
        double wall_offset;          /* Unix seconds = wall_offset + monotonic seconds */
        bool stopping;               /* SIGTERM came */
        bool drained;                /* the core said NOTE_DRAINED: the loop ends */
        bool ready;                  /* systemd was told so: readiness.h */
        bool shared;                 /* others than the daemon's own user may connect */
        struct rlimit worker_nofile; /* RLIMIT_NOFILE as it was at start: workers get it back */
        struct daemon_state *state;  /* of daemon.c: signals, timer, which pools are ready */
};

/* The loop, its signals and its timer; start.c makes and unmakes the rest. 0 or -errno; daemon_deinit() takes
 * what is half made. */
int daemon_init(struct daemon *);
void daemon_deinit(struct daemon *);
/* Runs until stopped; returns the status to exit with. */
int daemon_run(struct daemon *);

/* Reads the clock into daemon->now: first thing in every callback of the loop (it may have slept since), and
 * at the end of its turn. */
void daemon_update_now(struct daemon *);
/* A time of the core's clock as Unix seconds. */
/* As of now the wall clock says what it does: it may have been set, or the machine have slept. */
void daemon_look_at_wall(struct daemon *);
double daemon_wall(const struct daemon *, int64_t at);
/* Has the loop wait for it, as event_add() without a time. 0 or -errno. */
int daemon_event_add(struct event *);
/* Something was noted after this turn's core_turn(): the next turn begins without sleeping. */
void daemon_turn_again(struct daemon *);
/* The core said NOTE_DRAINED. */
void daemon_drained(struct daemon *);

#endif
