/* SPDX-License-Identifier: MIT */
/* The status: figures are the core's own lengths, asked for when somebody wants to know. */
#include <unistd.h>

#include "config.h"
#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/core/core_look.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/log.h"
#include "daemon/pools.h"
#include "daemon/worker.h"
#include "proto/pack.h"

static void pack_pair(struct packer *packer, const char *key, uint64_t value)
{
        pack_str(packer, key);
        pack_uint(packer, value);
}

static void pack_totals(struct packer *packer, const struct core_totals *totals)
{
        pack_str(packer, "totals");
        pack_map(packer, 8);
        pack_pair(packer, "submitted", totals->submitted);
        pack_pair(packer, "succeeded", totals->succeeded);
        pack_pair(packer, "failed", totals->failed);
        pack_pair(packer, "cancelled", totals->cancelled);
        pack_pair(packer, "expired", totals->expired);
        pack_pair(packer, "retried", totals->retried);
        pack_pair(packer, "workers_started", totals->workers_started);
        pack_pair(packer, "workers_lost", totals->workers_lost);
}

static void add_totals(struct core_totals *sum, const struct core_totals *totals)
{
        sum->submitted += totals->submitted;
        sum->succeeded += totals->succeeded;
        sum->failed += totals->failed;
        sum->cancelled += totals->cancelled;
        sum->expired += totals->expired;
        sum->retried += totals->retried;
        sum->workers_started += totals->workers_started;
        sum->workers_lost += totals->workers_lost;
}

void encode_pools(struct packer *packer, const struct daemon *daemon)
{
        const struct configuration *config = daemon->config;

        pack_map(packer, 1);
        pack_str(packer, "pools");
        pack_array(packer, config->n_pools);
        for (uint32_t i = 0; i < config->n_pools; i++)
                pack_str(packer, config->pools[i].name);
}

static void pack_pool(struct packer *packer, const char *name, const struct core_pool_status *status)
{
        pack_map(packer, 7);
        pack_str(packer, "name");
        pack_str(packer, name);
        pack_str(packer, "workers");
        pack_map(packer, 4);
        pack_pair(packer, "target", status->target);
        pack_pair(packer, "starting", status->starting);
        pack_pair(packer, "idle", status->idle);
        pack_pair(packer, "busy", status->busy);
        pack_str(packer, "queued");
        pack_map(packer, 2);
        pack_pair(packer, "ready", status->ready);
        pack_pair(packer, "delayed", status->delayed);
        pack_pair(packer, "running", status->running);
        pack_str(packer, "paused");
        pack_bool(packer, status->paused);
        pack_str(packer, "degraded");
        pack_bool(packer, status->degraded);
        pack_totals(packer, &status->totals);
}

static const char *worker_state_name(enum worker_state state)
{
        switch (state) {
        case WORKER_STARTING:
                return "starting";
        case WORKER_IDLE:
                return "idle";
        case WORKER_BUSY:
                return "busy";
        case WORKER_STOPPING:
                return "stopping";
        case WORKER_KILLED:
                return "killed";
        case WORKER_STUCK:
                return "stuck";
        }
        return NULL;
}

static void pack_worker(struct packer *packer, struct daemon *daemon, uint32_t index,
                        const struct core_worker_status *status)
{
        bool shown = status->task != 0 && status->visible;
        const struct pool_function *function =
                shown ? pools_function(daemon->pools, status->pool, status->function) : NULL;
        struct worker_usage usage;
        bool is_known = worker_usage(daemon->workers, index, &usage);

        pack_map(packer, 9);
        pack_str(packer, "pid");
        if (status->pid > 0)
                pack_int(packer, status->pid);
        else
                pack_nil(packer);
        pack_str(packer, "pool");
        pack_str(packer, pools_name(daemon->pools, status->pool));
        pack_str(packer, "state");
        pack_str(packer, worker_state_name(status->state));
        pack_str(packer, "task");
        if (shown)
                pack_uint(packer, status->task);
        else
                pack_nil(packer);
        pack_str(packer, "function");
        pack_str(packer, function ? function->name : NULL);
        pack_str(packer, "since");
        pack_double(packer, daemon_wall(daemon, status->since));
        pack_pair(packer, "tasks_done", status->tasks_done);
        pack_str(packer, "rss");
        if (is_known)
                pack_uint(packer, usage.rss_bytes);
        else
                pack_nil(packer);
        pack_str(packer, "cpu");
        if (is_known)
                pack_double(packer, usage.cpu_s);
        else
                pack_nil(packer);
}

