/* SPDX-License-Identifier: MIT */
/*
 * Dictionaries. Every change, of however many keys, has the next version, and all entries stand in the order
 * of their last changes: what has changed after a version is the end of that list. A deleted key is
 * remembered until LIMIT_DELETED others were deleted after it.
 */
#include "daemon/core/core_private.h"

int dict_init(struct object *dict)
{
        TAILQ_INIT(&dict->as.dict.by_version);
        TAILQ_INIT(&dict->as.dict.deleted);
        return table_init(&dict->as.dict.by_key, dict->core->table_secret);
}

static struct entry *find(const struct object *dict, const char *key)
{
        struct table_link *link = table_find(&dict->as.dict.by_key, core_hash(dict->core, 0, key));
        for (; link; link = table_next(link)) {
                struct entry *entry = CONTAINER_OF(link, struct entry, by_key);
                if (strcmp(entry->key, key) == 0)
                        return entry;
        }
        return NULL;
}

static bool is_there(const struct entry *entry)
{
        return entry && entry->entry.value != PAYLOAD_NONE;
}

static uint64_t version_of(const struct entry *entry)
{
        return is_there(entry) ? entry->entry.version : 0;
}

static uint64_t cost(const char *key)
{
        return sizeof(struct entry) + strlen(key) + 1;
}

/* Deleted since ever, and of no version: what is to be set and is not there yet. */
static struct entry *entry_new(struct object *dict, const char *key)
{
        struct entry *entry = calloc(1, cost(key));
        if (!entry)
                return NULL;
        entry->object = dict;
        entry->entry.key = entry->key;
        memcpy(entry->key, key, strlen(key) + 1);
        table_add(&dict->as.dict.by_key, &entry->by_key, core_hash(dict->core, 0, key));
        TAILQ_INSERT_HEAD(&dict->as.dict.by_version, entry, by_version);
        TAILQ_INSERT_HEAD(&dict->as.dict.deleted, entry, of_deleted);
        dict->as.dict.n_deleted++;
        object_charge(dict, cost(key));
        return entry;
}

static void drop_value(struct entry *entry)
{
        struct core *core = entry->object->core;
        if (!is_there(entry))
                return;
        core->ops.drop(core->ctx, entry->entry.value);
        object_release(entry->object, entry->size_bytes);
        entry->entry.value = PAYLOAD_NONE;
        entry->size_bytes = 0;
        entry->object->as.dict.n_keys--;
}

static void entry_free(struct entry *entry)
{
        struct object *dict = entry->object;
        if (is_there(entry)) {
                drop_value(entry);
        } else {
                TAILQ_REMOVE(&dict->as.dict.deleted, entry, of_deleted);
                dict->as.dict.n_deleted--;
        }
        table_remove(&dict->as.dict.by_key, &entry->by_key);
        TAILQ_REMOVE(&dict->as.dict.by_version, entry, by_version);
        object_release(dict, cost(entry->key));
        free(entry);
}

void dict_free(struct object *dict)
{
        while (!TAILQ_EMPTY(&dict->as.dict.by_version))
                entry_free(TAILQ_FIRST(&dict->as.dict.by_version));
        table_deinit(&dict->as.dict.by_key);
}

/* -- changing -- */

static int refuse_version(struct core *core, const char *key, uint64_t version)
{
        core->clash = (struct core_clash){.kind = OBJECT_DICT, .key = key, .version = version};
        return CORE_VERSION;
}

/* dict NULL: there is none. */
static int check(struct core *core, const struct object *dict, const struct core_condition *conditions,
                 size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t version = dict ? version_of(find(dict, conditions[i].key)) : 0;
                if (version != conditions[i].version)
                        return refuse_version(core, conditions[i].key, version);
        }
        return 0;
}

/* Takes back the entries that were made for what is not to be. */
static void drop_unborn(struct object *dict)
{
        struct entry *entry;
        while ((entry = TAILQ_FIRST(&dict->as.dict.by_version)) && entry->entry.version == 0)
                entry_free(entry);
}

