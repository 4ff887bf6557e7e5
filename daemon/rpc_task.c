/* SPDX-License-Identifier: MIT */
/* Methods that bring work: call, submit, map. What is said of a map that is open comes to rpc_feed.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/log.h"
#include "daemon/payload.h"
#include "daemon/permission.h"
#include "daemon/pools.h"
#include "daemon/rpc_private.h"
#include "proto/descriptors.h"
#include "proto/sealed.h"

#define DEFAULT_POOL "default"
#define DEFAULT_TTL  (300 * CORE_SECOND)

/* -- which pool, which function -- */

/* The number of the function in the pool; UINT32_MAX: a pool that the caller may not use has nothing for him.
 */
static uint32_t offered(const struct rpc_call *call, uint32_t pool, const char *name, size_t size_bytes)
{
        const struct pools *pools = call->daemon->pools;
        uint32_t function = pools_function_number(pools, pool, name, size_bytes);
        bool may_use =
                function != UINT32_MAX && permission_pool(call->connection, pools_configuration(pools, pool));
        return may_use ? function : UINT32_MAX;
}

/* Without the option: `default` if it has the function, else the only pool that has it. */
static int choose_pool(struct rpc_call *call, const char *name, size_t size_bytes, struct core_spec *spec)
{
        const struct pools *pools = call->daemon->pools;
        uint32_t function, n = 0;

        spec->pool = pools_find(pools, DEFAULT_POOL, strlen(DEFAULT_POOL));
        spec->function = offered(call, spec->pool, name, size_bytes);
        if (spec->function != UINT32_MAX)
                return 0;
        for (uint32_t i = 0; i < pools_end(pools); i++)
                if ((function = offered(call, i, name, size_bytes)) != UINT32_MAX) {
                        spec->pool = i;
                        spec->function = function;
                        n++;
                }
        if (n <= 1)
                return 0;
        rpc_error(call, ERROR_INVALID_PARAMS, "%u pools have the function %.*s: name one by the option pool",
                  n, (int)size_bytes, name);
        return -EINVAL;
}

/* The pool that the option names. 0, or < 0: answered. */
static int named_pool(struct rpc_call *call, const struct option_value *option, const char *name,
                      size_t size_bytes, struct core_spec *spec)
{
        const struct pools *pools = call->daemon->pools;
        uint32_t pool = pools_find(pools, option->text, option->text_size_bytes);

        if (pool == CORE_NO_POOL)
                rpc_error(call, ERROR_UNKNOWN_POOL, "there is no pool \"%.*s\"", (int)option->text_size_bytes,
                          option->text);
        else if (!permission_pool(call->connection, pools_configuration(pools, pool)))
                rpc_error(call, ERROR_NOT_PERMITTED,
                          "you may not use the pool %s: it is for others (allow_users, allow_groups)",
                          pools_name(pools, pool));
        if (call->answered)
                return -EPERM;
        spec->pool = pool;
        spec->function = pools_function_number(pools, pool, name, size_bytes);
        return 0;
}

/* 0, or < 0: answered. */
static int find_function(struct rpc_call *call, const struct option_value *pool_option,
                         struct core_spec *spec)
{
        const struct daemon *daemon = call->daemon;
        struct reader reader = rpc_param(call, 0);
        const char *name;
        size_t size_bytes;

        if (reader_str(&reader, &name, &size_bytes) < 0 || size_bytes > LIMIT_NAME_BYTES) {
                rpc_error(call, ERROR_INVALID_PARAMS, "a function's name has at most %d bytes",
                          LIMIT_NAME_BYTES);
                return -EINVAL;
        }
        int r = permission_prepare(daemon->config, call->connection);
        if (r < 0) {
                rpc_refuse(call, r);
                return r;
        }
        r = pool_option->given ? named_pool(call, pool_option, name, size_bytes, spec)
                               : choose_pool(call, name, size_bytes, spec);
        if (r < 0 || spec->function != UINT32_MAX)
                return r;
        if (pool_option->given)
                rpc_error(call, ERROR_UNKNOWN_FUNCTION, "the pool %s has no function \"%.*s\"",
                          pools_name(daemon->pools, spec->pool), (int)size_bytes, name);
        else
                rpc_error(call, ERROR_UNKNOWN_FUNCTION, "no pool that you may use has a function \"%.*s\"",
                          (int)size_bytes, name);
        return -EINVAL;
}

/* -- options -- */

static void unknown_option(struct rpc_call *call, enum option_use use, const char *name, size_t size_bytes)
{
        char known[512] = "";
        size_t at = 0;

        for (int i = 0; i < N_TASK_OPTIONS && at < sizeof(known); i++)
                if (task_option_table[i].use & use)
                        at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", at ? ", " : "",
                                               task_option_table[i].name);
        rpc_option_unknown(call, name, size_bytes, known);
}

/* What was given; NULL: answered. Most calls give nothing, and then there is nothing to clear. */
static const struct option_value *decode_options(struct rpc_call *call, enum option_use use,
                                                 struct option_value room[N_TASK_OPTIONS])
{
        static const struct option_value nothing[N_TASK_OPTIONS];
        struct reader reader = call->options;

