/* SPDX-License-Identifier: MIT */
/*
 * Collections: what the items of maps with the option `collect` came to, in any order, until the map is
 * answered. The core says what belongs in and when the map is gone.
 */
#ifndef DAEMON_COLLECTION_H
#define DAEMON_COLLECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct collection;
struct packer;
struct collections {
        struct collection *by_task;
};

/* Keeps one item's whole value, or its failure record. The bytes that it costs, or -ENOMEM. */
int64_t collections_add(struct collections *, uint64_t task, uint64_t index, bool failed, const uint8_t *data,
                        size_t size_bytes);
/* Packs `values` and `errors`, two pairs of a map, of `count` items. */
void collections_pack(const struct collections *, uint64_t task, uint64_t count, struct packer *);
void collections_drop(struct collections *, uint64_t task);
void collections_deinit(struct collections *);

#endif
