/* SPDX-License-Identifier: MIT */
/*
 * The socket that clients connect to: found, bound or taken from systemd; accepted sockets go up. Owned by
 * struct daemon. When descriptors run out it rests (exhaustion.h).
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/socket_file.h"

struct event_base;
struct listener;

struct listener_config {
        struct socket_file_config file; /* make_directory: the path is the usual one */
        int passed_fd;                  /* the socket that systemd passed; -1: none, the file is made */
        void (*on_accept)(void *userdata, int fd);
        void *userdata;
};

/* Where to listen: option, key, $GANGER_SOCKET, the usual place. 0 (free *ret), or SOCKET_IMPOSSIBLE
 * (*ret_why says it), or -ENOMEM. */
int listener_path(const char *option, const char *key, char **ret, bool *ret_usual, const char **ret_why);

/* Binds and listens, but accepts nobody before listener_start(). */
int listener_new(struct event_base *, const struct listener_config *, struct listener **ret);
/* Stops listening; a socket of our own is removed, and then its lock. */
struct listener *listener_free(struct listener *);
/* 0 or -errno. */
int listener_start(struct listener *);
/* A descriptor was freed: a resting listener need not wait longer. */
void listener_wake(struct listener *);
/* Whether others than the user `own` may connect, by the socket's owner and mode. */
int listener_is_shared(const struct listener *, uid_t own, bool *ret);
const char *listener_address(const struct listener *);

#endif
