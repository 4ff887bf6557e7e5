/* SPDX-License-Identifier: MIT */
/*
 * The ring between the loop and the log's thread: blocks of bytes of any size, one writer, one reader, no
 * locks, nothing allocated. The writer never waits: without room it gets none. A block lies in one piece and
 * stays where it is until the reader has released it.
 */
#ifndef DAEMON_LOG_RING_H
#define DAEMON_LOG_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RING_BYTES (1u << 20)
/* Of that only who is urgent may fill the last quarter. */
#define LOG_RING_COMMON_BYTES (LOG_RING_BYTES / 4 * 3)

struct log_ring {
        _Atomic uint64_t written, read; /* positions, counted on and on */
        uint32_t skipped;               /* the writer's: the reserved block begins after so many bytes */
        _Alignas(16) uint8_t data[LOG_RING_BYTES];
};

/* Room for at most size_bytes, aligned for any type, or NULL. Until the commit it is the writer's alone. */
void *log_ring_reserve(struct log_ring *, size_t size_bytes, size_t fill_bytes);
/* What was reserved is there for the reader, so many bytes of it. */
void log_ring_commit(struct log_ring *, size_t size_bytes);
/* The oldest block, or NULL; until it is released it comes again. */
void *log_ring_peek(struct log_ring *);
void log_ring_release(struct log_ring *);
int log_ring_is_empty(const struct log_ring *);

#endif
