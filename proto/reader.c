/* SPDX-License-Identifier: MIT */
/*
 * The reader decodes by the same table of first bytes as the scanner. It checks every length against the end
 * all the same: a reader over a part of a message (arguments that a task got, a result) must not depend on
 * who cut it out.
 */
#include "proto/reader.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "proto/descriptors.h"
#include "proto/head.h"

static inline size_t reader_left(const struct reader *r)
{
        return (size_t)(r->end - r->at);
}

/* The head of the next value: its entry in the table and its length. The head and, but for arrays and maps,
 * the `length` bytes behind it are there. */
static inline int reader_head(const struct reader *r, const struct first_byte **ret, uint32_t *ret_length)
{
        size_t left = reader_left(r);
        const struct first_byte *first;
        uint32_t length;

        if (left == 0)
                return -ENODATA;
        first = &first_byte_table[*r->at];
        if (first->type == FIRST_BYTE_RESERVED || first->head_bytes > left)
                return -EBADMSG;
        length = head_length(first, r->at);
        if (first->type != VALUE_ARRAY && first->type != VALUE_MAP && length > left - first->head_bytes)
                return -EBADMSG;
        *ret = first;
        *ret_length = length;
        return 0;
}

static uint64_t load_unsigned(const uint8_t *head, uint32_t length)
{
        switch (length) {
        case 0:
                return head[0]; /* the first byte is the number */
        case 1:
                return head[1];
        case 2:
                return load_be16(head + 1);
        case 4:
                return load_be32(head + 1);
        default:
                return load_be64(head + 1);
        }
}

static int64_t load_signed(const uint8_t *head, uint32_t length)
{
        switch (length) {
        case 0:
                return (int8_t)head[0];
        case 1:
                return (int8_t)head[1];
        case 2:
                return (int16_t)load_be16(head + 1);
        case 4:
                return (int32_t)load_be32(head + 1);
        default:
                return (int64_t)load_be64(head + 1);
        }
}

static double load_double(const uint8_t *head, uint32_t length)
{
        if (length == 4) {
                uint32_t bits = load_be32(head + 1);
                float value;
                memcpy(&value, &bits, sizeof value);
                return (double)value;
        }
        uint64_t bits = load_be64(head + 1);
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
}

int reader_next(struct reader *r, struct value *ret)
{
        const struct first_byte *first;
        const uint8_t *head = r->at;
        uint32_t length;
        int e;

        e = reader_head(r, &first, &length);
        if (e < 0)
                return e;
        ret->type = (enum value_type)first->type;
        ret->ext_type = 0;
        ret->size = 0;
        r->at = head + first->head_bytes;
        switch (ret->type) {
        case VALUE_ARRAY:
        case VALUE_MAP:
                ret->size = length;
                return 0;
        case VALUE_EXT:
                ret->ext_type = (int8_t)r->at[-1];
                ret->size = length;
                ret->as.data = r->at;
                break;
        case VALUE_STR:
        case VALUE_BIN:
                ret->size = length;
                ret->as.data = r->at;
                break;
        case VALUE_NIL:
                break;
        case VALUE_BOOL:
                ret->as.boolean = *head == 0xc3;
                break;
        case VALUE_UINT:
                ret->as.u = load_unsigned(head, length);
                break;
        case VALUE_INT:
                ret->as.i = load_signed(head, length);
                if (ret->as.i >= 0) {
                        ret->type = VALUE_UINT;
                        ret->as.u = (uint64_t)ret->as.i;
                }
                break;
        case VALUE_DOUBLE:
                ret->as.d = load_double(head, length);
                break;
        }
        r->at += length;
        return 0;
}

/* Passes a value of the forms that are in every message; whether it was one. As in scan_whole(), the
 * processor need not wait for the table then. */
static inline bool reader_pass_common(struct reader *r, uint64_t *left)
{
        size_t there = reader_left(r);

        if (there == 0)
                return false;
        if (head_is_small_array(*r->at)) {
                *left += *r->at++ & 0x0f;
        } else if ((*r->at & 0xe0) == 0xa0 && (*r->at & 0x1fu) < there) {
                r->at += 1 + (*r->at & 0x1f);
        } else if (*r->at < 0x80 || *r->at == 0xc0) {
                r->at++;
        } else if (*r->at == 0xc4 && there >= 2 && r->at[1] <= there - 2) {
                r->at += 2 + r->at[1];
        } else {
                return false;
        }
        --*left;
        return true;
}

