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

struct event_base;
struct core;
struct configuration;
struct connections;
struct listener;
struct payload_table;
struct workers;
struct zygotes;
struct rpc;

struct daemon {
        struct event_base *base;
        struct configuration *config;
        struct core *core;
        struct payload_table *payloads;
        struct listener *listener;
        struct connections *connections;
        struct zygotes *zygotes; /* one per pool, same index as the core's pools */
        struct workers *workers;
        struct rpc *rpc;
        int64_t now;        /* CLOCK_MONOTONIC in ns, taken once at the beginning of each turn of the loop */
        int64_t started;    /* the same clock */
        double wall_offset; /* Unix seconds = wall_offset + monotonic seconds */
        bool stopping;      /* SIGTERM came */
        bool drained;       /* the core said NOTE_DRAINED: the loop ends */
        bool ready;         /* every pool's workers have said hello once */
};

/* Reads the clock into daemon->now. */
void daemon_update_now(struct daemon *);
/* A time of the core's clock as Unix seconds. */
double daemon_wall(const struct daemon *, int64_t at);

#endif
