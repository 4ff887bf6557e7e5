/* SPDX-License-Identifier: MIT */
/*
 * The result ring: the way of a worker's messages to gangerd without a system call, behind the page of slots
 * in the same memfd. It is one stream with the socket: every byte that the worker sends after its hello
 * stands in the ring, or is announced there in its place and comes by the socket. So the order is the ring's,
 * whatever way a message takes.
 *
 *      record: 4 bytes (native order), size | flags << 30, at a multiple of 4; then, without flags, so many
 * bytes
 *
 * head and tail count bytes over all; the worker writes head, gangerd tail and, so that the worker cannot set
 * it back, keeps its own. Who is asleep is woken by a byte on the socket, announced as that: gangerd sets
 * `watched` to 0 before it sleeps and looks at head once more; the worker looks at `watched` after it has
 * written head, and sets it to 1 when it wakes. One of the two sees the other.
 *
 * For gangerd all that is read here is untrusted: it copies first and judges the copy.
 */
#ifndef PROTO_RING_H
#define PROTO_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "proto/area.h"
#include "proto/buffer.h"

#define RING_BYTES        (64u << 10)
#define RING_INLINE_BYTES (8u << 10) /* larger messages go by the socket */

struct ring {
        _Alignas(64) _Atomic uint64_t head;
        _Alignas(64) _Atomic uint64_t tail;
        _Alignas(64) _Atomic uint32_t watched;
        _Alignas(64) uint8_t bytes[RING_BYTES];
};

#define AREA_AND_RING_BYTES (AREA_SIZE_BYTES + sizeof(struct ring))
/* What the area says is there; the worker maps as much. */
static inline bool area_has_ring(const struct area *area)
{
        return area->ring_bytes == sizeof(struct ring);
}
/* The ring behind the area's page. */
static inline struct ring *area_ring(struct area *area)
{
        return (struct ring *)((uint8_t *)area + AREA_SIZE_BYTES);
}

/* -- the worker -- */

/* Puts a message of `size_bytes` in all. False: there is no room, or it is too large: it goes by the socket.
 */
bool ring_put(struct ring *, const struct iovec *iov, size_t n, size_t size_bytes);
/* The next so many bytes come by the socket; is_wake: it is one, and means nothing. False: there is no room
 * yet. */
bool ring_announce(struct ring *, uint32_t size_bytes, bool is_wake);
/* After a put: whether gangerd is asleep and nobody wakes it yet. Then the caller has to. */
bool ring_must_wake(struct ring *);

/* -- gangerd -- */

struct ring_reader {
        struct ring *ring;   /* NULL: there is none */
        uint64_t at;         /* the true tail */
        uint32_t owed_bytes; /* to come by the socket, before anything more is taken */
        bool owed_is_wake;   /* and means nothing */
};

static inline bool ring_has_more(const struct ring_reader *r)
{
        return atomic_load_explicit(&r->ring->head, memory_order_acquire) != r->at;
}
/* Appends what is there, up to what comes by the socket; as much as `into` must be able to take has been
 * reserved: RING_BYTES. > 0: something was taken, be it an announcement; 0: nothing; -EBADMSG. */
int ring_take(struct ring_reader *, struct buffer *into);
/* From now on gangerd looks by itself. */
static inline void ring_watch(struct ring_reader *r)
{
        atomic_store_explicit(&r->ring->watched, 1, memory_order_relaxed);
}
/* From now on it must be woken. False: there is something already. */
bool ring_unwatch(struct ring_reader *);

#endif