        if (call->n_options == 0)
                return nothing;
        memset(room, 0, N_TASK_OPTIONS * sizeof(*room));
        for (uint32_t left = call->n_options; left > 0; left--) {
                const char *name;
                size_t size_bytes;
                if (rpc_option_name(call, &reader, &name, &size_bytes) < 0)
                        return NULL;
                enum task_option option = task_option_from_name(name, size_bytes);
                if (option == N_TASK_OPTIONS || !(task_option_table[option].use & use)) {
                        unknown_option(call, use, name, size_bytes);
                        return NULL;
                }
                const struct option_rule rule = {.name = task_option_table[option].name,
                                                 .type = task_option_table[option].type};
                if (rpc_option_value(call, &rule, &reader, &room[option]) < 0)
                        return NULL;
        }
        return room;
}

/* Options that are text, terminated. */
struct texts {
        char label[LIMIT_LABEL_BYTES + 1], key[LIMIT_NAME_BYTES + 1];
};

static const char *terminated(const struct option_value *option, char *ret)
{
        if (!option->given)
                return NULL;
        memcpy(ret, option->text, option->text_size_bytes);
        ret[option->text_size_bytes] = 0;
        return ret;
}

/* Everything but the arguments. 0, or < 0: answered. */
static int make_spec(struct rpc_call *call, const struct option_value *options, struct texts *texts,
                     struct core_spec *ret)
{
        *ret = (struct core_spec){
                .priority = (int)options[TASK_OPTION_PRIORITY].level,
                .delay = options[TASK_OPTION_DELAY].duration,
                .expires = options[TASK_OPTION_EXPIRES].given ? options[TASK_OPTION_EXPIRES].duration
                                                              : CORE_NEVER,
                .timeout = options[TASK_OPTION_TIMEOUT].duration,
                .ttl = options[TASK_OPTION_TTL].given ? options[TASK_OPTION_TTL].duration : DEFAULT_TTL,
                .detached = options[TASK_OPTION_DETACHED].flag,
                .streams = options[TASK_OPTION_STREAM].streams,
                .retries = (uint32_t)options[TASK_OPTION_RETRIES].count,
                .retry_on = options[TASK_OPTION_RETRY_ON].given ? options[TASK_OPTION_RETRY_ON].ends
                                                                : RETRY_WORKER_LOST,
                .backoff = options[TASK_OPTION_BACKOFF].given ? options[TASK_OPTION_BACKOFF].duration
                                                              : CORE_SECOND,
                .attempts_before = (uint32_t)options[TASK_OPTION_ATTEMPTS_BEFORE].count,
                .pid = call->connection->pid,
        };
        ret->label = terminated(&options[TASK_OPTION_LABEL], texts->label);
        ret->key = terminated(&options[TASK_OPTION_KEY], texts->key);
        return find_function(call, &options[TASK_OPTION_POOL], ret);
}

/* -- arguments -- */

bool rpc_check_args_fds(struct rpc_call *call, const struct rpc_param *param, uint64_t *ret_sealed_bytes)
{
        const char *why = "a descriptor that is not among the arguments";

        if (param->n_descriptors == call->n_fds)
                why = sealed_check(param->data, param->size_bytes, call->fds, call->n_fds,
                                   1u << DESCRIPTOR_VALUE | 1u << DESCRIPTOR_OPEN, ret_sealed_bytes);
        if (why) {
                call->answered = true;
                connection_protocol_error(call->connection, why);
                return false;
        }
        return true;
}

/* Makes parameter i a payload, which takes the message's descriptors over. 0, or < 0: answered. */
static int take_args(struct rpc_call *call, uint32_t i, bool are_items, struct core_spec *spec)
{
        const struct rpc_param *param = &call->params[i];
        struct payload_table *payloads = call->daemon->payloads;
        uint64_t bad = 0, sealed_bytes;
        int r;

        if (!rpc_check_args_fds(call, param, &sealed_bytes))
                return -EBADMSG;
        if (param->size_bytes > LIMIT_ARGS_BYTES) {
                rpc_error(call, ERROR_TOO_LARGE, RPC_ARGS_TOO_LARGE ": %zu bytes, of %u", param->size_bytes,
                          LIMIT_ARGS_BYTES);
                return -EMSGSIZE;
        }
        if (sealed_bytes > LIMIT_SEALED_BYTES) {
                rpc_error(call, ERROR_TOO_LARGE, RPC_ARGS_TOO_LARGE ": %llu bytes in memfds, of %llu",
                          (unsigned long long)sealed_bytes, (unsigned long long)LIMIT_SEALED_BYTES);
                return -EMSGSIZE;
        }
        r = are_items ? payload_new_items(payloads, param->data, param->size_bytes, call->fds, call->n_fds,
                                          &spec->args, &bad)
                      : payload_new(payloads, param->data, param->size_bytes, call->fds, call->n_fds,
                                    &spec->args);
        if (r == -EINVAL)
                rpc_error(call, ERROR_INVALID_PARAMS,
                          "element %llu of the arguments of %s must be an array: the arguments of one call",
                          (unsigned long long)bad, call->method->name);
        else if (r < 0)
                rpc_refuse(call, r);
        if (r < 0)
                return r;
        payload_set_rights(payloads, spec->args, call->connection->rights);
        spec->n_descriptors = call->n_fds;
        spec->args_size_bytes = payload_cost_bytes(param->size_bytes, call->n_fds) + sealed_bytes;
        call->n_fds = 0;
        return 0;
}

