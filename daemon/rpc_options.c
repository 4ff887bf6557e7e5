/* SPDX-License-Identifier: MIT */
/*
 * Decoding the map of options by tables. What is wrong is answered at once and names the option, what it was
 * and what it may be.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/rpc_private.h"
#include "proto/limits.h"

#define SHOWN_BYTES 64

static int wrong(struct rpc_call *call, const struct option_rule *rule, const struct value *got,
                 const char *want)
{
        char number[SHOWN_BYTES] = "";

        if (got->type == VALUE_UINT)
                snprintf(number, sizeof(number), " %llu", (unsigned long long)got->as.u);
        else if (got->type == VALUE_INT)
                snprintf(number, sizeof(number), " %lld", (long long)got->as.i);
        else if (got->type == VALUE_DOUBLE)
                snprintf(number, sizeof(number), " %g", got->as.d);
        rpc_error(call, ERROR_INVALID_PARAMS, "option %s of %s must be %s, not %s%s", rule->name,
                  call->method->name, want, value_type_name(got->type), number);
        return -EINVAL;
}

/* The value that stands next, for a message; the reader stays where it is. */
static struct value peek(const struct reader *reader)
{
        struct reader copy = *reader;
        struct value value = {.type = VALUE_NIL};
        reader_next(&copy, &value);
        return value;
}

static int decode_text(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                       size_t max_bytes, struct option_value *ret)
{
        struct value got = peek(reader);

        if (reader_str(reader, &ret->text, &ret->text_size_bytes) < 0)
                return wrong(call, rule, &got, "a string");
        if (ret->text_size_bytes > max_bytes) {
                rpc_error(call, ERROR_INVALID_PARAMS, "option %s of %s has %zu bytes; it may have %zu",
                          rule->name, call->method->name, ret->text_size_bytes, max_bytes);
                return -EINVAL;
        }
        if (memchr(ret->text, 0, ret->text_size_bytes) ||
            !utf8_valid((const uint8_t *)ret->text, ret->text_size_bytes)) {
                rpc_error(call, ERROR_INVALID_PARAMS, "option %s of %s must be UTF-8 without a 0 byte",
                          rule->name, call->method->name);
                return -EINVAL;
        }
        return 0;
}

static int decode_level(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                        struct option_value *ret)
{
        struct value got = peek(reader);
        if (reader_int(reader, &ret->level) < 0 || ret->level < -100 || ret->level > 100)
                return wrong(call, rule, &got, "an integer from -100 to 100");
        return 0;
}

static int decode_seconds(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                          struct option_value *ret)
{
        struct value got = peek(reader);
        double seconds;

        if (reader_double(reader, &seconds) < 0 || !(seconds >= 0 && seconds <= LIMIT_SECONDS))
                return wrong(call, rule, &got, "a number of seconds from 0 to 1000000000");
        ret->duration = (int64_t)(seconds * (double)CORE_SECOND);
        return 0;
}

static int decode_retries(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                          struct option_value *ret)
{
        struct value got = peek(reader);
        if (reader_uint(reader, &ret->count) < 0 || ret->count > LIMIT_RETRIES)
                return wrong(call, rule, &got, "an integer from 0 to 1000000");
        return 0;
}

static int decode_count(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                        struct option_value *ret)
{
        struct value got = peek(reader);
        uint64_t min = rule->max ? rule->min : 1, max = rule->max ? rule->max : UINT32_MAX;
        char want[SHOWN_BYTES];

        if (reader_uint(reader, &ret->count) == 0 && ret->count >= min && ret->count <= max)
                return 0;
        snprintf(want, sizeof(want), "an integer from %llu to %llu", (unsigned long long)min,
                 (unsigned long long)max);
        return wrong(call, rule, &got, want);
}

static int decode_flag(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                       struct option_value *ret)
{
        struct value got = peek(reader);
        return reader_bool(reader, &ret->flag) < 0 ? wrong(call, rule, &got, "true or false") : 0;
}

static unsigned stream_bit(const char *name, size_t size_bytes)
{
        return stream_from_name(name, size_bytes);
}

static unsigned retry_end_bit(const char *name, size_t size_bytes)
{
        return retry_end_from_name(name, size_bytes);
}

