/* SPDX-License-Identifier: MIT */
/* Methods for admins: what pools do, and what is logged. That the caller is one has been checked. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/pools.h"
#include "daemon/reload.h"
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
        events_note_pool(daemon->events, EVENT_KIND_POOL_SCALED, pool);
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
        events_note_pool(daemon->events, paused ? EVENT_KIND_POOL_PAUSED : EVENT_KIND_POOL_RESUMED, pool);
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
        events_note_pool(daemon->events, EVENT_KIND_POOL_PAUSED, pool);
        if (call->is_notification) {
                core_pool_pause(daemon->core, pool, true, daemon->now);
                return;
        }
        int64_t timeout = options[DRAIN_TIMEOUT].given ? options[DRAIN_TIMEOUT].duration : CORE_NEVER;
        int r = core_pool_drain(daemon->core, rpc_request(call), pool, timeout, daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

/* -- reloads -- */

enum { RELOAD_WAIT, N_RELOAD_OPTIONS };
static const struct option_rule reload_rules[N_RELOAD_OPTIONS] = {
        [RELOAD_WAIT] = {.name = "wait", .type = OPTION_FLAG},
};

/* Who is to be told of it. 0, or < 0: answered. */
static int reload_caller(struct rpc_call *call, const struct option_value *options, struct reload_caller *ret)
{
        *ret = (struct reload_caller){.waits = !call->is_notification,
                                      .until_renewed = options[RELOAD_WAIT].flag};
        int r = call->is_notification
                        ? 0
                        : core_request_begin(call->daemon->core, rpc_request(call), &ret->ticket);
        if (r == 0)
                return 0;
        rpc_refuse(call, r);
        return -EBUSY;
}

void rpc_on_RELOAD(struct rpc_call *call)
{
        struct option_value options[N_RELOAD_OPTIONS];
        struct reload_caller caller;

        if (rpc_options(call, reload_rules, N_RELOAD_OPTIONS, options) == 0 &&
            reload_caller(call, options, &caller) == 0)
                reload_configuration(call->daemon->reload, caller);
}

void rpc_on_POOL_RELOAD(struct rpc_call *call)
{
        struct option_value options[N_RELOAD_OPTIONS];
        struct reload_caller caller;
        uint32_t pool;

        if (rpc_options(call, reload_rules, N_RELOAD_OPTIONS, options) == 0 && pool_param(call, &pool) == 0 &&
            reload_caller(call, options, &caller) == 0)
                reload_pool(call->daemon->reload, pool, caller);
}

static enum error_code reload_error(int r)
{
        switch (r) {
        case RELOAD_BAD:
                return ERROR_INVALID_PARAMS;
        case RELOAD_UNFINISHED:
        case RELOAD_BUSY:
                return ERROR_NOT_READY;
        case RELOAD_STOPPING:
                return ERROR_SHUTTING_DOWN;
        default:
                return ERROR_OUT_OF_MEMORY;
        }
}

/* With the file and the line that are to be mended, if it is one's fault. */
static void pack_reload_error(struct packer *packer, int r, const struct configuration_problem *why)
{
        char text[CONFIGURATION_PROBLEM_BYTES];
        bool has_file = why->file[0] != 0;

        configuration_problem_text(why, text, sizeof(text));
        encode_clean(text);
        pack_map(packer, has_file ? 4 : 2);
        pack_str(packer, "code");
        pack_str(packer, error_name(reload_error(r)));
        pack_str(packer, "message");
        pack_str(packer, text);
        if (!has_file)
                return;
        snprintf(text, sizeof(text), "%s", why->file);
        encode_clean(text);
        pack_str(packer, "file");
        pack_str(packer, text);
        pack_str(packer, "line");
        pack_uint(packer, why->line);
}

static void answer_failure(struct daemon *daemon, struct core_request request, int r,
                           const struct configuration_problem *why)
{
        struct connection *connection = connection_by_index(daemon->connections, request.connection);
        struct packer packer;

        if (!connection)
                return;
        connection_message_begin(connection, &packer);
        pack_error_response(&packer, request.msgid);
        pack_reload_error(&packer, r, why);
        pack_nil(&packer);
        connection_message_end(connection, &packer);
}

static void await_renewal(struct daemon *daemon, struct core_request request, uint32_t pool)
{
        int r = core_pool_await_renewal(daemon->core, request, pool, daemon->now);

        if (r != 0)
                backend_ops.answer_refusal(daemon, request,
                                           r < 0 ? CORE_OUT_OF_MEMORY : (enum core_refusal)r);
}

void rpc_reload_over(struct daemon *daemon, const struct reload_caller *caller, uint32_t pool, int r,
                     const struct configuration_problem *why)
{
        if (!caller->waits || !core_request_end(daemon->core, &caller->ticket))
                return;
        if (r != 0)
                answer_failure(daemon, caller->ticket.request, r, why);
        else if (caller->until_renewed)
                await_renewal(daemon, caller->ticket.request, pool);
        else
                backend_ops.answer_done(daemon, caller->ticket.request, pool);
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
