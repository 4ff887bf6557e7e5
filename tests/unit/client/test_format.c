/* SPDX-License-Identifier: MIT */
/* Values by format and back; formats that are none; a task's options. */
#include "client/format.h"

#include <errno.h>
#include <unistd.h>

#include "client/options.h"
#include "client/reply.h"
#include "tests/unit/cmocka_includes.h"

static int write_v(struct buffer *b, bool array, const char *format, va_list list)
{
        struct ganger_writer w;

        writer_begin(&w, b);
        if (array)
                writer_format_array(&w, format, list);
        else
                writer_format(&w, format, list);
        return writer_end(&w);
}

static int write_values(struct buffer *b, const char *format, ...)
{
        va_list list;
        int r;

        va_start(list, format);
        r = write_v(b, false, format, list);
        va_end(list);
        return r;
}

static int write_array(struct buffer *b, const char *format, ...)
{
        va_list list;
        int r;

        va_start(list, format);
        r = write_v(b, true, format, list);
        va_end(list);
        return r;
}

static void test_every_letter_there_and_back(void **state)
{
        struct buffer b = BUFFER_INIT;
        struct ganger_reply reply;
        const char *s, *none = "x";
        const void *y, *m;
        size_t y_size, m_size;
        int64_t i;
        uint64_t u;
        double d;
        int yes;

        assert_int_equal(write_values(&b, "[syiudbnm[us]{susu}]", "text", "\0\1", (size_t)2, INT64_MIN,
                                      UINT64_MAX, 0.5, 2, "\xa1z", (size_t)2, (uint64_t)9, NULL, "a",
                                      (uint64_t)1, "b", (uint64_t)2),
                         0);
        reply_borrow(&reply, reader_over(buffer_at(&b), buffer_size(&b)), false);
        assert_int_equal(ganger_read(&reply, "[syiudbns[us]m]", &s, &y, &y_size, &i, &u, &d, &yes, &none, &u,
                                     &none, &m, &m_size),
                         0);
        assert_string_equal(s, "text");
        assert_memory_equal(y, "\0\1", 2);
        assert_int_equal(y_size, 2);
        assert_true(i == INT64_MIN && u == 9 && yes == 1);
        assert_true(d > 0.49 && d < 0.51);
        assert_null(none);
        assert_int_equal(ganger_count(&reply), 10);
        assert_int_equal(ganger_read_item(&reply, 4, "u", &u), -EINVAL); /* that is the double … */
        assert_int_equal(ganger_read_item(&reply, 3, "u", &u), 0);       /* … and back to this one */
        assert_true(u == UINT64_MAX);
        assert_int_equal(ganger_read_item(&reply, 3, "i", &i), -EINVAL); /* does not fit */
        assert_int_equal(ganger_read_item(&reply, 10, "m", &m, &m_size), -ENOENT);
        reply_deinit(&reply);
        reply_borrow(&reply, reader_over(m, m_size), false);
        assert_int_equal(ganger_read_key(&reply, "b", "u", &u), 0);
        assert_true(u == 2);
        assert_int_equal(ganger_read_key(&reply, "c", "u", &u), -ENOENT);
        assert_int_equal(ganger_read_key(&reply, "a", "s", &s), -EINVAL);
        assert_int_equal(ganger_count(&reply), 2);
        reply_deinit(&reply);
        buffer_deinit(&b);
}

static void test_wrong_formats_write_nothing(void **state)
{
        static const char *const wrong[] = {"[",  "]",    "[s", "{s}",   "{us}",
                                            "[}", "{s[}", "x",  "[s x]", "{s{us}}"};
        char deep[80] = {0};
        struct buffer b = BUFFER_INIT;

        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
                assert_int_equal(write_values(&b, wrong[i], "", "", "", ""), -EINVAL);
                assert_int_equal(buffer_size(&b), 0);
        }
        assert_int_equal(write_values(&b, NULL), -EINVAL);
        memset(deep, '[', 33);
        memset(deep + 33, ']', 33);
        assert_int_equal(write_values(&b, deep), -EINVAL);
        assert_int_equal(write_values(&b, deep + 1), -EINVAL); /* one bracket too many behind */
        assert_int_equal(write_array(&b, "s", "x"), -EINVAL);
        assert_int_equal(write_array(&b, "[s][s]", "x", "y"), -EINVAL);
        assert_int_equal(write_array(&b, "m", "\x80", (size_t)1), -EINVAL); /* a map */
        assert_int_equal(buffer_size(&b), 0);
        assert_int_equal(write_array(&b, "m", "\x90", (size_t)1), 0);
        assert_int_equal(write_array(&b, NULL), 0);
        assert_int_equal(buffer_size(&b), 2);
        buffer_deinit(&b);
}

