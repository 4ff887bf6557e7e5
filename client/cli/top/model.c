/* SPDX-License-Identifier: MIT */
#include "client/cli/top/model.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/look.h"

#define CPU_HOLD_SECONDS 2.5 /* the daemon looks at it at most once a second */

/* In 79 columns (80 with the mark of what is selected) all but those of the greatest importance are shown. */
const struct column pool_columns[] = {
        {.title = "POOL", .width = 10, .width_most = 30, .is_key = true},
        {.title = "STATE", .width = 11, .width_most = 15, .importance = 2},
        {.title = "WORKERS",
         .kind = CELL_OF,
         .width = 7,
         .width_most = 9,
         .importance = 1,
         .is_downward = true},
        {.title = "READY",
         .kind = CELL_COUNT,
         .width = 6,
         .width_most = 8,
         .importance = 3,
         .is_downward = true},
        {.title = "DELAYED", .kind = CELL_COUNT, .width = 7, .importance = 7, .is_downward = true},
        {.title = "RUNNING", .kind = CELL_COUNT, .width = 7, .importance = 5, .is_downward = true},
        {.title = "DONE/S", .kind = CELL_RATE, .width = 8, .importance = 4, .is_downward = true},
        {.title = "FAILED/S", .kind = CELL_RATE, .width = 8, .importance = 8, .is_downward = true},
        {.title = "CALLS/S",
         .kind = CELL_RATE,
         .width = 7,
         .width_most = 9,
         .importance = 6,
         .is_downward = true},
        {.title = "DONE", .kind = CELL_COUNT, .width = 11, .importance = 9, .is_downward = true},
        {.title = "LOST", .kind = CELL_COUNT, .width = 6, .importance = 10, .is_downward = true},
};
#define N_POOL_COLUMNS (sizeof pool_columns / sizeof *pool_columns)

const struct column function_columns[] = {
        {.title = "FUNCTION", .width = 15, .width_most = 40, .is_key = true},
        {.title = "POOL", .width = 8, .width_most = 20, .importance = 7, .is_key = true},
        {.title = "CALLS/S", .kind = CELL_RATE, .width = 8, .importance = 1, .is_downward = true},
        {.title = "CALLS",
         .kind = CELL_COUNT,
         .width = 8,
         .width_most = 11,
         .importance = 6,
         .is_downward = true},
        {.title = "WAIT P50",
         .kind = CELL_SECONDS,
         .width = 8,
         .width_most = 9,
         .importance = 4,
         .is_downward = true},
        {.title = "WAIT P99",
         .kind = CELL_SECONDS,
         .width = 8,
         .width_most = 9,
         .importance = 5,
         .is_downward = true},
        {.title = "RUN P50", .kind = CELL_SECONDS, .width = 8, .importance = 2, .is_downward = true},
        {.title = "RUN P99", .kind = CELL_SECONDS, .width = 8, .importance = 3, .is_downward = true},
        {.title = "WAIT MAX", .kind = CELL_SECONDS, .width = 9, .importance = 8, .is_downward = true},
        {.title = "RUN MAX", .kind = CELL_SECONDS, .width = 9, .importance = 8, .is_downward = true},
};
#define N_FUNCTION_COLUMNS (sizeof function_columns / sizeof *function_columns)

const struct column worker_columns[] = {
        {.title = "PID", .kind = CELL_COUNT, .width = 7, .importance = 3, .is_key = true},
        {.title = "POOL", .width = 7, .width_most = 16, .importance = 8},
        {.title = "STATE", .width = 5, .width_most = 8, .importance = 4},
        {.title = "TASK",
         .kind = CELL_COUNT,
         .width = 15,
         .width_most = 16,
         .importance = 1,
         .is_downward = true},
        {.title = "FUNCTION", .width = 11, .width_most = 40},
        {.title = "USER", .width = 7, .width_most = 16, .importance = 7},
        {.title = "FOR", .kind = CELL_SECONDS, .width = 8, .importance = 2, .is_downward = true},
        {.title = "MEM", .kind = CELL_BYTES, .width = 7, .importance = 6, .is_downward = true},
        {.title = "CPU%",
         .kind = CELL_PERCENT,
         .width = 4,
         .width_most = 5,
         .importance = 5,
         .is_downward = true},
        {.title = "DONE", .kind = CELL_COUNT, .width = 10, .importance = 9, .is_downward = true},
};
#define N_WORKER_COLUMNS (sizeof worker_columns / sizeof *worker_columns)

