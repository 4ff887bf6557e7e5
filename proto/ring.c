/* SPDX-License-Identifier: MIT */
/*
 * Inline messages leave room for announcements, of which there can be no more than the socket has room for
 * sends: so the worker hardly ever waits for the ring before it can announce one.
 */
#include "proto/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define HEADER_BYTES   ((uint32_t)sizeof(uint32_t))
#define BY_SOCKET      (UINT32_C(1) << 30)
#define WAKE           (UINT32_C(2) << 30)
#define SIZE_MASK      (BY_SOCKET - 1)
#define ANNOUNCE_BYTES (4u << 10)

_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "places are counted modulo its size");

static uint64_t padded(uint64_t size_bytes)
{
        return (size_bytes + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
}

static void write_bytes(struct ring *ring, uint64_t at, const void *data, size_t size_bytes)
{
        size_t place = at % RING_BYTES, first = RING_BYTES - place;

        if (first >= size_bytes) {
                memcpy(ring->bytes + place, data, size_bytes);
                return;
        }
        memcpy(ring->bytes + place, data, first);
        memcpy(ring->bytes, (const uint8_t *)data + first, size_bytes - first);
}

static void read_bytes(const struct ring *ring, uint64_t at, void *ret, size_t size_bytes)
{
        size_t place = at % RING_BYTES, first = RING_BYTES - place;

        if (first >= size_bytes) {
                memcpy(ret, ring->bytes + place, size_bytes);
                return;
        }
        memcpy(ret, ring->bytes + place, first);
        memcpy((uint8_t *)ret + first, ring->bytes, size_bytes - first);
}

/* A record's first word lies at a multiple of its size, so never across the ring's end. */
static void write_header(struct ring *ring, uint64_t at, uint32_t header)
{
        memcpy(ring->bytes + at % RING_BYTES, &header, sizeof(header));
}

static uint64_t room(struct ring *ring, uint64_t head)
{
        return RING_BYTES - (head - atomic_load_explicit(&ring->tail, memory_order_acquire));
}

bool ring_put(struct ring *ring, const struct iovec *iov, size_t n, size_t size_bytes)
{
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), at = head + HEADER_BYTES;

        if (size_bytes > RING_INLINE_BYTES ||
            room(ring, head) < HEADER_BYTES + padded(size_bytes) + ANNOUNCE_BYTES)
                return false;
        write_header(ring, head, (uint32_t)size_bytes);
        for (size_t i = 0; i < n; i++) {
                write_bytes(ring, at, iov[i].iov_base, iov[i].iov_len);
                at += iov[i].iov_len;
        }
        atomic_store(&ring->head, padded(at));
        return true;
}

bool ring_announce(struct ring *ring, uint32_t size_bytes, bool is_wake)
{
        uint32_t header = size_bytes | (is_wake ? WAKE : BY_SOCKET);
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

        assert(size_bytes > 0 && size_bytes <= SIZE_MASK);
        if (room(ring, head) < HEADER_BYTES)
                return false;
        write_header(ring, head, header);
        atomic_store(&ring->head, head + HEADER_BYTES);
        return true;
}

bool ring_must_wake(struct ring *ring)
{
        return !atomic_load(&ring->watched) && !atomic_exchange(&ring->watched, 1);
}

/* One record. > 0: taken; 0: there is none; -EBADMSG. */
static int take_record(struct ring_reader *r, uint64_t end, struct buffer *into)
{
        uint64_t left = end - r->at;
        uint32_t header;

        if (left == 0)
                return 0;
        if (left > RING_BYTES || left % HEADER_BYTES != 0)
                return -EBADMSG;
        read_bytes(r->ring, r->at, &header, sizeof(header));
        uint32_t size_bytes = header & SIZE_MASK;
        if (size_bytes == 0)
                return -EBADMSG;
        r->at += HEADER_BYTES;
        if (header & ~SIZE_MASK) {
                r->owed_bytes = size_bytes;
                r->owed_is_wake = (header & WAKE) != 0;
                return 1;
        }
        if (padded(size_bytes) > left - HEADER_BYTES)
                return -EBADMSG;
        assert(into->capacity_bytes - into->end >= size_bytes);
        read_bytes(r->ring, r->at, into->data + into->end, size_bytes);
        into->end += size_bytes;
        r->at += padded(size_bytes);
        return 1;
}

int ring_take(struct ring_reader *r, struct buffer *into)
{
        uint64_t begin = r->at, end = atomic_load_explicit(&r->ring->head, memory_order_acquire);
        int one = 0;

        while (r->owed_bytes == 0 && (one = take_record(r, end, into)) > 0)
                continue;
        atomic_store_explicit(&r->ring->tail, r->at, memory_order_release);
        return one < 0 ? one : r->at != begin;
}

bool ring_unwatch(struct ring_reader *r)
{
        atomic_store(&r->ring->watched, 0);
        atomic_thread_fence(memory_order_seq_cst);
        return !ring_has_more(r);
}
