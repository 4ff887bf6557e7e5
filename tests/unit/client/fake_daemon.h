/* SPDX-License-Identifier: MIT */
/*
 * The daemon's end of a connection, for tests of the library: played step by step by the test itself
 * (fake_take, fake_send), or served by a thread (fake_serve). Messages are written by the library's own
 * formats and read by proto/.
 */
#ifndef TESTS_UNIT_CLIENT_FAKE_DAEMON_H
#define TESTS_UNIT_CLIENT_FAKE_DAEMON_H

#include <stdbool.h>

#include "client/connection.h"
#include "proto/envelope.h"

struct fake {
        int fd;
        struct buffer input;
        struct scan scan;
        struct fd_queue fds;
        uint64_t stream_at;
        size_t taken_bytes; /* of the message last taken, still at the input's beginning */
        int message_fds[LIMIT_DESCRIPTORS];
        uint32_t n_message_fds;
};

/* A connected pair: the handle, and the daemon's end of it. */
void fake_open(struct fake *, struct ganger **ret);
void fake_init(struct fake *, int fd);
void fake_close(struct fake *);
/* Takes the next message; false: there is none (end of file, or a broken rule). It is good until the next. */
bool fake_take(struct fake *, struct envelope *ret);
/* Sends one message: a format of one array. False: nobody listens any more. */
bool fake_send(struct fake *, const char *format, ...);
/* Packs one message at the end of a buffer, for tests that send it in pieces. */
void fake_pack(struct buffer *, const char *format, ...);
bool fake_send_bytes(struct fake *, const void *, size_t size_bytes);

/* What a served daemon has seen. Read it after fake_stop() has returned. */
struct fake_totals {
        uint64_t n_items;           /* of maps */
        uint64_t n_unfinished_peak; /* items taken in and not answered */
        uint64_t held_bytes_peak;   /* of requests with such items */
        uint64_t n_fds;
        uint64_t request_bytes_peak;
        bool cancelled;
};
/* A thread that answers everything: `call`, `result`: the args or the id; `submit`: 7; `wait`: all succeeded;
 * `cancel`: 1; `refuse`: not_permitted; `map`: each item's first argument, in a muddled order, an argument of
 * 13 failing; anything else: unknown_method. */
struct fake_server;
struct fake_server *fake_serve(struct ganger **ret);
void fake_stop(struct fake_server *, struct fake_totals *ret);

#endif
