/* SPDX-License-Identifier: MIT */
/* All bytes of a collection lie in one buffer, in the order of arrival; an index says where each item's are.
 */
#include "daemon/collection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/hash.h"
#include "proto/pack.h"

struct entry {
        size_t at, size_bytes; /* size 0: nothing was kept */
        bool failed;
};
struct collection {
        uint64_t task;
        struct buffer bytes;
        struct entry *entries;
        size_t n_entries, n_failed;
        UT_hash_handle hh; /* collections.by_task */
};

static struct collection *find(const struct collections *collections, uint64_t task)
{
        struct collection *collection;
        HASH_FIND(hh, collections->by_task, &task, sizeof(task), collection);
        return collection;
}

static struct collection *get(struct collections *collections, uint64_t task)
{
        struct collection *collection = find(collections, task);
        if (collection)
                return collection;
        collection = calloc(1, sizeof(*collection));
        if (!collection)
                return NULL;
        collection->task = task;
        HASH_ADD(hh, collections->by_task, task, sizeof(collection->task), collection);
        if (!HASH_ADDED(collection)) {
                free(collection);
                return NULL;
        }
        return collection;
}

static int reserve(struct collection *collection, uint64_t index)
{
        if (index < collection->n_entries)
                return 0;
        if (index >= SIZE_MAX / 4 / sizeof(struct entry))
                return -ENOMEM;
        size_t n = index < 32 ? 64 : (size_t)index * 2;
        struct entry *entries = realloc(collection->entries, n * sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        memset(entries + collection->n_entries, 0, (n - collection->n_entries) * sizeof(*entries));
        collection->entries = entries;
        collection->n_entries = n;
        return 0;
}

int64_t collections_add(struct collections *collections, uint64_t task, uint64_t index, bool failed,
                        const uint8_t *data, size_t size_bytes)
{
        struct collection *collection = get(collections, task);

        if (!collection || reserve(collection, index) < 0)
                return -ENOMEM;
        size_t at = buffer_size(&collection->bytes);
        if (buffer_append(&collection->bytes, data, size_bytes) < 0)
                return -ENOMEM;
        collection->entries[index] = (struct entry){.at = at, .size_bytes = size_bytes, .failed = failed};
        collection->n_failed += failed;
        return (int64_t)(size_bytes + sizeof(struct entry));
}

static const struct entry *entry_at(const struct collection *collection, uint64_t index)
{
        if (!collection || index >= collection->n_entries || collection->entries[index].size_bytes == 0)
                return NULL;
        return &collection->entries[index];
}

static void pack_entry(struct packer *packer, const struct collection *collection, const struct entry *entry)
{
        pack_raw(packer, buffer_at(&collection->bytes) + entry->at, entry->size_bytes);
}

void collections_pack(const struct collections *collections, uint64_t task, uint64_t count,
                      struct packer *packer)
{
        const struct collection *collection = find(collections, task);

        pack_str(packer, "values");
        pack_array(packer, count);
        for (uint64_t i = 0; i < count; i++) {
                const struct entry *entry = entry_at(collection, i);
                if (entry && !entry->failed)
                        pack_entry(packer, collection, entry);
                else
                        pack_nil(packer);
        }
        pack_str(packer, "errors");
        pack_array(packer, collection ? collection->n_failed : 0);
        for (uint64_t i = 0; collection && i < collection->n_entries; i++) {
                const struct entry *entry = entry_at(collection, i);
                if (!entry || !entry->failed)
                        continue;
                pack_array(packer, 2);
                pack_uint(packer, i);
                pack_entry(packer, collection, entry);
        }
}

static void collection_free(struct collections *collections, struct collection *collection)
{
        HASH_DEL(collections->by_task, collection);
        buffer_deinit(&collection->bytes);
        free(collection->entries);
        free(collection);
}

void collections_drop(struct collections *collections, uint64_t task)
{
        struct collection *collection = find(collections, task);
        if (collection)
                collection_free(collections, collection);
}

void collections_deinit(struct collections *collections)
{
        struct collection *collection, *next;
        HASH_ITER (hh, collections->by_task, collection, next)
                collection_free(collections, collection);
}
