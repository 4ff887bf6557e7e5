/* SPDX-License-Identifier: MIT */
#include "daemon/reload.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/closer.h"
#include "daemon/config_core.h"
#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/message_ids.h"
#include "daemon/pools.h"
#include "daemon/rpc.h"
#include "daemon/start.h"
#include "daemon/systemd.h"
#include "daemon/zygote.h"
#include "proto/limits.h"

/* What is to serve a pool. */
struct successor {
        const struct pool_configuration *pool;
        struct zygote *zygote;
        struct generation *generation; /* prepared */
};

struct reload {
        struct daemon *daemon;
        bool is_going;
        bool is_beginning;                   /* not all zygotes are executed yet */
        bool again;                          /* SIGHUP came meanwhile */
        struct configuration *configuration; /* the new one; NULL: one pool is reloaded */
        uint32_t pool;                       /* that one, or CORE_NO_POOL */
        struct reload_caller caller;
        struct successor successors[LIMIT_POOLS];
        uint32_t n;
        struct configuration_problem problem;
};

int reload_new(struct daemon *daemon, struct reload **ret)
{
        struct reload *reload = calloc(1, sizeof(*reload));
        if (!reload)
                return -ENOMEM;
        reload->daemon = daemon;
        *ret = reload;
        return 0;
}

struct reload *reload_free(struct reload *reload)
{
        if (!reload)
                return NULL;
        configuration_free(reload->configuration);
        free(reload);
        return NULL;
}

/* What is wrong, of no file in particular. */
static int problem(struct reload *reload, int r, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static int problem(struct reload *reload, int r, const char *format, ...)
{
        va_list args;

        reload->problem.file[0] = 0;
        reload->problem.line = 0;
        va_start(args, format);
        vsnprintf(reload->problem.text, sizeof(reload->problem.text), format, args);
        va_end(args);
        return r;
}

/* -- its end -- */

static void drop(struct reload *reload)
{
        for (uint32_t i = 0; i < reload->n; i++) {
                generation_unref(reload->successors[i].generation);
                zygote_dismiss(reload->successors[i].zygote);
        }
        reload->n = 0;
        reload->configuration = configuration_free(reload->configuration);
}

static void log_failure(const struct reload *reload)
{
        char text[CONFIGURATION_PROBLEM_BYTES];

        configuration_problem_text(&reload->problem, text, sizeof(text));
        log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.message_id = MESSAGE_RELOAD_FAILED),
                 "%s; nothing was reloaded, and what was in force stays in force", text);
}

static void log_success(const struct reload *reload)
{
        const struct daemon *daemon = reload->daemon;

        if (reload->pool == CORE_NO_POOL)
                log_with(LOG_LEVEL_INFO, LOG_FIELDS(.message_id = MESSAGE_RELOADED),
                         "a new configuration is in force, with %u pool%s", daemon->config->n_pools,
                         daemon->config->n_pools == 1 ? "" : "s");
        else
                log_with(LOG_LEVEL_INFO, LOG_FIELDS(.pool = pools_name(daemon->pools, reload->pool)),
                         "the pool is served anew");
}

/* r: 0: it is in force; an enum reload_result, or -ENOMEM: nothing has changed. */
static void finish(struct reload *reload, int r)
{
        struct daemon *daemon = reload->daemon;

        drop(reload);
        if (r == -ENOMEM)
                problem(reload, r, "out of memory");
        if (r == 0)
                log_success(reload);
        else
                log_failure(reload);
        events_note_pool(daemon->events, r == 0 ? EVENT_KIND_RELOADED : EVENT_KIND_RELOAD_FAILED,
                         reload->pool);
        reload->is_going = false;
        if (reload->pool == CORE_NO_POOL && daemon->ready && !daemon->stopping)
                systemd_ready();
        rpc_reload_over(daemon, &reload->caller, reload->pool, r, &reload->problem);
        daemon_turn_again(daemon);
        if (reload->again && !daemon->stopping)
                reload_on_signal(reload);
}

/* -- taking over -- */

static bool has_pool(const struct configuration *configuration, const char *name)
{
        for (uint32_t i = 0; i < configuration->n_pools; i++)
                if (strcmp(configuration->pools[i].name, name) == 0)
                        return true;
        return false;
}

/* A pool that is in force and that the new configuration does not name. */
static bool is_removed(const struct reload *reload, uint32_t pool)
{
        const struct pools *pools = reload->daemon->pools;
        return reload->configuration && pools_configuration(pools, pool) &&
               !has_pool(reload->configuration, pools_name(pools, pool));
}

static int check_removed(struct reload *reload)
{
        const struct daemon *daemon = reload->daemon;

        for (uint32_t i = 0; i < pools_end(daemon->pools); i++) {
                uint64_t n = is_removed(reload, i) ? core_pool_unfinished(daemon->core, i, UINT32_MAX) : 0;
                if (n > 0)
                        return problem(reload, RELOAD_UNFINISHED,
                                       "the pool %s cannot be taken out of the configuration while it has "
                                       "%" PRIu64 " unfinished task%s",
                                       pools_name(daemon->pools, i), n, n == 1 ? "" : "s");
        }
        return 0;
}

static int check_functions(struct reload *reload)
{
        const struct pools *pools = reload->daemon->pools;
        const char *function;
        uint64_t n;

        for (uint32_t i = 0; i < reload->n; i++) {
                const char *name = reload->successors[i].pool->name;
                uint32_t pool = pools_find(pools, name, strlen(name));
                if (pool != CORE_NO_POOL &&
                    pools_would_lose(pools, pool, reload->successors[i].zygote, &function, &n))
                        return problem(reload, RELOAD_UNFINISHED,
                                       "the pool %s cannot lose the function %s while it has %" PRIu64
                                       " unfinished task%s",
                                       name, function, n, n == 1 ? "" : "s");
        }
        return 0;
}

