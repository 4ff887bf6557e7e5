/* SPDX-License-Identifier: MIT */
/*
 * The items of a map that the daemon has and that have not all ended, in the batches in which they were sent:
 * a ring, oldest first. A batch is held until its last item has ended; how much may be held is limited. On a
 * handle that can be connected again a batch keeps its items and their descriptors, too.
 *
 * An item has two numbers: its index, by which the program knows it, and its place in the map request at
 * hand; they differ once what was left was sent again.
 */
#ifndef CLIENT_BATCH_H
#define CLIENT_BATCH_H

#include <stdbool.h>

#include "client/format.h"

#define BATCH_BYTES   (64u << 10) /* a request's items; one larger item travels alone */
#define BATCH_ITEMS   2048
#define AHEAD_BATCHES 1024 /* from the oldest unfinished one to the newest */

struct batch_copy;

struct batch {
        uint64_t place; /* of its first item */
        uint64_t index; /* of its first item, unless the copy knows of each */
        uint32_t n, n_unfinished;
        uint32_t n_fds;
        size_t size_bytes;
        struct batch_copy *copy; /* NULL: none was wanted */
};

struct batches {
        uint64_t n_items, n_ended; /* by index */
        uint64_t n_places;
        size_t held_bytes;
        uint32_t held_fds;
        uint32_t head, n;
        struct batch ring[AHEAD_BATCHES];
};

void batches_deinit(struct batches *);
/* Whether another batch may be sent. */
bool batches_have_room(const struct batches *);
/* Notes n items that were sent; `copy` (may be NULL) is taken over. */
void batches_add(struct batches *, uint32_t n, size_t size_bytes, uint32_t n_fds, struct batch_copy *copy);
/* The item at this place has ended; its index. -EPROTO: it cannot have. */
int batches_item_ended(struct batches *, uint64_t place, uint64_t *ret_index);
/* Leaves of each batch what has not ended, and gives it places from 0 on. All must have copies. 0, or
 * -ENOMEM, or why there is no descriptor. */
int batches_begin_again(struct batches *);
/* The i-th batch. */
struct batch *batches_at(struct batches *, uint32_t i);

/* A copy of n items that stand one behind another, with duplicates of their descriptors. 0, -ENOMEM, or why
 * there is no descriptor. */
int batch_copy_new(const struct buffer *items, const int *fds, uint32_t n_fds, struct batch_copy **ret);
struct batch_copy *batch_copy_free(struct batch_copy *);
/* Writes them as an array. */
void batch_write(const struct batch *, struct ganger_writer *);

#endif
