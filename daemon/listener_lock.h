/* SPDX-License-Identifier: MIT */
/* The lock file beside a socket: whoever holds it may bind the path. */
#ifndef DAEMON_LISTENER_LOCK_H
#define DAEMON_LISTENER_LOCK_H

#include <sys/types.h>

enum lock_result { LOCK_HELD = 1 /* by another; *ret_pid says by whom, 0: not known */ };

/* Opens, locks and fills in PATH.lock; the descriptor holds the lock. 0, LOCK_HELD, or -errno. */
int listener_lock(const char *path, int *ret_fd, pid_t *ret_pid);
/* Removes the file and lets the lock go. */
void listener_unlock(const char *path, int fd);

#endif
