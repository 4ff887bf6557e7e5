/* SPDX-License-Identifier: MIT */
/*
 * The memory of values and arrays: memfds that gangerd makes, seals, hands out and never maps. All of it is
 * there from the beginning, which takes the kernel some milliseconds where it is large; so it is made in
 * slices, one a turn of the loop, all that are being made in turn, and who asked waits.
 */
#ifndef DAEMON_MEMORIES_H
#define DAEMON_MEMORIES_H

#include <stdint.h>

#include "daemon/core/core_shared.h"

struct daemon;
struct making;
struct memories {
        struct making *first;
};

/* Bytes of the memory: header and elements; 0: more than can be. */
uint64_t memory_size_bytes(unsigned type, uint64_t length);
/* Begins to make the object's memory. 0, or -errno (the object is gone). */
int memories_make(struct daemon *, const struct core_object *);
/* The request, which the core knows of, is answered when that is done. 0 or -ENOMEM. */
int memories_await(struct daemon *, uint64_t object, const struct core_ticket *, bool is_maker);
/* The next slice. True: there is more to do. */
bool memories_turn(struct daemon *);
void memories_deinit(struct memories *);
/* A descriptor of its own for who may do so much. -errno. */
int memory_descriptor(const struct daemon *, const struct core_object *);

#endif