/* The descriptors of a value that claims one. */
static int write_with_one_fd(struct buffer *b, const char *bytes, size_t size_bytes)
{
        struct ganger_writer w;
        int n_fds;

        writer_begin(&w, b);
        assert_int_equal(ganger_write(&w, "M", bytes, size_bytes, (const int[]){0}, (size_t)1), 0);
        n_fds = (int)w.n_fds;
        while (w.n_fds > 0)
                close(w.fds[--w.n_fds]);
        assert_int_equal(writer_end(&w), 0);
        return n_fds;
}

static void test_ready_values_are_checked(void **state)
{
        static const struct {
                const char *bytes;
                size_t size_bytes;
        } wrong[] = {
                {"", 0},                                                  /* none */
                {"\x01\x02", 2},                                          /* two */
                {"\x92\x01", 2},                                          /* cut */
                {"\xc1", 1},                                              /* reserved */
                {"\xc7\x09\x47\x02\x00\x00\x00\x00\x00\x00\x00\x00", 12}, /* a descriptor's without one */
        };
        struct buffer b = BUFFER_INIT;

        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
                assert_int_equal(write_values(&b, "m", wrong[i].bytes, wrong[i].size_bytes), -EINVAL);
        assert_int_equal(write_values(&b, "M", wrong[4].bytes, wrong[4].size_bytes, NULL, (size_t)0),
                         -EINVAL);
        assert_int_equal(write_values(&b, "M", "\x01", (size_t)1, (const int[]){0}, (size_t)1), -EINVAL);
        assert_int_equal(buffer_size(&b), 0);
        assert_int_equal(write_with_one_fd(&b, wrong[4].bytes, wrong[4].size_bytes), 1);
        assert_int_equal(buffer_size(&b), wrong[4].size_bytes);
        buffer_deinit(&b);
}

static void test_descriptors_are_duplicated_and_counted(void **state)
{
        struct ganger_writer w;
        struct buffer b = BUFFER_INIT;

        writer_begin(&w, &b);
        assert_int_equal(ganger_write(&w, "[h{sh}]", 0, "out", 1), 0);
        assert_int_equal(w.n_fds, 2);
        assert_true(w.fds[0] > 2 && w.fds[1] > 2);
        assert_int_equal(ganger_write(&w, "h", -1), -EBADF);
        assert_int_equal(ganger_write(&w, "s", "after a failure"), -EBADF);
        assert_int_equal(writer_end(&w), -EBADF);
        assert_int_equal(w.n_fds, 0);
        writer_begin(&w, &b);
        for (int i = 0; i < LIMIT_DESCRIPTORS; i++)
                assert_int_equal(ganger_write(&w, "h", 0), 0);
        assert_int_equal(ganger_write(&w, "h", 0), -E2BIG);
        assert_int_equal(writer_end(&w), -E2BIG);
        assert_int_equal(buffer_size(&b), 0);
        buffer_deinit(&b);
}

static void test_reading_what_is_not_there(void **state)
{
        struct buffer b = BUFFER_INIT;
        struct ganger_reply reply;
        const char *s;
        uint64_t u;

        assert_int_equal(write_values(&b, "[uy]", (uint64_t)1, "a\0b", (size_t)3), 0);
        reply_borrow(&reply, reader_over(buffer_at(&b), buffer_size(&b)), false);
        assert_int_equal(ganger_read(&reply, "[u]", &u), -EINVAL); /* one too few */
        assert_int_equal(ganger_read(&reply, "[uss]", &u, &s, &s), -EINVAL);
        assert_int_equal(ganger_read(&reply, "[us]", &u, &s), -EINVAL); /* would be cut at its 0 byte */
        assert_int_equal(ganger_read(&reply, "u", &u), -EINVAL);
        assert_int_equal(ganger_read(&reply, "[uh]", &u, &u), -EINVAL);
        assert_int_equal(ganger_read(&reply, "[u", &u), -EINVAL);
        assert_int_equal(ganger_read(&reply, NULL), -EINVAL);
        assert_int_equal(ganger_read_key(&reply, "a", "u", &u), -EINVAL); /* it is no map */
        assert_string_equal(ganger_message(&reply), "");
        assert_string_equal(ganger_code_name(&reply), "");
        reply_deinit(&reply);
        buffer_deinit(&b);
}

