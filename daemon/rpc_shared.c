/* SPDX-License-Identifier: MIT */
/* Methods of shared objects as such: shared.open, shared.list, shared.unlink. */
#include "daemon/rpc_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/encode_object.h"
#include "daemon/memories.h"
#include "daemon/rpc_object.h"
#include "proto/ganger_shared.h"

#define LIST_DEFAULT 1000
#define LIST_MAX     10000

/* -- descriptors -- */

int rpc_takes_descriptor(struct rpc_call *call)
{
        if (call->connection->takes_descriptors)
                return 0;
        rpc_error(call, ERROR_INVALID_PARAMS,
                  "%s answers with a descriptor: say descriptors: true in hello first", call->method->name);
        return -EINVAL;
}

int rpc_duplicate(int fd)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return copy < 0 ? -errno : copy;
}

/* -- shared.open -- */

static bool is_memory(const struct core_object *object)
{
        return object->kind == OBJECT_VALUE || object->kind == OBJECT_ARRAY;
}

int rpc_admit_descriptor(struct daemon *daemon, struct core_request request)
{
        struct connection *connection = connection_by_index(daemon->connections, request.connection);
        return connection ? connection_admit_descriptor(connection) : 0;
}

int rpc_answer_object(struct daemon *daemon, struct core_request request, const struct core_object *object)
{
        struct connection *connection = connection_by_index(daemon->connections, request.connection);
        struct packer packer;
        int fd = -1;

        if (!connection)
                return 0;
        if (is_memory(object)) {
                fd = memory_descriptor(daemon, object);
                if (fd < 0)
                        return fd;
        }
        connection_message_begin(connection, &packer);
        pack_response(&packer, request.msgid);
        encode_object(&packer, daemon, object, fd >= 0 ? 2 : 1);
        pack_str(&packer, "new");
        pack_bool(&packer, object->is_new);
        if (fd >= 0) {
                pack_str(&packer, "object");
                pack_descriptor(&packer, DESCRIPTOR_SHARED,
                                memory_size_bytes((unsigned)object->values[PROPERTY_TYPE],
                                                  object->values[PROPERTY_LENGTH]));
        }
        connection_message_end_with(connection, &packer, &fd, fd >= 0 ? 1 : 0, 0);
        return 0;
}

void rpc_object_size(struct rpc_call *call, enum core_object_kind kind)
{
        struct core_object object = {0};
        struct rpc_name name;
        struct packer packer;

        if (rpc_object_name(call, &name) < 0)
                return;
        int r = rpc_object_read(call, &name, kind, &object);
        if (r != 0 && r != CORE_UNKNOWN_OBJECT) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_uint(&packer, object.size);
                rpc_reply_end(call, &packer);
        }
}

enum {
        OPEN_KIND,
        OPEN_TYPE,
        OPEN_LENGTH,
        OPEN_LIMIT,
        OPEN_REENTRANT,
        OPEN_PARTIES,
        OPEN_MAXSIZE,
        OPEN_CREATE,
        OPEN_EXCLUSIVE,
        OPEN_MODE,
        N_OPEN_OPTIONS
};
static const struct option_rule open_rules[N_OPEN_OPTIONS] = {
        [OPEN_KIND] = {.name = "kind", .type = OPTION_NAME},
        [OPEN_TYPE] = {.name = "type", .type = OPTION_NAME},
        [OPEN_LENGTH] = {.name = "length", .type = OPTION_COUNT, .min = 1, .max = GANGER_SHARED_LENGTH_MAX},
        [OPEN_LIMIT] = {.name = "limit", .type = OPTION_COUNT},
        [OPEN_REENTRANT] = {.name = "reentrant", .type = OPTION_FLAG},
        [OPEN_PARTIES] = {.name = "parties", .type = OPTION_COUNT},
        [OPEN_MAXSIZE] = {.name = "maxsize", .type = OPTION_COUNT, .max = UINT32_MAX},
        [OPEN_CREATE] = {.name = "create", .type = OPTION_FLAG},
        [OPEN_EXCLUSIVE] = {.name = "exclusive", .type = OPTION_FLAG},
        [OPEN_MODE] = {.name = "mode", .type = OPTION_COUNT, .max = 0777},
};
static const int option_of[N_PROPERTIES] = {
        [PROPERTY_TYPE] = OPEN_TYPE,       [PROPERTY_LENGTH] = OPEN_LENGTH,
        [PROPERTY_LIMIT] = OPEN_LIMIT,     [PROPERTY_REENTRANT] = OPEN_REENTRANT,
        [PROPERTY_PARTIES] = OPEN_PARTIES, [PROPERTY_MAXSIZE] = OPEN_MAXSIZE,
};

/* 0, or < 0: answered. */
static int take_kind(struct rpc_call *call, const struct option_value *option, enum core_object_kind *ret)
{
        *ret = encode_kind_from_name(option->text, option->text_size_bytes);
        if (*ret != N_OBJECT_KINDS && *ret != OBJECT_PIPE)
                return 0;
        rpc_error(call, ERROR_INVALID_PARAMS,
                  "option kind of %s must be \"value\", \"array\", \"lock\", \"event\", \"barrier\", "
                  "\"queue\", "
                  "\"dict\" or \"list\"",
                  call->method->name);
        return -EINVAL;
}

