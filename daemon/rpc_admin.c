/* SPDX-License-Identifier: MIT */
/* Methods for admins: what pools do, and what is logged. That the caller is one has been checked. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/pools.h"
#include "daemon/rpc_private.h"
#include "proto/limits.h"

/* The pool that the first parameter names. 0, or < 0: answered. */
static int pool_param(struct rpc_call *call, uint32_t *ret)
{
        struct reader reader = rpc_param(call, 0);
        const char *name;
        size_t size_bytes;

        *ret = CORE_NO_POOL;
        if (reader_str(&reader, &name, &size_bytes) == 0 && size_bytes <= LIMIT_NAME_BYTES)
                *ret = pools_find(call->daemon->pools, name, size_bytes);
        if (*ret != CORE_NO_POOL)
                return 0;
        rpc_error(call, ERROR_UNKNOWN_POOL, "there is no pool \"%.*s\"",
                  (int)(size_bytes <= LIMIT_NAME_BYTES ? size_bytes : LIMIT_NAME_BYTES), name);
        return -ENOENT;
}

static void reply_nil(struct rpc_call *call)
{
        struct packer packer;

        if (!rpc_reply_begin(call, &packer))
                return;
        pack_nil(&packer);
        rpc_reply_end(call, &packer);
}

static void log_by(const struct rpc_call *call, uint32_t pool, const char *what)
{
        log_with(LOG_LEVEL_INFO,
                 LOG_FIELDS(.uid = &call->connection->uid, .pool = pools_name(call->daemon->pools, pool)),
                 "%s, as process %d asks", what, (int)call->connection->pid);
}

/* -- pools -- */

/* Whether there are descriptors for so many workers of this pool beside all else. False: answered. */
static bool fits(struct rpc_call *call, uint32_t pool, uint64_t n)
{
        struct daemon *daemon = call->daemon;
        uint64_t configured = pools_configuration(daemon->pools, pool)->workers;
        uint64_t needed = configuration_descriptors(daemon->config) + connections_count(daemon->connections);
        struct rlimit limit = {0};

        if (n > configured)
                needed += (n - configured) * CONFIG_DESCRIPTORS_PER_WORKER;
        getrlimit(RLIMIT_NOFILE, &limit);
        if (n <= configured || needed <= limit.rlim_cur)
                return true;
        rpc_error(call, ERROR_INVALID_PARAMS,
                  "with %" PRIu64 " workers %" PRIu64
                  " descriptors are needed, RLIMIT_NOFILE allows %" PRIu64,
                  n, needed, (uint64_t)limit.rlim_cur);
        return false;
}

void rpc_on_POOL_SCALE(struct rpc_call *call)
{
        struct daemon *daemon = call->daemon;
        struct reader reader = rpc_param(call, 1);
        uint64_t n = 0;
        uint32_t pool;

        if (pool_param(call, &pool) < 0)
                return;
        reader_uint(&reader, &n);
        if (n > LIMIT_WORKERS)
                return rpc_error(call, ERROR_INVALID_PARAMS, "a pool has at most %d workers, not %" PRIu64,
                                 LIMIT_WORKERS, n);
        if (!fits(call, pool, n))
                return;
        log_with(LOG_LEVEL_INFO,
                 LOG_FIELDS(.uid = &call->connection->uid, .pool = pools_name(daemon->pools, pool)),
                 "scaled to %" PRIu64 " workers, as process %d asks", n, (int)call->connection->pid);
        core_pool_scale(daemon->core, pool, (uint32_t)n, daemon->now);
        reply_nil(call);
}

static void pause(struct rpc_call *call, bool paused)
{
        struct daemon *daemon = call->daemon;
        uint32_t pool;

        if (pool_param(call, &pool) < 0)
                return;
        log_by(call, pool, paused ? "paused" : "resumed");
        core_pool_pause(daemon->core, pool, paused, daemon->now);
        reply_nil(call);
}

void rpc_on_POOL_PAUSE(struct rpc_call *call)
{
        pause(call, true);
}

void rpc_on_POOL_RESUME(struct rpc_call *call)
{
        pause(call, false);
}

enum { DRAIN_TIMEOUT, N_DRAIN_OPTIONS };
static const struct option_rule drain_rules[N_DRAIN_OPTIONS] = {
        [DRAIN_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
};

void rpc_on_POOL_DRAIN(struct rpc_call *call)
{
        struct daemon *daemon = call->daemon;
        struct option_value options[N_DRAIN_OPTIONS];
        uint32_t pool;

        if (rpc_options(call, drain_rules, N_DRAIN_OPTIONS, options) < 0 || pool_param(call, &pool) < 0)
                return;
        log_by(call, pool, "paused until it is drained");
        if (call->is_notification) {
                core_pool_pause(daemon->core, pool, true, daemon->now);
                return;
        }
        int64_t timeout = options[DRAIN_TIMEOUT].given ? options[DRAIN_TIMEOUT].duration : CORE_NEVER;
        int r = core_pool_drain(daemon->core, rpc_request(call), pool, timeout, daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

/* -- the log -- */

void rpc_on_LOG_LEVEL(struct rpc_call *call)
{
        struct reader reader = rpc_param(call, 0);
        enum log_level level = log_get_level(), before = level;
        const char *name = "";
        size_t size_bytes = 0;
        char text[16] = "";
        struct packer packer;

        if (call->params[0].data && reader_str(&reader, &name, &size_bytes) == 0) {
                snprintf(text, sizeof(text), "%.*s", (int)size_bytes, name);
                level = log_level_from_name(text);
        }
        if (level == N_LOG_LEVELS)
                return rpc_error(call, ERROR_INVALID_PARAMS,
                                 "the level must be \"error\", \"warning\", \"info\" or \"debug\"");
        log_set_level(level > before ? level : before); /* so that this is seen */
        if (level != before)
                log_with(LOG_LEVEL_INFO, LOG_FIELDS(.uid = &call->connection->uid),
                         "the log's level was %s and is %s now, as process %d asks", log_level_name(before),
                         log_level_name(level), (int)call->connection->pid);
        log_set_level(level);
        if (!rpc_reply_begin(call, &packer))
                return;
        pack_str(&packer, log_level_name(before));
        rpc_reply_end(call, &packer);
}