/* -- call, submit -- */

static void submit(struct rpc_call *call, const struct core_spec *spec)
{
        struct packer packer;
        uint64_t id;
        int r = core_submit(call->daemon->core, call->connection->index, spec, call->daemon->now, &id);
        if (r != 0) {
                rpc_refuse(call, r);
                payload_drop(call->daemon->payloads, spec->args);
                return;
        }
        if (!rpc_reply_begin(call, &packer))
                return;
        pack_uint(&packer, id);
        rpc_reply_end(call, &packer);
}

/* Whether two arguments are the same is asked of this number alone: who finds two that share it joins a task
 * of his own. */
static uint64_t hash_of(const uint8_t *data, size_t size_bytes)
{
        uint64_t hash = size_bytes, word;
        for (; size_bytes > 0; size_bytes -= size_bytes < sizeof(word) ? size_bytes : sizeof(word)) {
                word = 0;
                memcpy(&word, data, size_bytes < sizeof(word) ? size_bytes : sizeof(word));
                hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
                hash ^= hash >> 32;
                data += sizeof(word);
        }
        return hash;
}

static int prepare(struct rpc_call *call, struct texts *texts, struct core_spec *ret, bool *ret_streams)
{
        struct option_value room[N_TASK_OPTIONS];
        const struct option_value *options = decode_options(call, OPTION_FOR_SINGLE, room);

        if (!options || make_spec(call, options, texts, ret) < 0)
                return -EINVAL;
        *ret_streams = options[TASK_OPTION_STREAM].given;
        if (ret->key)
                ret->args_hash = hash_of(call->params[1].data, call->params[1].size_bytes);
        int r = take_args(call, 1, false, ret);
        if (r == 0 && ret->key && ret->n_descriptors) {
                rpc_error(call, ERROR_INVALID_PARAMS,
                          "option key of %s: arguments with descriptors are never the same twice",
                          call->method->name);
                payload_drop(call->daemon->payloads, ret->args);
                return -EINVAL;
        }
        return r;
}

void rpc_on_CALL(struct rpc_call *call)
{
        struct texts texts;
        struct core_spec spec;
        bool streams;

        if (prepare(call, &texts, &spec, &streams) < 0)
                return;
        if (call->is_notification) {
                spec.ttl = 0;
                spec.streams = 0;
                submit(call, &spec);
                return;
        }
        int r = core_call(call->daemon->core, rpc_request(call), &spec, call->daemon->now);
        if (r != 0) {
                rpc_refuse(call, r);
                payload_drop(call->daemon->payloads, spec.args);
        }
}

void rpc_on_SUBMIT(struct rpc_call *call)
{
        struct texts texts;
        struct core_spec spec;
        bool streams;

        if (prepare(call, &texts, &spec, &streams) < 0)
                return;
        if (streams) {
                rpc_error(call, ERROR_INVALID_PARAMS,
                          "option stream is for call: the streams of a submitted task are attached to");
                payload_drop(call->daemon->payloads, spec.args);
                return;
        }
        if (call->is_notification)
                spec.ttl = 0;
        submit(call, &spec);
}

/* -- map -- */

uint32_t rpc_n_elements(const struct rpc_param *param)
{
        struct reader reader = reader_over(param->data, param->size_bytes);
        uint32_t n = 0;
        reader_array(&reader, &n);
        return n;
}

void rpc_on_MAP(struct rpc_call *call)
{
        struct option_value room[N_TASK_OPTIONS];
        struct texts texts;
        struct core_spec spec;

        if (call->is_notification)
                return; /* its items would come to nobody */
        const struct option_value *options = decode_options(call, OPTION_FOR_MAP, room);
        if (!options || make_spec(call, options, &texts, &spec) < 0 || take_args(call, 1, true, &spec) < 0)
                return;
        const struct core_map_spec map = {
                .n_items = rpc_n_elements(&call->params[1]),
                .chunk = (uint32_t)options[TASK_OPTION_CHUNK].count,
                .limit = (uint32_t)options[TASK_OPTION_LIMIT].count,
                .window = (uint32_t)options[TASK_OPTION_WINDOW].count,
                .ordered = options[TASK_OPTION_ORDERED].flag,
                .fail_fast = options[TASK_OPTION_FAIL_FAST].flag,
                .feed = options[TASK_OPTION_FEED].flag,
                .collect = options[TASK_OPTION_COLLECT].flag,
        };
        int r = core_map(call->daemon->core, rpc_request(call), &spec, &map, call->daemon->now);
        if (r != 0) {
                rpc_refuse(call, r);
                payload_drop(call->daemon->payloads, spec.args);
        }
}
