/* SPDX-License-Identifier: MIT */
/* The reader: every format, every cut, typed gets, skipping without recursion, UTF-8. */
#include "proto/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cmocka_includes.h"

#define BYTES(text) text, sizeof(text) - 1

static const struct {
        const char *bytes;
        size_t size_bytes;
        enum value_type type;
        int64_t number; /* or the size */
} formats[] = {
        {BYTES("\xc0"), VALUE_NIL, 0},
        {BYTES("\xc2"), VALUE_BOOL, 0},
        {BYTES("\xc3"), VALUE_BOOL, 1},
        {BYTES("\x00"), VALUE_UINT, 0},
        {BYTES("\x7f"), VALUE_UINT, 127},
        {BYTES("\xcc\xff"), VALUE_UINT, 255},
        {BYTES("\xcd\x01\x02"), VALUE_UINT, 0x102},
        {BYTES("\xce\xff\x02\x03\x04"), VALUE_UINT, 0xff020304},
        {BYTES("\xcf\x01\x02\x03\x04\x05\x06\x07\x08"), VALUE_UINT, 0x102030405060708},
        {BYTES("\xe0"), VALUE_INT, -32},
        {BYTES("\xff"), VALUE_INT, -1},
        {BYTES("\xd0\x80"), VALUE_INT, -128},
        {BYTES("\xd1\x80\x00"), VALUE_INT, -32768},
        {BYTES("\xd2\x80\x00\x00\x00"), VALUE_INT, INT32_MIN},
        {BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), VALUE_INT, INT64_MIN},
        {BYTES("\xd0\x05"), VALUE_UINT, 5}, /* signed formats that hold no negative number */
        {BYTES("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), VALUE_UINT, INT64_MAX},
        {BYTES("\xca\xc0\x00\x00\x00"), VALUE_DOUBLE, -2},
        {BYTES("\xcb\x40\x59\x00\x00\x00\x00\x00\x00"), VALUE_DOUBLE, 100},
        {BYTES("\xa0"), VALUE_STR, 0},
        {BYTES("\xa3"
               "abc"),
         VALUE_STR, 3},
        {BYTES("\xbf"
               "0123456789012345678901234567890"),
         VALUE_STR, 31},
        {BYTES("\xd9\x01x"), VALUE_STR, 1},
        {BYTES("\xda\x00\x01x"), VALUE_STR, 1},
        {BYTES("\xdb\x00\x00\x00\x01x"), VALUE_STR, 1},
        {BYTES("\xc4\x02xy"), VALUE_BIN, 2},
        {BYTES("\xc5\x00\x02xy"), VALUE_BIN, 2},
        {BYTES("\xc6\x00\x00\x00\x02xy"), VALUE_BIN, 2},
        {BYTES("\xd4\x05x"), VALUE_EXT, 1},
        {BYTES("\xd5\x05xx"), VALUE_EXT, 2},
        {BYTES("\xd6\x05xxxx"), VALUE_EXT, 4},
        {BYTES("\xd7\x05xxxxxxxx"), VALUE_EXT, 8},
        {BYTES("\xd8\x05xxxxxxxxxxxxxxxx"), VALUE_EXT, 16},
        {BYTES("\xc7\x03\x05xxx"), VALUE_EXT, 3},
        {BYTES("\xc8\x00\x03\x05xxx"), VALUE_EXT, 3},
        {BYTES("\xc9\x00\x00\x00\x03\x05xxx"), VALUE_EXT, 3},
        {BYTES("\x90"), VALUE_ARRAY, 0},
        {BYTES("\x9f"), VALUE_ARRAY, 15},
        {BYTES("\xdc\x01\x00"), VALUE_ARRAY, 256},
        {BYTES("\xdd\xff\xff\xff\xff"), VALUE_ARRAY, 0xffffffff},
        {BYTES("\x8f"), VALUE_MAP, 15},
        {BYTES("\xde\x01\x00"), VALUE_MAP, 256},
        {BYTES("\xdf\x00\x01\x00\x00"), VALUE_MAP, 65536},
};

static void check_value(const struct value *v, enum value_type type, int64_t number)
{
        assert_int_equal(v->type, type);
        switch (type) {
        case VALUE_NIL:
                break;
        case VALUE_BOOL:
                assert_int_equal(v->as.boolean, number);
                break;
        case VALUE_UINT:
                assert_int_equal(v->as.u, number);
                break;
        case VALUE_INT:
                assert_int_equal(v->as.i, number);
                break;
        case VALUE_DOUBLE:
                assert_true(v->as.d == (double)number);
                break;
        case VALUE_EXT:
                assert_int_equal(v->ext_type, 5);
                assert_int_equal(v->size, number);
                break;
        case VALUE_STR:
        case VALUE_BIN:
        case VALUE_ARRAY:
        case VALUE_MAP:
                assert_int_equal(v->size, number);
                break;
        }
}

static void test_every_format_and_every_cut(void **state)
{
        for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
                for (size_t size = 0; size <= formats[i].size_bytes; size++) {
                        uint8_t *exact = malloc(size + (size == 0)); /* so that a read beyond is seen */
                        struct reader r = reader_over(exact, size);
                        struct value v;
                        memcpy(exact, formats[i].bytes, size);
                        if (size == formats[i].size_bytes) {
                                assert_int_equal(reader_next(&r, &v), 0);
                                assert_true(reader_at_end(&r));
                                check_value(&v, formats[i].type, formats[i].number);
                        } else {
                                assert_int_equal(reader_next(&r, &v), size == 0 ? -ENODATA : -EBADMSG);
                                assert_ptr_equal(r.at, exact);
                                assert_int_equal(reader_skip(&r, NULL, NULL, NULL),
                                                 size == 0 ? -ENODATA : -EBADMSG);
                                assert_ptr_equal(r.at, exact);
                        }
                        free(exact);
                }
        }
}

