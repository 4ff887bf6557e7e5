/* SPDX-License-Identifier: MIT */
/*
 * Records of tasks that are forgotten.
 */
#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include "daemon/core/table.h"

struct core;
struct peer;
struct task;

struct old_task;
#define HISTORY_ERROR_BYTES 4096 /* larger error maps are not kept with the record */
struct history {
        struct old_task *ring;
        size_t n_max, n, next;
        struct table by_id;
};
int history_init(struct history *, size_t n_max);
void history_deinit(struct core *);
/* Takes over the task's label, and its error map if that is small. */
void history_add(struct core *, struct task *);
bool history_find(const struct history *, uint64_t id, struct core_record *ret);
/* Ids of the user's (or all) records above `after`, sorted, in memory to be freed; NULL: none. */
uint64_t *history_ids(const struct history *, const struct peer *, uint64_t after, size_t *ret_n);

#endif
