/* SPDX-License-Identifier: MIT */
/* What ganger top shows of a status: lines about the whole, rows of pools, functions and workers. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "client/cli/top/model.h"
#include "client/format.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

struct looking {
        struct rates rates;
        struct users users;
        struct model model;
};

struct figures {
        double uptime;
        int64_t pid, succeeded, failed, calls;
        double cpu;
        int paused, degraded;
};

static void pack(struct buffer *b, const char *format, ...)
{
        struct ganger_writer writer;
        va_list list;

        writer_begin(&writer, b);
        va_start(list, format);
        writer_format(&writer, format, list);
        va_end(list);
        assert_int_equal(writer_end(&writer), 0);
}

static void pack_totals(struct buffer *b, const struct figures *f)
{
        pack(b, "{sisisisisi}", "succeeded", f->succeeded, "failed", f->failed, "cancelled", (int64_t)0,
             "expired", (int64_t)0, "workers_lost", (int64_t)3);
}

/* A pool with a function and two workers: one runs task 7 since 90, the other one somebody else's. */
static void pack_status(struct buffer *b, const struct figures *f)
{
        struct buffer totals = BUFFER_INIT, pools = BUFFER_INIT, workers = BUFFER_INIT,
                      functions = BUFFER_INIT;

        pack_totals(&totals, f);
        pack(&pools, "[{sss{sisisi}s{sisi}sisbsbsm}]", "name", "default", "workers", "busy", (int64_t)2,
             "idle", (int64_t)0, "target", (int64_t)4, "queued", "ready", (int64_t)5, "delayed", (int64_t)6,
             "running", (int64_t)2, "paused", f->paused, "degraded", f->degraded, "totals",
             buffer_at(&totals), buffer_size(&totals));
        pack(&workers, "[{sisssssisssdsisd}{sisssssnsnsdsnsn}{snssssss}]", "pid", (int64_t)100, "pool",
             "default", "state", "busy", "task", (int64_t)7, "function", "sl\033eep", "since", 90.0, "rss",
             (int64_t)2048, "cpu", f->cpu, "pid", (int64_t)101, "pool", "default", "state", "busy", "task",
             "function", "since", 95.0, "rss", "cpu", "pid", "pool", "default", "state", "starting",
             "function", "");
        pack(&functions, "[{sssss{si}s{sisdsd}}]", "name", "sleep", "pool", "default", "wait", "count",
             (int64_t)0, "run", "count", f->calls, "p50", 0.001, "p99", 0.25);
        pack(b, "{sssisdsssisismsmsmsm}", "version", "9.9", "pid", f->pid, "uptime", f->uptime, "state",
             "running", "connections", (int64_t)12, "memory", (int64_t)(3 << 20), "pools", buffer_at(&pools),
             buffer_size(&pools), "workers", buffer_at(&workers), buffer_size(&workers), "functions",
             buffer_at(&functions), buffer_size(&functions), "totals", buffer_at(&totals),
             buffer_size(&totals));
        buffer_deinit(&totals);
        buffer_deinit(&pools);
        buffer_deinit(&workers);
        buffer_deinit(&functions);
}

/* The line of a row in 79 columns. */
static const char *line_of(const struct model *model, enum model_pane pane, size_t row)
{
        static char line[TABLE_LINE_BYTES];
        struct fit fit;

        table_fit(&model->tables[pane], 79, &fit);
        table_line(&model->tables[pane], &fit, row, line, sizeof line);
        return line;
}

/* The texts that the model borrows are the buffer's. */
static int look(struct looking *its, const struct figures *f, struct buffer *status, struct buffer *tasks)
{
        model_deinit(&its->model);
        buffer_deinit(status);
        buffer_deinit(tasks);
        pack_status(status, f);
        pack(tasks, "[{sisi}{sisi}]", "id", (int64_t)9, "uid", (int64_t)4000000, "id", (int64_t)7, "uid",
             (int64_t)0);
        return model_init(&its->model, reader_over(buffer_at(status), buffer_size(status)),
                          reader_over(buffer_at(tasks), buffer_size(tasks)), &its->rates, &its->users, 100);
}

static void looking_deinit(struct looking *its, struct buffer *status, struct buffer *tasks)
{
        model_deinit(&its->model);
        rates_deinit(&its->rates);
        users_deinit(&its->users);
        buffer_deinit(status);
        buffer_deinit(tasks);
}

