/* SPDX-License-Identifier: MIT */
/*
 * A hash table of objects that embed its link. The owner of an object owns the link.
 */
#ifndef CORE_TABLE_H
#define CORE_TABLE_H

#include "daemon/core/base.h"

struct table_link {
        struct table_link *next;
        uint64_t key;
};
struct table {
        struct table_link **buckets;
        unsigned bits;
        size_t n;
        uint64_t multiplier; /* odd; random where the keys are a client's choice; 0: keys are consecutive */
};
int table_init(struct table *, uint64_t multiplier);
void table_deinit(struct table *);
/* Cannot fail: a table that cannot grow becomes slower. */
void table_add(struct table *, struct table_link *, uint64_t key);
void table_remove(struct table *, struct table_link *);
/* Gives back some of what a flood needed, if little is left of it. Nobody may be walking through the buckets.
 */
void table_shrink(struct table *);
/* One with this key, and then the others that have it; NULL. */
struct table_link *table_find(const struct table *, uint64_t key);
struct table_link *table_next(const struct table_link *);

#endif