_Static_assert(N_POOL_COLUMNS <= TABLE_COLUMNS && N_FUNCTION_COLUMNS <= TABLE_COLUMNS &&
                       N_WORKER_COLUMNS <= TABLE_COLUMNS,
               "a row has room for all");

/* Whose each task is that runs: [id, uid], by id. */
struct owner {
        uint64_t id, uid;
};

struct making {
        struct reader status;
        struct owner *owners;
        size_t n_owners;
        struct rates *rates;
        struct users *users;
        double now;
        double calls_rate; /* of all functions */
};

static struct look_text text_of(const char *text)
{
        return (struct look_text){text, strlen(text)};
}

static struct cell number(double value)
{
        return (struct cell){.number = value};
}

static struct cell text(struct look_text value)
{
        return (struct cell){.text = value};
}

static double count_of(struct reader map, const char *key)
{
        return (double)look_uint(map, key, 0);
}

static struct reader map_of(struct reader map, const char *key)
{
        struct reader value = {NULL, NULL};

        look_key(map, key, &value);
        return value;
}

static double ended_of(struct reader totals)
{
        return count_of(totals, "succeeded") + count_of(totals, "failed") + count_of(totals, "cancelled") +
               count_of(totals, "expired");
}

static double rate(struct making *making, char kind, struct look_text name, struct look_text owner,
                   double value)
{
        return rates_of(making->rates, kind, name, owner, value, 0);
}

/* ---- pools ---- */

static const char *pool_state(struct reader pool, enum row_mood *ret)
{
        struct reader workers = map_of(pool, "workers");
        bool paused = look_true(pool, "paused"), degraded = look_true(pool, "degraded");
        double there = count_of(workers, "idle") + count_of(workers, "busy");

        *ret = degraded ? ROW_BAD : paused ? ROW_WARNS : ROW_PLAIN;
        if (degraded)
                return paused ? "degr,paused" : "degraded";
        if (paused)
                return "paused";
        if (there == 0 && count_of(workers, "target") > 0) {
                *ret = ROW_WARNS;
                return "no workers";
        }
        return "ok";
}

/* The sum of its functions' rates; not known as long as none is. */
static double pool_calls_rate(struct making *making, const struct table *functions, struct look_text name)
{
        double sum = NAN;

        for (size_t i = 0; i < functions->n_rows; i++) {
                const struct cell *cells = functions->rows[i].cells;
                if (isnan(cells[FUNCTION_RATE].number) || cells[1].text.size_bytes != name.size_bytes ||
                    memcmp(cells[1].text.data, name.data, name.size_bytes) != 0)
                        continue;
                sum = (isnan(sum) ? 0 : sum) + cells[FUNCTION_RATE].number;
        }
        if (!isnan(sum))
                making->calls_rate = (isnan(making->calls_rate) ? 0 : making->calls_rate) + sum;
        return sum;
}

static void pool_row(struct making *making, const struct table *functions, struct reader pool,
                     struct row *ret)
{
        struct reader workers = map_of(pool, "workers"), queued = map_of(pool, "queued");
        struct reader totals = map_of(pool, "totals");
        struct look_text name = look_text(pool, "name"), none = {"", 0};
        size_t i = 0;

        ret->cells[i++] = text(name);
        ret->cells[i++] = text(text_of(pool_state(pool, &ret->mood)));
        ret->cells[i++] =
                (struct cell){.number = count_of(workers, "busy"), .of = count_of(workers, "target")};
        ret->cells[i++] = number(count_of(queued, "ready"));
        ret->cells[i++] = number(count_of(queued, "delayed"));
        ret->cells[i++] = number(count_of(pool, "running"));
        ret->cells[i++] = number(rate(making, 'e', name, none, ended_of(totals)));
        ret->cells[i++] = number(rate(making, 'f', name, none, count_of(totals, "failed")));
        ret->cells[i++] = number(pool_calls_rate(making, functions, name));
        ret->cells[i++] = number(ended_of(totals));
        ret->cells[i++] = number(count_of(totals, "workers_lost"));
        assert(i == N_POOL_COLUMNS);
}

