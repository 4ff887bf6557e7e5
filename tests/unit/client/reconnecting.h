/* SPDX-License-Identifier: MIT */
/*
 * A handle that reconnects and its daemon, which is the test: it listens at a path, dies and comes back. For
 * tests of cmocka; each step asserts what it needs.
 */
#ifndef TESTS_UNIT_CLIENT_RECONNECTING_H
#define TESTS_UNIT_CLIENT_RECONNECTING_H

#include "client/reply.h"
#include "tests/unit/client/fake_daemon.h"

#define PATIENCE_MS 20000 /* longer than any test */

struct world {
        struct ganger *g;
        struct fake daemon;
        int listener;
};

/* A directory for the socket: a group's setup and teardown. */
int world_setup(void **state);
int world_teardown(void **state);

/* A handle that has said hello, with this patience. */
struct world world_open(int64_t patience_ms);
void world_close(struct world *);
/* The daemon goes; listens again; is connected to again, and answers hello. */
void world_die(struct world *);
void world_listen(struct world *);
void world_come_back(struct world *);
void world_greet(struct world *, uint64_t max_message);
/* All of these, and what was kept is on its way. */
void world_restart(struct world *);

/* One turn of a loop that does nothing else: what ganger_dispatch() returns. */
int turn(struct ganger *);

/* Whoever waits. */
struct told {
        int n, r, n_streamed;
};
void told_on_reply(void *told, int r, struct ganger_reply *);
void told_on_stream(void *told, const char *kind, const struct ganger_reply *);
/* Waits until he is told, once, just this. */
void expect_told(struct world *, const struct told *, int r);

/* The request that comes next; its last parameter, a map of options, is borrowed if it is asked for. */
uint32_t take(struct world *, const char *method, struct ganger_reply *ret_options);
/* The same, with just these parameters: a format of one short array. */
uint32_t take_just(struct world *, const char *method, const char *format, ...);
void answer(struct world *, uint32_t msgid);

#endif
