/* SPDX-License-Identifier: MIT */
/*
 * Values that came in memfds, mapped for as long as their descriptors are open: each once, when it is first
 * read.
 */
#ifndef DAEMON_WORKER_MAPPED_H
#define DAEMON_WORKER_MAPPED_H

#include <stddef.h>

struct mapped; /* a list; NULL: empty */

/* 0 or -errno. */
int mapped_get(struct mapped **, int fd, size_t size_bytes, const void **ret);
/* Unmaps all. */
void mapped_free(struct mapped **);

#endif