/* ---- functions ---- */

static void function_row(struct making *making, const struct table *before, struct reader function,
                         struct row *ret)
{
        struct reader wait = map_of(function, "wait"), run = map_of(function, "run");
        struct look_text name = look_text(function, "name"), pool = look_text(function, "pool");
        double n = count_of(run, "count");
        size_t i = 0;

        ret->cells[i++] = text(name);
        ret->cells[i++] = text(pool);
        ret->cells[i++] = number(rate(making, 'c', name, pool, n));
        ret->cells[i++] = number(n);
        ret->cells[i++] = number(look_double(wait, "p50", NAN));
        ret->cells[i++] = number(look_double(wait, "p99", NAN));
        ret->cells[i++] = number(look_double(run, "p50", NAN));
        ret->cells[i++] = number(look_double(run, "p99", NAN));
        ret->cells[i++] = number(look_double(wait, "max", NAN));
        ret->cells[i++] = number(look_double(run, "max", NAN));
        assert(i == N_FUNCTION_COLUMNS);
}

/* ---- workers ---- */

static int compare_owners(const void *a, const void *b)
{
        const struct owner *owner_a = a, *owner_b = b;

        return (owner_a->id > owner_b->id) - (owner_a->id < owner_b->id);
}

static struct look_text user_of(struct making *making, uint64_t task)
{
        struct owner key = {.id = task};
        const struct owner *owner = NULL;

        if (task != 0 && making->n_owners > 0)
                owner = bsearch(&key, making->owners, making->n_owners, sizeof key, compare_owners);
        return owner ? users_name(making->users, owner->uid) : (struct look_text){"", 0};
}

static void worker_row(struct making *making, const struct table *before, struct reader worker,
                       struct row *ret)
{
        struct look_text state = look_text(worker, "state"), none = {"", 0};
        uint64_t pid = look_uint(worker, "pid", 0), task = look_uint(worker, "task", 0);
        bool is_busy = state.size_bytes == 4 && memcmp(state.data, "busy", 4) == 0;
        double cpu = look_double(worker, "cpu", NAN), ran = making->now - look_double(worker, "since", NAN);
        char name[24];
        int n = snprintf(name, sizeof name, "%" PRIu64, pid);
        struct look_text key = {name, (size_t)n};
        size_t i = 0;

        ret->mood = is_busy ? ROW_PLAIN : ROW_IDLE;
        ret->cells[i++] = number(pid ? (double)pid : NAN);
        ret->cells[i++] = text(look_text(worker, "pool"));
        ret->cells[i++] = text(state);
        ret->cells[i++] = number(task ? (double)task : NAN);
        ret->cells[i++] = text(look_text(worker, "function"));
        ret->cells[i++] = text(user_of(making, task));
        ret->cells[i++] = number(!is_busy ? NAN : ran < 0 ? 0 : ran);
        ret->cells[i++] = number(look_double(worker, "rss", NAN));
        ret->cells[i++] =
                number(isnan(cpu) ? NAN : rates_of(making->rates, 'w', key, none, cpu, CPU_HOLD_SECONDS));
        ret->cells[i++] = number(count_of(worker, "tasks_done"));
        assert(i == N_WORKER_COLUMNS);
}

/* ---- the whole ---- */

typedef void (*make_row)(struct making *, const struct table *before, struct reader, struct row *ret);

/* `before`: the table that was made before it, for who needs it. */
static int table_init(struct making *making, const char *key, const struct column *columns, size_t n_columns,
                      make_row make, const struct table *before, struct table *ret)
{
        struct reader all = map_of(making->status, key), one;
        uint32_t n = look_array(&all);

        *ret = (struct table){.columns = columns, .n_columns = n_columns};
        ret->rows = calloc(n > 0 ? n : 1, sizeof *ret->rows);
        if (!ret->rows)
                return -ENOMEM;
        for (; ret->n_rows < n && look_next(&all, &one); ret->n_rows++) {
                struct row *row = &ret->rows[ret->n_rows];
                row->order = ret->n_rows;
                make(making, before, one, row);
        }
        return 0;
}