static int take_property(struct rpc_call *call, struct core_open *open, int i,
                         const struct option_value *option)
{
        uint64_t value = option->count;

        if (!(encode_has_property(open->kind, i))) {
                rpc_error(call, ERROR_INVALID_PARAMS, "a %s has no %s", encode_kind(open->kind),
                          encode_property(i));
                return -EINVAL;
        }
        if (i == PROPERTY_REENTRANT)
                value = option->flag;
        if (i == PROPERTY_TYPE) {
                int type = ganger_shared_type_from_name(option->text, option->text_size_bytes);
                if (type < 0) {
                        rpc_error(call, ERROR_INVALID_PARAMS,
                                  "option type of %s must be \"i8\", \"i16\", \"i32\", \"i64\", \"u8\", "
                                  "\"u16\", "
                                  "\"u32\", \"u64\", \"f32\", \"f64\" or \"bytes\"",
                                  call->method->name);
                        return -EINVAL;
                }
                value = (uint64_t)type;
        }
        rpc_object_say(open, (enum core_property)i, value);
        return 0;
}

static bool said(const struct core_open *open, enum core_property property)
{
        return open->shape.given >> property & 1;
}

/* What a new one would be, as far as it is known; what is missing is told where it is not there. */
static const char *missing(const struct core_open *open)
{
        if (open->kind == OBJECT_ARRAY && !said(open, PROPERTY_LENGTH))
                return "length";
        if (open->kind == OBJECT_BARRIER && !said(open, PROPERTY_PARTIES))
                return "parties";
        if (open->kind == OBJECT_VALUE && open->shape.values[PROPERTY_TYPE] == GANGER_SHARED_BYTES &&
            said(open, PROPERTY_TYPE) && !said(open, PROPERTY_LENGTH))
                return "length";
        return NULL;
}

static int check_shape(struct rpc_call *call, const struct core_open *open)
{
        uint64_t type = said(open, PROPERTY_TYPE) ? open->shape.values[PROPERTY_TYPE] : GANGER_SHARED_I64;

        if (open->kind == OBJECT_VALUE && type != GANGER_SHARED_BYTES && said(open, PROPERTY_LENGTH) &&
            open->shape.values[PROPERTY_LENGTH] != 1) {
                rpc_error(call, ERROR_INVALID_PARAMS, "a value is one element; several are an array");
                return -EINVAL;
        }
        if (said(open, PROPERTY_REENTRANT) && open->shape.values[PROPERTY_REENTRANT] &&
            said(open, PROPERTY_LIMIT) && open->shape.values[PROPERTY_LIMIT] > 1) {
                rpc_error(call, ERROR_INVALID_PARAMS, "a reentrant lock has one holder: its limit is 1");
                return -EINVAL;
        }
        return 0;
}

static int take_open(struct rpc_call *call, struct core_open *ret)
{
        struct option_value options[N_OPEN_OPTIONS];
        enum core_object_kind kind;

        if (rpc_options(call, open_rules, N_OPEN_OPTIONS, options) < 0 ||
            take_kind(call, &options[OPEN_KIND], &kind) < 0)
                return -EINVAL;
        *ret = rpc_object_open(call, kind);
        for (int i = 0; i < N_PROPERTIES; i++)
                if (options[option_of[i]].given && take_property(call, ret, i, &options[option_of[i]]) < 0)
                        return -EINVAL;
        ret->must_exist = options[OPEN_CREATE].given && !options[OPEN_CREATE].flag;
        ret->exclusive = options[OPEN_EXCLUSIVE].flag;
        if (options[OPEN_MODE].given)
                ret->mode = (mode_t)options[OPEN_MODE].count;
        return check_shape(call, ret);
}

/* Where it would be new: its defaults, which depend on its kind, and what it costs. */
static int complete(struct rpc_call *call, const char *name, struct core_open *open)
{
        struct core_object object;
        const char *what = missing(open);
        bool is_there = core_object_look(call->daemon->core, call->connection->index, name, N_OBJECT_KINDS,
                                         &object) != CORE_UNKNOWN_OBJECT;

        if (is_there || open->must_exist)
                return 0;
        if (what) {
                rpc_error(call, ERROR_INVALID_PARAMS, "there is no %s \"%s\" yet: say its %s to make it",
                          encode_kind(open->kind), name, what);
                return -EINVAL;
        }
        if (open->kind != OBJECT_VALUE && open->kind != OBJECT_ARRAY)
                return 0;
        if (!said(open, PROPERTY_TYPE))
                rpc_object_say(open, PROPERTY_TYPE, GANGER_SHARED_I64);
        if (!said(open, PROPERTY_LENGTH))
                rpc_object_say(open, PROPERTY_LENGTH, 1);
        open->memory_bytes = memory_size_bytes((unsigned)open->shape.values[PROPERTY_TYPE],
                                               open->shape.values[PROPERTY_LENGTH]);
        return 0;
}