static void test_a_status_becomes_lines(void **state)
{
        struct looking its = {0};
        struct buffer status = BUFFER_INIT, tasks = BUFFER_INIT;
        struct figures f = {.uptime = 10, .pid = 5, .succeeded = 100, .failed = 10, .calls = 1000, .cpu = 1};

        assert_int_equal(look(&its, &f, &status, &tasks), 0);
        assert_string_equal(its.model.daemon,
                            "gangerd 9.9  pid 5  running  up 10.0 s  12 connections  memory 3.0M");
        assert_string_equal(its.model.work,
                            "tasks 2 running  5 waiting  6 delayed  - done/s  - failed/s  - calls/s");
        f = (struct figures){.uptime = 12, .pid = 5, .succeeded = 200, .failed = 14, .calls = 1500, .cpu = 2};
        assert_int_equal(look(&its, &f, &status, &tasks), 0);
        assert_string_equal(
                its.model.work,
                "tasks 2 running  5 waiting  6 delayed  52.0 done/s  2.0 failed/s  250.0 calls/s");
        assert_string_equal(
                line_of(&its.model, PANE_POOLS, 0),
                "default    ok              2/4      5       6       2     52.0      2.0   250.0");
        assert_string_equal(
                line_of(&its.model, PANE_FUNCTIONS, 0),
                "sleep            default     250.0     1500        -        -   1.0 ms 250.0 ms");
        assert_string_equal(
                line_of(&its.model, PANE_WORKERS, 0),
                "    100 default busy                7 sl?eep      root      10.0 s    2.0K   50");
        assert_string_equal(
                line_of(&its.model, PANE_WORKERS, 1),
                "    101 default busy                -                        5.0 s       -    -");
        assert_string_equal(
                line_of(&its.model, PANE_WORKERS, 2),
                "      - default star~               -                            -       -    -");
        looking_deinit(&its, &status, &tasks);
}

static void test_what_ails_a_pool_is_said(void **state)
{
        static const struct {
                int paused, degraded;
                const char *state;
                enum row_mood mood;
        } cases[] = {
                {0, 0, "ok", ROW_PLAIN},
                {1, 0, "paused", ROW_WARNS},
                {0, 1, "degraded", ROW_BAD},
                {1, 1, "degr,paused", ROW_BAD},
        };
        struct looking its = {0};
        struct buffer status = BUFFER_INIT, tasks = BUFFER_INIT;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct figures f = {.pid = 1, .paused = cases[i].paused, .degraded = cases[i].degraded};
                assert_int_equal(look(&its, &f, &status, &tasks), 0);
                const struct row *row = &its.model.tables[PANE_POOLS].rows[0];
                assert_memory_equal(row->cells[POOL_STATE].text.data, cases[i].state, strlen(cases[i].state));
                assert_int_equal(row->mood, cases[i].mood);
        }
        looking_deinit(&its, &status, &tasks);
}

static void test_an_answer_of_another_kind_is_an_empty_screen(void **state)
{
        struct looking its = {0};
        struct buffer b = BUFFER_INIT;
        struct reader none = {NULL, NULL};

        pack(&b, "{sis[is]}", "pools", (int64_t)3, "workers", (int64_t)1, "x");
        assert_int_equal(model_init(&its.model, reader_over(buffer_at(&b), buffer_size(&b)), none, &its.rates,
                                    &its.users, 0),
                         0);
        assert_int_equal(its.model.tables[PANE_POOLS].n_rows, 0);
        assert_int_equal(its.model.tables[PANE_WORKERS].n_rows, 2);
        line_of(&its.model, PANE_WORKERS, 1);
        struct buffer tasks = BUFFER_INIT;
        looking_deinit(&its, &b, &tasks);
}

static void test_without_memory_nothing_is_left(void **state)
{
        struct buffer status = BUFFER_INIT, tasks = BUFFER_INIT;
        struct figures f = {.uptime = 1, .pid = 1};
        int failed = 1;

        pack_status(&status, &f);
        for (unsigned n = 1; failed; n++) {
                struct looking its = {0};
                fault_alloc_arm(n);
                int r = model_init(&its.model, reader_over(buffer_at(&status), buffer_size(&status)),
                                   (struct reader){NULL, NULL}, &its.rates, &its.users, 0);
                failed = fault_alloc_disarm();
                assert_true(r == 0 || (r == -ENOMEM && failed));
                if (r < 0)
                        assert_null(its.model.tables[PANE_FUNCTIONS].rows);
                model_deinit(&its.model);
                rates_deinit(&its.rates);
                users_deinit(&its.users);
                assert_true(n < 200);
        }
        buffer_deinit(&status);
        buffer_deinit(&tasks);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_status_becomes_lines),
                cmocka_unit_test(test_what_ails_a_pool_is_said),
                cmocka_unit_test(test_an_answer_of_another_kind_is_an_empty_screen),
                cmocka_unit_test(test_without_memory_nothing_is_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
