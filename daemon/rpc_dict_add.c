/* SPDX-License-Identifier: MIT */
/* The one method of dictionaries that looks into a value: dict.add. */
#include <errno.h>

#include "daemon/backend.h"
#include "daemon/daemon.h"
#include "daemon/payload.h"
#include "daemon/rpc_object.h"

static bool is_integer(const struct value *value)
{
        return value->type == VALUE_UINT || value->type == VALUE_INT;
}

static __int128 integer(const struct value *value)
{
        return value->type == VALUE_UINT ? (__int128)value->as.u : value->as.i;
}

/* The sum of two numbers; integers stay integers. False: one is no number, or it does not fit. */
static bool pack_sum(struct packer *packer, struct reader a, struct reader b)
{
        struct reader a_int = a, b_int = b; /* a read that fails has moved on */
        struct value left, right;
        double x, y;

        if (reader_next(&a_int, &left) == 0 && is_integer(&left) && reader_next(&b_int, &right) == 0 &&
            is_integer(&right)) {
                __int128 sum = integer(&left) + integer(&right);
                if (sum < INT64_MIN || sum > UINT64_MAX)
                        return false;
                if (sum < 0)
                        pack_int(packer, (int64_t)sum);
                else
                        pack_uint(packer, (uint64_t)sum);
                return true;
        }
        if (reader_double(&a, &x) < 0 || reader_double(&b, &y) < 0)
                return false;
        pack_double(packer, x + y);
        return true;
}

static int add(struct rpc_call *call, const struct core_entry *entry, struct core_value *ret,
               struct buffer *sum)
{
        static const uint8_t zero = 0;
        struct packer packer;
        size_t size_bytes = sizeof(zero);
        const uint8_t *data = entry ? backend_payload(call->daemon, entry->value, &size_bytes) : &zero;

        pack_begin(&packer, sum);
        if (!pack_sum(&packer, reader_over(data, size_bytes), rpc_param(call, 2))) {
                rpc_error(call, ERROR_INVALID_PARAMS, "dict.add adds numbers, and their sum must fit: %s",
                          entry ? "what is there does not, or what is to be added"
                                : "what is to be added is none");
                return -EINVAL;
        }
        int r = pack_end(&packer);
        if (r == 0)
                r = payload_new(call->daemon->payloads, buffer_at(sum), buffer_size(sum), NULL, 0,
                                &ret->payload);
        if (r < 0)
                rpc_refuse(call, r);
        ret->size_bytes = payload_cost_bytes(buffer_size(sum), 0);
        return r;
}

void rpc_on_DICT_ADD(struct rpc_call *call)
{
        const struct core_open open = rpc_object_open(call, OBJECT_DICT);
        struct reader reader = rpc_param(call, 1);
        const struct core_entry *entry;
        struct core_pair pair = {0};
        struct buffer sum = BUFFER_INIT;
        struct rpc_name name;
        struct packer packer;
        struct rpc_key key;
        uint64_t version;
        size_t n;

        if (rpc_object_name(call, &name) < 0 || rpc_key(call, &reader, &key) < 0)
                return;
        int r = core_dict_get(call->daemon->core, call->connection->index, name.text, key.text, ACCESS_WRITE,
                              &entry);
        if (r != 0)
                return rpc_refuse(call, r);
        pair.key = key.text;
        if (add(call, entry, &pair.value, &sum) == 0) {
                r = core_dict_change(call->daemon->core, call->connection->index, name.text, &open, &pair, 1,
                                     NULL, 0, call->daemon->now, &version, &n);
                if (r != 0) {
                        payload_drop(call->daemon->payloads, pair.value.payload);
                        rpc_refuse(call, r);
                } else if (rpc_reply_begin(call, &packer)) {
                        pack_raw(&packer, buffer_at(&sum), buffer_size(&sum));
                        rpc_reply_end(call, &packer);
                }
        }
        buffer_deinit(&sum);
}