/* Answers now, or when the memory is there. */
static int answer_open(struct rpc_call *call, const char *name, struct core_object *object)
{
        struct daemon *daemon = call->daemon;
        bool is_new = object->is_new;
        struct core_ticket ticket;
        int r = 0;

        if (is_memory(object) && object->memory == PAYLOAD_NONE) {
                if (is_new)
                        r = memories_make(daemon, object);
                if (r == 0)
                        r = core_object_look(daemon->core, call->connection->index, name, N_OBJECT_KINDS,
                                             object);
                if (r != 0)
                        return r;
                object->is_new = is_new;
        }
        if (call->is_notification)
                return 0;
        if (!is_memory(object) || object->memory != PAYLOAD_NONE)
                return rpc_answer_object(daemon, rpc_request(call), object);
        r = core_request_begin(daemon->core, rpc_request(call), &ticket);
        if (r != 0)
                return r;
        r = memories_await(daemon, object->id, &ticket, is_new);
        if (r < 0)
                core_request_end(daemon->core, &ticket);
        return r;
}

void rpc_on_SHARED_OPEN(struct rpc_call *call)
{
        struct core_object object;
        struct core_open open;
        struct rpc_name name;

        if (rpc_object_name(call, &name) < 0 || take_open(call, &open) < 0)
                return;
        if ((open.kind == OBJECT_VALUE || open.kind == OBJECT_ARRAY) && rpc_takes_descriptor(call) < 0)
                return;
        if (complete(call, name.text, &open) < 0)
                return;
        int r = 0;
        if (open.kind == OBJECT_VALUE || open.kind == OBJECT_ARRAY)
                r = connection_admit_descriptor(call->connection);
        if (r == 0)
                r = core_object_open(call->daemon->core, call->connection->index, name.text, &open,
                                     call->daemon->now, &object);
        if (r == 0)
                r = answer_open(call, name.text, &object);
        if (r != 0)
                rpc_refuse(call, r);
}

/* -- shared.list, shared.unlink -- */

enum { LIST_PREFIX, LIST_KIND, LIST_AFTER, LIST_LIMIT, N_LIST_OPTIONS };
static const struct option_rule list_rules[N_LIST_OPTIONS] = {
        [LIST_PREFIX] = {.name = "prefix", .type = OPTION_NAME},
        [LIST_KIND] = {.name = "kind", .type = OPTION_NAME},
        [LIST_AFTER] = {.name = "after", .type = OPTION_NAME},
        [LIST_LIMIT] = {.name = "limit", .type = OPTION_COUNT, .min = 1, .max = LIST_MAX},
};

struct list {
        const struct daemon *daemon;
        struct packer packer;
        enum core_object_kind kind; /* N_OBJECT_KINDS: any */
        uint64_t n, limit;
};

static struct core_text text_of(const struct option_value *option)
{
        return option->given ? (struct core_text){option->text, option->text_size_bytes}
                             : (struct core_text){"", 0};
}

static bool on_object(void *userdata, const struct core_object *object)
{
        struct list *list = userdata;
        if (list->kind != N_OBJECT_KINDS && object->kind != list->kind)
                return true;
        encode_object(&list->packer, list->daemon, object, 0);
        return ++list->n < list->limit;
}

void rpc_on_SHARED_LIST(struct rpc_call *call)
{
        struct option_value options[N_LIST_OPTIONS];
        struct buffer objects = BUFFER_INIT;
        struct list list = {.daemon = call->daemon, .kind = N_OBJECT_KINDS, .limit = LIST_DEFAULT};
        struct packer packer;

        if (rpc_options(call, list_rules, N_LIST_OPTIONS, options) < 0)
                return;
        const struct option_value *kind = &options[LIST_KIND];
        if (kind->given)
                list.kind = encode_kind_from_name(kind->text, kind->text_size_bytes);
        if (kind->given && list.kind == N_OBJECT_KINDS)
                return rpc_error(call, ERROR_INVALID_PARAMS, "option kind of %s: there is no kind \"%.*s\"",
                                 call->method->name, (int)kind->text_size_bytes, kind->text);
        if (options[LIST_LIMIT].given)
                list.limit = options[LIST_LIMIT].count;
        const struct core_range range = {.after = text_of(&options[LIST_AFTER]),
                                         .prefix = text_of(&options[LIST_PREFIX])};
        pack_begin(&list.packer, &objects);
        core_objects(call->daemon->core, call->connection->index, &range, on_object, &list);
        int r = pack_end(&list.packer);
        if (r < 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_array(&packer, list.n);
                pack_raw(&packer, buffer_at(&objects), buffer_size(&objects));
                rpc_reply_end(call, &packer);
        }
        buffer_deinit(&objects);
}

void rpc_on_SHARED_UNLINK(struct rpc_call *call)
{
        struct rpc_name name;

        if (rpc_object_name(call, &name) == 0)
                rpc_object_done(call, core_object_unlink(call->daemon->core, call->connection->index,
                                                         name.text, call->daemon->now));
}
