/* SPDX-License-Identifier: MIT */
#include "daemon/metrics.h"
#include "daemon/core/core_look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "daemon/pools.h"
#include "daemon/worker.h"

static void head(FILE *f, const char *name, const char *type, const char *help)
{
        fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_label(FILE *f, const char *name, const char *value)
{
        fprintf(f, "%s=\"", name);
        for (; *value; value++) {
                if (*value == '\n')
                        fputs("\\n", f);
                else if (*value == '"' || *value == '\\')
                        fprintf(f, "\\%c", *value);
                else
                        fputc(*value, f);
        }
        fputc('"', f);
}

/* -- the daemon -- */

static void write_daemon(const struct daemon *daemon, FILE *f)
{
        uint64_t rss_bytes = 0;

        process_rss(getpid(), &rss_bytes);
        head(f, "ganger_build_info", "gauge", "The version that runs, always 1.");
        fprintf(f, "ganger_build_info{version=\"%s\"} 1\n", GANGER_VERSION);
        head(f, "ganger_start_time_seconds", "gauge", "When the daemon started, as Unix time.");
        fprintf(f, "ganger_start_time_seconds %.3f\n", daemon_wall(daemon, daemon->started));
        head(f, "ganger_resident_memory_bytes", "gauge", "Resident memory of the daemon itself.");
        fprintf(f, "ganger_resident_memory_bytes %" PRIu64 "\n", rss_bytes);
        head(f, "ganger_connections", "gauge", "Clients that are connected.");
        fprintf(f, "ganger_connections %" PRIu32 "\n", connections_count(daemon->connections));
        head(f, "ganger_stopping", "gauge", "Whether the daemon was asked to stop.");
        fprintf(f, "ganger_stopping %d\n", daemon->stopping);
}

/* -- pools -- */

#define POOL_METRIC(name_, type_, label_, value_, member, help_)                                             \
        {                                                                                                    \
                .name = name_, .type = type_, .label = label_, .value = value_, .help = help_,               \
                .offset = offsetof(struct core_pool_status, member),                                         \
                .size = sizeof(((struct core_pool_status *)0)->member)                                       \
        }

/* Those of one name stand together. */
static const struct {
        const char *name, *type, *label, *value, *help;
        size_t offset, size;
} pool_metrics[] = {
        POOL_METRIC("ganger_workers_target", "gauge", NULL, NULL, target,
                    "Workers that the pool is to have."),
        POOL_METRIC("ganger_workers", "gauge", "state", "starting", starting, "Workers by state."),
        POOL_METRIC("ganger_workers", "gauge", "state", "idle", idle, ""),
        POOL_METRIC("ganger_workers", "gauge", "state", "busy", busy, ""),
        POOL_METRIC("ganger_tasks", "gauge", "state", "ready", ready, "Unfinished tasks by state."),
        POOL_METRIC("ganger_tasks", "gauge", "state", "delayed", delayed, ""),
        POOL_METRIC("ganger_tasks", "gauge", "state", "running", running, ""),
        POOL_METRIC("ganger_pool_paused", "gauge", NULL, NULL, paused, "Whether the pool is paused."),
        POOL_METRIC("ganger_pool_degraded", "gauge", NULL, NULL, degraded,
                    "Whether workers die young again and again."),
        POOL_METRIC("ganger_tasks_submitted_total", "counter", NULL, NULL, totals.submitted,
                    "Tasks accepted."),
        POOL_METRIC("ganger_tasks_ended_total", "counter", "end", "succeeded", totals.succeeded,
                    "Tasks ended, by their end."),
        POOL_METRIC("ganger_tasks_ended_total", "counter", "end", "failed", totals.failed, ""),
        POOL_METRIC("ganger_tasks_ended_total", "counter", "end", "cancelled", totals.cancelled, ""),
        POOL_METRIC("ganger_tasks_ended_total", "counter", "end", "expired", totals.expired, ""),
        POOL_METRIC("ganger_task_retries_total", "counter", NULL, NULL, totals.retried, "Further attempts."),
        POOL_METRIC("ganger_workers_started_total", "counter", NULL, NULL, totals.workers_started,
                    "Workers that said hello."),
        POOL_METRIC("ganger_workers_lost_total", "counter", NULL, NULL, totals.workers_lost,
                    "Workers that died and were not asked to."),
};

static uint64_t figure(const struct core_pool_status *status, size_t offset, size_t size)
{
        const char *at = (const char *)status + offset;

        if (size == sizeof(bool))
                return *(const bool *)at;
        return size == sizeof(uint32_t) ? *(const uint32_t *)at : *(const uint64_t *)at;
}

static void write_pools(const struct daemon *daemon, FILE *f)
{
        for (size_t i = 0; i < sizeof(pool_metrics) / sizeof(pool_metrics[0]); i++) {
                if (*pool_metrics[i].help)
                        head(f, pool_metrics[i].name, pool_metrics[i].type, pool_metrics[i].help);
                for (uint32_t pool = 0; pool < pools_end(daemon->pools); pool++) {
                        struct core_pool_status status;
                        if (!pools_configuration(daemon->pools, pool))
                                continue;
                        core_pool_status(daemon->core, pool, &status);
                        fprintf(f, "%s{", pool_metrics[i].name);
                        write_label(f, "pool", pools_name(daemon->pools, pool));
                        if (pool_metrics[i].label)
                                fprintf(f, ",%s=\"%s\"", pool_metrics[i].label, pool_metrics[i].value);
                        fprintf(f, "} %" PRIu64 "\n",
                                figure(&status, pool_metrics[i].offset, pool_metrics[i].size));
                }
        }
}

/* -- functions -- */

static void write_summary(FILE *f, const char *name, const char *pool, const char *function,
                          const struct core_times *times)
{
        const struct {
                const char *suffix, *quantile;
                double value;
        } lines[] = {
                {"", "0.5", (double)times->p50_ns / 1e9},    {"", "0.9", (double)times->p90_ns / 1e9},
                {"", "0.99", (double)times->p99_ns / 1e9},   {"", "1", (double)times->max_ns / 1e9},
                {"_sum", NULL, (double)times->sum_ns / 1e9}, {"_count", NULL, (double)times->n},
        };

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                fprintf(f, "%s%s{", name, lines[i].suffix);
                write_label(f, "pool", pool);
                fputc(',', f);
                write_label(f, "function", function);
                if (lines[i].quantile)
                        fprintf(f, ",quantile=\"%s\"", lines[i].quantile);
                fprintf(f, "} %.17g\n", lines[i].value);
        }
}

