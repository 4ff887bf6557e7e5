/* SPDX-License-Identifier: MIT */
/* The log: the look of a line in both formats, nothing from outside ends a line, limits, the journal's
 * prefix. */
#include "daemon/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/unit/cmocka_includes.h"

static int saved, captured;
static char text[65536];

static void capture(void)
{
        char path[] = "/tmp/ganger-log-XXXXXX";

        saved = dup(STDERR_FILENO);
        captured = mkstemp(path);
        assert_true(captured >= 0);
        unlink(path);
        dup2(captured, STDERR_FILENO);
}

static const char *captured_text(void)
{
        ssize_t n = pread(captured, text, sizeof text - 1, 0);

        dup2(saved, STDERR_FILENO);
        close(saved);
        close(captured);
        text[n > 0 ? n : 0] = 0;
        return text;
}

static void test_text_line(void **state)
{
        const uid_t uid = 0;

        capture();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_info("hello %d", 1);
        log_debug("not shown");
        log_with(LOG_LEVEL_WARNING,
                 LOG_FIELDS(.task = 7, .worker = 8, .uid = &uid, .pool = "p", .function = "f"), "ended");
        assert_string_equal(captured_text(),
                            "INFO hello 1\nWARNING ended task=7 worker=8 uid=0 pool=p function=f\n");
}

static void test_nothing_from_outside_ends_a_line(void **state)
{
        capture();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_with(LOG_LEVEL_INFO, LOG_FIELDS(.function = "a\nERROR b"), "x\r\x1b[31m \xff \xc3\xa4 \xc2\x9b");
        assert_string_equal(captured_text(),
                            "INFO x\\x0d\\x1b[31m \\xff \xc3\xa4 \\xc2\\x9b function=a\\x0aERROR b\n");
}

static void test_json_line(void **state)
{
        const uid_t uid = 5;
        json_t *line;

        capture();
        log_init(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
        log_with(LOG_LEVEL_DEBUG, LOG_FIELDS(.task = 7, .uid = &uid, .pool = "p\"\\"),
                 "a \"b\" \n \xff \xc3\xa4");
        line = json_loads(captured_text(), 0, NULL);
        assert_non_null(line);
        assert_string_equal(json_string_value(json_object_get(line, "level")), "debug");
        assert_string_equal(json_string_value(json_object_get(line, "message")),
                            "a \"b\" \n \xc3\xbf \xc3\xa4");
        assert_string_equal(json_string_value(json_object_get(line, "pool")), "p\"\\");
        assert_int_equal(json_integer_value(json_object_get(line, "task")), 7);
        assert_int_equal(json_integer_value(json_object_get(line, "uid")), 5);
        assert_true(json_real_value(json_object_get(line, "time")) > 1e9);
        json_decref(line);
}

static void test_a_long_line_is_cut_and_stays_whole(void **state)
{
        char *bad = malloc(10001);
        json_t *line;

        memset(bad, 1, 10000);
        bad[10000] = 0;
        capture();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        log_with(LOG_LEVEL_INFO, LOG_FIELDS(.task = LIMIT_TASK_ID - 1, .pool = bad, .function = bad), "%s",
                 bad);
        line = json_loads(captured_text(), 0, NULL);
        assert_non_null(line);
        assert_non_null(json_object_get(line, "function"));
        json_decref(line);
        free(bad);
}

static void test_a_cause_has_its_share(void **state)
{
        struct log_limit limit = {0};
        unsigned n = 0;

        capture();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        for (unsigned i = 0; i < 1000; i++)
                log_limited(&limit, LOG_LEVEL_INFO, NULL, "again");
        limit.since -= LOG_LIMIT_INTERVAL_S * INT64_C(1000000000);
        log_limited(&limit, LOG_LEVEL_INFO, NULL, "again");
        for (const char *at = captured_text(); (at = strstr(at, "INFO again\n")) != NULL; at++)
                n++;
        assert_int_equal(n, LOG_LIMIT_BURST + 1);
        assert_non_null(strstr(text, "INFO 990 messages were left out that are like this one: again\n"));
}

static void test_journal_prefix(void **state)
{
        struct stat st;
        char stream[64];

        capture();
        fstat(STDERR_FILENO, &st);
        snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_error("x");
        setenv("JOURNAL_STREAM", "1:1", 1); /* somebody else's */
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_error("y");
        unsetenv("JOURNAL_STREAM");
        assert_string_equal(captured_text(), "<3>ERROR x\nERROR y\n");
}

static void test_lost_lines_are_counted(void **state)
{
        int full = open("/dev/full", O_WRONLY);

        capture();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        dup2(full, STDERR_FILENO);
        log_info("a");
        dup2(captured, STDERR_FILENO);
        log_info("b");
        log_info("c");
        close(full);
        assert_string_equal(captured_text(), "WARNING 1 messages could not be written\nINFO b\nINFO c\n");
}

static void test_levels(void **state)
{
        for (enum log_level level = 0; level < N_LOG_LEVELS; level++)
                assert_int_equal(log_level_from_name(log_level_name(level)), level);
        assert_int_equal(log_level_from_name("loud"), N_LOG_LEVELS);
        log_set_level(LOG_LEVEL_ERROR);
        assert_int_equal(log_set_level(LOG_LEVEL_DEBUG), LOG_LEVEL_ERROR);
        assert_true(log_enabled(LOG_LEVEL_DEBUG));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text_line),
                cmocka_unit_test(test_nothing_from_outside_ends_a_line),
                cmocka_unit_test(test_json_line),
                cmocka_unit_test(test_a_long_line_is_cut_and_stays_whole),
                cmocka_unit_test(test_a_cause_has_its_share),
                cmocka_unit_test(test_journal_prefix),
                cmocka_unit_test(test_lost_lines_are_counted),
                cmocka_unit_test(test_levels),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
