/* SPDX-License-Identifier: MIT */
/* Rings that double until they are as large as a tail may be; only then do they wrap. */
#include "daemon/tails.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/hash.h"
#include "proto/limits.h"
#include "proto/options.h"

#define FIRST_BYTES 1024u
#define N_KINDS     3

struct ring {
        uint8_t *data;
        size_t capacity_bytes, begin, held_bytes;
};
struct tail {
        uint64_t task;
        struct ring rings[N_KINDS];
        UT_hash_handle hh; /* tails.by_task */
};

static unsigned place(unsigned kind)
{
        assert(kind == STREAM_PROGRESS || kind == STREAM_STDOUT || kind == STREAM_STDERR);
        return (unsigned)__builtin_ctz(kind);
}

static struct tail *find(const struct tails *tails, uint64_t task)
{
        struct tail *tail;
        HASH_FIND(hh, tails->by_task, &task, sizeof(task), tail);
        return tail;
}

static struct tail *get(struct tails *tails, uint64_t task, uint32_t *grown_bytes)
{
        struct tail *tail = find(tails, task);
        if (tail)
                return tail;
        tail = calloc(1, sizeof(*tail));
        if (!tail)
                return NULL;
        tail->task = task;
        HASH_ADD(hh, tails->by_task, task, sizeof(tail->task), tail);
        if (!HASH_ADDED(tail)) {
                free(tail);
                return NULL;
        }
        *grown_bytes += sizeof(*tail);
        return tail;
}

/* A ring that does not wrap yet begins at 0, so it grows in place. */
static int grow(struct ring *ring, size_t wanted_bytes, uint32_t *grown_bytes)
{
        size_t capacity_bytes = ring->capacity_bytes ? ring->capacity_bytes : FIRST_BYTES;

        while (capacity_bytes < wanted_bytes && capacity_bytes < LIMIT_TAIL_BYTES)
                capacity_bytes *= 2;
        if (capacity_bytes == ring->capacity_bytes)
                return 0;
        assert(ring->begin == 0 && capacity_bytes <= LIMIT_TAIL_BYTES);
        uint8_t *data = realloc(ring->data, capacity_bytes);
        if (!data)
                return -1;
        *grown_bytes += (uint32_t)(capacity_bytes - ring->capacity_bytes);
        ring->data = data;
        ring->capacity_bytes = capacity_bytes;
        return 0;
}

static void write_ring(struct ring *ring, const uint8_t *data, size_t size_bytes)
{
        size_t capacity_bytes = ring->capacity_bytes;

        if (size_bytes > capacity_bytes) {
                data += size_bytes - capacity_bytes;
                size_bytes = capacity_bytes;
        }
        size_t at = (ring->begin + ring->held_bytes) % capacity_bytes;
        size_t first_bytes = size_bytes < capacity_bytes - at ? size_bytes : capacity_bytes - at;
        memcpy(ring->data + at, data, first_bytes);
        memcpy(ring->data, data + first_bytes, size_bytes - first_bytes);
        size_t held_bytes = ring->held_bytes + size_bytes;
        if (held_bytes > capacity_bytes) {
                ring->begin = (ring->begin + held_bytes - capacity_bytes) % capacity_bytes;
                held_bytes = capacity_bytes;
        }
        ring->held_bytes = held_bytes;
}

uint32_t tails_add(struct tails *tails, uint64_t task, unsigned kind, const uint8_t *data, size_t size_bytes)
{
        uint32_t grown_bytes = 0;
        struct tail *tail = get(tails, task, &grown_bytes);

        if (!tail || size_bytes == 0)
                return grown_bytes;
        struct ring *ring = &tail->rings[place(kind)];
        if (kind == STREAM_PROGRESS) {
                ring->begin = ring->held_bytes = 0;
                if (size_bytes > LIMIT_TAIL_BYTES)
                        return grown_bytes;
        }
        if (grow(ring, ring->held_bytes + size_bytes, &grown_bytes) == 0)
                write_ring(ring, data, size_bytes);
        return grown_bytes;
}

size_t tails_last(const struct tails *tails, uint64_t task, unsigned kind, size_t max_bytes,
                  struct tail_part ret[2])
{
        const struct tail *tail = find(tails, task);

        ret[0] = ret[1] = (struct tail_part){0};
        if (!tail || max_bytes == 0)
                return 0;
        const struct ring *ring = &tail->rings[place(kind)];
        size_t n = ring->held_bytes < max_bytes ? ring->held_bytes : max_bytes;
        if (n == 0)
                return 0;
        size_t at = (ring->begin + ring->held_bytes - n) % ring->capacity_bytes;
        size_t first_bytes = n < ring->capacity_bytes - at ? n : ring->capacity_bytes - at;
        ret[0] = (struct tail_part){ring->data + at, first_bytes};
        ret[1] = (struct tail_part){ring->data, n - first_bytes};
        return n;
}

static void tail_free(struct tails *tails, struct tail *tail)
{
        HASH_DEL(tails->by_task, tail);
        for (unsigned i = 0; i < N_KINDS; i++)
                free(tail->rings[i].data);
        free(tail);
}

bool tails_shrink(struct tails *tails, uint64_t task)
{
        struct tail *tail = find(tails, task);
        struct tail_part parts[2];
        size_t n = tails_last(tails, task, STREAM_STDERR, LIMIT_STDERR_BYTES, parts);
        uint8_t *data = n > 0 ? malloc(n) : NULL;

        if (!data) {
                tails_drop(tails, task);
                return false;
        }
        memcpy(data, parts[0].data, parts[0].size_bytes);
        memcpy(data + parts[0].size_bytes, parts[1].data, parts[1].size_bytes);
        for (unsigned i = 0; i < N_KINDS; i++) {
                free(tail->rings[i].data);
                tail->rings[i] = (struct ring){0};
        }
        tail->rings[place(STREAM_STDERR)] = (struct ring){.data = data, .capacity_bytes = n, .held_bytes = n};
        return true;
}

void tails_drop(struct tails *tails, uint64_t task)
{
        struct tail *tail = find(tails, task);
        if (tail)
                tail_free(tails, tail);
}

void tails_deinit(struct tails *tails)
{
        struct tail *tail, *next;
        HASH_ITER (hh, tails->by_task, tail, next)
                tail_free(tails, tail);
}
