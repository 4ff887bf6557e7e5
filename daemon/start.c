/* SPDX-License-Identifier: MIT */
/*
 * The order: the process itself, the socket and its lock (so that a second daemon ends before it has started
 * anything), what the socket decides of the configuration, the tables, the core with its pools, the zygotes;
 * callers are let in last.
 */
#include "daemon/start.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "daemon/closer.h"
#include "daemon/config_core.h"
#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/events.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/message_ids.h"
#include "daemon/metrics_http.h"
#include "daemon/payload.h"
#include "daemon/pools.h"
#include "daemon/readiness.h"
#include "daemon/reload.h"
#include "daemon/rpc.h"
#include "daemon/shortage.h"
#include "daemon/sockets.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"
#include "proto/limits.h"

#define EPOCH_2020   INT64_C(1577836800)
#define IDS_A_SECOND 0x1p22 /* more than are ever given */
#define START_MARGIN (10 * CORE_SECOND)

static int failed(const char *what, int error)
{
        const char *remedy = shortage_remedy(error);

        log_error("cannot start: %s: %s%s%s", what, strerror(error), remedy ? "; " : "",
                  remedy ? remedy : "");
        return EXIT_FAILURE;
}

/* Standard descriptors that are closed would be taken by sockets, and written to by whoever prints. */
static int open_standard_descriptors(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

/* Signals as they are by default, whatever we were started with: an ignored SIGCHLD would take our children.
 */
static void reset_signals(void)
{
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGCHLD, SIG_DFL);
        signal(SIGPIPE, SIG_IGN);
}

static int raise_descriptors(struct daemon *d)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        d->worker_nofile = limit;
        limit.rlim_cur = limit.rlim_max;
        return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int begin_process(struct daemon *d)
{
        int r = open_standard_descriptors();

        if (r < 0)
                return failed("standard descriptors", -r);
        reset_signals();
        r = raise_descriptors(d);
        if (r < 0)
                return failed("RLIMIT_NOFILE", -r);
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return failed("becoming a subreaper", errno);
#ifndef __SANITIZE_ADDRESS__ /* its leak check traces the process */
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                return failed("PR_SET_DUMPABLE", errno);
#endif
        if (geteuid() == 0)
                log_warning("gangerd runs as root: EVERY TASK RUNS AS ROOT, whoever asks for it");
        daemon_update_now(d);
        d->started = d->now;
        daemon_look_at_wall(d);
        return 0;
}

static int begin_log(void)
{
        int r = log_start();

        return r == 0 ? 0 : failed("the log's thread", -r);
}

static int begin_sockets(struct daemon *d, const char *option)
{
        int r = sockets_new(d, option);

        systemd_begin();
        if (r == 0)
                r = listener_is_shared(d->listener, geteuid(), &d->shared);
        if (r < 0)
                return failed("the socket", -r);
        return r == SOCKET_IMPOSSIBLE ? EXIT_CONFIGURATION : r == 0 ? 0 : EXIT_FAILURE;
}

static uint64_t sum_of_nesting(const struct configuration *config)
{
        uint64_t sum = 0;

        for (uint32_t i = 0; i < config->n_pools; i++)
                sum += config->pools[i].nesting_limit;
        return sum;
}

int start_load(const struct start_options *options, struct configuration **ret,
               struct configuration_problem *problem)
{
        int r = configuration_load(options->config_path, ret, problem);

        if (r == 0 && options->log_level != NULL)
                (*ret)->log_level = log_level_from_name(options->log_level);
        return r;
}

static int settle(const struct daemon *d, struct configuration *config, struct configuration_problem *problem)
{
        struct rlimit limit = {0};
        uint32_t max_connections = config->max_connections;
        uint64_t nesting = sum_of_nesting(config);
        int r;

        getrlimit(RLIMIT_NOFILE, &limit);
        r = configuration_settle(config, d->shared, limit.rlim_cur, problem);
        if (r == 0 && config->max_connections != max_connections)
                log_warning("RLIMIT_NOFILE has room for %u connections only", config->max_connections);
        if (r == 0 && sum_of_nesting(config) != nesting)
                log_warning("RLIMIT_NOFILE has room for nesting_limit = %llu only, all pools together",
                            (unsigned long long)sum_of_nesting(config));
        if (r == 0)
                configuration_log_unused(config);
        return r;
}

static int begin_settled(struct daemon *d)
{
        struct configuration_problem problem;

        if (settle(d, d->config, &problem) == 0)
                return 0;
        configuration_log_problem(&problem);
        return EXIT_CONFIGURATION;
}

int start_succeed(struct daemon *d, struct configuration *next, struct configuration_problem *problem)
{
        int r = settle(d, next, problem);

        return r == 0 ? configuration_may_follow(d->config, next, problem) : r;
}

/* Ids grow over restarts: each start begins where no earlier one can have come to, even one of the same
 * second. */
