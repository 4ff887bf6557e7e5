/* SPDX-License-Identifier: MIT */
/* Descriptors across fork and exec: CLOEXEC does nothing at a fork, and a module may have forgotten it. */
#ifndef DAEMON_WORKER_FDS_H
#define DAEMON_WORKER_FDS_H

/* Closes every descriptor from `first` on. */
void fds_close_from(int first);
/* Every descriptor from `first` on is closed at the next exec. */
void fds_cloexec_from(int first);

#endif