/* A list of names, each of which is a bit. */
static int decode_names(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                        unsigned (*bit_of)(const char *, size_t), const char *want, unsigned *ret)
{
        struct value got = peek(reader);
        const char *name;
        size_t size_bytes;
        uint32_t n;

        if (reader_array(reader, &n) < 0)
                return wrong(call, rule, &got, want);
        for (; n > 0; n--) {
                got = peek(reader);
                if (reader_str(reader, &name, &size_bytes) < 0)
                        return wrong(call, rule, &got, want);
                unsigned bit = bit_of(name, size_bytes);
                if (!bit) {
                        rpc_error(call, ERROR_INVALID_PARAMS, "option %s of %s must be %s; \"%.*s\" is none",
                                  rule->name, call->method->name, want,
                                  (int)(size_bytes < SHOWN_BYTES ? size_bytes : SHOWN_BYTES), name);
                        return -EINVAL;
                }
                *ret |= bit;
        }
        return 0;
}

int rpc_option_value(struct rpc_call *call, const struct option_rule *rule, struct reader *reader,
                     struct option_value *ret)
{
        if (ret->given) {
                rpc_error(call, ERROR_INVALID_PARAMS, "option %s of %s is there twice", rule->name,
                          call->method->name);
                return -EINVAL;
        }
        ret->given = true;
        switch (rule->type) {
        case OPTION_NAME:
                return decode_text(call, rule, reader, LIMIT_NAME_BYTES, ret);
        case OPTION_TEXT:
                return decode_text(call, rule, reader, LIMIT_LABEL_BYTES, ret);
        case OPTION_LEVEL:
                return decode_level(call, rule, reader, ret);
        case OPTION_SECONDS:
                return decode_seconds(call, rule, reader, ret);
        case OPTION_COUNT:
                return decode_count(call, rule, reader, ret);
        case OPTION_FLAG:
                return decode_flag(call, rule, reader, ret);
        case OPTION_STREAMS:
                return decode_names(call, rule, reader, stream_bit,
                                    "a list of \"progress\", \"stdout\", \"stderr\"", &ret->streams);
        case OPTION_RETRIES:
                return decode_retries(call, rule, reader, ret);
        case OPTION_ENDS:
                return decode_names(call, rule, reader, retry_end_bit,
                                    "a list of \"worker_lost\", \"timed_out\", \"task_failed\"", &ret->ends);
        }
        return -EINVAL;
}

int rpc_option_name(struct rpc_call *call, struct reader *reader, const char **ret, size_t *ret_size_bytes)
{
        struct value got = peek(reader);
        if (reader_str(reader, ret, ret_size_bytes) == 0)
                return 0;
        rpc_error(call, ERROR_INVALID_PARAMS, "the options of %s have a key that is no string but %s",
                  call->method->name, value_type_name(got.type));
        return -EINVAL;
}

int rpc_option_unknown(struct rpc_call *call, const char *name, size_t size_bytes, const char *known)
{
        rpc_error(call, ERROR_INVALID_PARAMS, "%s has no option \"%.*s\"%s%s", call->method->name,
                  (int)(size_bytes < SHOWN_BYTES ? size_bytes : SHOWN_BYTES), name, *known ? "; it has " : "",
                  known);
        return -EINVAL;
}

static int unknown(struct rpc_call *call, const char *name, size_t size_bytes,
                   const struct option_rule *rules, size_t n)
{
        char known[512] = "";
        for (size_t i = 0, at = 0; i < n && at < sizeof(known); i++)
                at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", i ? ", " : "", rules[i].name);
        return rpc_option_unknown(call, name, size_bytes, known);
}

int rpc_options(struct rpc_call *call, const struct option_rule *rules, size_t n, struct option_value *ret)
{
        struct reader reader = call->options;

        memset(ret, 0, n * sizeof(*ret));
        for (uint32_t left = call->n_options; left > 0; left--) {
                const char *name;
                size_t size_bytes, i;
                int r = rpc_option_name(call, &reader, &name, &size_bytes);
                if (r < 0)
                        return r;
                for (i = 0; i < n; i++)
                        if (strlen(rules[i].name) == size_bytes &&
                            memcmp(rules[i].name, name, size_bytes) == 0)
                                break;
                r = i < n ? rpc_option_value(call, &rules[i], &reader, &ret[i])
                          : unknown(call, name, size_bytes, rules, n);
                if (r < 0)
                        return r;
        }
        return 0;
}