/* Room for all that is new, and an entry for each. */
static int reserve(struct object *dict, const struct core_pair *pairs, size_t n)
{
        uint64_t bytes = 0;
        for (size_t i = 0; i < n; i++)
                if (pairs[i].value.payload != PAYLOAD_NONE)
                        bytes += pairs[i].value.size_bytes + cost(pairs[i].key);
        int r = bytes ? object_admit(dict, bytes) : 0;
        for (size_t i = 0; !r && i < n; i++)
                if (pairs[i].value.payload != PAYLOAD_NONE && !find(dict, pairs[i].key) &&
                    !entry_new(dict, pairs[i].key))
                        r = -ENOMEM;
        if (r)
                drop_unborn(dict);
        return r;
}

static void change(struct entry *entry, uint64_t version)
{
        struct object *dict = entry->object;
        entry->entry.version = version;
        TAILQ_REMOVE(&dict->as.dict.by_version, entry, by_version);
        TAILQ_INSERT_TAIL(&dict->as.dict.by_version, entry, by_version);
}

static void set(struct entry *entry, const struct core_value *value, uint64_t version)
{
        struct object *dict = entry->object;
        if (is_there(entry)) {
                drop_value(entry);
        } else {
                TAILQ_REMOVE(&dict->as.dict.deleted, entry, of_deleted);
                dict->as.dict.n_deleted--;
        }
        entry->entry.value = value->payload;
        entry->size_bytes = value->size_bytes;
        object_charge(dict, value->size_bytes);
        dict->as.dict.n_keys++;
        change(entry, version);
}

static void delete (struct entry *entry, uint64_t version)
{
        struct object *dict = entry->object;
        drop_value(entry);
        change(entry, version);
        TAILQ_INSERT_TAIL(&dict->as.dict.deleted, entry, of_deleted);
        dict->as.dict.n_deleted++;
}

/* Only after all of a change: what was deleted long ago may be what it sets. */
static void forget_oldest(struct object *dict)
{
        while (dict->as.dict.n_deleted > LIMIT_DELETED) {
                struct entry *oldest = TAILQ_FIRST(&dict->as.dict.deleted);
                dict->as.dict.forgotten = oldest->entry.version;
                entry_free(oldest);
        }
}

/* -- watching -- */

static const struct core_entry *first_after(const struct object *dict, uint64_t after)
{
        const struct entry *entry = TAILQ_LAST(&dict->as.dict.by_version, entries), *first = NULL;
        for (; entry && entry->entry.version > after; entry = TAILQ_PREV(entry, entries, by_version))
                first = entry;
        return first ? &first->entry : NULL;
}

/* Leaves out what one answer has no room for; what one request changed stays together. */
static void bound(const struct object *dict, struct core_changes *changes)
{
        const struct core_entry *entry = changes->first;
        uint64_t version = entry ? entry->version : 0, before = version, bytes = 0;
        for (const struct core_entry *start = entry; entry; entry = core_entry_next(entry)) {
                if (entry->version != version) {
                        start = entry;
                        before = version;
                        version = entry->version;
                }
                bytes += cost(entry->key) + CONTAINER_OF(entry, struct entry, entry)->size_bytes;
                if (bytes > dict->core->config.max_answer_bytes && start != changes->first) {
                        changes->end = start;
                        changes->version = before;
                        return;
                }
        }
}

static struct core_shared_answer changes(const struct object *dict, uint64_t after)
{
        struct core_shared_answer answer = {.kind = ANSWER_CHANGES,
                                            .changes = {.after = after,
                                                        .version = dict->as.dict.version,
                                                        .complete = after >= dict->as.dict.forgotten,
                                                        .first = first_after(dict, after)}};
        bound(dict, &answer.changes);
        return answer;
}

