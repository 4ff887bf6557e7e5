/* SPDX-License-Identifier: MIT */
/*
 * Shared objects: one table over all users, by name. An object is its maker's: what it costs is in that
 * user's account, and it goes with core_object_unlink(), whoever waits for it or holds something of it.
 */
#include "daemon/core/core_private.h"

#define N_CLASSES 3 /* owner, group, others: three bits each */

/* -- who may -- */

static unsigned access_of(const struct peer *peer, const struct object *object)
{
        struct core *core = peer->core;
        unsigned shift = 0;
        if (peer->admin)
                return ACCESS_READ | ACCESS_WRITE;
        if (object->user == peer->user)
                shift = 6;
        else if (object->gid != (gid_t)-1 && core->ops.in_group(core->ctx, peer->index, object->gid))
                shift = 3;
        return object->mode >> shift & (ACCESS_READ | ACCESS_WRITE);
}

static bool owns(const struct peer *peer, const struct object *object)
{
        return peer->admin || object->user == peer->user;
}

/* -- finding -- */

int object_clash(const struct object *object, int property)
{
        struct core *core = object->core;
        core->clash = (struct core_clash){.kind = object->kind, .property = property};
        if (property >= 0)
                core->clash.value = object->values[property];
        return CORE_CLASH;
}

static struct object *find(const struct core *core, const char *name)
{
        struct table_link *link = table_find(&core->objects, core_hash(core, 0, name));
        for (; link; link = table_next(link)) {
                struct object *object = CONTAINER_OF(link, struct object, by_name);
                if (strcmp(object->name, name) == 0)
                        return object;
        }
        return NULL;
}

int object_find(const struct peer *peer, const char *name, enum core_object_kind kind, enum core_access need,
                struct object **ret)
{
        struct object *object = find(peer->core, name);
        *ret = NULL;
        if (!object)
                return 0;
        if (!(access_of(peer, object) & need))
                return CORE_NOT_PERMITTED;
        if (object->kind != kind)
                return object_clash(object, -1);
        *ret = object;
        return 0;
}

/* -- accounts -- */

int object_admit(const struct object *object, uint64_t bytes)
{
        return user_admit(object->user, ACCOUNT_BYTES, bytes);
}

void object_charge(struct object *object, uint64_t bytes)
{
        user_charge(object->user, ACCOUNT_BYTES, bytes);
        object->cost_bytes += bytes;
}

void object_release(struct object *object, uint64_t bytes)
{
        assert(object->cost_bytes >= bytes);
        user_release(object->user, ACCOUNT_BYTES, bytes);
        object->cost_bytes -= bytes;
}

static bool has_descriptor(enum core_object_kind kind)
{
        return kind == OBJECT_VALUE || kind == OBJECT_ARRAY || kind == OBJECT_PIPE;
}

static int admit(struct user *user, enum core_object_kind kind, uint64_t bytes)
{
        int r = user_admit(user, ACCOUNT_OBJECTS, 1);
        if (!r)
                r = user_admit(user, ACCOUNT_BYTES, bytes);
        if (!r && has_descriptor(kind))
                r = user_admit(user, ACCOUNT_DESCRIPTORS, 1);
        return r;
}

/* -- making -- */

static const uint64_t defaults[N_PROPERTIES] = {[PROPERTY_LENGTH] = 1, [PROPERTY_LIMIT] = 1};

static int init_kind(struct object *object)
{
        switch (object->kind) {
        case OBJECT_LOCK:
                TAILQ_INIT(&object->as.lock.holds);
                return 0;
        case OBJECT_QUEUE:
                TAILQ_INIT(&object->as.queue.items);
                return 0;
        case OBJECT_DICT:
                return dict_init(object);
        case OBJECT_VALUE:
        case OBJECT_ARRAY:
                table_add(&object->core->memories, &object->as.memory.by_id, object->id);
                return 0;
        case OBJECT_EVENT:
        case OBJECT_BARRIER:
        case OBJECT_PIPE:
        case OBJECT_LIST:
        case N_OBJECT_KINDS:
                break;
        }
        return 0;
}

