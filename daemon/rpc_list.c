/* SPDX-License-Identifier: MIT */
/* Methods of lists. */
#include <errno.h>

#include "daemon/backend.h"
#include "daemon/daemon.h"
#include "daemon/payload.h"
#include "daemon/rpc_object.h"
#include "daemon/rpc_shared.h"

static void answer_version(struct rpc_call *call, int r, uint64_t version)
{
        struct packer packer;

        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_uint(&packer, version);
                rpc_reply_end(call, &packer);
        }
}

static uint64_t if_version(const struct option_value *option)
{
        return option->given ? option->count : CORE_ANY_VERSION;
}

enum { PUSH_FRONT, PUSH_VERSION, N_PUSH_OPTIONS };
static const struct option_rule push_rules[N_PUSH_OPTIONS] = {
        [PUSH_FRONT] = {.name = "front", .type = OPTION_FLAG},
        [PUSH_VERSION] = {.name = "if_version", .type = OPTION_COUNT, .max = UINT64_MAX - 1},
};

void rpc_on_LIST_PUSH(struct rpc_call *call)
{
        const struct core_open open = rpc_object_open(call, OBJECT_LIST);
        struct option_value options[N_PUSH_OPTIONS];
        struct reader reader = rpc_param(call, 1);
        struct rpc_values values;
        struct rpc_name name;
        uint64_t version;
        uint32_t n;

        if (rpc_object_name(call, &name) < 0 || rpc_options(call, push_rules, N_PUSH_OPTIONS, options) < 0 ||
            reader_array(&reader, &n) < 0 || rpc_may_be_so_many(call, n) < 0 ||
            rpc_values(call, &reader, n, &values) < 0)
                return;
        int r = core_list_push(call->daemon->core, call->connection->index, name.text, &open, values.values,
                               n, options[PUSH_FRONT].flag, if_version(&options[PUSH_VERSION]),
                               call->daemon->now, &version);
        rpc_values_drop(call, &values, r == 0);
        answer_version(call, r, version);
}

/* -- taking -- */

struct taking {
        struct rpc_call *call;
        struct packer packer;
        bool wanted;
};

static void on_begin(void *userdata, uint64_t n)
{
        struct taking *taking = userdata;
        taking->wanted = rpc_reply_begin(taking->call, &taking->packer);
        if (taking->wanted)
                pack_array(&taking->packer, n);
}

static void pack_payload(struct packer *packer, const struct daemon *daemon, payload_t payload)
{
        size_t size_bytes;
        const uint8_t *data = backend_payload(daemon, payload, &size_bytes);
        pack_raw(packer, data, size_bytes);
}

static void on_each(void *userdata, payload_t payload)
{
        struct taking *taking = userdata;
        if (taking->wanted)
                pack_payload(&taking->packer, taking->call->daemon, payload);
}

enum { POP_FRONT, POP_MAX, POP_VERSION, N_POP_OPTIONS };
static const struct option_rule pop_rules[N_POP_OPTIONS] = {
        [POP_FRONT] = {.name = "front", .type = OPTION_FLAG},
        [POP_MAX] = {.name = "max", .type = OPTION_COUNT},
        [POP_VERSION] = {.name = "if_version", .type = OPTION_COUNT, .max = UINT64_MAX - 1},
};

void rpc_on_LIST_POP(struct rpc_call *call)
{
        struct option_value options[N_POP_OPTIONS];
        struct taking taking = {.call = call};
        struct rpc_name name;

        if (rpc_object_name(call, &name) < 0 || rpc_options(call, pop_rules, N_POP_OPTIONS, options) < 0)
                return;
        int r = core_list_pop(call->daemon->core, call->connection->index, name.text, options[POP_FRONT].flag,
                              options[POP_MAX].given ? options[POP_MAX].count : 1,
                              if_version(&options[POP_VERSION]), call->daemon->now, on_begin, on_each,
                              &taking);
        if (r != 0)
                rpc_refuse(call, r);
        else if (taking.wanted)
                rpc_end_answer(call->daemon, call->connection, &taking.packer, call->msgid);
}

