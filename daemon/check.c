/* SPDX-License-Identifier: MIT */
/*
 * In JSON the limits of whoever checks are not held against the configuration, as they need not be the
 * daemon's: what it needs is told instead. What modules print while they load goes to standard error.
 */
#include "daemon/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "daemon/config_table.h"
#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/log_format.h"
#include "daemon/sockets.h"
#include "daemon/start.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

#define NO_LIMIT UINT32_MAX /* more descriptors than any configuration can ask for */
/* The loop, the log's thread and the one that closes strangers' descriptors; a process that is between the
 * zygote and a new worker. */
#define PROCESSES_OWN 4

/* What all that the configuration allows takes of the machine; `least`: what it cannot do without. */
struct needs {
        uint64_t descriptors, least_descriptors;
        uint64_t processes, least_processes;
};

struct check {
        bool json;
        FILE *out; /* standard output, before modules could print there */
        FILE *problems;
        char *problems_text;
        size_t problems_bytes;
        unsigned n_problems;
        struct configuration *config;
        bool is_settled;
        struct needs needs;
};

/* -- JSON -- */

static void put_text(FILE *f, const char *text)
{
        struct log_line line = {0};

        log_format_text(&line, text, sizeof line.text - 1, true);
        fprintf(f, "\"%.*s\"", (int)line.size_bytes, line.text);
}

static void put_key(FILE *f, const struct config_key *key, const void *object)
{
        char *text = NULL;
        size_t size_bytes;
        FILE *own;

        put_text(f, key->name);
        fputc(':', f);
        if (key->type == CONFIG_TYPE_SIZE || key->type == CONFIG_TYPE_SIZE_OR_NONE) {
                fprintf(f, "%llu",
                        *(const unsigned long long *)(const void *)((const char *)object + key->offset));
                return;
        }
        own = open_memstream(&text, &size_bytes);
        if (own != NULL) {
                config_key_print(key, object, own);
                fclose(own);
        }
        if (key->type == CONFIG_TYPE_COUNT || key->type == CONFIG_TYPE_COUNT64 ||
            key->type == CONFIG_TYPE_WORKERS || key->type == CONFIG_TYPE_BOUND)
                fputs(text != NULL ? text : "0", f);
        else
                put_text(f, text != NULL ? text : "");
        free(text);
}

static void put_section(FILE *f, enum config_section section, const void *object, const char *between)
{
        for (size_t i = 0; i < n_config_table; i++) {
                if (config_table[i].section != section)
                        continue;
                fputs(between, f);
                put_key(f, &config_table[i], object);
                between = ",";
        }
}

/* {version, problems: [{about: "configuration" | "socket" | "modules", pool, message}], daemon: {key: value},
 * pools: [{name, key: value}], needs: {descriptors, least_descriptors, processes, least_processes}}. Counts
 * and sizes are numbers, all else text. Without the last three where the configuration cannot be read. */
static void print_json(const struct check *check)
{
        const struct configuration *config = check->config;
        const struct needs *needs = &check->needs;
        FILE *f = check->out;

        fprintf(f, "{\"version\":\"" GANGER_VERSION "\",\"problems\":[%s]", check->problems_text);
        if (check->is_settled) {
                fputs(",\"daemon\":{", f);
                put_section(f, CONFIG_DAEMON, config, "");
                fputs("},\"pools\":[", f);
                for (uint32_t i = 0; i < config->n_pools; i++) {
                        fputs(i > 0 ? ",{\"name\":" : "{\"name\":", f);
                        put_text(f, config->pools[i].name);
                        put_section(f, CONFIG_POOL, &config->pools[i], ",");
                        fputc('}', f);
                }
                fprintf(f,
                        "],\"needs\":{\"descriptors\":%llu,\"least_descriptors\":%llu,"
                        "\"processes\":%llu,\"least_processes\":%llu}",
                        (unsigned long long)needs->descriptors, (unsigned long long)needs->least_descriptors,
                        (unsigned long long)needs->processes, (unsigned long long)needs->least_processes);
        }
        fputs("}\n", f);
}

/* -- what is wrong -- */

static void note(struct check *check, const char *about, const char *pool, const char *message)
{
        fprintf(check->problems, "%s{\"about\":\"%s\",\"pool\":", check->n_problems > 0 ? "," : "", about);
        if (pool != NULL)
                put_text(check->problems, pool);
        else
                fputs("null", check->problems);
        fputs(",\"message\":", check->problems);
        put_text(check->problems, message);
        fputc('}', check->problems);
}

static void wrong(struct check *check, const char *about, const char *pool, const char *why)
{
        if (check->json)
                note(check, about, pool, why);
        else
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = pool), "%s", why);
        check->n_problems++;
}

