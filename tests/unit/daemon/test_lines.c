/* SPDX-License-Identifier: MIT */
/* Lines: however it is cut into pieces, the same lines come out, none too long, none in the middle of a
 * character. */
#include "daemon/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cmocka_includes.h"

static char got[65536]; /* each line in brackets */

static void on_line(void *userdata, const char *line)
{
        size_t n = strlen(got);

        assert_true(strlen(line) > 0 && strlen(line) <= LINES_BYTES);
        snprintf(got + n, sizeof got - n, "[%s]", line);
}

/* Fed in pieces of that size, and ended. */
static const char *lines_of(const char *data, size_t size_bytes, size_t piece_bytes)
{
        struct lines *lines = calloc(1, sizeof *lines);

        got[0] = 0;
        for (size_t at = 0; at < size_bytes; at += piece_bytes)
                lines_feed(lines, (const uint8_t *)data + at,
                           size_bytes - at < piece_bytes ? size_bytes - at : piece_bytes, on_line, NULL);
        lines_flush(lines, on_line, NULL);
        lines_flush(lines, on_line, NULL);
        free(lines);
        return got;
}

static void test_any_pieces(void **state)
{
        static const char data[] = "one\n\ntwo\r\n\r\na\rb\0c\xff\n three";

        for (size_t piece = 1; piece < sizeof data; piece++)
                assert_string_equal(lines_of(data, sizeof data - 1, piece), "[one][two][a\rb?c\xff][ three]");
}

static void test_a_partial_line_waits(void **state)
{
        struct lines lines = {0};

        got[0] = 0;
        lines_feed(&lines, (const uint8_t *)"par", 3, on_line, NULL);
        assert_string_equal(got, "");
        lines_feed(&lines, (const uint8_t *)"tial\nrest", 9, on_line, NULL);
        assert_string_equal(got, "[partial]");
        lines_flush(&lines, on_line, NULL);
        assert_string_equal(got, "[partial][rest]");
}

static void test_long_lines_come_in_pieces(void **state)
{
        static char data[2 * LINES_BYTES + 10], expected[2 * LINES_BYTES + 100];

        memset(data, 'x', sizeof data);
        snprintf(expected, sizeof expected, "[%.*s][%.*s][xxxxxxxxxx]", LINES_BYTES, data, LINES_BYTES, data);
        assert_string_equal(lines_of(data, sizeof data, 700), expected);
        assert_string_equal(lines_of(data, LINES_BYTES, 700)[LINES_BYTES + 1] == ']' ? "exact" : got,
                            "exact");
}

static void test_no_character_is_torn(void **state)
{
        static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

        for (size_t c = 0; c < 3; c++)
                for (size_t before = 0; before < 5; before++) {
                        size_t n = strlen(characters[c]);
                        char data[LINES_BYTES + 64];
                        memset(data, 'x', sizeof data);
                        for (size_t at = before; at + n <= sizeof data; at += n)
                                memcpy(data + at, characters[c], n);
                        lines_of(data, sizeof data - 8, 1);
                        const char *cut = strstr(got, "][");
                        assert_non_null(cut);
                        assert_true(((uint8_t)cut[2] & 0xc0) !=
                                    0x80); /* the next piece begins with a whole one */
                        assert_true((size_t)(cut - got - 1) > LINES_BYTES - 4);
                }
}

static void test_continuation_bytes_alone(void **state)
{
        static char data[3 * LINES_BYTES];
        size_t n = 0;

        memset(data, 0x80, sizeof data);
        for (const char *at = lines_of(data, sizeof data, 100); *at; at++)
                n += *at == (char)0x80;
        assert_int_equal(n, sizeof data);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_any_pieces),
                cmocka_unit_test(test_a_partial_line_waits),
                cmocka_unit_test(test_long_lines_come_in_pieces),
                cmocka_unit_test(test_no_character_is_torn),
                cmocka_unit_test(test_continuation_bytes_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
