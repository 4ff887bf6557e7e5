/* SPDX-License-Identifier: MIT */
/* Blocks begin at multiples of 16, so before the ring's end there is always room for a head. */
#include "daemon/log_ring.h"

#include <assert.h>
#include <stdbool.h>

#define ALIGNMENT 16u

struct head {
        uint32_t size_bytes; /* of the block, its head included */
        uint32_t is_filler;  /* nothing is in it: the next block begins at the ring's beginning */
        uint32_t reserved[2];
};
_Static_assert(sizeof(struct head) == ALIGNMENT, "blocks are aligned behind their heads");
_Static_assert(LOG_RING_BYTES % ALIGNMENT == 0, "blocks are aligned");

static size_t block_bytes(size_t size_bytes)
{
        return (size_bytes + sizeof(struct head) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct head *head_at(struct log_ring *ring, uint64_t position)
{
        return (struct head *)(void *)(ring->data + position % LOG_RING_BYTES);
}

void *log_ring_reserve(struct log_ring *ring, size_t size_bytes, size_t fill_bytes)
{
        uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
        uint64_t held = written - atomic_load_explicit(&ring->read, memory_order_acquire);
        size_t wanted = block_bytes(size_bytes), to_end = LOG_RING_BYTES - written % LOG_RING_BYTES;

        assert(fill_bytes <= LOG_RING_BYTES && held <= LOG_RING_BYTES);
        ring->skipped = to_end < wanted ? (uint32_t)to_end : 0;
        if (held + ring->skipped + wanted > fill_bytes)
                return NULL;
        if (ring->skipped > 0)
                *head_at(ring, written) = (struct head){.size_bytes = ring->skipped, .is_filler = true};
        head_at(ring, written + ring->skipped)->size_bytes = (uint32_t)wanted;
        return head_at(ring, written + ring->skipped) + 1;
}

void log_ring_commit(struct log_ring *ring, size_t size_bytes)
{
        uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
        uint64_t begin = written + ring->skipped;
        size_t size = block_bytes(size_bytes);

        assert(size <= head_at(ring, begin)->size_bytes);
        *head_at(ring, begin) = (struct head){.size_bytes = (uint32_t)size};
        atomic_store(&ring->written, begin + size);
}

void *log_ring_peek(struct log_ring *ring)
{
        uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);

        if (read == atomic_load(&ring->written))
                return NULL;
        struct head *head = head_at(ring, read);
        if (head->is_filler) {
                atomic_store_explicit(&ring->read, read + head->size_bytes, memory_order_release);
                return log_ring_peek(ring);
        }
        return head + 1;
}

void log_ring_release(struct log_ring *ring)
{
        uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
        const struct head *head = head_at(ring, read);

        assert(!head->is_filler);
        atomic_store_explicit(&ring->read, read + head->size_bytes, memory_order_release);
}

int log_ring_is_empty(const struct log_ring *ring)
{
        return atomic_load(&ring->read) == atomic_load(&ring->written);
}
