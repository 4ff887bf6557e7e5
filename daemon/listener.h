/* SPDX-License-Identifier: MIT */
/*
 * The listening socket: found, locked, bound or taken from systemd; accepted sockets go up. Owned by struct
 * daemon. Whoever holds the lock file beside the path serves that path; a socket left by a dead daemon is
 * replaced, a living one's never.
 *
 * When descriptors run out it rests for a while instead of being told so by every turn of the loop; one
 * descriptor in reserve serves to turn callers away in the meantime.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct listener;

enum listener_result {
        LISTENER_IMPOSSIBLE = 1, /* the path or its place cannot be (logged): a configuration error */
        LISTENER_BUSY,           /* another daemon serves it (logged) */
};

struct listener_config {
        const char *path;
        int passed_fd; /* the socket that systemd passed; -1: none, path is bound */
        mode_t mode;
        bool has_group;
        gid_t group;
        bool make_directory; /* the path is the usual one: its directory is ours to make */
        void (*on_accept)(void *userdata, int fd);
        void *userdata;
};

/* Where to listen: option, key, $GANGER_SOCKET, the usual place. 0 (free *ret), or LISTENER_IMPOSSIBLE
 * (*ret_why says it), or -ENOMEM. */
int listener_path(const char *option, const char *key, char **ret, bool *ret_usual, const char **ret_why);

/* Binds and listens, but accepts nobody before listener_start(). */
int listener_new(struct event_base *, const struct listener_config *, struct listener **ret);
/* Stops listening; a socket of our own is removed, and then its lock. */
struct listener *listener_free(struct listener *);
void listener_start(struct listener *);
/* A descriptor was freed: a resting listener need not wait longer. */
void listener_wake(struct listener *);
/* Whether others than the user `own` may connect, by the socket's owner and mode. */
int listener_is_shared(const struct listener *, uid_t own, bool *ret);
const char *listener_address(const struct listener *);

#endif