static void pack_workers(struct packer *packer, struct daemon *daemon, uint32_t connection)
{
        struct core_worker_status status;
        uint32_t end = core_workers_end(daemon->core), n = 0;

        for (uint32_t i = 0; i < end; i++)
                n += core_worker_status(daemon->core, connection, i, &status);
        pack_str(packer, "workers");
        pack_array(packer, n);
        for (uint32_t i = 0; i < end; i++)
                if (core_worker_status(daemon->core, connection, i, &status))
                        pack_worker(packer, daemon, i, &status);
}

static void pack_times(struct packer *packer, const char *key, const struct core_times *times)
{
        const struct {
                const char *key;
                int64_t ns;
        } figures[] = {
                {"mean", times->n ? times->sum_ns / (int64_t)times->n : 0},
                {"p50", times->p50_ns},
                {"p90", times->p90_ns},
                {"p99", times->p99_ns},
                {"max", times->max_ns},
        };

        pack_str(packer, key);
        pack_map(packer, 6);
        pack_pair(packer, "count", times->n);
        for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
                pack_str(packer, figures[i].key);
                if (times->n)
                        pack_double(packer, (double)figures[i].ns / CORE_SECOND);
                else
                        pack_nil(packer);
        }
}

/* Of those that were used. ret: NULL, then they are only counted. */
static uint32_t pack_functions(struct packer *ret, const struct daemon *daemon)
{
        struct core_times wait, run;
        uint32_t n = 0;

        for (uint32_t pool = 0; pool < pools_end(daemon->pools); pool++)
                for (uint32_t i = 0; i < pools_functions_end(daemon->pools, pool); i++) {
                        if (!pools_configuration(daemon->pools, pool) ||
                            !core_function_times(daemon->core, pool, i, &wait, &run))
                                continue;
                        n++;
                        if (!ret)
                                continue;
                        pack_map(ret, 4);
                        pack_str(ret, "name");
                        pack_str(ret, pools_function(daemon->pools, pool, i)->name);
                        pack_str(ret, "pool");
                        pack_str(ret, pools_name(daemon->pools, pool));
                        pack_times(ret, "wait", &wait);
                        pack_times(ret, "run", &run);
                }
        return n;
}

static void pack_use(struct packer *packer, const char *key, uint64_t used, uint64_t limit)
{
        pack_str(packer, key);
        pack_array(packer, 2);
        pack_uint(packer, used);
        pack_uint(packer, limit);
}

/* What is held for the user who asks, of what may be: by the configuration's keys. */
static void pack_user(struct packer *packer, const struct daemon *daemon, uid_t uid)
{
        const struct configuration *config = daemon->config;
        struct core_account account;

        core_account(daemon->core, uid, &account);
        pack_str(packer, "user");
        pack_map(packer, 5);
        pack_use(packer, "user_connections", account.connections, config->user_connections);
        pack_use(packer, "user_tasks", account.tasks, config->user_tasks);
        pack_use(packer, "user_descriptors", account.descriptors, config->user_descriptors);
        pack_use(packer, "user_memory", account.bytes, config->user_memory_bytes);
        pack_use(packer, "user_objects", account.objects, config->user_objects);
}

void encode_status(struct packer *packer, struct daemon *daemon, const struct connection *connection)
{
        struct core_totals sum = {0};
        uint64_t rss_bytes = 0;

        process_rss(getpid(), &rss_bytes);
        pack_map(packer, 12);
        pack_str(packer, "version");
        pack_str(packer, GANGER_VERSION);
        pack_pair(packer, "pid", (uint64_t)getpid());
        pack_str(packer, "uptime");
        pack_double(packer, (double)(daemon->now - daemon->started) / CORE_SECOND);
        pack_str(packer, "state");
        pack_str(packer, daemon->stopping ? "stopping" : daemon->ready ? "running" : "starting");
        pack_pair(packer, "connections", connections_count(daemon->connections));
        pack_pair(packer, "memory", rss_bytes);
        pack_pair(packer, "log_dropped", log_n_dropped());
        pack_user(packer, daemon, connection->uid);
        pack_str(packer, "pools");
        pack_array(packer, daemon->config->n_pools);
        for (uint32_t i = 0; i < pools_end(daemon->pools); i++) {
                struct core_pool_status status;
                core_pool_status(daemon->core, i, &status);
                add_totals(&sum, &status.totals);
                if (pools_configuration(daemon->pools, i))
                        pack_pool(packer, pools_name(daemon->pools, i), &status);
        }
        pack_workers(packer, daemon, connection->index);
        pack_str(packer, "functions");
        pack_array(packer, pack_functions(NULL, daemon));
        pack_functions(packer, daemon);
        pack_totals(packer, &sum);
}