static void tell(struct object *dict)
{
        struct object_wait *wait;
        while ((wait = TAILQ_FIRST(&dict->waits))) {
                struct core_shared_answer answer = changes(dict, wait->after);
                object_wait_answer(wait, &answer);
        }
}

/* -- the border -- */

static size_t apply(struct object *dict, const struct core_pair *pairs, size_t n, uint64_t version)
{
        size_t n_deleted = 0;
        for (size_t i = 0; i < n; i++) {
                struct entry *entry = find(dict, pairs[i].key);
                if (pairs[i].value.payload != PAYLOAD_NONE) {
                        set(entry, &pairs[i].value, version);
                } else if (is_there(entry)) {
                        delete (entry, version);
                        n_deleted++;
                }
        }
        forget_oldest(dict);
        return n_deleted;
}

int core_dict_change(struct core *core, uint32_t connection, const char *name, const struct core_open *open,
                     const struct core_pair *pairs, size_t n, const struct core_condition *conditions,
                     size_t n_conditions, int64_t now, uint64_t *ret_version, size_t *ret_n)
{
        struct object *dict;
        struct peer *peer = peer_at(core, connection);
        core_update_now(core, now);
        *ret_version = *ret_n = 0;
        int r = object_find(peer, name, OBJECT_DICT, ACCESS_WRITE, &dict);
        if (!r)
                r = check(core, dict, conditions, n_conditions);
        if (!r && !dict && open)
                r = object_use(peer, name, open, &dict);
        if (!r && dict)
                r = reserve(dict, pairs, n);
        if (r || !dict)
                return r;
        uint64_t before = dict->as.dict.version;
        *ret_n = apply(dict, pairs, n, before + 1);
        const struct entry *last = TAILQ_LAST(&dict->as.dict.by_version, entries);
        if (last && last->entry.version > before)
                dict->as.dict.version = before + 1;
        *ret_version = dict->as.dict.version;
        if (*ret_version > before)
                tell(dict);
        return 0;
}

static int look(const struct core *core, uint32_t connection, const char *name, struct object **ret)
{
        return object_find(peer_at(core, connection), name, OBJECT_DICT, ACCESS_READ, ret);
}

int core_dict_get(struct core *core, uint32_t connection, const char *name, const char *key,
                  enum core_access need, const struct core_entry **ret)
{
        struct object *dict;
        int r = object_find(peer_at(core, connection), name, OBJECT_DICT, need, &dict);
        const struct entry *entry = dict ? find(dict, key) : NULL;
        *ret = is_there(entry) ? &entry->entry : NULL;
        return r;
}

int core_dict_changes(struct core *core, uint32_t connection, const char *name, uint64_t after,
                      struct core_changes *ret)
{
        struct object *dict;
        int r = look(core, connection, name, &dict);
        *ret = dict ? changes(dict, after).changes : (struct core_changes){.after = after, .complete = true};
        return r;
}

const struct core_entry *core_entry_next(const struct core_entry *entry)
{
        const struct entry *next = TAILQ_NEXT(CONTAINER_OF(entry, struct entry, entry), by_version);
        return next ? &next->entry : NULL;
}

int core_dict_watch(struct core *core, struct core_request request, const char *name,
                    const struct core_open *open, uint64_t after, int64_t timeout, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct object *dict;
        struct object_wait *wait;
        core_update_now(core, now);
        /* For reading: made only if it is not there. */
        int r = look(core, request.connection, name, &dict);
        if (!r && !dict)
                r = object_use(peer, name, open, &dict);
        if (r)
                return r;
        if (after < dict->as.dict.version) {
                struct core_shared_answer answer = changes(dict, after);
                answer_shared(core, request, &answer);
                return 0;
        }
        if (timeout <= 0)
                return CORE_NOT_READY;
        r = object_wait_new(peer, request.msgid, dict, WAIT_CHANGE, timeout, &wait);
        if (!r)
                wait->after = dict->as.dict.version;
        return r;
}
