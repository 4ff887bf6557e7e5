/* SPDX-License-Identifier: MIT */
/* The verb status: the daemon, its pools and workers, on one screen. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/look.h"

static void print_daemon(struct reader status)
{
        char uptime[24], memory[24];
        struct look_text version = look_text(status, "version"), state = look_text(status, "state");

        look_duration(look_double(status, "uptime", -1), uptime, sizeof uptime);
        look_size(look_uint(status, "memory", 0), memory, sizeof memory);
        printf("gangerd %.*s  pid %" PRIu64 "  %.*s  up %s  %" PRIu64 " connections  memory %s\n",
               LOOK(version), look_uint(status, "pid", 0), LOOK(state), uptime,
               look_uint(status, "connections", 0), memory);
}

static void print_pools(struct reader pools)
{
        struct reader pool, workers = {NULL, NULL}, queued = {NULL, NULL}, totals = {NULL, NULL};

        printf("\n%-12s %15s %8s %8s %8s %10s %8s %9s %7s  %s\n", "POOL", "WORKERS", "READY", "DELAYED",
               "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "");
        for (uint32_t n = look_array(&pools); n > 0 && look_next(&pools, &pool); n--) {
                char text[40];
                struct look_text name = look_text(pool, "name");
                look_key(pool, "workers", &workers);
                look_key(pool, "queued", &queued);
                look_key(pool, "totals", &totals);
                snprintf(text, sizeof text, "%" PRIu64 "+%" PRIu64 " of %" PRIu64,
                         look_uint(workers, "busy", 0), look_uint(workers, "idle", 0),
                         look_uint(workers, "target", 0));
                printf("%-12.*s %15s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10" PRIu64 " %8" PRIu64
                       " %9" PRIu64 " %7" PRIu64 "  %s%s\n",
                       LOOK(name), text, look_uint(queued, "ready", 0), look_uint(queued, "delayed", 0),
                       look_uint(pool, "running", 0), look_uint(totals, "succeeded", 0),
                       look_uint(totals, "failed", 0), look_uint(totals, "cancelled", 0),
                       look_uint(totals, "expired", 0), look_true(pool, "degraded") ? "degraded " : "",
                       look_true(pool, "paused") ? "paused" : "");
        }
}

static void print_workers(struct reader workers)
{
        struct reader worker;

        printf("\n%-8s %-12s %-9s %10s %8s %9s  %s\n", "WORKER", "POOL", "STATE", "DONE", "MEMORY", "CPU",
               "TASK");
        for (uint32_t n = look_array(&workers); n > 0 && look_next(&workers, &worker); n--) {
                char rss[24], cpu[24], since[24] = "";
                struct look_text pool = look_text(worker, "pool"), state = look_text(worker, "state");
                struct look_text function = look_text(worker, "function");
                uint64_t task = look_uint(worker, "task", 0);

                look_size(look_uint(worker, "rss", 0), rss, sizeof rss);
                look_duration(look_double(worker, "cpu", -1), cpu, sizeof cpu);
                printf("%-8" PRIu64 " %-12.*s %-9.*s %10" PRIu64 " %8s %9s  ", look_uint(worker, "pid", 0),
                       LOOK(pool), LOOK(state), look_uint(worker, "tasks_done", 0), rss, cpu);
                if (task != 0) {
                        look_duration(look_now() - look_double(worker, "since", look_now()), since,
                                      sizeof since);
                        printf("%" PRIu64 " %.*s for %s", task, LOOK(function), since);
                }
                putchar('\n');
        }
}

static void print_time(struct reader times, const char *key)
{
        char text[24];

        look_duration(look_double(times, key, -1), text, sizeof text);
        printf(" %9s", text);
}

static void print_functions(struct reader functions)
{
        struct reader function, wait = {NULL, NULL}, run = {NULL, NULL};
        uint32_t n = look_array(&functions);

        if (n > 0)
                printf("\n%-20s %-12s %10s %9s %9s %9s %9s %9s %9s\n", "FUNCTION", "POOL", "RUNS", "WAIT P50",
                       "P99", "MAX", "RUN P50", "P99", "MAX");
        for (; n > 0 && look_next(&functions, &function); n--) {
                struct look_text name = look_text(function, "name"), pool = look_text(function, "pool");
                look_key(function, "wait", &wait);
                look_key(function, "run", &run);
                printf("%-20.*s %-12.*s %10" PRIu64, LOOK(name), LOOK(pool), look_uint(run, "count", 0));
                print_time(wait, "p50");
                print_time(wait, "p99");
                print_time(wait, "max");
                print_time(run, "p50");
                print_time(run, "p99");
                print_time(run, "max");
                putchar('\n');
        }
}

/* Whether it should have workers, and none is there. */
static bool is_without_workers(struct reader pool)
{
        struct reader workers;

        return look_key(pool, "workers", &workers) && look_uint(workers, "target", 0) > 0 &&
               look_uint(workers, "idle", 0) + look_uint(workers, "busy", 0) == 0;
}

/* 1 if a pool does not do its work: for monitors. */
static int health(struct reader pools)
{
        struct reader pool;

        for (uint32_t n = look_array(&pools); n > 0 && look_next(&pools, &pool); n--)
                if (look_true(pool, "degraded") || look_true(pool, "paused") || is_without_workers(pool))
                        return EXIT_NOT_SUCCEEDED;
        return EXIT_DONE;
}

int verb_status(struct cli *cli, int argc, char **argv)
{
        static const struct option options[] = {{"quiet", no_argument, NULL, 'q'}, {NULL, 0, NULL, 0}};
        struct ganger_reply *reply = NULL;
        struct reader pools = {NULL, NULL}, workers = {NULL, NULL}, functions = {NULL, NULL};
        bool quiet = false;
        int c;

        while ((c = getopt_long(argc, argv, "q", options, NULL)) != -1) {
                if (c == '?')
                        return cli_bad_option(cli);
                quiet = true;
        }
        if (optind != argc)
                return cli_usage_error(cli, "takes no arguments, not '%s'", argv[optind]);
        cli_connect(cli);
        int r = cli_request(cli, &reply, "status", "[]");
        if (r != 0) {
                int status = r < 0 ? cli_lost(cli, "status", r) : cli_refused(cli, r, reply);
                ganger_reply_free(reply);
                return status;
        }
        struct reader all = look_reader(reply);
        look_key(all, "pools", &pools);
        look_key(all, "workers", &workers);
        look_key(all, "functions", &functions);
        if (cli->json && !quiet) {
                json_write(stdout, all.at, (size_t)(all.end - all.at));
                putchar('\n');
        } else if (!quiet) {
                print_daemon(all);
                print_pools(pools);
                print_workers(workers);
                print_functions(functions);
        }
        int status = quiet ? health(pools) : EXIT_DONE;
        ganger_reply_free(reply);
        return status;
}