static void configuration_wrong(struct check *check, const struct configuration_problem *problem)
{
        char text[CONFIGURATION_PROBLEM_BYTES];

        configuration_problem_text(problem, text, sizeof text);
        if (check->json)
                note(check, "configuration", NULL, text);
        else
                configuration_log_problem(problem);
        check->n_problems++;
}

/* -- the steps -- */

static void find_needs(struct check *check)
{
        const struct configuration *config = check->config;
        struct needs *needs = &check->needs;
        uint64_t fixed = configuration_descriptors(config);

        needs->least_descriptors = fixed + (config->max_connections_said ? config->max_connections : 1);
        needs->descriptors = fixed + config->max_connections;
        needs->processes = needs->least_processes = PROCESSES_OWN;
        for (uint32_t i = 0; i < config->n_pools; i++) {
                const struct pool_configuration *pool = &config->pools[i];
                uint64_t workers = (uint64_t)pool->max_workers + pool->nesting_limit;
                needs->descriptors += (uint64_t)pool->nesting_limit * CONFIG_DESCRIPTORS_PER_WORKER;
                needs->least_processes += 1 + (uint64_t)pool->max_workers;
                needs->processes += 1 + workers * (pool->exec ? 2 : 1); /* each may run a program */
        }
}

static void settle(struct check *check, const char *option)
{
        struct configuration *config = check->config;
        struct configuration_problem problem;
        struct rlimit limit = {0};
        struct systemd_sockets passed;
        bool usual, shared = (config->socket_mode & 022) != 0;
        char *path = NULL, why[SOCKETS_WHY_BYTES];

        getrlimit(RLIMIT_NOFILE, &limit);
        int r = sockets_find(option, config, &passed, &usual, &path, why);
        if (r != 0)
                wrong(check, "socket", NULL, r < 0 ? strerror(-r) : why);
        if (path != NULL) {
                free(config->socket);
                config->socket = path;
        }
        check->is_settled =
                configuration_settle(config, shared, check->json ? NO_LIMIT : limit.rlim_max, &problem) == 0;
        if (check->is_settled)
                find_needs(check);
        else
                configuration_wrong(check, &problem);
        if (check->is_settled && !check->json)
                configuration_log_unused(config);
}

static int load(struct check *check, struct daemon *d, const struct pool_configuration *pool)
{
        struct zygote *zygote = NULL;
        int r = zygotes_new(d, &d->zygotes);

        daemon_update_now(d);
        if (r == 0)
                r = zygote_new(d->zygotes, d->config, pool, NULL, NULL, &zygote);
        if (r == 0)
                r = zygotes_await(d->zygotes);
        if (r == 0 && zygote_progress(zygote) == ZYGOTE_UNFIT)
                wrong(check, "modules", pool->name, zygote_why(zygote));
        d->zygotes = zygotes_free(d->zygotes);
        return r;
}

/* Each pool by itself: all that is wrong is said. */
static int load_all(struct check *check)
{
        struct daemon d = {.config = check->config};
        int r = daemon_init(&d);

        signal(SIGINT, SIG_DFL); /* no loop runs that could take them */
        signal(SIGTERM, SIG_DFL);
        getrlimit(RLIMIT_NOFILE, &d.worker_nofile);
        if (r == 0)
                r = workers_new(&d, &d.workers);
        for (uint32_t i = 0; r == 0 && i < d.config->n_pools; i++)
                r = load(check, &d, &d.config->pools[i]);
        d.workers = workers_free(d.workers);
        daemon_deinit(&d);
        return r;
}

static int begin(struct check *check)
{
        int fd = dup(STDOUT_FILENO);

        check->out = fd < 0 ? NULL : fdopen(fd, "we");
        check->problems = open_memstream(&check->problems_text, &check->problems_bytes);
        if (check->out == NULL || check->problems == NULL)
                return -errno;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        return dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? -errno : 0;
}

int check_run(struct start_options *options, bool json)
{
        static struct configuration_problem problem;
        struct check check = {.json = json};
        int r = begin(&check), status = EXIT_FAILURE;

        if (r == 0 && start_load(options, &check.config, &problem) != 0) {
                configuration_wrong(&check, &problem);
        } else if (r == 0) {
                log_init(check.config->log_level, check.config->log_format);
                settle(&check, options->socket);
                if (check.is_settled)
                        r = load_all(&check);
        }
        if (r < 0)
                log_error("cannot check: %s", strerror(-r));
        if (check.problems != NULL)
                fclose(check.problems);
        if (r == 0 && json)
                print_json(&check);
        else if (r == 0 && check.config != NULL)
                configuration_print(check.config, check.out);
        if (check.out != NULL && fclose(check.out) == 0 && r == 0)
                status = check.n_problems > 0 ? EXIT_CONFIGURATION : EXIT_SUCCESS;
        free(check.problems_text);
        configuration_free(check.config);
        return status;
}
