/* SPDX-License-Identifier: MIT */
/* Methods of dictionaries. Values pass as the bytes that they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/backend.h"
#include "daemon/daemon.h"
#include "daemon/payload.h"
#include "daemon/rpc_object.h"
#include "daemon/rpc_shared.h"

#define ITEMS_DEFAULT 1000
#define ITEMS_MAX     10000

/* -- keys -- */

/* Keys as C strings, one after another in one piece of memory that is freed with `keys`. */
struct keys {
        char *text;
        size_t n;
};

/* n keys, each followed by a whole value if they are a map's. */
static int take_keys(struct rpc_call *call, struct reader reader, uint32_t n, bool of_map, struct keys *ret)
{
        struct rpc_key key;
        size_t at = 0;
        int r = rpc_may_be_so_many(call, n);

        if (r < 0)
                return r;
        /* Each key is there with at least one byte before it, which becomes the one behind it. */
        *ret = (struct keys){.text = malloc((size_t)(reader.end - reader.at) + 1)};
        if (!ret->text) {
                rpc_refuse(call, -ENOMEM);
                return -ENOMEM;
        }
        for (; r == 0 && ret->n < n; ret->n++) {
                r = rpc_key(call, &reader, &key);
                if (r < 0)
                        break;
                memcpy(ret->text + at, key.text, strlen(key.text) + 1);
                at += strlen(key.text) + 1;
                if (of_map)
                        r = reader_skip(&reader, NULL, NULL, NULL);
        }
        if (r < 0)
                free(ret->text);
        return r;
}

static const char *next_key(const char *key)
{
        return key + strlen(key) + 1;
}

/* The second parameter: one key or an array of them. */
static int keys_param(struct rpc_call *call, struct keys *ret, bool *ret_is_list)
{
        struct reader reader = rpc_param(call, 1);
        uint32_t n = 1;

        *ret_is_list = reader_array(&reader, &n) == 0;
        return take_keys(call, reader, n, false, ret);
}

/* -- if_version -- */

struct conditions {
        struct keys keys;
        struct core_condition *items;
};

static void conditions_drop(struct conditions *conditions)
{
        free(conditions->keys.text);
        free(conditions->items);
}

/* Moves to the value of the only option that there may be. */
static int find_if_version(struct rpc_call *call, struct reader *reader)
{
        static const char known[] = "if_version";
        struct reader pairs = *reader;
        const char *name;
        size_t size_bytes;

        for (uint32_t i = 0; i < call->n_options; i++) {
                if (rpc_option_name(call, &pairs, &name, &size_bytes) < 0)
                        return -EINVAL;
                if (size_bytes != strlen(known) || memcmp(name, known, size_bytes) != 0)
                        return rpc_option_unknown(call, name, size_bytes, known);
                if (i == 0)
                        *reader = pairs;
                reader_skip(&pairs, NULL, NULL, NULL);
        }
        if (call->n_options == 1)
                return 0;
        rpc_error(call, ERROR_INVALID_PARAMS, "option %s of %s is there twice", known, call->method->name);
        return -EINVAL;
}

/* The one option, a map of key to version. 0, or < 0: answered. */
static int take_conditions(struct rpc_call *call, struct conditions *ret)
{
        struct reader reader = call->options;
        const char *key;
        uint32_t n = 0;

        *ret = (struct conditions){0};
        if (call->n_options == 0)
                return 0;
        if (find_if_version(call, &reader) < 0)
                return -EINVAL;
        if (reader_map(&reader, &n) < 0) {
                rpc_error(call, ERROR_INVALID_PARAMS,
                          "option if_version of %s must be a map of keys to versions", call->method->name);
                return -EINVAL;
        }
        int r = take_keys(call, reader, n, true, &ret->keys);
        if (r < 0)
                return r;
        ret->items = calloc(n ? n : 1, sizeof(*ret->items));
        if (!ret->items) {
                conditions_drop(ret);
                rpc_refuse(call, -ENOMEM);
                return -ENOMEM;
        }
        key = ret->keys.text;
        for (uint32_t i = 0; i < n; i++, key = next_key(key)) {
                ret->items[i].key = key;
                reader_skip(&reader, NULL, NULL, NULL);
                if (reader_uint(&reader, &ret->items[i].version) < 0) {
                        conditions_drop(ret);
                        rpc_error(call, ERROR_INVALID_PARAMS, "a version is an unsigned integer");
                        return -EINVAL;
                }
        }
        return 0;
}

