/* SPDX-License-Identifier: MIT */
#include "daemon/rpc_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/payload.h"

#define VALUE_DEPTH (LIMIT_DEPTH - 5) /* so deep within messages are values that come back */

int rpc_object_name(struct rpc_call *call, struct rpc_name *ret)
{
        struct reader reader = rpc_param(call, 0);
        const char *name;
        size_t size_bytes;

        if (reader_str(&reader, &name, &size_bytes) < 0 || size_bytes == 0 || size_bytes > LIMIT_NAME_BYTES ||
            memchr(name, 0, size_bytes) || !utf8_valid((const uint8_t *)name, size_bytes)) {
                rpc_error(call, ERROR_INVALID_PARAMS,
                          "the name of a shared object is UTF-8 of 1 to %d bytes, without a 0 byte",
                          LIMIT_NAME_BYTES);
                return -EINVAL;
        }
        memcpy(ret->text, name, size_bytes);
        ret->text[size_bytes] = '\0';
        return 0;
}

int rpc_key(struct rpc_call *call, struct reader *reader, struct rpc_key *ret)
{
        const char *text;
        size_t size_bytes;

        if (reader_str(reader, &text, &size_bytes) < 0 || size_bytes > LIMIT_KEY_BYTES ||
            memchr(text, 0, size_bytes) || !utf8_valid((const uint8_t *)text, size_bytes)) {
                rpc_error(call, ERROR_INVALID_PARAMS,
                          "a key of %s must be a string of at most %d bytes, UTF-8 without a 0 byte",
                          call->method->name, LIMIT_KEY_BYTES);
                return -EINVAL;
        }
        memcpy(ret->text, text, size_bytes);
        ret->text[size_bytes] = '\0';
        return 0;
}

int rpc_object_read(const struct rpc_call *call, const struct rpc_name *name, enum core_object_kind kind,
                    struct core_object *ret)
{
        int r = core_object_look(call->daemon->core, call->connection->index, name->text, kind, ret);
        return r == 0 && !(ret->access & ACCESS_READ) ? CORE_NOT_PERMITTED : r;
}

struct core_open rpc_object_open(const struct rpc_call *call, enum core_object_kind kind)
{
        const struct connection *c = call->connection;
        return (struct core_open){.kind = kind, .mode = 0600, .gid = c->channel != NULL ? (gid_t)-1 : c->gid};
}

void rpc_object_say(struct core_open *open, enum core_property property, uint64_t value)
{
        open->shape.given |= 1u << property;
        open->shape.values[property] = value;
}

void rpc_object_option(struct core_open *open, enum core_property property, const struct option_value *option)
{
        if (option->given)
                rpc_object_say(open, property, option->count);
}

int64_t rpc_timeout(const struct option_value *option)
{
        return option->given ? option->duration : CORE_NEVER;
}

void rpc_object_done(struct rpc_call *call, int r)
{
        struct packer packer;

        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_nil(&packer);
                rpc_reply_end(call, &packer);
        }
}

/* -- values -- */

/* Whether the value lies at most `left` deep. */
static bool is_flat(struct reader *reader, unsigned left)
{
        struct value value;

        if (left == 0 || reader_next(reader, &value) < 0)
                return false;
        if (value.type != VALUE_ARRAY && value.type != VALUE_MAP)
                return true;
        uint64_t n = value.type == VALUE_MAP ? 2 * (uint64_t)value.size : value.size;
        for (; n > 0; n--)
                if (!is_flat(reader, left - 1))
                        return false;
        return true;
}

int rpc_value(struct rpc_call *call, struct reader *reader, struct core_value *ret)
{
        struct reader copy = *reader;
        const uint8_t *data;
        size_t size_bytes;

        if (!is_flat(&copy, VALUE_DEPTH)) {
                rpc_error(call, ERROR_INVALID_PARAMS, "a shared value may have arrays and maps %d deep",
                          VALUE_DEPTH);
                return -EINVAL;
        }
        int r = reader_skip(reader, &data, &size_bytes, NULL);
        if (r == 0)
                r = payload_new(call->daemon->payloads, data, size_bytes, NULL, 0, &ret->payload);
        if (r < 0) {
                rpc_refuse(call, r);
                return r;
        }
        ret->size_bytes = payload_cost_bytes(size_bytes, 0);
        return 0;
}

void rpc_values_drop(struct rpc_call *call, struct rpc_values *values, bool taken)
{
        for (size_t i = 0; !taken && i < values->n; i++)
                payload_drop(call->daemon->payloads, values->values[i].payload);
        free(values->values);
        *values = (struct rpc_values){0};
}

int rpc_may_be_so_many(struct rpc_call *call, uint32_t n)
{
        if (n <= LIMIT_ITEMS)
                return 0;
        rpc_error(call, ERROR_TOO_LARGE, "%s takes at most %d at a time, not %u", call->method->name,
                  LIMIT_ITEMS, n);
        return -E2BIG;
}

int rpc_values(struct rpc_call *call, struct reader *reader, size_t n, struct rpc_values *ret)
{
        *ret = (struct rpc_values){.values = calloc(n ? n : 1, sizeof(*ret->values))};
        if (!ret->values) {
                rpc_refuse(call, -ENOMEM);
                return -ENOMEM;
        }
        for (; ret->n < n; ret->n++) {
                int r = rpc_value(call, reader, &ret->values[ret->n]);
                if (r < 0) {
                        rpc_values_drop(call, ret, false);
                        return r;
                }
        }
        return 0;
}