static int owners_init(struct making *making, struct reader tasks)
{
        struct reader task;
        uint32_t n = look_array(&tasks);

        making->owners = calloc(n > 0 ? n : 1, sizeof *making->owners);
        if (!making->owners)
                return -ENOMEM;
        while (making->n_owners < n && look_next(&tasks, &task))
                making->owners[making->n_owners++] = (struct owner){
                        .id = look_uint(task, "id", 0), .uid = look_uint(task, "uid", UINT64_MAX)};
        if (n > 0)
                qsort(making->owners, making->n_owners, sizeof *making->owners, compare_owners);
        return 0;
}

static void daemon_line(struct reader status, char *ret)
{
        char uptime[24], memory[24], version[40];
        struct look_text state = look_text(status, "state");

        text_fit(look_text(status, "version"), 20, version, sizeof version);
        look_duration(look_double(status, "uptime", -1), uptime, sizeof uptime);
        look_size(look_uint(status, "memory", 0), memory, sizeof memory);
        snprintf(ret, MODEL_LINE_BYTES,
                 "gangerd %s  pid %" PRIu64 "  %.*s  up %s  %" PRIu64 " connections  memory %s", version,
                 look_uint(status, "pid", 0), state.size_bytes < 20 ? (int)state.size_bytes : 20, state.data,
                 uptime, look_uint(status, "connections", 0), memory);
}

static void rate_text(double rate, char *ret, size_t size_bytes)
{
        if (isnan(rate))
                snprintf(ret, size_bytes, "-");
        else
                snprintf(ret, size_bytes, rate < 1000 ? "%.1f" : "%.0f", rate);
}

static void work_line(struct making *making, char *ret)
{
        struct reader pools = map_of(making->status, "pools"), totals = map_of(making->status, "totals"),
                      pool;
        struct look_text none = {"", 0};
        char done[24], failed[24], calls[24];
        double running = 0, ready = 0, delayed = 0;

        for (uint32_t n = look_array(&pools); n > 0 && look_next(&pools, &pool); n--) {
                struct reader queued = map_of(pool, "queued");
                running += count_of(pool, "running");
                ready += count_of(queued, "ready");
                delayed += count_of(queued, "delayed");
        }
        rate_text(rate(making, 'E', none, none, ended_of(totals)), done, sizeof done);
        rate_text(rate(making, 'F', none, none, count_of(totals, "failed")), failed, sizeof failed);
        rate_text(making->calls_rate, calls, sizeof calls);
        snprintf(ret, MODEL_LINE_BYTES,
                 "tasks %.0f running  %.0f waiting  %.0f delayed  %s done/s  %s failed/s  %s calls/s",
                 running, ready, delayed, done, failed, calls);
}

int model_init(struct model *model, struct reader status, struct reader tasks, struct rates *rates,
               struct users *users, double now)
{
        struct making making = {
                .status = status, .rates = rates, .users = users, .now = now, .calls_rate = NAN};
        struct table *functions = &model->tables[PANE_FUNCTIONS];

        *model = (struct model){0};
        rates_begin(rates, look_uint(status, "pid", 0), look_double(status, "uptime", 0));
        int r = owners_init(&making, tasks);
        if (r == 0)
                r = table_init(&making, "functions", function_columns, N_FUNCTION_COLUMNS, function_row, NULL,
                               functions);
        if (r == 0)
                r = table_init(&making, "pools", pool_columns, N_POOL_COLUMNS, pool_row, functions,
                               &model->tables[PANE_POOLS]);
        if (r == 0)
                r = table_init(&making, "workers", worker_columns, N_WORKER_COLUMNS, worker_row, NULL,
                               &model->tables[PANE_WORKERS]);
        daemon_line(status, model->daemon);
        work_line(&making, model->work);
        rates_end(rates);
        free(making.owners);
        if (r < 0)
                model_deinit(model);
        return r;
}

void model_deinit(struct model *model)
{
        for (size_t i = 0; i < N_PANES; i++)
                free(model->tables[i].rows);
        *model = (struct model){0};
}
