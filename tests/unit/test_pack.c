/* SPDX-License-Identifier: MIT */
/* The packer: the bytes of each call, whole messages or nothing when memory runs out. */
#include "proto/pack.h"

#include <errno.h>
#include <string.h>

#include "proto/envelope.h"
#include "proto/scan.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

static void check_bytes(struct packer *p, const void *bytes, size_t size_bytes)
{
        assert_int_equal(pack_end(p), 0);
        assert_int_equal(buffer_size(p->buffer), size_bytes);
        assert_memory_equal(buffer_at(p->buffer), bytes, size_bytes);
        buffer_deinit(p->buffer);
}
#define CHECK(p, bytes) check_bytes(p, bytes, sizeof(bytes) - 1)

static void test_values(void **state)
{
        struct buffer b = BUFFER_INIT;
        struct packer p;

        pack_begin(&p, &b);
        pack_nil(&p);
        pack_bool(&p, false);
        pack_bool(&p, true);
        pack_int(&p, -1);
        pack_int(&p, INT64_MIN);
        pack_uint(&p, 200);
        pack_uint(&p, UINT64_MAX);
        pack_double(&p, 0.5);
        CHECK(&p, "\xc0\xc2\xc3\xff\xd3\x80\0\0\0\0\0\0\0\xcc\xc8\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
                  "\xcb\x3f\xe0\0\0\0\0\0\0");

        pack_begin(&p, &b);
        pack_str(&p, "ab");
        pack_str(&p, NULL);
        pack_str_n(&p, "abc", 2);
        pack_str(&p, "");
        pack_bin(&p, "\0\1", 2);
        pack_bin(&p, NULL, 0);
        CHECK(&p, "\xa2"
                  "ab\xc0\xa2"
                  "ab\xa0\xc4\x02\0\1\xc4\x00");

        pack_begin(&p, &b);
        pack_array(&p, 16);
        pack_map(&p, 2);
        pack_raw(&p, "\x91\x90", 2);
        CHECK(&p, "\xdc\x00\x10\x82\x91\x90");
}

static void test_descriptor_passes_the_scanner(void **state)
{
        struct buffer b = BUFFER_INIT;
        struct packer p;
        struct scan s;

        pack_begin(&p, &b);
        pack_fd(&p);
        assert_int_equal(pack_end(&p), 0);
        scan_init(&s, 100);
        assert_int_equal(scan_feed(&s, buffer_at(&b), buffer_size(&b)), SCAN_DONE);
        assert_int_equal(s.n_descriptors, 1);
        CHECK(&p, "\xc7\x09\x47\x02\0\0\0\0\0\0\0\0");
}

static void test_envelopes(void **state)
{
        struct buffer b = BUFFER_INIT;
        struct packer p;
        struct envelope e;

        pack_begin(&p, &b);
        pack_response(&p, 7);
        pack_str(&p, "pong");
        CHECK(&p, "\x94\x01\x07\xc0\xa4pong");

        pack_begin(&p, &b);
        pack_error_response(&p, UINT32_MAX);
        pack_map(&p, 0);
        pack_nil(&p);
        CHECK(&p, "\x94\x01\xce\xff\xff\xff\xff\x80\xc0");

        pack_begin(&p, &b);
        pack_notification(&p, "stream", 1);
        pack_nil(&p);
        CHECK(&p, "\x93\x02\xa6stream\x91\xc0");

        pack_begin(&p, &b);
        pack_request(&p, 1, "task", 1);
        pack_uint(&p, 9);
        assert_int_equal(pack_end(&p), 0);
        assert_int_equal(envelope_parse(&e, buffer_at(&b), buffer_size(&b), NULL), 0);
        assert_int_equal(e.n_params, 1);
        CHECK(&p, "\x94\x00\x01\xa4task\x91\x09");
}

static void pack_scenario(struct packer *p)
{
        static const char big[3000];

        pack_request(p, 1, "call", 3);
        pack_bin(p, big, sizeof big);
        pack_fd(p);
        pack_raw(p, big, sizeof big);
        pack_str(p, "end");
}

static void test_out_of_memory_leaves_what_was_before(void **state)
{
        unsigned n = 0;
        bool failed;

        do {
                struct buffer b = BUFFER_INIT;
                struct packer p;
                assert_int_equal(buffer_append(&b, "before", 6), 0);
                buffer_consume(&b, 2);
                pack_begin(&p, &b);
                fault_alloc_arm(++n);
                pack_scenario(&p);
                failed = fault_alloc_disarm();
                assert_int_equal(pack_end(&p), failed ? -ENOMEM : 0);
                assert_memory_equal(buffer_at(&b), "fore", 4);
                if (failed)
                        assert_int_equal(buffer_size(&b), 4);
                else
                        assert_true(buffer_size(&b) > 6000);
                buffer_deinit(&b);
        } while (failed);
        assert_true(n > 2);
}

static void test_too_large_for_the_format(void **state)
{
        struct buffer b = BUFFER_INIT;
        struct packer p;

        pack_begin(&p, &b);
        pack_nil(&p);
        pack_bin(&p, "", (size_t)UINT32_MAX + 1);
        pack_nil(&p);
        assert_int_equal(pack_end(&p), -EMSGSIZE);
        assert_int_equal(buffer_size(&b), 0);
        pack_begin(&p, &b);
        pack_map(&p, (size_t)UINT32_MAX + 1);
        assert_int_equal(pack_end(&p), -EMSGSIZE);
        buffer_deinit(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_descriptor_passes_the_scanner),
                cmocka_unit_test(test_envelopes),
                cmocka_unit_test(test_out_of_memory_leaves_what_was_before),
                cmocka_unit_test(test_too_large_for_the_format),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