static int new (struct peer *peer, const char *name, const struct core_open *open, struct object **ret)
{
        struct core *core = peer->core;
        uint64_t bytes = sizeof(struct object) + strlen(name) + 1;
        int r = admit(peer->user, open->kind, bytes + open->memory_bytes);
        if (r)
                return r;
        struct object *object = calloc(1, bytes);
        if (!object)
                return -ENOMEM;
        object->core = core;
        object->id = ++core->last_object;
        object->kind = open->kind;
        object->gid = open->gid;
        object->mode = open->mode;
        object->created = core->now;
        TAILQ_INIT(&object->waits);
        TAILQ_INIT(&object->others);
        TAILQ_INIT(&object->joins);
        memcpy(object->name, name, strlen(name) + 1);
        for (int i = 0; i < N_PROPERTIES; i++)
                object->values[i] = open->shape.given >> i & 1 ? open->shape.values[i] : defaults[i];
        if (init_kind(object) < 0) {
                free(object);
                return -ENOMEM;
        }
        object->user = peer->user;
        object->user->n_refs++;
        user_charge(object->user, ACCOUNT_OBJECTS, 1);
        if (has_descriptor(object->kind))
                user_charge(object->user, ACCOUNT_DESCRIPTORS, 1);
        object_charge(object, bytes + open->memory_bytes);
        table_add(&core->objects, &object->by_name, core_hash(core, 0, name));
        object_order_add(&core->objects_root, object);
        *ret = object;
        return 0;
}

/* What was said of it is as it is. */
static int agree(const struct object *object, const struct core_shape *shape)
{
        for (int i = 0; i < N_PROPERTIES; i++)
                if (shape->given >> i & 1 && shape->values[i] != object->values[i])
                        return object_clash(object, i);
        return 0;
}

int object_use(struct peer *peer, const char *name, const struct core_open *open, struct object **ret)
{
        int r = object_find(peer, name, open->kind, ACCESS_WRITE, ret);
        if (r)
                return r;
        return *ret ? agree(*ret, &open->shape) : new (peer, name, open, ret);
}

/* -- going -- */

static void free_kind(struct object *object)
{
        struct core *core = object->core;
        switch (object->kind) {
        case OBJECT_VALUE:
        case OBJECT_ARRAY:
                if (object->as.memory.payload == PAYLOAD_NONE)
                        table_remove(&core->memories, &object->as.memory.by_id);
                __attribute__((fallthrough));
        case OBJECT_PIPE:
                if (object->as.memory.payload != PAYLOAD_NONE)
                        core->ops.drop(core->ctx, object->as.memory.payload);
                break;
        case OBJECT_LOCK:
                while (!TAILQ_EMPTY(&object->as.lock.holds))
                        hold_free(TAILQ_FIRST(&object->as.lock.holds));
                break;
        case OBJECT_QUEUE:
                queue_free(object);
                break;
        case OBJECT_DICT:
                dict_free(object);
                break;
        case OBJECT_LIST:
                list_free(object);
                break;
        case OBJECT_EVENT:
        case OBJECT_BARRIER:
        case N_OBJECT_KINDS:
                break;
        }
}

static void refuse_all(struct object *object, struct object_waits *waits)
{
        while (!TAILQ_EMPTY(waits))
                waiter_refuse(object->core, TAILQ_FIRST(waits)->waiter, CORE_UNKNOWN_OBJECT);
}

void object_free(struct object *object)
{
        struct core *core = object->core;
        object->is_going = true;
        table_remove(&core->objects, &object->by_name);
        object_order_remove(&core->objects_root, object);
        refuse_all(object, &object->waits);
        refuse_all(object, &object->others);
        refuse_all(object, &object->joins);
        free_kind(object);
        user_release(object->user, ACCOUNT_OBJECTS, 1);
        if (has_descriptor(object->kind))
                user_release(object->user, ACCOUNT_DESCRIPTORS, 1);
        object_release(object, object->cost_bytes);
        user_unref(object->user);
        free(object);
}

/* -- the border -- */

