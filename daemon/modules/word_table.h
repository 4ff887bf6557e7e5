/* SPDX-License-Identifier: MIT */
/*
 * Words and how often each occurred. A word is any bytes; the caller decides what is one. Owned by one run of
 * a function.
 */
#ifndef DAEMON_MODULES_WORD_TABLE_H
#define DAEMON_MODULES_WORD_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/worker/ganger_module.h"

struct word_entry;

struct word_table {
        struct word_entry *entries;
};

enum word_table_result { WORD_TABLE_OVERFLOW = 1 /* the count does not fit 64 bits; nothing changed */ };

/* Adds `count` to the word's. */
int word_table_add(struct word_table *table, const char *word, size_t size_bytes, uint64_t count);

/* Puts the map word -> count as the task's result, ordered by the words' bytes; a word that is not UTF-8 is a
 * bin. */
int word_table_put(struct word_table *table, struct ganger_task *task);

void word_table_deinit(struct word_table *table);

#endif
