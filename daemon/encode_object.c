/* SPDX-License-Identifier: MIT */
#include "daemon/encode_object.h"

#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "proto/ganger_shared.h"
#include "proto/pack.h"

static const char *const kind_names[N_OBJECT_KINDS] = {
        [OBJECT_VALUE] = "value",     [OBJECT_ARRAY] = "array", [OBJECT_LOCK] = "lock",
        [OBJECT_EVENT] = "event",     [OBJECT_QUEUE] = "queue", [OBJECT_PIPE] = "pipe",
        [OBJECT_BARRIER] = "barrier", [OBJECT_DICT] = "dict",   [OBJECT_LIST] = "list"};

static const struct {
        const char *name;
        unsigned kinds; /* 1 << enum core_object_kind: who has it */
} properties[N_PROPERTIES] = {
        [PROPERTY_TYPE] = {"type", 1 << OBJECT_VALUE | 1 << OBJECT_ARRAY},
        [PROPERTY_LENGTH] = {"length", 1 << OBJECT_VALUE | 1 << OBJECT_ARRAY},
        [PROPERTY_LIMIT] = {"limit", 1 << OBJECT_LOCK},
        [PROPERTY_REENTRANT] = {"reentrant", 1 << OBJECT_LOCK},
        [PROPERTY_PARTIES] = {"parties", 1 << OBJECT_BARRIER},
        [PROPERTY_MAXSIZE] = {"maxsize", 1 << OBJECT_QUEUE},
};

void encode_clash(const struct core_clash *clash, char *ret, size_t size_bytes)
{
        if (clash->property < 0)
                snprintf(ret, size_bytes, "the name is another object's: it is %s %s",
                         strchr("aeiou", *kind_names[clash->kind]) ? "an" : "a", kind_names[clash->kind]);
        else if (clash->property == PROPERTY_TYPE)
                snprintf(ret, size_bytes, "the %s is there already, and its type is %s",
                         kind_names[clash->kind],
                         ganger_shared_type_name((enum ganger_shared_type)clash->value));
        else if (clash->property == PROPERTY_REENTRANT)
                snprintf(ret, size_bytes, "the lock is there already, and is %sreentrant",
                         clash->value ? "" : "not ");
        else
                snprintf(ret, size_bytes, "the %s is there already, and its %s is %llu",
                         kind_names[clash->kind], properties[clash->property].name,
                         (unsigned long long)clash->value);
}

const char *encode_kind(enum core_object_kind kind)
{
        return kind_names[kind];
}

enum core_object_kind encode_kind_from_name(const char *name, size_t size_bytes)
{
        int i = 0;

        while (i < N_OBJECT_KINDS &&
               (strlen(kind_names[i]) != size_bytes || memcmp(kind_names[i], name, size_bytes) != 0))
                i++;
        return (enum core_object_kind)i;
}

bool encode_has_property(enum core_object_kind kind, int property)
{
        return properties[property].kinds >> kind & 1;
}

const char *encode_property(int property)
{
        return properties[property].name;
}

static uint32_t count_properties(enum core_object_kind kind)
{
        uint32_t n = 0;
        for (int i = 0; i < N_PROPERTIES; i++)
                n += properties[i].kinds >> kind & 1;
        return n;
}

static void pack_property(struct packer *packer, const struct core_object *object, int i)
{
        pack_str(packer, properties[i].name);
        if (i == PROPERTY_TYPE)
                pack_str(packer, ganger_shared_type_name((enum ganger_shared_type)object->values[i]));
        else if (i == PROPERTY_REENTRANT)
                pack_bool(packer, object->values[i] != 0);
        else
                pack_uint(packer, object->values[i]);
}

static void pack_holders(struct packer *packer, const struct hold *hold)
{
        struct core_holder holder;
        size_t n = 0;

        for (const struct hold *next = hold; next; n++)
                next = core_holder_next(next, &holder);
        pack_str(packer, "holders");
        pack_array(packer, n);
        while (hold) {
                hold = core_holder_next(hold, &holder);
                pack_map(packer, 4);
                pack_str(packer, "pid");
                pack_int(packer, holder.pid);
                pack_str(packer, "task");
                if (holder.task)
                        pack_uint(packer, holder.task);
                else
                        pack_nil(packer);
                pack_str(packer, "owner");
                pack_uint(packer, holder.owner);
                pack_str(packer, "token");
                pack_uint(packer, holder.token);
        }
}

static void pack_pair(struct packer *packer, const char *key, uint64_t value)
{
        pack_str(packer, key);
        pack_uint(packer, value);
}

static uint32_t count_state(enum core_object_kind kind)
{
        static const uint8_t n[N_OBJECT_KINDS] = {
                [OBJECT_LOCK] = 1,  [OBJECT_EVENT] = 1, [OBJECT_BARRIER] = 1,
                [OBJECT_QUEUE] = 2, [OBJECT_DICT] = 2,  [OBJECT_LIST] = 2};
        return n[kind];
}

static void pack_state(struct packer *packer, const struct core_object *object)
{
        switch (object->kind) {
        case OBJECT_LOCK:
                pack_holders(packer, object->holders);
                break;
        case OBJECT_EVENT:
                pack_str(packer, "set");
                pack_bool(packer, object->is_set);
                break;
        case OBJECT_BARRIER:
                pack_str(packer, "broken");
                pack_bool(packer, object->is_broken);
                break;
        case OBJECT_QUEUE:
                pack_pair(packer, "size", object->size);
                pack_pair(packer, "leased", object->n_leased);
                break;
        case OBJECT_DICT:
        case OBJECT_LIST:
                pack_pair(packer, "length", object->size);
                pack_pair(packer, "version", object->version);
                break;
        case OBJECT_VALUE:
        case OBJECT_ARRAY:
        case OBJECT_PIPE:
        case N_OBJECT_KINDS:
                break;
        }
}

void encode_object(struct packer *packer, const struct daemon *daemon, const struct core_object *object,
                   uint32_t n)
{
        pack_map(packer, 8 + count_properties(object->kind) + count_state(object->kind) + n);
        pack_str(packer, "name");
        pack_str(packer, object->name);
        pack_str(packer, "kind");
        pack_str(packer, kind_names[object->kind]);
        pack_pair(packer, "uid", object->uid);
        pack_str(packer, "gid");
        if (object->gid == (gid_t)-1)
                pack_nil(packer);
        else
                pack_uint(packer, object->gid);
        pack_pair(packer, "mode", object->mode);
        pack_str(packer, "created");
        pack_double(packer, daemon_wall(daemon, object->created));
        pack_pair(packer, "bytes", object->cost_bytes);
        pack_pair(packer, "waiting", object->n_waiting);
        for (int i = 0; i < N_PROPERTIES; i++)
                if (properties[i].kinds >> object->kind & 1)
                        pack_property(packer, object, i);
        pack_state(packer, object);
}