static void describe(const struct object *object, const struct peer *peer, struct core_object *ret)
{
        *ret = (struct core_object){.id = object->id,
                                    .name = object->name,
                                    .kind = object->kind,
                                    .uid = user_uid(object->user),
                                    .gid = object->gid,
                                    .mode = object->mode,
                                    .access = access_of(peer, object),
                                    .created = object->created,
                                    .cost_bytes = object->cost_bytes,
                                    .n_waiting = object->n_waiting,
                                    .values = object->values};
        switch (object->kind) {
        case OBJECT_VALUE:
        case OBJECT_ARRAY:
                ret->memory = object->as.memory.payload;
                break;
        case OBJECT_LOCK:
                ret->holders = TAILQ_FIRST(&object->as.lock.holds);
                break;
        case OBJECT_EVENT:
                ret->is_set = object->as.event.is_set;
                break;
        case OBJECT_BARRIER:
                ret->is_broken = object->as.barrier.is_broken;
                break;
        case OBJECT_QUEUE:
                ret->size = object->as.queue.n_items;
                ret->n_leased = object->as.queue.n_leased;
                break;
        case OBJECT_DICT:
                ret->size = object->as.dict.n_keys;
                ret->version = object->as.dict.version;
                break;
        case OBJECT_LIST:
                ret->size = object->as.list.n;
                ret->version = object->as.list.version;
                break;
        case OBJECT_PIPE:
        case N_OBJECT_KINDS:
                break;
        }
}

int core_object_open(struct core *core, uint32_t connection, const char *name, const struct core_open *open,
                     int64_t now, struct core_object *ret)
{
        struct peer *peer = peer_at(core, connection);
        struct object *object = find(core, name);
        bool is_new = !object;
        core_update_now(core, now);
        if (is_new && open->must_exist)
                return CORE_UNKNOWN_OBJECT;
        if (!is_new && !access_of(peer, object))
                return CORE_NOT_PERMITTED;
        if (!is_new && open->exclusive)
                return CORE_EXISTS;
        if (!is_new && object->kind != open->kind)
                return object_clash(object, -1);
        int r = is_new ? new (peer, name, open, &object) : agree(object, &open->shape);
        if (r)
                return r;
        describe(object, peer, ret);
        ret->is_new = is_new;
        return 0;
}

static struct object *find_unmade(const struct core *core, uint64_t id)
{
        struct table_link *link = table_find(&core->memories, id);
        return link ? CONTAINER_OF(link, struct object, as.memory.by_id) : NULL;
}

bool core_object_wants_memory(const struct core *core, uint64_t id)
{
        return find_unmade(core, id) != NULL;
}

void core_object_memory(struct core *core, uint64_t id, payload_t payload)
{
        struct object *object = find_unmade(core, id);
        assert(object);
        table_remove(&core->memories, &object->as.memory.by_id);
        object->as.memory.payload = payload;
}

void core_object_failed(struct core *core, uint64_t id)
{
        struct object *object = find_unmade(core, id);
        if (object)
                object_free(object);
}

int core_object_look(struct core *core, uint32_t connection, const char *name, enum core_object_kind kind,
                     struct core_object *ret)
{
        const struct peer *peer = peer_at(core, connection);
        const struct object *object = find(core, name);
        if (!object)
                return CORE_UNKNOWN_OBJECT;
        if (!access_of(peer, object))
                return CORE_NOT_PERMITTED;
        if (kind != N_OBJECT_KINDS && object->kind != kind)
                return object_clash(object, -1);
        describe(object, peer, ret);
        return 0;
}

struct look {
        const struct peer *peer;
        bool (*each)(void *userdata, const struct core_object *);
        void *userdata;
};

static bool look_at(void *userdata, const struct object *object)
{
        const struct look *look = userdata;
        struct core_object seen;
        if (!access_of(look->peer, object))
                return true;
        describe(object, look->peer, &seen);
        return look->each(look->userdata, &seen);
}

void core_objects(struct core *core, uint32_t connection, const struct core_range *range,
                  bool (*each)(void *userdata, const struct core_object *), void *userdata)
{
        struct look look = {peer_at(core, connection), each, userdata};
        object_order_walk(core->objects_root, range, look_at, &look);
}

int core_object_unlink(struct core *core, uint32_t connection, const char *name, int64_t now)
{
        struct object *object = find(core, name);
        core_update_now(core, now);
        if (!object)
                return CORE_UNKNOWN_OBJECT;
        if (!owns(peer_at(core, connection), object))
                return CORE_NOT_PERMITTED;
        object_free(object);
        return 0;
}

struct core_clash core_refused_clash(const struct core *core)
{
        return core->clash;
}

void objects_free(struct core *core)
{
        for (size_t i = 0; core->objects.n && i < (size_t)1 << core->objects.bits; i++)
                while (core->objects.buckets[i])
                        object_free(CONTAINER_OF(core->objects.buckets[i], struct object, by_name));
}
