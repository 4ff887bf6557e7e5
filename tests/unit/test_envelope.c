/* SPDX-License-Identifier: MIT */
/* The envelope: the three kinds of message, and whatever else an array can be. */
#include "proto/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cmocka_includes.h"

#define PARSE(ret, bytes) envelope_parse(ret, (const uint8_t *)(bytes), sizeof(bytes) - 1, NULL)

static void test_request(void **state)
{
        static const char bytes[] = "\x94\x00\xce\xff\xff\xff\xff\xa4"
                                    "call\x92\xa4"
                                    "echo\x91\x07";
        struct envelope e;
        const char *text;
        size_t size;

        assert_int_equal(PARSE(&e, bytes), 0);
        assert_int_equal(e.type, ENVELOPE_REQUEST);
        assert_true(e.msgid == UINT32_MAX);
        assert_int_equal(e.method_size_bytes, 4);
        assert_memory_equal(e.method, "call", 4);
        assert_int_equal(e.n_params, 2);
        assert_int_equal(reader_str(&e.params, &text, &size), 0);
        assert_memory_equal(text, "echo", size);
        assert_int_equal(reader_skip(&e.params, NULL, NULL, NULL), 0);
        assert_true(reader_at_end(&e.params));
}

static void test_notification(void **state)
{
        struct envelope e;

        assert_int_equal(PARSE(&e, "\x93\x02\xc4\x04more\x90"), 0); /* a name may be bin */
        assert_int_equal(e.type, ENVELOPE_NOTIFICATION);
        assert_memory_equal(e.method, "more", 4);
        assert_int_equal(e.n_params, 0);
        assert_true(reader_at_end(&e.params));
}

static void test_response(void **state)
{
        struct envelope e;
        uint32_t n;

        assert_int_equal(PARSE(&e, "\x94\x01\x05\xc0\x92\x01\x02"), 0);
        assert_int_equal(e.type, ENVELOPE_RESPONSE);
        assert_int_equal(e.msgid, 5);
        assert_null(e.method);
        assert_true(reader_nil(&e.error));
        assert_true(reader_at_end(&e.error));
        assert_int_equal(reader_array(&e.result, &n), 0);
        assert_int_equal(e.result.end - e.result.at, 2);

        assert_int_equal(PARSE(&e, "\x94\x01\x05\x81\xa1k\x90\xc0"), 0);
        assert_int_equal(e.error.end - e.error.at, 4);
        assert_true(reader_nil(&e.result));
}

static void test_bad_envelopes(void **state)
{
        static const struct {
                const char *bytes;
                size_t size;
                const char *why;
        } bad[] = {
#define BAD(bytes, why) {bytes, sizeof(bytes) - 1, why}
                BAD("", "array"),
                BAD("\x05", "array"),
                BAD("\xa1x", "array"),
                BAD("\x81\x00\x00", "array"),
                BAD("\x90", "0, 1 or 2"),
                BAD("\x94\x03\x00\xa1x\x90", "0, 1 or 2"),
                BAD("\x94\xff\x00\xa1x\x90", "0, 1 or 2"),
                BAD("\x94\xc0\x00\xa1x\x90", "0, 1 or 2"),
                BAD("\x93\x00\x00\xa1x", "four elements"),
                BAD("\x95\x00\x00\xa1x\x90\x90", "four elements"),
                BAD("\x94\x02\xa1x\x90\x90", "four elements"),
                BAD("\x94\x00\xff\xa1x\x90", "msgid"),
                BAD("\x94\x00\xa1x\xa1x\x90", "msgid"),
                BAD("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1x\x90", "msgid"),
                BAD("\x94\x00\x00\x07\x90", "method"),
                BAD("\x94\x00\x00\xc4\x01\xff\x90", "method"),
                BAD("\x93\x02\xc0\x90", "method"),
                BAD("\x94\x00\x00\xa1x\xc0", "parameters"),
                BAD("\x94\x00\x00\xa1x\x80", "parameters"),
                BAD("\x94\x01\x00", "without an error"),
                BAD("\x94\x01\x00\xc0", "without a result"),
#undef BAD
        };

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                struct envelope e;
                const char *why = NULL;
                assert_int_equal(envelope_parse(&e, (const uint8_t *)bad[i].bytes, bad[i].size, &why),
                                 -EBADMSG);
                assert_non_null(why);
                if (strstr(why, bad[i].why) == NULL)
                        fail_msg("case %zu: \"%s\" does not speak of \"%s\"", i, why, bad[i].why);
        }
}

static void test_every_cut_is_refused(void **state)
{
        static const char bytes[] = "\x94\x00\xcd\x01\x02\xa4"
                                    "ping\xdc\x00\x00";

        for (size_t size = 0; size < sizeof bytes - 1; size++) {
                uint8_t *exact = malloc(size + (size == 0));
                struct envelope e;
                memcpy(exact, bytes, size);
                assert_int_equal(envelope_parse(&e, exact, size, NULL), -EBADMSG);
                free(exact);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_notification),
                cmocka_unit_test(test_response),
                cmocka_unit_test(test_bad_envelopes),
                cmocka_unit_test(test_every_cut_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
