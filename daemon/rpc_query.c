/* SPDX-License-Identifier: MIT */
/* Methods that only look: hello, ping, task, tasks, functions, status. */
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "daemon/configuration.h"
#include "daemon/core/core_look.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/log.h"
#include "daemon/permission.h"
#include "daemon/pools.h"
#include "daemon/rpc_private.h"
#include "proto/limits.h"

#define TASKS_DEFAULT 1000
#define TASKS_MAX     10000

enum { HELLO_PROTOCOL, HELLO_CLIENT, HELLO_DESCRIPTORS, N_HELLO_OPTIONS };
static const struct option_rule hello_rules[N_HELLO_OPTIONS] = {
        [HELLO_PROTOCOL] = {.name = "protocol", .type = OPTION_COUNT, .min = 0, .max = UINT64_MAX},
        [HELLO_CLIENT] = {.name = "client", .type = OPTION_TEXT},
        [HELLO_DESCRIPTORS] = {.name = "descriptors", .type = OPTION_FLAG},
};

/* The one error that says more: which protocols there are. */
static void other_protocol(struct rpc_call *call)
{
        struct packer packer;

        call->answered = true;
        if (call->is_notification)
                return;
        connection_message_begin(call->connection, &packer);
        pack_error_response(&packer, call->msgid);
        pack_map(&packer, 3);
        pack_str(&packer, "code");
        pack_str(&packer, error_name(ERROR_INVALID_PARAMS));
        pack_str(&packer, "message");
        pack_str(&packer, "option protocol of hello must be 1: this gangerd speaks no other");
        pack_str(&packer, "protocols");
        pack_array(&packer, 1);
        pack_uint(&packer, PROTOCOL_VERSION);
        pack_nil(&packer);
        connection_message_end(call->connection, &packer);
}

static void pack_hello(struct packer *packer, const struct configuration *config,
                       const struct connection *connection)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < config->n_pools; i++)
                n += permission_pool(connection, &config->pools[i]);
        pack_map(packer, 6);
        pack_str(packer, "protocol");
        pack_uint(packer, PROTOCOL_VERSION);
        pack_str(packer, "server");
        pack_str(packer, "ganger");
        pack_str(packer, "version");
        pack_str(packer, GANGER_VERSION);
        pack_str(packer, "pid");
        pack_int(packer, getpid());
        pack_str(packer, "max_message");
        pack_uint(packer, config->max_message_bytes);
        pack_str(packer, "pools");
        pack_array(packer, n);
        for (uint32_t i = 0; i < config->n_pools; i++)
                if (permission_pool(connection, &config->pools[i]))
                        pack_str(packer, config->pools[i].name);
}

void rpc_on_HELLO(struct rpc_call *call)
{
        struct option_value options[N_HELLO_OPTIONS];
        struct connection *connection = call->connection;
        const struct option_value *client = &options[HELLO_CLIENT];
        struct packer packer;

        if (rpc_options(call, hello_rules, N_HELLO_OPTIONS, options) < 0)
                return;
        if (options[HELLO_PROTOCOL].given && options[HELLO_PROTOCOL].count != PROTOCOL_VERSION)
                return other_protocol(call);
        if (options[HELLO_DESCRIPTORS].flag && connection->channel)
                return rpc_error(call, ERROR_INVALID_PARAMS,
                                 "option descriptors of hello: what a task asks for carries none");
        int r = permission_prepare(call->daemon->config, connection);
        if (r < 0)
                return rpc_refuse(call, r);
        connection->said_hello = true;
        connection->takes_descriptors = options[HELLO_DESCRIPTORS].flag;
        if (client->given)
                log_with(LOG_LEVEL_DEBUG, LOG_FIELDS(.uid = &connection->uid), "process %d is %.*s",
                         (int)connection->pid, (int)client->text_size_bytes, client->text);
        if (!rpc_reply_begin(call, &packer))
                return;
        pack_hello(&packer, call->daemon->config, connection);
        rpc_reply_end(call, &packer);
}

void rpc_on_PING(struct rpc_call *call)
{
        struct packer packer;

        if (!rpc_reply_begin(call, &packer))
                return;
        pack_str(&packer, "pong");
        rpc_reply_end(call, &packer);
}

void rpc_on_TASK(struct rpc_call *call)
{
        struct reader reader = rpc_param(call, 0);
        struct core_record record;
        struct packer packer;
        uint64_t id = 0;

        reader_uint(&reader, &id);
        int r = core_task(call->daemon->core, call->connection->index, id, &record);
        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                encode_record(&packer, call->daemon, &record);
                rpc_reply_end(call, &packer);
        }
}

/* -- tasks -- */