/* -- looking -- */

static void pack_entry(struct packer *packer, const struct daemon *daemon, const struct core_entry *entry)
{
        size_t size_bytes;

        if (!entry) {
                pack_nil(packer);
                pack_uint(packer, 0);
                return;
        }
        const uint8_t *data = backend_payload(daemon, entry->value, &size_bytes);
        pack_raw(packer, data, size_bytes);
        pack_uint(packer, entry->version);
}

void rpc_on_DICT_GET(struct rpc_call *call)
{
        struct daemon *daemon = call->daemon;
        uint32_t connection = call->connection->index;
        const struct core_entry *entry;
        struct rpc_name name;
        struct packer packer;
        struct keys keys;
        bool is_list;

        if (rpc_object_name(call, &name) < 0 || keys_param(call, &keys, &is_list) < 0)
                return;
        int r = core_dict_get(daemon->core, connection, name.text, "", ACCESS_READ, &entry);
        const char *key = keys.text;
        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                if (is_list)
                        pack_array(&packer, keys.n);
                for (size_t i = 0; i < keys.n; i++, key = next_key(key)) {
                        pack_array(&packer, 2);
                        core_dict_get(daemon->core, connection, name.text, key, ACCESS_READ, &entry);
                        pack_entry(&packer, daemon, entry);
                }
                rpc_reply_end(call, &packer);
        }
        free(keys.text);
}

enum { ITEMS_AFTER, ITEMS_LIMIT, N_ITEMS_OPTIONS };
static const struct option_rule items_rules[N_ITEMS_OPTIONS] = {
        [ITEMS_AFTER] = {.name = "after", .type = OPTION_COUNT, .max = UINT64_MAX},
        [ITEMS_LIMIT] = {.name = "limit", .type = OPTION_COUNT, .min = 1, .max = ITEMS_MAX},
};

/* What one request changed stays together. */
static uint32_t count_entries(const struct core_changes *changes, uint64_t limit)
{
        const struct core_entry *entry = changes->first;
        uint64_t version = 0;
        uint32_t n = 0;

        for (; entry != changes->end && (n < limit || entry->version == version);
             entry = core_entry_next(entry)) {
                version = entry->version;
                n += entry->value != PAYLOAD_NONE;
        }
        return n;
}

void rpc_on_DICT_ITEMS(struct rpc_call *call)
{
        struct option_value options[N_ITEMS_OPTIONS];
        struct core_changes changes;
        struct rpc_name name;
        struct packer packer;

        if (rpc_object_name(call, &name) < 0 || rpc_options(call, items_rules, N_ITEMS_OPTIONS, options) < 0)
                return;
        int r = core_dict_changes(call->daemon->core, call->connection->index, name.text,
                                  options[ITEMS_AFTER].count, &changes);
        if (r != 0)
                return rpc_refuse(call, r);
        uint32_t n = count_entries(&changes,
                                   options[ITEMS_LIMIT].given ? options[ITEMS_LIMIT].count : ITEMS_DEFAULT);
        if (!rpc_reply_begin(call, &packer))
                return;
        pack_array(&packer, n);
        for (const struct core_entry *entry = changes.first; n > 0; entry = core_entry_next(entry)) {
                if (entry->value == PAYLOAD_NONE)
                        continue;
                pack_array(&packer, 3);
                pack_str(&packer, entry->key);
                pack_entry(&packer, call->daemon, entry);
                n--;
        }
        rpc_reply_end(call, &packer);
}

void rpc_on_DICT_LEN(struct rpc_call *call)
{
        rpc_object_size(call, OBJECT_DICT);
}

