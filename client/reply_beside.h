/* SPDX-License-Identifier: MIT */
/* What reply.c knows of values that lie beside a reply; as its readers, each takes the next value or leaves
 * it. */
#ifndef CLIENT_REPLY_BESIDE_H
#define CLIENT_REPLY_BESIDE_H

#include "client/reply.h"

int reply_read_fd(const struct ganger_reply *, struct reader *, int *ret);
/* Of a bin or str, wherever it lies. */
int reply_read_bytes(const struct ganger_reply *, struct reader *, const void **ret, size_t *ret_size_bytes);
/* The next value whole, with all bytes in it; what lay beside is copied into the reply's keeping. */
int reply_read_whole(const struct ganger_reply *, struct reader *, const void **ret, size_t *ret_size_bytes);
/* Unmaps and closes all. */
void reply_free_beside(struct ganger_reply *);

#endif