/* -- places -- */

/* The parameter i, counted from the end if it is negative; below 0 stays below. */
static int64_t place_param(const struct rpc_call *call, uint32_t i, uint64_t size)
{
        struct reader reader = rpc_param(call, i);
        int64_t place = 0;

        if (reader_int(&reader, &place) < 0)
                return INT64_MAX; /* larger than any place */
        return place < 0 ? place + (int64_t)size : place;
}

/* One place that there is. 0, or < 0: answered. */
static int find_place(struct rpc_call *call, struct rpc_name *ret_name, struct core_object *ret,
                      int64_t *ret_place)
{
        if (rpc_object_name(call, ret_name) < 0)
                return -EINVAL;
        int r = core_object_look(call->daemon->core, call->connection->index, ret_name->text, OBJECT_LIST,
                                 ret);
        if (r != 0) {
                rpc_refuse(call, r);
                return -ENOENT;
        }
        *ret_place = place_param(call, 1, ret->size);
        if (*ret_place >= 0 && (uint64_t)*ret_place < ret->size)
                return 0;
        rpc_error(call, ERROR_INVALID_PARAMS, "the list has %llu values: there is no such place",
                  (unsigned long long)ret->size);
        return -ERANGE;
}

void rpc_on_LIST_GET(struct rpc_call *call)
{
        struct core_object list;
        struct rpc_name name;
        struct packer packer;
        payload_t payload;
        int64_t place;

        if (find_place(call, &name, &list, &place) < 0)
                return;
        int r = core_list_get(call->daemon->core, call->connection->index, name.text, (uint64_t)place,
                              &payload);
        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_array(&packer, 2);
                pack_payload(&packer, call->daemon, payload);
                pack_uint(&packer, list.version);
                rpc_reply_end(call, &packer);
        }
}

static const struct option_rule set_rules[1] = {
        {.name = "if_version", .type = OPTION_COUNT, .max = UINT64_MAX - 1}};

void rpc_on_LIST_SET(struct rpc_call *call)
{
        struct reader reader = rpc_param(call, 2);
        struct option_value option;
        struct core_object list;
        struct core_value value;
        struct rpc_name name;
        uint64_t version;
        int64_t place;

        if (rpc_options(call, set_rules, 1, &option) < 0 || find_place(call, &name, &list, &place) < 0 ||
            rpc_value(call, &reader, &value) < 0)
                return;
        int r = core_list_set(call->daemon->core, call->connection->index, name.text, (uint64_t)place, &value,
                              if_version(&option), call->daemon->now, &version);
        if (r != 0)
                payload_drop(call->daemon->payloads, value.payload);
        answer_version(call, r, version);
}

static uint64_t within(int64_t place, uint64_t size)
{
        return place < 0 ? 0 : (uint64_t)place < size ? (uint64_t)place : size;
}

void rpc_on_LIST_SLICE(struct rpc_call *call)
{
        struct core_object list = {0};
        struct rpc_name name;
        struct packer packer;
        payload_t payload;

        if (rpc_object_name(call, &name) < 0)
                return;
        int r = rpc_object_read(call, &name, OBJECT_LIST, &list);
        if (r != 0 && r != CORE_UNKNOWN_OBJECT)
                return rpc_refuse(call, r);
        uint64_t start = within(place_param(call, 1, list.size), list.size);
        uint64_t stop = within(place_param(call, 2, list.size), list.size);
        if (!rpc_reply_begin(call, &packer))
                return;
        pack_array(&packer, 2);
        pack_array(&packer, stop > start ? stop - start : 0);
        for (; start < stop; start++) {
                core_list_get(call->daemon->core, call->connection->index, name.text, start, &payload);
                pack_payload(&packer, call->daemon, payload);
        }
        pack_uint(&packer, list.version);
        rpc_reply_end(call, &packer);
}

void rpc_on_LIST_LEN(struct rpc_call *call)
{
        rpc_object_size(call, OBJECT_LIST);
}
