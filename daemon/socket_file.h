/* SPDX-License-Identifier: MIT */
/*
 * A listening Unix socket in the file system. Whoever holds the lock file beside the path serves that path; a
 * socket left by a dead daemon is replaced, a living one's never.
 */
#ifndef DAEMON_SOCKET_FILE_H
#define DAEMON_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct socket_file;

/* Also of other sockets that gangerd listens on. */
enum socket_result {
        SOCKET_IMPOSSIBLE = 1, /* the address cannot be listened on (logged): a configuration error */
        SOCKET_BUSY,           /* another daemon serves it (logged) */
        SOCKET_SHORT,          /* not now, for a shortage (logged) */
};

struct socket_file_config {
        const char *path;
        mode_t mode;
        bool has_group;
        gid_t group;
        bool make_directory;
};

/* Takes the lock, binds and listens. 0, an enum socket_result, -errno. */
int socket_file_new(const struct socket_file_config *, struct socket_file **ret);
/* Removes the socket, if it is still the one that was made here, and then the lock. */
struct socket_file *socket_file_free(struct socket_file *);
int socket_file_fd(const struct socket_file *);

#endif