enum { TASKS_STATE, TASKS_POOL, TASKS_FUNCTION, TASKS_LABEL, TASKS_LIMIT, TASKS_AFTER, N_TASKS_OPTIONS };
static const struct option_rule tasks_rules[N_TASKS_OPTIONS] = {
        [TASKS_STATE] = {.name = "state", .type = OPTION_NAME},
        [TASKS_POOL] = {.name = "pool", .type = OPTION_NAME},
        [TASKS_FUNCTION] = {.name = "function", .type = OPTION_NAME},
        [TASKS_LABEL] = {.name = "label", .type = OPTION_TEXT},
        [TASKS_LIMIT] = {.name = "limit", .type = OPTION_COUNT, .min = 1, .max = TASKS_MAX},
        [TASKS_AFTER] = {.name = "after", .type = OPTION_COUNT, .min = 0, .max = LIMIT_TASK_ID - 1},
};

struct listing {
        const struct daemon *daemon;
        const struct option_value *options;
        struct packer packer;
        uint64_t n, limit;
};

static bool same(const struct option_value *wanted, const char *text)
{
        return !wanted->given || (text && strlen(text) == wanted->text_size_bytes &&
                                  memcmp(text, wanted->text, wanted->text_size_bytes) == 0);
}

static bool is_wanted(const struct listing *listing, const struct core_record *record)
{
        const struct option_value *options = listing->options;
        const struct daemon *daemon = listing->daemon;
        const struct pool_function *function = pools_function(daemon->pools, record->pool, record->function);

        return (same(&options[TASKS_STATE], encode_state(record->state)) ||
                (!TASK_IS_END(record->state) && same(&options[TASKS_STATE], "unended"))) &&
               same(&options[TASKS_POOL], pools_name(daemon->pools, record->pool)) &&
               same(&options[TASKS_FUNCTION], function ? function->name : NULL) &&
               same(&options[TASKS_LABEL], record->label);
}

static bool on_each(void *userdata, const struct core_record *record)
{
        struct listing *listing = userdata;

        if (!is_wanted(listing, record))
                return true;
        encode_record(&listing->packer, listing->daemon, record);
        listing->n++;
        return listing->n < listing->limit;
}

static bool is_state(const struct option_value *wanted)
{
        for (int state = 0; state < N_TASK_STATES; state++)
                if (same(wanted, encode_state((enum task_state)state)))
                        return true;
        return same(wanted, "unended");
}

void rpc_on_TASKS(struct rpc_call *call)
{
        struct option_value options[N_TASKS_OPTIONS];
        struct buffer records = BUFFER_INIT;
        struct listing listing = {.daemon = call->daemon, .options = options, .limit = TASKS_DEFAULT};
        struct packer packer;

        if (rpc_options(call, tasks_rules, N_TASKS_OPTIONS, options) < 0)
                return;
        if (!is_state(&options[TASKS_STATE])) {
                rpc_error(call, ERROR_INVALID_PARAMS,
                          "option state of tasks must be \"delayed\", \"ready\", \"running\", \"succeeded\", "
                          "\"failed\", \"cancelled\", \"expired\" or \"unended\"");
                return;
        }
        if (options[TASKS_LIMIT].given)
                listing.limit = options[TASKS_LIMIT].count;
        pack_begin(&listing.packer, &records);
        core_tasks(call->daemon->core, call->connection->index, options[TASKS_AFTER].count, on_each,
                   &listing);
        int r = pack_end(&listing.packer);
        if (r < 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_array(&packer, listing.n);
                pack_raw(&packer, buffer_at(&records), buffer_size(&records));
                rpc_reply_end(call, &packer);
        }
        buffer_deinit(&records);
}

/* -- functions -- */

static void pack_function(struct packer *packer, const struct daemon *daemon, uint32_t pool, uint32_t number)
{
        const struct pool_function *function = pools_function(daemon->pools, pool, number);

        pack_map(packer, 4);
        pack_str(packer, "name");
        pack_str(packer, function->name);
        pack_str(packer, "pool");
        pack_str(packer, pools_name(daemon->pools, pool));
        pack_str(packer, "module");
        pack_str(packer, function->module);
        pack_str(packer, "summary");
        pack_str(packer, function->summary);
}

static bool is_offered(const struct rpc_call *call, uint32_t pool, uint32_t function)
{
        const struct pools *pools = call->daemon->pools;
        return pools_has_function(pools, pool, function) &&
               permission_pool(call->connection, pools_configuration(pools, pool));
}

void rpc_on_FUNCTIONS(struct rpc_call *call)
{
        const struct daemon *daemon = call->daemon;
        struct packer packer;
        size_t n = 0;
        int r = permission_prepare(daemon->config, call->connection);

        if (r < 0)
                return rpc_refuse(call, r);
        if (!rpc_reply_begin(call, &packer))
                return;
        for (uint32_t pool = 0; pool < pools_end(daemon->pools); pool++)
                for (uint32_t i = 0; i < pools_functions_end(daemon->pools, pool); i++)
                        n += is_offered(call, pool, i);
        pack_array(&packer, n);
        for (uint32_t pool = 0; pool < pools_end(daemon->pools); pool++)
                for (uint32_t i = 0; i < pools_functions_end(daemon->pools, pool); i++)
                        if (is_offered(call, pool, i))
                                pack_function(&packer, daemon, pool, i);
        rpc_reply_end(call, &packer);
}
