/* SPDX-License-Identifier: MIT */
/* Lists: values by place, in a ring that grows, so that both ends are near. The list as a whole has a
 * version. */
#include "daemon/core/core_private.h"

#define CAPACITY_MIN 16

static struct core_value *at(const struct object *list, uint64_t index)
{
        assert(list->as.list.capacity > 0);
        return &list->as.list.ring[(list->as.list.first + index) % list->as.list.capacity];
}

static int reserve(struct object *list, uint64_t n)
{
        size_t capacity = list->as.list.capacity ? list->as.list.capacity : CAPACITY_MIN;
        if (n <= list->as.list.capacity)
                return 0;
        while (capacity < n)
                capacity *= 2;
        struct core_value *ring = calloc(capacity, sizeof(*ring));
        if (!ring)
                return -ENOMEM;
        for (size_t i = 0; i < list->as.list.n; i++)
                ring[i] = *at(list, i);
        free(list->as.list.ring);
        object_release(list, list->as.list.capacity * sizeof(*ring));
        object_charge(list, capacity * sizeof(*ring));
        list->as.list.ring = ring;
        list->as.list.capacity = capacity;
        list->as.list.first = 0;
        return 0;
}

static void drop(struct object *list, const struct core_value *value)
{
        list->core->ops.drop(list->core->ctx, value->payload);
        object_release(list, value->size_bytes);
}

void list_free(struct object *list)
{
        for (size_t i = 0; i < list->as.list.n; i++)
                drop(list, at(list, i));
        free(list->as.list.ring);
}

/* list NULL: there is none, and it has never been changed. */
static int check(struct core *core, const struct object *list, uint64_t if_version)
{
        uint64_t version = list ? list->as.list.version : 0;
        if (if_version == CORE_ANY_VERSION || if_version == version)
                return 0;
        core->clash = (struct core_clash){.kind = OBJECT_LIST, .version = version};
        return CORE_VERSION;
}

static void push(struct object *list, const struct core_value *value, bool front)
{
        if (front)
                list->as.list.first =
                        (list->as.list.first + list->as.list.capacity - 1) % list->as.list.capacity;
        list->as.list.n++;
        *at(list, front ? 0 : list->as.list.n - 1) = *value;
        object_charge(list, value->size_bytes);
}

int core_list_push(struct core *core, uint32_t connection, const char *name, const struct core_open *open,
                   const struct core_value *values, size_t n, bool front, uint64_t if_version, int64_t now,
                   uint64_t *ret_version)
{
        struct object *list;
        uint64_t bytes = 0;
        core_update_now(core, now);
        struct peer *peer = peer_at(core, connection);
        int r = object_find(peer, name, OBJECT_LIST, ACCESS_WRITE, &list);
        for (size_t i = 0; i < n; i++)
                bytes += values[i].size_bytes + 2 * sizeof(*values);
        if (!r)
                r = check(core, list, if_version);
        if (!r && !list)
                r = object_use(peer, name, open, &list);
        if (!r)
                r = object_admit(list, bytes);
        if (!r)
                r = reserve(list, list->as.list.n + n);
        if (r)
                return r;
        for (size_t i = 0; i < n; i++)
                push(list, &values[front ? n - 1 - i : i], front);
        list->as.list.version += n > 0;
        *ret_version = list->as.list.version;
        return 0;
}

/* The list of this name; CORE_UNKNOWN_OBJECT. */
static int find(struct core *core, uint32_t connection, const char *name, enum core_access need,
                struct object **ret)
{
        int r = object_find(peer_at(core, connection), name, OBJECT_LIST, need, ret);
        return r || *ret ? r : CORE_UNKNOWN_OBJECT;
}

/* Of the first or last `max`, as many as one answer may hold. */
static uint64_t count_fitting(const struct object *list, bool front, uint64_t max)
{
        uint64_t most_bytes = list->core->config.max_answer_bytes, bytes = 0, n = 0;
        for (; n < max && n < list->as.list.n; n++) {
                bytes += at(list, front ? n : list->as.list.n - 1 - n)->size_bytes;
                if (n > 0 && bytes > most_bytes)
                        break;
        }
        return n;
}

int core_list_pop(struct core *core, uint32_t connection, const char *name, bool front, uint64_t max,
                  uint64_t if_version, int64_t now, void (*begin)(void *userdata, uint64_t n),
                  void (*each)(void *userdata, payload_t), void *userdata)
{
        struct object *list;
        core_update_now(core, now);
        int r = object_find(peer_at(core, connection), name, OBJECT_LIST, ACCESS_WRITE, &list);
        if (!r)
                r = check(core, list, if_version);
        if (r)
                return r;
        uint64_t n = list ? count_fitting(list, front, max) : 0;
        begin(userdata, n);
        for (uint64_t i = 0; i < n; i++) {
                struct core_value *value = at(list, front ? 0 : list->as.list.n - 1);
                each(userdata, value->payload);
                drop(list, value);
                if (front)
                        list->as.list.first = (list->as.list.first + 1) % list->as.list.capacity;
                list->as.list.n--;
        }
        if (n > 0)
                list->as.list.version++;
        return 0;
}

int core_list_set(struct core *core, uint32_t connection, const char *name, uint64_t index,
                  const struct core_value *value, uint64_t if_version, int64_t now, uint64_t *ret_version)
{
        struct object *list;
        core_update_now(core, now);
        int r = find(core, connection, name, ACCESS_WRITE, &list);
        if (!r && index >= list->as.list.n)
                r = CORE_RANGE;
        if (!r)
                r = check(core, list, if_version);
        if (!r)
                r = object_admit(list, value->size_bytes);
        if (r)
                return r;
        drop(list, at(list, index));
        *at(list, index) = *value;
        object_charge(list, value->size_bytes);
        *ret_version = ++list->as.list.version;
        return 0;
}

int core_list_get(struct core *core, uint32_t connection, const char *name, uint64_t index, payload_t *ret)
{
        struct object *list;
        int r = find(core, connection, name, ACCESS_READ, &list);
        if (!r && index >= list->as.list.n)
                r = CORE_RANGE;
        if (!r)
                *ret = at(list, index)->payload;
        return r;
}
