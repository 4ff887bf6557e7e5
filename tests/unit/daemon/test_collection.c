/* SPDX-License-Identifier: MIT */
/* Collections: values in input order whatever order they came in, nil for what is missing, errors beside. */
#include "daemon/collection.h"

#include <errno.h>
#include <string.h>

#include "proto/pack.h"
#include "proto/reader.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

static int64_t add(struct collections *collections, uint64_t index, bool failed, const char *value)
{
        return collections_add(collections, 9, index, failed, (const uint8_t *)value, strlen(value));
}

static void packed(const struct collections *collections, uint64_t task, uint64_t count, struct buffer *ret)
{
        struct packer packer;

        pack_begin(&packer, ret);
        collections_pack(collections, task, count, &packer);
        assert_int_equal(pack_end(&packer), 0);
}

static void expect_name(struct reader *reader, const char *name)
{
        const char *got;
        size_t size_bytes;

        assert_int_equal(reader_str(reader, &got, &size_bytes), 0);
        assert_int_equal(size_bytes, strlen(name));
        assert_memory_equal(got, name, size_bytes);
}

static void test_values_in_input_order(void **state)
{
        struct collections collections = {0};
        struct buffer buffer = BUFFER_INIT;
        uint32_t n;
        uint64_t value;

        assert_true(add(&collections, 2, false, "\x2c") > 1);
        assert_true(add(&collections, 0, false, "\x2a") > 1);
        assert_true(add(&collections, 300, true, "\x07") > 1);
        packed(&collections, 9, 4, &buffer);
        struct reader reader = reader_over(buffer_at(&buffer), buffer_size(&buffer));
        expect_name(&reader, "values");
        assert_int_equal(reader_array(&reader, &n), 0);
        assert_int_equal(n, 4);
        assert_int_equal(reader_uint(&reader, &value), 0);
        assert_int_equal(value, 0x2a);
        assert_true(reader_nil(&reader));
        assert_int_equal(reader_uint(&reader, &value), 0);
        assert_int_equal(value, 0x2c);
        assert_true(reader_nil(&reader));
        expect_name(&reader, "errors");
        assert_int_equal(reader_array(&reader, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(reader_array(&reader, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(reader_uint(&reader, &value), 0);
        assert_int_equal(value, 300);
        assert_int_equal(reader_uint(&reader, &value), 0);
        assert_int_equal(value, 7);
        assert_true(reader_at_end(&reader));
        buffer_deinit(&buffer);
        collections_deinit(&collections);
}

static void test_nothing_was_collected(void **state)
{
        static const char want[] = "\xa6values\x92\xc0\xc0\xa6"
                                   "errors\x90";
        struct collections collections = {0};
        struct buffer buffer = BUFFER_INIT;

        packed(&collections, 1, 2, &buffer);
        assert_int_equal(buffer_size(&buffer), sizeof(want) - 1);
        assert_memory_equal(buffer_at(&buffer), want, sizeof(want) - 1);
        buffer_deinit(&buffer);
        collections_drop(&collections, 1);
        collections_deinit(&collections);
}

static void test_without_memory_an_item_is_refused_whole(void **state)
{
        for (unsigned n = 1;; n++) {
                struct collections collections = {0};
                fault_alloc_arm(n);
                int64_t first = add(&collections, 0, false, "\x01"),
                        second = add(&collections, 100, false, "\x02");
                int failed = fault_alloc_disarm();
                assert_int_equal(failed, first == -ENOMEM || second == -ENOMEM);
                assert_true(add(&collections, 0, false, "\x03") > 0);
                collections_drop(&collections, 9);
                assert_null(collections.by_task);
                if (!failed)
                        break;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values_in_input_order),
                cmocka_unit_test(test_nothing_was_collected),
                cmocka_unit_test(test_without_memory_an_item_is_refused_whole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
