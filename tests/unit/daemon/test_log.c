/* SPDX-License-Identifier: MIT */
/* The log: the look of a line in both formats, nothing from outside ends a line, limits, the journal's
 * prefix. */
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/daemon/capture.h"

static void test_text_line(void **state)
{
        const uid_t uid = 0;

        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_info("hello %d", 1);
        log_debug("not shown");
        log_with(LOG_LEVEL_WARNING,
                 LOG_FIELDS(.task = 7, .worker = 8, .uid = &uid, .pool = "p", .function = "f"), "ended");
        assert_string_equal(capture_end(),
                            "INFO hello 1\nWARNING ended task=7 worker=8 uid=0 pool=p function=f\n");
}

static void test_nothing_from_outside_ends_a_line(void **state)
{
        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_with(LOG_LEVEL_INFO, LOG_FIELDS(.function = "a\nERROR b"), "x\r\x1b[31m \xff \xc3\xa4 \xc2\x9b");
        assert_string_equal(capture_end(),
                            "INFO x\\x0d\\x1b[31m \\xff \xc3\xa4 \\xc2\\x9b function=a\\x0aERROR b\n");
}

static void test_json_line(void **state)
{
        const uid_t uid = 5;
        json_t *line;

        capture_begin();
        log_init(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
        log_with(LOG_LEVEL_DEBUG, LOG_FIELDS(.task = 7, .uid = &uid, .pool = "p\"\\"),
                 "a \"b\" \n \xff \xc3\xa4");
        line = json_loads(capture_end(), 0, NULL);
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
        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        log_with(LOG_LEVEL_INFO, LOG_FIELDS(.task = LIMIT_TASK_ID - 1, .pool = bad, .function = bad), "%s",
                 bad);
        line = json_loads(capture_end(), 0, NULL);
        assert_non_null(line);
        assert_non_null(json_object_get(line, "function"));
        json_decref(line);
        free(bad);
}

static void test_a_cause_has_its_share(void **state)
{
        struct log_limit limit = {0};
        unsigned n = 0;

        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        for (unsigned i = 0; i < 1000; i++)
                log_limited(&limit, LOG_LEVEL_INFO, NULL, "again");
        limit.since -= LOG_LIMIT_INTERVAL_S * INT64_C(1000000000);
        log_limited(&limit, LOG_LEVEL_INFO, NULL, "again");
        const char *text = capture_end();
        for (const char *at = text; (at = strstr(at, "INFO again\n")) != NULL; at++)
                n++;
        assert_int_equal(n, LOG_LIMIT_BURST + 1);
        assert_non_null(strstr(text, "INFO 990 messages were left out that are like this one: again\n"));
}

static void test_journal_prefix(void **state)
{
        struct stat st;
        char stream[64];

        capture_begin();
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
        assert_string_equal(capture_end(), "<3>ERROR x\nERROR y\n");
}

static void test_lost_lines_are_counted(void **state)
{
        int full = open("/dev/full", O_WRONLY);

        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        int file = dup(STDERR_FILENO);
        dup2(full, STDERR_FILENO);
        log_info("a");
        dup2(file, STDERR_FILENO);
        close(file);
        log_info("b");
        log_info("c");
        close(full);
        assert_string_equal(capture_end(), "WARNING 1 messages could not be written\nINFO b\nINFO c\n");
}

/* -- the journal, by who is given for it -- */

static char sent[16384]; /* each field in a line, each message ended by an empty one */
static int send_result;

static int fake_send(const struct iovec *fields, int n_fields)
{
        size_t n = strlen(sent);

        if (send_result < 0)
                return send_result;
        for (int i = 0; i < n_fields; i++)
                n += (size_t)snprintf(sent + n, sizeof sent - n, "%.*s\n", (int)fields[i].iov_len,
                                      (const char *)fields[i].iov_base);
        snprintf(sent + n, sizeof sent - n, "\n");
        return 0;
}

/* As if the captured standard error were the journal's. */
static void become_journal(void)
{
        struct stat st;
        char stream[64];

        fstat(STDERR_FILENO, &st);
        snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        log_use_journal(fake_send);
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        sent[0] = 0;
        send_result = 0;
}

static const char *end_journal(void)
{
        unsetenv("JOURNAL_STREAM");
        log_use_journal(NULL);
        return capture_end();
}

static void test_journal_fields(void **state)
{
        const uid_t uid = 0;
        char expected[1024];

        capture_begin();
        become_journal();
        int line = __LINE__ + 1;
        log_with(LOG_LEVEL_WARNING,
                 LOG_FIELDS(.task = 7, .worker = 8, .uid = &uid, .pool = "p", .function = "f\nMESSAGE=x",
                            .message_id = "0123456789abcdef0123456789abcdef"),
                 "a\n\"b\"");
        assert_string_equal(end_journal(), "");
        snprintf(expected, sizeof expected,
                 "MESSAGE=a\\x0a\"b\"\nPRIORITY=4\nSYSLOG_IDENTIFIER=gangerd\n"
                 "MESSAGE_ID=0123456789abcdef0123456789abcdef\nGANGER_TASK=7\nGANGER_WORKER_PID=8\n"
                 "GANGER_UID=0\nGANGER_POOL=p\nGANGER_FUNCTION=f\\x0aMESSAGE=x\n"
                 "CODE_FILE=tests/unit/daemon/test_log.c\nCODE_LINE=%d\nCODE_FUNC=test_journal_fields\n\n",
                 line);
        assert_string_equal(sent, expected);
}

static void test_a_module_is_named_as_the_source(void **state)
{
        capture_begin();
        become_journal();
        log_with(LOG_LEVEL_INFO, LOG_FIELDS(.file = "m.c", .line = 3, .stream = "stderr"), "a");
        end_journal();
        assert_non_null(strstr(sent, "\nGANGER_STREAM=stderr\nCODE_FILE=m.c\nCODE_LINE=3\n\n"));
        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_with(LOG_LEVEL_INFO, LOG_FIELDS(.file = "m.c", .line = 3, .stream = "stderr"), "a");
        assert_string_equal(capture_end(), "INFO a stream=stderr file=m.c line=3\n");
}

static void test_a_journal_that_takes_nothing(void **state)
{
        capture_begin();
        become_journal();
        send_result = -ECONNREFUSED;
        log_error("a");
        assert_non_null(strstr(end_journal(), "<3>{\"time\""));
}

static void test_shares(void **state)
{
        struct log_limit limit = {.burst = 3};
        static struct log_limits users = {.burst = 1};
        const int64_t interval = LOG_LIMIT_INTERVAL_S * INT64_C(1000000000);

        for (int i = 0; i < 3; i++)
                assert_true(log_limit_take(&limit, 100 + i));
        assert_false(log_limit_take(&limit, 103));
        assert_int_equal(limit.suppressed, 1);
        assert_int_equal(log_limit_ends(&limit), 100 + interval);
        assert_false(log_limit_take(&limit, 99 + interval));
        assert_true(log_limit_take(&limit, 100 + interval));
        assert_true(log_limit_take(log_limit_of(&users, 1000), 1));
        assert_false(log_limit_take(log_limit_of(&users, 1000), 1));
        assert_true(log_limit_take(log_limit_of(&users, 1001), 1)); /* another user's share */
}

static void test_what_was_left_out_is_told_in_time(void **state)
{
        static struct log_limit limit;
        const uid_t uid = 5;
        struct timespec clock;

        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        for (int i = 0; i < LOG_LIMIT_BURST + 7; i++)
                log_limited(&limit, LOG_LEVEL_WARNING, LOG_FIELDS(.uid = &uid), "number %d", i);
        clock_gettime(CLOCK_MONOTONIC, &clock);
        int64_t now = (int64_t)clock.tv_sec * 1000000000 + clock.tv_nsec;
        int64_t at = log_settle(now, false);
        assert_true(at > now && at <= now + LOG_LIMIT_INTERVAL_S * INT64_C(1000000000));
        assert_int_equal(log_settle(at, false), INT64_MAX);
        assert_int_equal(log_settle(at, true), INT64_MAX); /* once */
        const char *told = strstr(capture_end(), "number 9 uid=5\n");
        assert_non_null(told);
        assert_string_equal(told + strlen("number 9 uid=5\n"),
                            "WARNING 7 messages were left out that are like this one: number 10 uid=5\n");
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
                cmocka_unit_test(test_journal_fields),
                cmocka_unit_test(test_a_module_is_named_as_the_source),
                cmocka_unit_test(test_a_journal_that_takes_nothing),
                cmocka_unit_test(test_shares),
                cmocka_unit_test(test_what_was_left_out_is_told_in_time),
                cmocka_unit_test(test_levels),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
