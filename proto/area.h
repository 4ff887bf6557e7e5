/* SPDX-License-Identifier: MIT */
/*
 * The area that a worker shares with gangerd: a sealed memfd of one page, made by gangerd, handed over with
 * the spawn. One slot for every task that can be sent ahead. A slot's word holds task id and state together:
 * without the id a message that was taken back and still waits in the socket would claim the slot's next
 * task.
 *
 *      gangerd: store(TASK, SENT) → message                     worker reads the message:
 *      gangerd takes back: CAS (TASK, SENT) → (TASK, REVOKED)   stores begin, then CAS (TASK, SENT) → (TASK,
 * CLAIMED); won: it has not begun and never will                     lost: drops the message in silence
 *
 * For gangerd every word read from here is untrusted: the worker's task code can write it. Nobody takes a
 * lock in it.
 */
#ifndef PROTO_AREA_H
#define PROTO_AREA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/limits.h"

enum slot_state { SLOT_EMPTY = 0, SLOT_SENT = 1, SLOT_CLAIMED = 2, SLOT_REVOKED = 3, SLOT_DONE = 4 };

#define SLOT_STATE_BITS 8
static inline uint64_t slot_word(uint64_t task, enum slot_state state)
{
#ifdef SEEDED_BUG_SLOT_WITHOUT_ID /* the simulator must find it */
        task = 0;
#endif
        return task << SLOT_STATE_BITS | (uint64_t)state; /* ids are below 2^53 */
}
static inline uint64_t slot_word_task(uint64_t word)
{
        return word >> SLOT_STATE_BITS;
}
static inline unsigned slot_word_state(uint64_t word)
{
        return (unsigned)(word & ((1u << SLOT_STATE_BITS) - 1));
}

struct area_slot {
        _Atomic uint64_t word;
        _Atomic int64_t begin_ns; /* CLOCK_MONOTONIC, of the task or of the map's running item */
        _Atomic uint64_t index;   /* of a map: the running item */
        _Atomic int64_t took_ns;  /* how long the last task or chunk that was answered from here ran */
};

#define AREA_MAGIC UINT32_C(0x676e6731) /* "gng1" */
struct area {
        uint32_t magic;
        uint32_t n_slots;
        _Atomic uint64_t
                cancel; /* the id of the task that is told to end; written by gangerd before SIGTERM */
        _Atomic uint64_t over_limit; /* not 0: the worker dies because memory_limit left it no memory */
        uint32_t ring_bytes;         /* of the ring behind this page (proto/ring.h); 0: there is none */
        uint32_t reserved4;
        uint64_t reserved[4];
        struct area_slot slots[LIMIT_SLOTS];
};
_Static_assert(sizeof(struct area) <= 4096, "the area is one page");
#define AREA_SIZE_BYTES 4096 /* and the ring's */

/* Worker: claims the slot for this task; false: it was taken back. */
static inline bool area_claim(struct area *a, unsigned slot, uint64_t task, int64_t now_ns)
{
        uint64_t expected = slot_word(task, SLOT_SENT);
        atomic_store_explicit(&a->slots[slot].begin_ns, now_ns, memory_order_relaxed);
#ifdef SEEDED_BUG_SLOT_WITHOUT_ID
        if (slot_word_state(atomic_load(&a->slots[slot].word)) == SLOT_SENT)
                expected = atomic_load(&a->slots[slot].word); /* whosever it is */
#endif
        return atomic_compare_exchange_strong(&a->slots[slot].word, &expected, slot_word(task, SLOT_CLAIMED));
}
/* gangerd: takes the task back; true: won, it never begins. */
static inline bool area_take_back(struct area *a, unsigned slot, uint64_t task)
{
        uint64_t expected = slot_word(task, SLOT_SENT);
        return atomic_compare_exchange_strong(&a->slots[slot].word, &expected, slot_word(task, SLOT_REVOKED));
}

#endif
