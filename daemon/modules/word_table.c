/* SPDX-License-Identifier: MIT */
/*
 * Word counts in a uthash table. The hash is keyed by bytes drawn per process, or a text made for the purpose
 * could put all its words into one bucket.
 */
#include "daemon/modules/word_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* uthash ends the process when memory is out unless it is told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "daemon/modules/text_form.h"

struct word_entry {
        UT_hash_handle hh; /* word_table.entries */
        uint64_t count;
        size_t size_bytes;
        char word[];
};

static unsigned hash_word(const char *word, size_t size_bytes)
{
        static uint64_t key;

        while (key == 0) {
                if (getrandom(&key, sizeof(key), 0) != sizeof(key))
                        key = 0x9e3779b97f4a7c15;
        }
        uint64_t hash = key ^ size_bytes;
        while (size_bytes > 0) {
                uint64_t piece = 0;
                size_t n = size_bytes < sizeof(piece) ? size_bytes : sizeof(piece);
                memcpy(&piece, word, n);
                hash = (hash ^ piece) * (key | 1);
                hash ^= hash >> 29;
                word += n;
                size_bytes -= n;
        }
        return (unsigned)(hash ^ hash >> 32);
}

int word_table_add(struct word_table *table, const char *word, size_t size_bytes, uint64_t count)
{
        unsigned hash = hash_word(word, size_bytes);
        struct word_entry *entry;

        HASH_FIND_BYHASHVALUE(hh, table->entries, word, size_bytes, hash, entry);
        if (entry)
                return __builtin_add_overflow(entry->count, count, &entry->count) ? WORD_TABLE_OVERFLOW : 0;
        entry = malloc(sizeof(*entry) + size_bytes);
        if (!entry)
                return -ENOMEM;
        entry->count = count;
        entry->size_bytes = size_bytes;
        memcpy(entry->word, word, size_bytes);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->entries, entry->word, size_bytes, hash, entry);
        if (!entry->hh.tbl) { /* how uthash says that it had no memory */
                free(entry);
                return -ENOMEM;
        }
        return 0;
}

static int compare_words(const struct word_entry *a, const struct word_entry *b)
{
        size_t shorter = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
        int order = memcmp(a->word, b->word, shorter);

        return order ? order : (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}

int word_table_put(struct word_table *table, struct ganger_task *task)
{
        HASH_SORT(table->entries, compare_words);
        int r = ganger_put_map(task, HASH_COUNT(table->entries));
        for (struct word_entry *entry = table->entries; r == 0 && entry; entry = entry->hh.next) {
                if (utf8_valid(entry->word, entry->size_bytes))
                        r = ganger_put_str(task, entry->word, entry->size_bytes);
                else
                        r = ganger_put_bin(task, entry->word, entry->size_bytes);
                if (r == 0)
                        r = ganger_put_uint(task, entry->count);
        }
        return r;
}

void word_table_deinit(struct word_table *table)
{
        struct word_entry *entry = table->entries;

        HASH_CLEAR(hh, table->entries); /* frees the table, not the entries, which stay linked */
        while (entry) {
                struct word_entry *next = entry->hh.next;
                free(entry);
                entry = next;
        }
}
