/* SPDX-License-Identifier: MIT */
/*
 * The scanner and the reader against msgpack-c's unpacker, and against themselves with the bytes in pieces.
 * What the scanner passes, msgpack-c unpacks to the same size and the reader walks to the same values; what
 * the scanner calls incomplete, msgpack-c does too; what it calls reserved, msgpack-c refuses. The reader is
 * also let loose on bytes that no scanner has seen: it may refuse, never look beyond the end.
 * Where the scanner knows limits that msgpack-c does not, they are ganger's own: size (SCAN_LARGE), depth
 * (SCAN_DEEP), the form of ext 71 (SCAN_BAD on another byte than 0xc1).
 */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "proto/descriptors.h"
#include "proto/envelope.h"
#include "proto/scan.h"
#include "tests/fuzz/must.h"

#define MAX_BYTES (1u << 16)

static void compare_container(struct reader *r, uint64_t n_values, const msgpack_object *values);

static void compare_value(struct reader *r, const msgpack_object *o)
{
        struct value v;

        MUST(reader_next(r, &v) == 0);
        switch (v.type) {
        case VALUE_NIL:
                MUST(o->type == MSGPACK_OBJECT_NIL);
                break;
        case VALUE_BOOL:
                MUST(o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean == v.as.boolean);
                break;
        case VALUE_UINT:
                MUST(o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == v.as.u);
                break;
        case VALUE_INT:
                MUST(o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && o->via.i64 == v.as.i);
                break;
        case VALUE_DOUBLE: /* by bits: it may be NaN */
                MUST(o->type == MSGPACK_OBJECT_FLOAT32 || o->type == MSGPACK_OBJECT_FLOAT64);
                MUST(memcmp(&o->via.f64, &v.as.d, sizeof v.as.d) == 0 || v.as.d != v.as.d);
                break;
        case VALUE_STR:
                MUST(o->type == MSGPACK_OBJECT_STR && o->via.str.size == v.size);
                MUST(v.size == 0 || memcmp(o->via.str.ptr, v.as.data, v.size) == 0);
                break;
        case VALUE_BIN:
                MUST(o->type == MSGPACK_OBJECT_BIN && o->via.bin.size == v.size);
                MUST(v.size == 0 || memcmp(o->via.bin.ptr, v.as.data, v.size) == 0);
                break;
        case VALUE_EXT:
                MUST(o->type == MSGPACK_OBJECT_EXT && o->via.ext.size == v.size);
                MUST(o->via.ext.type == v.ext_type);
                MUST(v.size == 0 || memcmp(o->via.ext.ptr, v.as.data, v.size) == 0);
                break;
        case VALUE_ARRAY:
                MUST(o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == v.size);
                compare_container(r, v.size, o->via.array.ptr);
                break;
        case VALUE_MAP:
                MUST(o->type == MSGPACK_OBJECT_MAP && o->via.map.size == v.size);
                /* a pair is two objects, one behind the other */
                compare_container(r, (uint64_t)v.size * 2, (const msgpack_object *)o->via.map.ptr);
                break;
        }
}

static void compare_container(struct reader *r, uint64_t n_values, const msgpack_object *values)
{
        for (uint64_t i = 0; i < n_values; i++)
                compare_value(r, &values[i]);
}

/* The whole of it at once, byte by byte, and in two pieces: always the same. */
static int scan_every_way(struct scan *s, const uint8_t *data, size_t size_bytes)
{
        struct scan pieces;
        size_t cut = size_bytes == 0 ? 0 : data[0] % size_bytes;
        int r, again = SCAN_MORE;

        scan_init(s, MAX_BYTES);
        r = scan_feed(s, data, size_bytes);
        scan_init(&pieces, MAX_BYTES);
        for (size_t there = 0; there <= size_bytes && again == SCAN_MORE; there++)
                again = scan_feed(&pieces, data, there);
        MUST(again == r && pieces.at == s->at && pieces.n_descriptors == s->n_descriptors);
        scan_init(&pieces, MAX_BYTES);
        again = scan_feed(&pieces, data, cut);
        if (again == SCAN_MORE)
                again = scan_feed(&pieces, data, size_bytes);
        MUST(again == r && pieces.at == s->at && pieces.n_descriptors == s->n_descriptors);
        MUST(s->at <= size_bytes);
        return r;
}

static void check_done(const struct scan *s, const uint8_t *data)
{
        struct reader r = reader_over(data, s->at), walk = r;
        uint32_t n_descriptors;
        msgpack_unpacked message;
        struct envelope e;
        size_t at = 0;

        MUST(s->at <= MAX_BYTES);
        MUST(reader_skip(&r, NULL, NULL, &n_descriptors) == 0);
        MUST(reader_at_end(&r) && n_descriptors == s->n_descriptors);
        msgpack_unpacked_init(&message);
        MUST(msgpack_unpack_next(&message, (const char *)data, s->at, &at) == MSGPACK_UNPACK_SUCCESS);
        MUST(at == s->at);
        compare_value(&walk, &message.data);
        MUST(reader_at_end(&walk));
        msgpack_unpacked_destroy(&message);
        if (envelope_parse(&e, data, s->at, NULL) == 0 && e.type != ENVELOPE_RESPONSE)
                for (uint32_t i = 0; i < e.n_params; i++)
                        MUST(reader_skip(&e.params, NULL, NULL, NULL) == 0);
}

static msgpack_unpack_return unpack(const uint8_t *data, size_t size_bytes)
{
        msgpack_unpacked message;
        msgpack_unpack_return r;
        size_t at = 0;

        msgpack_unpacked_init(&message);
        r = msgpack_unpack_next(&message, (const char *)data, size_bytes, &at);
        msgpack_unpacked_destroy(&message);
        return r;
}

static void read_unchecked(const uint8_t *data, size_t size_bytes)
{
        struct reader r = reader_over(data, size_bytes);
        struct envelope e;
        struct value v;

        while (reader_next(&r, &v) == 0)
                if (v.type == VALUE_STR || v.type == VALUE_BIN)
                        (void)utf8_valid(v.as.data, v.size);
        MUST(r.at <= r.end);
        r = reader_over(data, size_bytes);
        while (reader_skip(&r, NULL, NULL, NULL) == 0)
                MUST(r.at <= r.end);
        (void)envelope_parse(&e, data, size_bytes, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
        uint8_t *exact = malloc(size_bytes + (size_bytes == 0)); /* a sanitizer sees a read beyond it */
        struct scan s;
        int r;

        MUST(exact != NULL);
        if (size_bytes > 0)
                memcpy(exact, data, size_bytes);
        r = scan_every_way(&s, exact, size_bytes);
        MUST(scan_message(r) != NULL);
        if (size_bytes <= MAX_BYTES && scan_is_plain(exact, size_bytes))
                MUST(r == SCAN_DONE && s.at == size_bytes && s.n_descriptors == 0);
        switch ((enum scan_result)r) {
        case SCAN_DONE:
                check_done(&s, exact);
                break;
        case SCAN_MORE:
                MUST(unpack(exact, size_bytes) == MSGPACK_UNPACK_CONTINUE);
                break;
        case SCAN_BAD:
                if (exact[s.at] == 0xc1)
                        MUST(unpack(exact, s.at + 1) == MSGPACK_UNPACK_PARSE_ERROR);
                break;
        case SCAN_DEEP:
                MUST(s.depth == LIMIT_DEPTH);
                break;
        case SCAN_LARGE: /* not for msgpack-c: it would allocate what is declared */
                break;
        }
        read_unchecked(exact, size_bytes);
        free(exact);
        return 0;
}