static const struct configuration *configuration_of(const struct reload *reload)
{
        return reload->configuration ? reload->configuration : reload->daemon->config;
}

static int prepare(struct reload *reload)
{
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < reload->n; i++) {
                struct successor *successor = &reload->successors[i];
                r = pools_prepare(reload->daemon->pools, configuration_of(reload), successor->pool->name,
                                  successor->zygote, &successor->generation);
                if (r == POOLS_FULL)
                        return problem(reload, RELOAD_BAD,
                                       "the pool %s would be one more than the %d that there can have been "
                                       "since gangerd started: restart gangerd",
                                       successor->pool->name, LIMIT_POOLS);
        }
        return r;
}

/* Nothing here can fail. */
static void commit(struct reload *reload)
{
        struct daemon *daemon = reload->daemon;
        struct configuration *next = reload->configuration, *old = daemon->config;

        for (uint32_t i = 0; i < pools_end(daemon->pools); i++)
                if (is_removed(reload, i))
                        pools_close(daemon->pools, i, next);
        for (uint32_t i = 0; i < reload->n; i++) {
                struct successor *successor = &reload->successors[i];
                pools_commit(daemon->pools, successor->generation, successor->zygote,
                             configuration_of(reload), successor->pool);
        }
        reload->n = 0;
        if (!next)
                return;
        const struct core_config core = config_core(next);
        daemon->config = next;
        reload->configuration = NULL;
        core_configure(daemon->core, &core);
        closer_init(config_closer(next));
        connections_configure(daemon->connections);
        log_init(next->log_level, next->log_format);
        configuration_free(old);
}

static void take_over(struct reload *reload)
{
        int r = check_removed(reload);

        if (r == 0)
                r = check_functions(reload);
        if (r == 0)
                r = prepare(reload);
        if (r == 0)
                commit(reload);
        finish(reload, r);
}

/* -- loading -- */

static void look(struct reload *reload)
{
        bool all = true;

        if (!reload->is_going || reload->is_beginning)
                return;
        for (uint32_t i = 0; i < reload->n; i++) {
                const struct successor *successor = &reload->successors[i];
                enum zygote_progress progress = zygote_progress(successor->zygote);
                if (progress == ZYGOTE_UNFIT) {
                        finish(reload, problem(reload, RELOAD_BAD, "[pool %s] %s", successor->pool->name,
                                               zygote_why(successor->zygote)));
                        return;
                }
                all &= progress == ZYGOTE_LOADED;
        }
        if (all)
                take_over(reload);
}

static void on_news(void *reload)
{
        look(reload);
}

static int load(struct reload *reload, const struct pool_configuration *pool)
{
        struct successor *successor = &reload->successors[reload->n];
        int r;

        *successor = (struct successor){.pool = pool};
        r = zygote_new(reload->daemon->zygotes, configuration_of(reload), pool, on_news, reload,
                       &successor->zygote);
        if (r == 0)
                reload->n++;
        return r;
}

/* -- its beginning -- */

/* 0, or why there can be none now. */
static int begin(struct reload *reload, uint32_t pool, struct reload_caller caller)
{
        struct daemon *daemon = reload->daemon;
        struct configuration_problem why = {0};

        if (reload->is_going || daemon->stopping) {
                int r = daemon->stopping ? RELOAD_STOPPING : RELOAD_BUSY;
                snprintf(why.text, sizeof(why.text), "%s",
                         daemon->stopping ? "gangerd stops and reloads nothing any more"
                                          : "another reload is on its way: ask again when it is over");
                rpc_reload_over(daemon, &caller, pool, r, &why);
                return r;
        }
        assert(reload->n == 0 && !reload->configuration);
        reload->is_going = reload->is_beginning = true;
        reload->problem = why;
        reload->caller = caller;
        reload->pool = pool;
        return 0;
}

/* All zygotes are executed, or it has failed. */
static void begun(struct reload *reload, int r)
{
        reload->is_beginning = false;
        if (r != 0)
                finish(reload, r);
        else
                look(reload);
}

static int read_configuration(struct reload *reload)
{
        struct daemon *daemon = reload->daemon;
        int r = start_load(daemon->options, &reload->configuration, &reload->problem);

        if (r == 0)
                r = start_succeed(daemon, reload->configuration, &reload->problem);
        return r > 0 ? RELOAD_BAD : r;
}

void reload_configuration(struct reload *reload, struct reload_caller caller)
{
        int r = begin(reload, CORE_NO_POOL, caller);

        if (r != 0)
                return;
        reload->again = false;
        systemd_reloading();
        r = read_configuration(reload);
        if (r == 0)
                r = check_removed(reload);
        for (uint32_t i = 0; r == 0 && i < reload->configuration->n_pools; i++)
                r = load(reload, &reload->configuration->pools[i]);
        begun(reload, r);
}

void reload_pool(struct reload *reload, uint32_t pool, struct reload_caller caller)
{
        if (begin(reload, pool, caller) == 0)
                begun(reload, load(reload, pools_configuration(reload->daemon->pools, pool)));
}

void reload_on_signal(struct reload *reload)
{
        if (reload->is_going)
                reload->again = true;
        else
                reload_configuration(reload, (struct reload_caller){.waits = false});
}

void reload_stop(struct reload *reload)
{
        reload->again = false;
        if (reload->is_going)
                finish(reload, problem(reload, RELOAD_STOPPING, "gangerd stops"));
}
