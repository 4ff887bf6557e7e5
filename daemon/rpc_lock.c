/* SPDX-License-Identifier: MIT */
/* Methods by which programs wait for each other: locks, conditions, events, barriers. */
#include "daemon/daemon.h"
#include "daemon/rpc_object.h"

/* -- locks -- */

enum { ACQUIRE_TIMEOUT, ACQUIRE_LIMIT, ACQUIRE_REENTRANT, ACQUIRE_OWNER, N_ACQUIRE_OPTIONS };
static const struct option_rule acquire_rules[N_ACQUIRE_OPTIONS] = {
        [ACQUIRE_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
        [ACQUIRE_LIMIT] = {.name = "limit", .type = OPTION_COUNT},
        [ACQUIRE_REENTRANT] = {.name = "reentrant", .type = OPTION_FLAG},
        [ACQUIRE_OWNER] = {.name = "owner", .type = OPTION_COUNT, .max = UINT64_MAX},
};

void rpc_on_LOCK_ACQUIRE(struct rpc_call *call)
{
        struct option_value options[N_ACQUIRE_OPTIONS];
        struct rpc_name name;
        struct core_open open = rpc_object_open(call, OBJECT_LOCK);

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, acquire_rules, N_ACQUIRE_OPTIONS, options) < 0)
                return;
        rpc_object_option(&open, PROPERTY_LIMIT, &options[ACQUIRE_LIMIT]);
        if (options[ACQUIRE_REENTRANT].given)
                rpc_object_say(&open, PROPERTY_REENTRANT, options[ACQUIRE_REENTRANT].flag);
        if (options[ACQUIRE_REENTRANT].flag && options[ACQUIRE_LIMIT].count > 1)
                return rpc_error(call, ERROR_INVALID_PARAMS,
                                 "a reentrant lock has one holder: its limit is 1");
        int r = core_lock_acquire(call->daemon->core, rpc_request(call), name.text, &open,
                                  options[ACQUIRE_OWNER].count, rpc_timeout(&options[ACQUIRE_TIMEOUT]),
                                  call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

enum { RELEASE_TOKEN, RELEASE_OWNER, N_RELEASE_OPTIONS };
static const struct option_rule release_rules[N_RELEASE_OPTIONS] = {
        [RELEASE_TOKEN] = {.name = "token", .type = OPTION_COUNT, .min = 1, .max = UINT64_MAX},
        [RELEASE_OWNER] = {.name = "owner", .type = OPTION_COUNT, .max = UINT64_MAX},
};

void rpc_on_LOCK_RELEASE(struct rpc_call *call)
{
        struct option_value options[N_RELEASE_OPTIONS];
        struct rpc_name name;

        if (rpc_object_name(call, &name) < 0 ||
            rpc_options(call, release_rules, N_RELEASE_OPTIONS, options) < 0)
                return;
        rpc_object_done(call, core_lock_release(call->daemon->core, call->connection->index, name.text,
                                                options[RELEASE_TOKEN].count, options[RELEASE_OWNER].count,
                                                call->daemon->now));
}

/* -- conditions -- */

enum { CONDITION_TIMEOUT, CONDITION_OWNER, N_CONDITION_OPTIONS };
static const struct option_rule condition_rules[N_CONDITION_OPTIONS] = {
        [CONDITION_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
        [CONDITION_OWNER] = {.name = "owner", .type = OPTION_COUNT, .max = UINT64_MAX},
};

void rpc_on_CONDITION_WAIT(struct rpc_call *call)
{
        struct option_value options[N_CONDITION_OPTIONS];
        struct rpc_name name;

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, condition_rules, N_CONDITION_OPTIONS, options) < 0)
                return;
        int r = core_condition_wait(call->daemon->core, rpc_request(call), name.text,
                                    options[CONDITION_OWNER].count, rpc_timeout(&options[CONDITION_TIMEOUT]),
                                    call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

enum { NOTIFY_N, NOTIFY_OWNER, N_NOTIFY_OPTIONS };
static const struct option_rule notify_rules[N_NOTIFY_OPTIONS] = {
        [NOTIFY_N] = {.name = "n", .type = OPTION_COUNT},
        [NOTIFY_OWNER] = {.name = "owner", .type = OPTION_COUNT, .max = UINT64_MAX},
};

void rpc_on_CONDITION_NOTIFY(struct rpc_call *call)
{
        struct option_value options[N_NOTIFY_OPTIONS];
        struct rpc_name name;
        struct packer packer;
        uint64_t n;

        if (rpc_object_name(call, &name) < 0 ||
            rpc_options(call, notify_rules, N_NOTIFY_OPTIONS, options) < 0)
                return;
        uint64_t most = options[NOTIFY_N].given ? options[NOTIFY_N].count : 1;
        int r = core_condition_notify(call->daemon->core, call->connection->index, name.text,
                                      options[NOTIFY_OWNER].count, most, call->daemon->now, &n);
        if (r != 0) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_uint(&packer, n);
                rpc_reply_end(call, &packer);
        }
}

/* -- events -- */

static void set_event(struct rpc_call *call, bool set)
{
        const struct core_open open = rpc_object_open(call, OBJECT_EVENT);
        struct rpc_name name;

        if (rpc_object_name(call, &name) == 0)
                rpc_object_done(call, core_event_set(call->daemon->core, call->connection->index, name.text,
                                                     &open, set, call->daemon->now));
}

void rpc_on_EVENT_SET(struct rpc_call *call)
{
        set_event(call, true);
}

void rpc_on_EVENT_CLEAR(struct rpc_call *call)
{
        set_event(call, false);
}

void rpc_on_EVENT_IS_SET(struct rpc_call *call)
{
        struct core_object object;
        struct rpc_name name;
        struct packer packer;

        if (rpc_object_name(call, &name) < 0)
                return;
        int r = rpc_object_read(call, &name, OBJECT_EVENT, &object);
        if (r != 0 && r != CORE_UNKNOWN_OBJECT) {
                rpc_refuse(call, r);
        } else if (rpc_reply_begin(call, &packer)) {
                pack_bool(&packer, r == 0 && object.is_set);
                rpc_reply_end(call, &packer);
        }
}

static const struct option_rule timeout_rule[1] = {{.name = "timeout", .type = OPTION_SECONDS}};

void rpc_on_EVENT_WAIT(struct rpc_call *call)
{
        const struct core_open open = rpc_object_open(call, OBJECT_EVENT);
        struct option_value timeout;
        struct rpc_name name;

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, timeout_rule, 1, &timeout) < 0)
                return;
        int r = core_event_wait(call->daemon->core, rpc_request(call), name.text, &open,
                                rpc_timeout(&timeout), call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

/* -- barriers -- */

enum { BARRIER_PARTIES, BARRIER_TIMEOUT, N_BARRIER_OPTIONS };
static const struct option_rule barrier_rules[N_BARRIER_OPTIONS] = {
        [BARRIER_PARTIES] = {.name = "parties", .type = OPTION_COUNT},
        [BARRIER_TIMEOUT] = {.name = "timeout", .type = OPTION_SECONDS},
};

void rpc_on_BARRIER_WAIT(struct rpc_call *call)
{
        struct core_open open = rpc_object_open(call, OBJECT_BARRIER);
        struct option_value options[N_BARRIER_OPTIONS];
        struct core_object object;
        struct rpc_name name;

        if (call->is_notification || rpc_object_name(call, &name) < 0 ||
            rpc_options(call, barrier_rules, N_BARRIER_OPTIONS, options) < 0)
                return;
        rpc_object_option(&open, PROPERTY_PARTIES, &options[BARRIER_PARTIES]);
        if (!options[BARRIER_PARTIES].given &&
            core_object_look(call->daemon->core, call->connection->index, name.text, OBJECT_BARRIER,
                             &object) == CORE_UNKNOWN_OBJECT)
                return rpc_error(call, ERROR_INVALID_PARAMS,
                                 "there is no barrier \"%s\" yet: say for how many (parties)", name.text);
        int r = core_barrier_wait(call->daemon->core, rpc_request(call), name.text, &open,
                                  rpc_timeout(&options[BARRIER_TIMEOUT]), call->daemon->now);
        if (r != 0)
                rpc_refuse(call, r);
}

static void reset_barrier(struct rpc_call *call, bool broken)
{
        struct rpc_name name;

        if (rpc_object_name(call, &name) == 0)
                rpc_object_done(call, core_barrier_reset(call->daemon->core, call->connection->index,
                                                         name.text, broken, call->daemon->now));
}

void rpc_on_BARRIER_RESET(struct rpc_call *call)
{
        reset_barrier(call, false);
}

void rpc_on_BARRIER_ABORT(struct rpc_call *call)
{
        reset_barrier(call, true);
}
