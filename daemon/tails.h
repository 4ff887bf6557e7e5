/* SPDX-License-Identifier: MIT */
/*
 * Tails: the last LIMIT_TAIL_BYTES that a task wrote to each of its streams, for who attaches later and for
 * failure records. A ring for every task and kind, allocated as it grows; the core says when a task is
 * forgotten. Of progress the last word is kept.
 */
#ifndef DAEMON_TAILS_H
#define DAEMON_TAILS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tail;
struct tails {
        struct tail *by_task;
};

/* Adds to the tail; returns by how many bytes its memory grew. Without memory the tail stays as it is. */
uint32_t tails_add(struct tails *, uint64_t task, unsigned kind, const uint8_t *data, size_t size_bytes);
/* The last bytes, at most max_bytes, oldest first, in two parts; the sum of their sizes. */
struct tail_part {
        const uint8_t *data;
        size_t size_bytes;
};
size_t tails_last(const struct tails *, uint64_t task, unsigned kind, size_t max_bytes,
                  struct tail_part ret[2]);
/* Keeps the last LIMIT_STDERR_BYTES of stderr and nothing else. False: there are none, all is dropped. */
bool tails_shrink(struct tails *, uint64_t task);
void tails_drop(struct tails *, uint64_t task);
void tails_deinit(struct tails *);

#endif
