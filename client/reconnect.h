/* SPDX-License-Identifier: MIT */
/*
 * A handle that waits for its daemon to come back. It has one descriptor for the program's loop, an epoll set
 * that holds the socket while there is one. Its requests are kept until they are answered.
 *
 * The link is up; or waiting: there is no socket, what is made is kept; or greeting: there is a socket again,
 * but what is kept waits until the daemon has answered hello. All functions take a handle without the option
 * as well, except where they say so.
 */
#ifndef CLIENT_RECONNECT_H
#define CLIENT_RECONNECT_H

#include "client/connection.h"
#include "proto/reader.h"

struct reconnect *reconnect_free(struct reconnect *);
/* Whether the connection will be made anew when it is lost. */
bool reconnect_is_on(const struct ganger *);
/* Whether there is no connection for the moment that requests could be sent on. */
bool reconnect_is_waiting(const struct ganger *);
/* A number that the connection at hand has alone among this handle's. */
uint64_t reconnect_link(const struct ganger *);
/* The connection has failed, g->failed says how. True: it is waited for, and those whose requests are not
 * sent again have been told; false: it stays lost. */
bool reconnect_begin(struct ganger *);
/* Does what is due while the link is not up: tells those whose time is over, gives up, tries to connect. */
void reconnect_turn(struct ganger *);
/* The daemon has answered hello. */
void reconnect_on_hello(struct ganger *);
/* The request is answered. True: by a daemon that is about to end and did nothing: it is to stay open. */
bool reconnect_on_answer(struct ganger *, const struct request *, struct reader value, bool is_error);

/* These only for a handle with the option. */
int reconnect_fd(const struct ganger *);
int reconnect_events(const struct ganger *);
/* Whether such a method can be begun: 0 or -ESTALE. */
int reconnect_may_send(const struct ganger *, enum method);
/* Notes a whole message. 0: it is to be sent; 1: it is kept until the link is up; or -errno. */
int reconnect_on_message(struct message *, const uint8_t *data, size_t size_bytes);

/* When to dispatch, given what else the connection waits for (-1: nothing). */
int64_t reconnect_timeout_ms(const struct ganger *, int64_t timeout_ms);

#endif