static void test_codes(void **state)
{
        static const struct {
                const char *name;
                int code;
        } codes[] = {{"protocol_error", GANGER_PROTOCOL_ERROR},
                     {"expired", GANGER_EXPIRED},
                     {"of_tomorrow", GANGER_OTHER}};

        for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
                struct buffer b = BUFFER_INIT;
                struct ganger_reply reply;

                assert_int_equal(write_values(&b, "{ssss}", "message", "why", "code", codes[i].name), 0);
                reply_borrow(&reply, reader_over(buffer_at(&b), buffer_size(&b)), true);
                assert_int_equal(ganger_code(&reply), codes[i].code);
                assert_string_equal(ganger_code_name(&reply), codes[i].name);
                assert_string_equal(ganger_message(&reply), "why");
                reply_deinit(&reply);
                buffer_deinit(&b);
        }
}

static void test_options_only_what_is_set(void **state)
{
        static const char *const streams[] = {"stdout", "stderr", NULL};
        struct ganger_options in = GANGER_OPTIONS_INIT, options;
        struct ganger_reply reply;
        struct ganger_writer w;
        struct buffer b = BUFFER_INIT;
        const char *a, *s;
        int64_t i;
        double d;

        assert_int_equal(options_import(&options, NULL), 0);
        assert_true(options_are_default(&options));
        in.pool = "images";
        in.priority = -3;
        in.timeout = 0.25;
        in.stream = streams;
        in.more = "\xa7retries\x02";
        in.more_size_bytes = 9;
        in.n_more = 1;
        assert_int_equal(options_import(&options, &in), 0);
        assert_false(options_are_default(&options));
        writer_begin(&w, &b);
        options_write(&w, &options, true, 0);
        assert_int_equal(writer_end(&w), 0);
        reply_borrow(&reply, reader_over(buffer_at(&b), buffer_size(&b)), false);
        assert_int_equal(ganger_count(&reply), 6);
        assert_int_equal(ganger_read_key(&reply, "pool", "s", &s), 0);
        assert_string_equal(s, "images");
        assert_int_equal(ganger_read_key(&reply, "priority", "i", &i), 0);
        assert_int_equal(i, -3);
        assert_int_equal(ganger_read_key(&reply, "timeout", "d", &d), 0);
        assert_int_equal(ganger_read_key(&reply, "stream", "[ss]", &a, &s), 0);
        assert_string_equal(s, "stderr");
        assert_int_equal(ganger_read_key(&reply, "retries", "i", &i), 0);
        assert_int_equal(i, 2);
        reply_deinit(&reply);
        in.n_more = 2; /* there is only one pair */
        writer_begin(&w, &b);
        options_write(&w, &in, false, 0);
        assert_int_equal(writer_end(&w), -EINVAL);
        buffer_deinit(&b);
}

static void test_options_of_other_versions(void **state)
{
        struct {
                struct ganger_options known;
                uint64_t later;
        } newer = {.known = GANGER_OPTIONS_INIT};
        struct ganger_options options, older = GANGER_OPTIONS_INIT;

        older.pool = "p";
        older.label = "l";
        older.size_bytes = offsetof(struct ganger_options, label);
        assert_int_equal(options_import(&options, &older), 0);
        assert_string_equal(options.pool, "p");
        assert_null(options.label);
        newer.known.size_bytes = sizeof newer;
        assert_int_equal(options_import(&options, &newer.known), 0);
        newer.later = 1;
        assert_int_equal(options_import(&options, &newer.known), -E2BIG);
        older.size_bytes = 0;
        assert_int_equal(options_import(&options, &older), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_letter_there_and_back),
                cmocka_unit_test(test_wrong_formats_write_nothing),
                cmocka_unit_test(test_ready_values_are_checked),
                cmocka_unit_test(test_descriptors_are_duplicated_and_counted),
                cmocka_unit_test(test_reading_what_is_not_there),
                cmocka_unit_test(test_codes),
                cmocka_unit_test(test_options_only_what_is_set),
                cmocka_unit_test(test_options_of_other_versions),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
