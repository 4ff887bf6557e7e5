/* SPDX-License-Identifier: MIT */
/* The tables of errors, methods and options: every name finds its own entry and nothing else does. */
#include <string.h>

#include "proto/errors.h"
#include "proto/events.h"
#include "proto/methods.h"
#include "proto/options.h"
#include "tests/unit/cmocka_includes.h"

static void test_errors(void **state)
{
        for (size_t i = 0; i < n_error_table; i++) {
                const struct error_info *e = &error_table[i];
                size_t size_bytes = strlen(e->name);
                assert_string_equal(error_name(e->code), e->name);
                assert_string_equal(error_meaning(e->code), e->meaning);
                assert_int_equal(error_from_name(e->name, size_bytes), e->code);
                assert_int_equal(error_from_name(e->name, size_bytes - 1), ERROR_NONE);
                assert_true(i == 0 || error_table[i - 1].code < e->code);
        }
        assert_int_equal(error_from_name("", 0), ERROR_NONE);
        assert_int_equal(error_from_name("queue_full!", 11), ERROR_NONE);
        assert_int_equal(error_from_name("queue_full!", 10), ERROR_QUEUE_FULL);
        assert_int_equal(ERROR_EXPIRED, 36); /* numbers are libganger's and never change */
}

static void test_methods(void **state)
{
        for (int i = 0; i < N_METHODS; i++) {
                const struct method_info *m = &method_table[i];
                assert_int_equal(method_from_name(m->name, strlen(m->name)), i);
                assert_int_equal(strspn(m->shape, "snNAaISmi|o"), strlen(m->shape));
                assert_true(strchr(m->shape, 'o') == NULL || *(strchr(m->shape, 'o') + 1) == '\0');
        }
        assert_int_equal(method_from_name("cal", 3), N_METHODS);
        assert_int_equal(method_from_name("calls", 5), N_METHODS);
        assert_int_equal(method_from_name("", 0), N_METHODS);
        assert_int_equal(method_from_name("ca\0l", 4), N_METHODS);
}

static void test_events(void **state)
{
        _Static_assert(N_EVENT_KINDS <= 32, "a set of kinds is a uint32_t");
        for (enum event_kind i = 0; i < N_EVENT_KINDS; i++) {
                const char *name = event_table[i].name;
                assert_int_equal(event_kind_from_name(name, strlen(name)), i);
                assert_true(strlen(event_table[i].summary) > 0);
                assert_string_not_equal(name, EVENT_SUBSCRIBED);
                assert_string_not_equal(name, EVENT_LOST);
        }
        assert_int_equal(event_kind_from_name("task", 4), N_EVENT_KINDS);
        assert_int_equal(event_kind_from_name("", 0), N_EVENT_KINDS);
}

static void test_task_options(void **state)
{
        for (int i = 0; i < N_TASK_OPTIONS; i++) {
                const struct option_info *o = &task_option_table[i];
                assert_int_equal(task_option_from_name(o->name, strlen(o->name)), i);
                assert_int_not_equal(o->use, 0);
                assert_true(strlen(o->help) > 0);
        }
        assert_int_equal(task_option_from_name("prio", 4), N_TASK_OPTIONS);
        assert_int_equal(task_option_table[TASK_OPTION_TTL].use, OPTION_FOR_SINGLE);
        assert_int_equal(task_option_table[TASK_OPTION_CHUNK].use, OPTION_FOR_MAP);
}

static void test_streams(void **state)
{
        const enum stream_kind kinds[] = {STREAM_PROGRESS, STREAM_STDOUT, STREAM_STDERR};

        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
                const char *name = stream_name(kinds[i]);
                assert_int_equal(stream_from_name(name, strlen(name)), kinds[i]);
        }
        assert_int_equal(stream_from_name("std", 3), 0);
}

static void test_retry_ends(void **state)
{
        assert_int_equal(retry_end_from_name("worker_lost", 11), RETRY_WORKER_LOST);
        assert_int_equal(retry_end_from_name("timed_out", 9), RETRY_TIMED_OUT);
        assert_int_equal(retry_end_from_name("task_failed", 11), RETRY_TASK_FAILED);
        assert_int_equal(retry_end_from_name("cancelled", 9), 0);
        assert_int_equal(retry_end_from_name("", 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_errors),       cmocka_unit_test(test_methods),
                cmocka_unit_test(test_task_options), cmocka_unit_test(test_streams),
                cmocka_unit_test(test_retry_ends),   cmocka_unit_test(test_events),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
