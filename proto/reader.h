/* SPDX-License-Identifier: MIT */
/*
 * The reader: a cursor over MessagePack bytes that the scanner has checked. It never looks behind `end`,
 * allocates nothing, copies nothing: strings and raw values point into the bytes. The hot path; what is rare
 * uses the same.
 */
#ifndef PROTO_READER_H
#define PROTO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
        VALUE_NIL,
        VALUE_BOOL,
        VALUE_UINT,   /* any integer >= 0 */
        VALUE_INT,    /* an integer < 0 */
        VALUE_DOUBLE, /* float 32 and 64 */
        VALUE_STR,
        VALUE_BIN,
        VALUE_ARRAY,
        VALUE_MAP,
        VALUE_EXT,
};

struct value {
        enum value_type type;
        int8_t ext_type;
        uint32_t size; /* bytes of a str, bin, ext; elements of an array; pairs of a map */
        union {
                bool boolean;
                uint64_t u;
                int64_t i;
                double d;
                const uint8_t *data; /* str, bin, ext */
        } as;
};

struct reader {
        const uint8_t *at, *end;
};

/* NULL is no bytes; even + 0 is not defined for it. */
static inline struct reader reader_over(const void *data, size_t size_bytes)
{
        const uint8_t *begin = (const uint8_t *)data;

        /* cppcheck-suppress pointerOutOfBoundsCond ; whoever calls knows how large it is */
        return (struct reader){begin, size_bytes > 0 ? begin + size_bytes : begin};
}
static inline bool reader_at_end(const struct reader *r)
{
        return r->at == r->end;
}
/* The same as *r, for a cursor that has just moved: a copy of the whole, soon after a part of it was written,
 * takes the processor longer than to read a value. */
static inline struct reader reader_rest(const struct reader *r)
{
        return reader_over(r->at, (size_t)(r->end - r->at));
}
/* Reads the next value; of an array or map only its header. 0, or -ENODATA at the end, -EBADMSG if bytes are
 * cut. */
int reader_next(struct reader *r, struct value *ret);
/* Skips one whole value (without recursion); ret/ret_size (may be NULL) say where it lay; ret_n_descriptors
 * (may be NULL) counts its ext 71. */
int reader_skip(struct reader *r, const uint8_t **ret, size_t *ret_size_bytes, uint32_t *ret_n_descriptors);
/* Typed gets: 0, or -ENODATA, -EBADMSG, or -EINVAL if the next value is of another type (the cursor then
 * stays). */
int reader_uint_head(struct reader *r, uint64_t *ret); /* whatever form it has */
static inline int reader_uint(struct reader *r, uint64_t *ret)
{
        if (r->at == r->end || *r->at > 0x7f)
                return reader_uint_head(r, ret);
        *ret = *r->at++; /* the first byte is the number, as it is in most */
        return 0;
}
int reader_int(struct reader *r, int64_t *ret);   /* any integer that fits */
int reader_double(struct reader *r, double *ret); /* integers too */
int reader_bool(struct reader *r, bool *ret);
int reader_str_head(struct reader *r, const char **ret, size_t *ret_size_bytes);
/* A str, or a bin that is UTF-8. */
static inline int reader_str(struct reader *r, const char **ret, size_t *ret_size_bytes)
{
        if (r->at == r->end || (*r->at & 0xe0) != 0xa0 || (*r->at & 0x1f) >= r->end - r->at)
                return reader_str_head(r, ret, ret_size_bytes);
        *ret_size_bytes = *r->at++ & 0x1f; /* short, as most are */
        *ret = (const char *)r->at;
        r->at += *ret_size_bytes;
        return 0;
}
int reader_array_head(struct reader *r, uint32_t *ret_n);
static inline int reader_array(struct reader *r, uint32_t *ret_n)
{
        if (r->at == r->end || (*r->at & 0xf0) != 0x90)
                return reader_array_head(r, ret_n);
        *ret_n = *r->at++ & 0x0f;
        return 0;
}
int reader_map(struct reader *r, uint32_t *ret_n);
/* Whether the next value is nil; then it is skipped. */
bool reader_nil(struct reader *r);

/* The name of a value's type, for messages: "a string", "an integer". */
const char *value_type_name(enum value_type type);
/* Whether the value claims a descriptor; then of which kind (enum descriptor_kind), and the size it says. */
bool value_is_descriptor(const struct value *, unsigned *ret_kind, uint64_t *ret_size_bytes);
/* Whether the bytes are valid UTF-8 (no surrogates, no overlong forms). */
bool utf8_valid(const uint8_t *data, size_t size_bytes);

#endif