static void test_reserved_byte(void **state)
{
        struct reader r = reader_over("\xc1", 1);
        struct value v;

        assert_int_equal(reader_next(&r, &v), -EBADMSG);
        assert_int_equal(reader_skip(&r, NULL, NULL, NULL), -EBADMSG);
}

static void test_skip_says_where_and_counts_descriptors(void **state)
{
        static const char bytes[] = "\x01\x82\xa1k\x93\x01\xc7\x09\x47\x02\0\0\0\0\0\0\0\0\xc0"
                                    "\xc7\x09\x47\x02\0\0\0\0\0\0\0\0\x90\x05";
        struct reader r = reader_over(bytes, sizeof bytes - 1);
        const uint8_t *at;
        size_t size;
        uint32_t n_descriptors = 9;

        assert_int_equal(reader_skip(&r, NULL, NULL, &n_descriptors), 0);
        assert_int_equal(n_descriptors, 0);
        assert_int_equal(reader_skip(&r, &at, &size, &n_descriptors), 0);
        assert_ptr_equal(at, bytes + 1);
        assert_int_equal(size, sizeof bytes - 3);
        assert_int_equal(n_descriptors, 2);
        assert_int_equal(reader_skip(&r, NULL, NULL, NULL), 0);
        assert_true(reader_at_end(&r));
        assert_int_equal(reader_skip(&r, NULL, NULL, NULL), -ENODATA);
}

static void test_skip_does_not_recurse(void **state)
{
        size_t depth = 20u << 20;
        uint8_t *deep = malloc(depth + 1);
        struct reader r;

        memset(deep, 0x91, depth);
        deep[depth] = 0xc0;
        r = reader_over(deep, depth);
        assert_int_equal(reader_skip(&r, NULL, NULL, NULL), -EBADMSG);
        assert_ptr_equal(r.at, deep);
        r.end++;
        assert_int_equal(reader_skip(&r, NULL, NULL, NULL), 0);
        assert_true(reader_at_end(&r));
        memset(deep, 0xdf, depth); /* maps of 0xdfdfdfdf pairs within each other: the count cannot overflow */
        r = reader_over(deep, depth);
        assert_int_equal(reader_skip(&r, NULL, NULL, NULL), -EBADMSG);
        free(deep);
}

static void test_typed_gets_stay_at_another_type(void **state)
{
        struct reader r = reader_over("\xa1x", 2), before = r;
        uint64_t u;
        int64_t i;
        double d;
        bool b;
        uint32_t n;
        const char *text;
        size_t size;

        assert_int_equal(reader_uint(&r, &u), -EINVAL);
        assert_int_equal(reader_int(&r, &i), -EINVAL);
        assert_int_equal(reader_double(&r, &d), -EINVAL);
        assert_int_equal(reader_bool(&r, &b), -EINVAL);
        assert_int_equal(reader_array(&r, &n), -EINVAL);
        assert_int_equal(reader_map(&r, &n), -EINVAL);
        assert_false(reader_nil(&r));
        assert_memory_equal(&r, &before, sizeof r);
        assert_int_equal(reader_str(&r, &text, &size), 0);
        assert_true(reader_at_end(&r));
        assert_int_equal(reader_str(&r, &text, &size), -ENODATA);
        assert_int_equal(reader_array(&r, &n), -ENODATA);
        assert_false(reader_nil(&r));
        r = reader_over("\xdc\x01", 2);
        assert_int_equal(reader_array(&r, &n), -EBADMSG);
        assert_int_equal(reader_uint(&r, &u), -EBADMSG);
}

