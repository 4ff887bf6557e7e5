/* SPDX-License-Identifier: MIT */
/*
 * Large values that were sent in memfds. Who closes the last descriptor of one frees its pages, which takes
 * some 0.15 ms a MiB. This program made them and not the daemon, so it keeps a descriptor of its own while
 * the request is open, and then until the reply is freed or the handle is used again. The daemon has let go
 * of them by then: it does so when it answers.
 *
 * It has several owners (the request or the handle, and the reply, which may be freed by another thread), and
 * the first who lets go of it closes the descriptors.
 */
#ifndef CLIENT_SENT_H
#define CLIENT_SENT_H

#include <stdint.h>

struct sent;

/* Duplicates. NULL: there are none, or no memory or no descriptors for it; then the daemon is last. */
struct sent *sent_new(const int *fds, uint32_t n);
uint32_t sent_n(const struct sent *); /* 0 of NULL */
/* One owner more. Takes NULL. */
struct sent *sent_ref(struct sent *);
/* Closes the descriptors, and is an owner less. Takes NULL, returns NULL. */
struct sent *sent_unref(struct sent *);

#endif
