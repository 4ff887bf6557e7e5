/* SPDX-License-Identifier: MIT */
/*
 * Where a client looks for the daemon's socket, and how it connects. Shared by ganger_open() and the command
 * line (which lets its user choose with --user and --system).
 */
#ifndef CLIENT_SEARCH_H
#define CLIENT_SEARCH_H

#include <stddef.h>

#include "proto/limits.h"

enum search_scope {
        SEARCH_USUAL,  /* $GANGER_SOCKET alone if it is set; else the user's own socket, then the system's */
        SEARCH_USER,   /* the user's own */
        SEARCH_SYSTEM, /* the system's */
};

#define SEARCH_CANDIDATES 2

/* The paths that are tried, in order, written to ret[SEARCH_CANDIDATES]; their number is returned: 0 if the
 * user's own is asked for and XDG_RUNTIME_DIR is not set. -ENAMETOOLONG: one is longer than
 * LIMIT_SOCKET_PATH_BYTES. */
int search_candidates(enum search_scope, char (*ret)[LIMIT_SOCKET_PATH_BYTES + 1]);
/* Connects (non-blocking, CLOEXEC) to the first of them on which somebody listens, whose path is written to
 * ret_path[LIMIT_SOCKET_PATH_BYTES + 1]; 0 or -errno: the first reason that is not -ENOENT, if there is one.
 */
int search_connect(enum search_scope, char *ret_path, int *ret_fd);
/* Connects to this path. While the daemon's queue of connections is full it tries again, for at most a few
 * seconds (then -EAGAIN). */
int search_connect_path(const char *path, int *ret_fd);
/* The same, but they try once: they do not block. */
int search_try(enum search_scope, char *ret_path, int *ret_fd);
int search_try_path(const char *path, int *ret_fd);

#endif
