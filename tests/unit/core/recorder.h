/* SPDX-License-Identifier: MIT */
/*
 * A core whose operations are written down. Every operation is one line; a test says what it expects since
 * the last time and compares. Slots answer as the test sets them. Task ids run from 1, workers from 0.
 * After every event core_check() is run.
 */
#ifndef TESTS_UNIT_CORE_RECORDER_H
#define TESTS_UNIT_CORE_RECORDER_H

#include "daemon/core/core_look.h"
#include "daemon/core/core_shared.h"
#include "proto/limits.h"
#include "tests/unit/cmocka_includes.h"

#define MS           (CORE_SECOND / 1000)
#define US           (CORE_SECOND / 1000000)
#define ALICE        1000
#define BOB          2000
#define SILENT       0
#define BOBS         9 /* a connection of Bob, who is in … */
#define GROUP_OF_BOB 77
#define STREAMS      6 /* stdout and stderr */

struct recorder {
        struct core *core;
        int64_t now, next_turn;
        uint32_t function;
        char log[16384];
        size_t n;
        bool claimed; /* slots: what is asked back has begun */
        bool refuse_send, refuse_spawn, defer_store;
        const struct core_slot *slot; /* what all say; NULL: they know of the last that was sent */
        uint64_t slot_index, rss_bytes;
        uint32_t n_payloads;
        uint32_t plain;            /* a connection for which every result is too large; 0: none */
        struct core_dispatch sent; /* the last one */
        uint32_t sent_to;
};

/* A core with one pool; its workers have said hello. */
struct recorder *begin(uint32_t n_workers, uint32_t window);
/* The same with a pool like this one, whose first workers have said hello. */
struct recorder *begin_like(const struct core_pool_config *);
struct recorder *begin_with(const struct core_config *, const struct core_pool_config *);
extern const struct core_ops recorder_ops;
extern const struct core_config ordinary;
extern const struct core_pool_config ordinary_pool;
/* Closes what the test left open, frees the core (accounts are zero then), checks that no payload is left. */
void end(struct recorder *);
/* Says hello for a worker. */
void hello(struct recorder *, uint32_t worker);
/* Time goes by, then a turn. */
void turn(struct recorder *, int64_t later);
/* Everything recorded since the last call, compared with lines. */
void expect(struct recorder *, const char *lines);
void forget(struct recorder *);
/* One more piece of what is recorded. */
void say(struct recorder *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_shared(void *ctx, struct core_request, const struct core_shared_answer *);

struct core_spec spec(struct recorder *);
void client(struct recorder *, uint32_t connection, uid_t uid);
/* A call with this msgid; returns nothing: it must be accepted. */
void call(struct recorder *, uint32_t connection, uint32_t msgid);
uint64_t submit(struct recorder *, uint32_t connection);
uint64_t submit_with(struct recorder *, uint32_t connection, struct core_spec);
void map(struct recorder *, uint32_t connection, uint32_t msgid, struct core_map_spec);
/* The worker's task asks for something itself, over this connection. */
void open_task(struct recorder *, uint32_t connection, uint32_t worker);
/* What a request for the task's result is refused with; 0: it is accepted. */
int ask_result(struct recorder *, uint32_t connection, uint32_t msgid, uint64_t task);
void cancel(struct recorder *, uint32_t connection, uint64_t task);
/* The worker answers for what was sent to this slot. */
void answer(struct recorder *, uint32_t worker, uint32_t slot, uint64_t task);
void answer_failed(struct recorder *, uint32_t worker, uint32_t slot, uint64_t task);
void item(struct recorder *, uint32_t worker, uint64_t task, uint64_t index);
void item_failed(struct recorder *, uint32_t worker, uint64_t task, uint64_t index);
/* The worker is dead: signal > 0, or exit status -signal. */
void lost(struct recorder *, uint32_t worker, int signal);
/* Makes the function's mean run time known. */
void measure(struct recorder *, uint32_t connection, int64_t run_time);
enum task_state state_of(struct recorder *, uint32_t connection, uint64_t id);

#endif