static void write_functions(const struct daemon *daemon, FILE *f, bool wait)
{
        const char *name = wait ? "ganger_task_wait_seconds" : "ganger_task_run_seconds";
        struct core_times waits, runs;

        head(f, name, "summary",
             wait ? "How long tasks waited until they began, by function."
                  : "How long tasks ran, by function.");
        for (uint32_t pool = 0; pool < pools_end(daemon->pools); pool++) {
                if (!pools_configuration(daemon->pools, pool))
                        continue;
                for (uint32_t i = 0; i < pools_functions_end(daemon->pools, pool); i++)
                        if (core_function_times(daemon->core, pool, i, &waits, &runs))
                                write_summary(f, name, pools_name(daemon->pools, pool),
                                              pools_function(daemon->pools, pool, i)->name,
                                              wait ? &waits : &runs);
        }
}

int metrics_text(const struct daemon *daemon, char **ret, size_t *ret_bytes)
{
        char *text = NULL;
        FILE *f = open_memstream(&text, ret_bytes);

        if (!f)
                return -ENOMEM;
        write_daemon(daemon, f);
        write_pools(daemon, f);
        write_functions(daemon, f, true);
        write_functions(daemon, f, false);
        const bool failed = ferror(f);
        if (fclose(f) != 0 || failed) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}