enum { WATCH_AFTER, WATCH_TIMEOUT, N_WATCH_OPTIONS };
static const struct option_rule watch_rules[N_WATCH_OPTIONS] = {
        [WATCH_AFTER] = {.name = "after", .type = OPTION_COUNT, .max = UINT64_MAX - 1},
        [WATCH_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
};

void rpc_on_DICT_WATCH(struct rpc_call *call)
{
        const struct core_open open = rpc_object_open(call, OBJECT_DICT);
        struct option_value options[N_WATCH_OPTIONS];
        struct rpc_name name;

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, watch_rules, N_WATCH_OPTIONS, options) < 0)
                return;
        int r = core_dict_watch(call->daemon->core, rpc_request(call), name.text, &open,
                                options[WATCH_AFTER].given ? options[WATCH_AFTER].count : UINT64_MAX,
                                rpc_timeout(&options[WATCH_TIMEOUT]), call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

/* -- changing -- */

/* Changes all pairs; answers with the version, or with how many were deleted. */
static void change(struct rpc_call *call, const char *name, const struct core_pair *pairs, size_t n,
                   bool deletes, bool *ret_taken)
{
        const struct core_open open = rpc_object_open(call, OBJECT_DICT);
        struct conditions conditions;
        struct packer packer;
        uint64_t version;
        size_t n_deleted;

        if (take_conditions(call, &conditions) < 0)
                return;
        int r = core_dict_change(call->daemon->core, call->connection->index, name, deletes ? NULL : &open,
                                 pairs, n, conditions.items, conditions.keys.n, call->daemon->now, &version,
                                 &n_deleted);
        *ret_taken = r == 0;
        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_uint(&packer, deletes ? n_deleted : version);
                rpc_reply_end(call, &packer);
        }
        conditions_drop(&conditions);
}

/* The values of a map whose keys are known to be well. 0, or < 0: answered. */
static int map_values(struct rpc_call *call, struct reader reader, size_t n, struct rpc_values *ret)
{
        *ret = (struct rpc_values){.values = calloc(n ? n : 1, sizeof(*ret->values))};
        int r = ret->values ? 0 : -ENOMEM;
        if (r < 0)
                rpc_refuse(call, r);
        for (; r == 0 && ret->n < n; ret->n += r == 0) {
                reader_skip(&reader, NULL, NULL, NULL);
                r = rpc_value(call, &reader, &ret->values[ret->n]);
        }
        if (r < 0)
                rpc_values_drop(call, ret, false);
        return r;
}

static void set_all(struct rpc_call *call, const char *name, const struct keys *keys,
                    struct rpc_values *values)
{
        struct core_pair *pairs = calloc(keys->n ? keys->n : 1, sizeof(*pairs));
        const char *key = keys->text;
        bool taken = false;

        if (!pairs)
                rpc_refuse(call, -ENOMEM);
        for (size_t i = 0; pairs && i < keys->n; i++, key = next_key(key))
                pairs[i] = (struct core_pair){.key = key, .value = values->values[i]};
        if (pairs)
                change(call, name, pairs, keys->n, false, &taken);
        free(pairs);
        rpc_values_drop(call, values, taken);
}

void rpc_on_DICT_SET(struct rpc_call *call)
{
        struct reader reader = rpc_param(call, 1);
        struct rpc_values values;
        struct rpc_name name;
        struct keys keys;
        uint32_t n;

        if (rpc_object_name(call, &name) < 0 || reader_map(&reader, &n) < 0 ||
            take_keys(call, reader, n, true, &keys) < 0)
                return;
        if (map_values(call, reader, n, &values) == 0)
                set_all(call, name.text, &keys, &values);
        free(keys.text);
}

void rpc_on_DICT_DELETE(struct rpc_call *call)
{
        struct rpc_name name;
        struct keys keys;
        bool is_list, taken = false;

        if (rpc_object_name(call, &name) < 0 || keys_param(call, &keys, &is_list) < 0)
                return;
        struct core_pair *pairs = calloc(keys.n ? keys.n : 1, sizeof(*pairs));
        const char *key = keys.text;
        if (!pairs)
                rpc_refuse(call, -ENOMEM);
        for (size_t i = 0; pairs && i < keys.n; i++, key = next_key(key))
                pairs[i].key = key;
        if (pairs)
                change(call, name.text, pairs, keys.n, true, &taken);
        free(pairs);
        free(keys.text);
}