static uint64_t first_id(const struct daemon *d)
{
        double seconds = daemon_wall(d, d->now) - EPOCH_2020;
        uint64_t id = seconds > 0 ? (uint64_t)(seconds * IDS_A_SECOND) : 0;

        return id > 0 && id < LIMIT_TASK_ID ? id : 1;
}

static int begin_core(struct daemon *d)
{
        struct core_config config = config_core(d->config);
        int r;

        config.first_id = first_id(d);
        r = core_new(&config, &backend_ops, d, &d->core);
        return r == 0 ? 0 : failed("the core", -r);
}

static int begin_tables(struct daemon *d)
{
        int r;

        closer_init(config_closer(d->config));
        r = payload_table_new(closer_close, &d->payloads);
        if (r == 0)
                r = rpc_new(d, &d->rpc);
        if (r == 0)
                r = events_new(d, first_id(d), &d->events);
        if (r == 0)
                r = connections_new(d, &rpc_connection_callbacks, d->rpc, &d->connections);
        if (r == 0)
                r = workers_new(d, &d->workers);
        if (r == 0)
                r = zygotes_new(d, &d->zygotes);
        if (r == 0)
                r = pools_new(d, &d->pools);
        if (r == 0)
                r = readiness_new(d, &d->readiness);
        if (r == 0)
                r = reload_new(d, &d->reload);
        return r == 0 ? 0 : failed("its tables", -r);
}

/* In the order of the configuration, which becomes the core's. */
static int put_in_force(struct daemon *d, struct zygote *const *zygotes)
{
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < d->config->n_pools; i++) {
                const struct pool_configuration *pool = &d->config->pools[i];
                struct generation *generation;
                r = pools_prepare(d->pools, d->config, pool->name, zygotes[i], &generation);
                if (r == 0)
                        pools_commit(d->pools, generation, zygotes[i], d->config, pool);
        }
        return r;
}

/* Waited for: nothing is served yet. */
static int begin_zygotes(struct daemon *d)
{
        struct zygote *zygotes[LIMIT_POOLS];
        int r = 0, status = 0;

        systemd_extend(2 * d->config->start_timeout + START_MARGIN); /* they load, then workers start */
        for (uint32_t i = 0; r == 0 && i < d->config->n_pools; i++)
                r = zygote_new(d->zygotes, d->config, &d->config->pools[i], NULL, NULL, &zygotes[i]);
        if (r == 0)
                r = zygotes_await(d->zygotes);
        for (uint32_t i = 0; r == 0 && i < d->config->n_pools; i++)
                if (zygote_progress(zygotes[i]) == ZYGOTE_UNFIT) {
                        bool is_short = zygote_is_short(zygotes[i]);
                        log_with(LOG_LEVEL_ERROR,
                                 LOG_FIELDS(.pool = d->config->pools[i].name,
                                            .message_id = is_short ? NULL : MESSAGE_CONFIGURATION_BAD),
                                 "%s", zygote_why(zygotes[i]));
                        status = is_short && status != EXIT_CONFIGURATION ? EXIT_FAILURE : EXIT_CONFIGURATION;
                }
        if (r == 0 && status == 0)
                r = put_in_force(d, zygotes);
        return r == 0 ? status : failed("the zygotes", -r);
}

static int begin_loop(struct daemon *d)
{
        int r = daemon_init(d);

        return r == 0 ? 0 : failed("the event loop", -r);
}

int daemon_begin(struct daemon *d, const struct start_options *options)
{
        int status, r;

        d->config = options->config;
        d->options = options;
        status = begin_process(d);
        if (status == 0)
                status = begin_log();
        if (status == 0)
                status = begin_loop(d);
        if (status == 0)
                status = begin_sockets(d, options->socket);
        if (status == 0)
                status = begin_settled(d);
        if (status == 0)
                status = begin_tables(d);
        if (status == 0)
                status = begin_core(d); /* asks the backend for randomness */
        if (status == 0)
                status = begin_zygotes(d);
        if (status == 0) {
                log_info("gangerd " GANGER_VERSION " (pid %ld) listens on %s", (long)getpid(),
                         listener_address(d->listener));
                r = listener_start(d->listener);
                metrics_http_start(d->metrics_http);
                status = r == 0 ? 0 : failed("waiting for callers", -r);
        }
        return status;
}

void daemon_end(struct daemon *d)
{
        d->metrics_http = metrics_http_free(d->metrics_http);
        d->connections = connections_free(d->connections);
        d->workers = workers_free(d->workers);
        d->core = core_free(d->core);
        d->rpc = rpc_free(d->rpc);
        d->events = events_free(d->events);
        d->zygotes = zygotes_free(d->zygotes);
        d->pools = pools_free(d->pools);
        d->reload = reload_free(d->reload);
        d->readiness = readiness_free(d->readiness);
        d->payloads = payload_table_free(d->payloads);
        d->listener = listener_free(d->listener);
        daemon_deinit(d);
        d->config = configuration_free(d->config);
}