int reader_skip(struct reader *r, const uint8_t **ret, size_t *ret_size_bytes, uint32_t *ret_n_descriptors)
{
        struct reader walk = *r;
        uint64_t left = 1; /* values still to skip: cannot overflow, each byte adds less than 2^33 */
        uint32_t n_descriptors = 0;

        do {
                const struct first_byte *first;
                uint32_t length;
                if (reader_pass_common(&walk, &left))
                        continue;
                int e = reader_head(&walk, &first, &length);
                if (e < 0)
                        return walk.at == r->at ? e : -EBADMSG;
                walk.at += first->head_bytes;
                left += head_children(first, length) - 1;
                if (first->type == VALUE_ARRAY || first->type == VALUE_MAP)
                        continue;
                if (first->type == VALUE_EXT && walk.at[-1] == EXT_DESCRIPTOR)
                        n_descriptors++;
                walk.at += length;
        } while (left > 0);
        if (ret != NULL)
                *ret = r->at;
        if (ret_size_bytes != NULL)
                *ret_size_bytes = (size_t)(walk.at - r->at);
        if (ret_n_descriptors != NULL)
                *ret_n_descriptors = n_descriptors;
        r->at = walk.at;
        return 0;
}

int reader_uint_head(struct reader *r, uint64_t *ret)
{
        const struct first_byte *first;
        uint32_t length;

        if (reader_left(r) >= 5 && *r->at == 0xce) {
                *ret = load_be32(r->at + 1);
                r->at += 5;
                return 0;
        }
        int e = reader_head(r, &first, &length);
        if (e < 0)
                return e;
        if (first->type == VALUE_UINT) {
                *ret = load_unsigned(r->at, length);
        } else if (first->type == VALUE_INT && load_signed(r->at, length) >= 0) {
                *ret = (uint64_t)load_signed(r->at, length);
        } else {
                return -EINVAL;
        }
        r->at += first->head_bytes + length;
        return 0;
}

int reader_int(struct reader *r, int64_t *ret)
{
        struct reader walk = *r;
        struct value v;
        int e = reader_next(&walk, &v);

        if (e < 0)
                return e;
        if (v.type == VALUE_UINT && v.as.u <= INT64_MAX)
                *ret = (int64_t)v.as.u;
        else if (v.type == VALUE_INT)
                *ret = v.as.i;
        else
                return -EINVAL;
        r->at = walk.at;
        return 0;
}

int reader_double(struct reader *r, double *ret)
{
        struct reader walk = *r;
        struct value v;
        int e = reader_next(&walk, &v);

        if (e < 0)
                return e;
        if (v.type == VALUE_DOUBLE)
                *ret = v.as.d;
        else if (v.type == VALUE_UINT)
                *ret = (double)v.as.u;
        else if (v.type == VALUE_INT)
                *ret = (double)v.as.i;
        else
                return -EINVAL;
        r->at = walk.at;
        return 0;
}

int reader_bool(struct reader *r, bool *ret)
{
        struct reader walk = *r;
        struct value v;
        int e = reader_next(&walk, &v);

        if (e < 0)
                return e;
        if (v.type != VALUE_BOOL)
                return -EINVAL;
        *ret = v.as.boolean;
        r->at = walk.at;
        return 0;
}

int reader_str_head(struct reader *r, const char **ret, size_t *ret_size_bytes)
{
        const struct first_byte *first;
        const uint8_t *data;
        uint32_t length;
        int e = reader_head(r, &first, &length);

        if (e < 0)
                return e;
        data = r->at + first->head_bytes;
        if (first->type != VALUE_STR && (first->type != VALUE_BIN || !utf8_valid(data, length)))
                return -EINVAL;
        *ret = (const char *)data;
        *ret_size_bytes = length;
        r->at = data + length;
        return 0;
}

static int reader_container(struct reader *r, enum value_type type, uint32_t *ret_n)
{
        const struct first_byte *first;
        uint32_t length;
        int e = reader_head(r, &first, &length);

        if (e < 0)
                return e;
        if (first->type != type)
                return -EINVAL;
        *ret_n = length;
        r->at += first->head_bytes;
        return 0;
}

int reader_array_head(struct reader *r, uint32_t *ret_n)
{
        return reader_container(r, VALUE_ARRAY, ret_n);
}

int reader_map(struct reader *r, uint32_t *ret_n)
{
        return reader_container(r, VALUE_MAP, ret_n);
}

bool reader_nil(struct reader *r)
{
        if (reader_at_end(r) || *r->at != 0xc0)
                return false;
        r->at++;
        return true;
}

const char *value_type_name(enum value_type type)
{
        static const char *const names[] = {
                [VALUE_NIL] = "nil",
                [VALUE_BOOL] = "a boolean",
                [VALUE_UINT] = "an integer",
                [VALUE_INT] = "an integer",
                [VALUE_DOUBLE] = "a floating-point number",
                [VALUE_STR] = "a string",
                [VALUE_BIN] = "binary data",
                [VALUE_ARRAY] = "an array",
                [VALUE_MAP] = "a map",
                [VALUE_EXT] = "an extension value",
        };
        return names[type];
}

bool value_is_descriptor(const struct value *value, unsigned *ret_kind, uint64_t *ret_size_bytes)
{
        uint64_t size;

        if (value->type != VALUE_EXT || value->ext_type != EXT_DESCRIPTOR ||
            value->size != EXT_DESCRIPTOR_SIZE_BYTES)
                return false;
        memcpy(&size, value->as.data + 1, sizeof size);
        *ret_kind = value->as.data[0];
        *ret_size_bytes = be64toh(size);
        return true;
}