static void test_integers_that_fit(void **state)
{
        struct reader r = reader_over(
                BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xff\x07\xff\x05\xca\x3f\x00\x00\x00"));
        uint64_t u;
        int64_t i;
        double d;

        assert_int_equal(reader_int(&r, &i), -EINVAL);
        assert_int_equal(reader_uint(&r, &u), 0);
        assert_true(u == UINT64_MAX);
        assert_int_equal(reader_uint(&r, &u), -EINVAL);
        assert_int_equal(reader_int(&r, &i), 0);
        assert_int_equal(i, -1);
        assert_int_equal(reader_int(&r, &i), 0);
        assert_int_equal(i, 7);
        assert_int_equal(reader_double(&r, &d), 0);
        assert_true(d == -1);
        assert_int_equal(reader_double(&r, &d), 0);
        assert_true(d == 5);
        assert_int_equal(reader_uint(&r, &u), -EINVAL);
        assert_int_equal(reader_double(&r, &d), 0);
        assert_true(d == 0.5);
}

static void test_walk(void **state)
{
        struct reader r = reader_over("\x93\x81\xa1k\xc3\xc0\xc4\x02\xc3\xa4", 10);
        uint32_t n;
        bool b;
        const char *text;
        size_t size;

        assert_int_equal(reader_array(&r, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(reader_map(&r, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(reader_str(&r, &text, &size), 0);
        assert_int_equal(reader_bool(&r, &b), 0);
        assert_true(b);
        assert_true(reader_nil(&r));
        assert_int_equal(reader_str(&r, &text, &size), 0); /* bin that is UTF-8 */
        assert_int_equal(size, 2);
        assert_true(reader_at_end(&r));
        r = reader_over("\xc4\x01\xff", 3);
        assert_int_equal(reader_str(&r, &text, &size), -EINVAL);
}

static void test_utf8(void **state)
{
        static const char *const good[] = {"",
                                           "plain",
                                           "\u00e4\u00f6\u00fc",
                                           "\xc2\x80",
                                           "\xdf\xbf",
                                           "\xe0\xa0\x80",
                                           "\xed\x9f\xbf",
                                           "\xee\x80\x80",
                                           "\xef\xbf\xbf",
                                           "\xf0\x90\x80\x80",
                                           "\xf4\x8f\xbf\xbf",
                                           "12345678\xc3\xa4."};
        static const char *const bad[] = {"\x80",
                                          "\xbf",
                                          "\xc0\x80",
                                          "\xc1\xbf",
                                          "\xc3",
                                          "\xc3x",
                                          "\xe0\x9f\xbf",
                                          "\xe4\xb8",
                                          "\xe4\xb8x",
                                          "\xed\xa0\x80",
                                          "\xf0\x8f\xbf\xbf",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xf0\x90\x80",
                                          "\xff",
                                          "1234567\xff",
                                          "12345678\xfe"};

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
                assert_true(utf8_valid((const uint8_t *)good[i], strlen(good[i])));
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                assert_false(utf8_valid((const uint8_t *)bad[i], strlen(bad[i])));
        assert_false(utf8_valid((const uint8_t *)"\u00e4", 1)); /* the rest is not ours */
}

static void test_type_names(void **state)
{
        assert_string_equal(value_type_name(VALUE_STR), "a string");
        assert_string_equal(value_type_name(VALUE_INT), "an integer");
        for (int type = VALUE_NIL; type <= VALUE_EXT; type++)
                assert_non_null(value_type_name((enum value_type)type));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_format_and_every_cut),
                cmocka_unit_test(test_reserved_byte),
                cmocka_unit_test(test_skip_says_where_and_counts_descriptors),
                cmocka_unit_test(test_skip_does_not_recurse),
                cmocka_unit_test(test_typed_gets_stay_at_another_type),
                cmocka_unit_test(test_integers_that_fit),
                cmocka_unit_test(test_walk),
                cmocka_unit_test(test_utf8),
                cmocka_unit_test(test_type_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
