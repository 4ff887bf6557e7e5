/* SPDX-License-Identifier: MIT */
/* Answers that a handler gives itself, and the one place that makes wire errors. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/encode_object.h"
#include "daemon/log.h"
#include "daemon/rpc_private.h"
#include "proto/limits.h"

#define MESSAGE_BYTES 1024

bool rpc_reply_begin(struct rpc_call *call, struct packer *packer)
{
        assert(!call->answered);
        call->answered = true;
        if (call->is_notification)
                return false;
        connection_message_begin(call->connection, packer);
        pack_response(packer, call->msgid);
        return true;
}

static void refuse_instead(const struct daemon *daemon, struct connection *connection, struct packer *packer,
                           uint32_t msgid, int r)
{
        buffer_truncate(&connection_output(connection)->bytes, packer->start);
        connection_message_begin(connection, packer);
        pack_error_response(packer, msgid);
        rpc_pack_refusal(packer, daemon, r);
        pack_nil(packer);
}

static size_t answer_size(struct connection *connection, const struct packer *packer)
{
        return buffer_size(&connection_output(connection)->bytes) - packer->start;
}

void rpc_reply_end(struct rpc_call *call, struct packer *packer)
{
        rpc_end_view(call->daemon, call->connection, packer, call->msgid);
}

void rpc_end_view(const struct daemon *daemon, struct connection *connection, struct packer *packer,
                  uint32_t msgid)
{
        int r = core_connection_admit_output(daemon->core, connection->index,
                                             answer_size(connection, packer));

        if (r != 0)
                refuse_instead(daemon, connection, packer, msgid, r);
        rpc_end_answer(daemon, connection, packer, msgid);
}

void rpc_end_answer(const struct daemon *daemon, struct connection *connection, struct packer *packer,
                    uint32_t msgid)
{
        uint64_t most = daemon->config->max_message_bytes;

        if (connection->channel && most > LIMIT_MESSAGE_BYTES) /* a task's end takes no more */
                most = LIMIT_MESSAGE_BYTES;
        if (answer_size(connection, packer) > most)
                refuse_instead(daemon, connection, packer, msgid, CORE_TOO_LARGE);
        connection_message_end(connection, packer);
}

static void reply_error(struct rpc_call *call, enum error_code code, const char *message)
{
        struct packer packer;

        assert(!call->answered);
        call->answered = true;
        if (call->is_notification) {
                log_debug("notification %s of process %d: %s", call->method ? call->method->name : "?",
                          (int)call->connection->pid, message);
                if (call->method && call->method->flags & METHOD_FLAG_NOTIFY)
                        rpc_end_map(call, code, message, 0);
                return;
        }
        connection_message_begin(call->connection, &packer);
        pack_error_response(&packer, call->msgid);
        encode_error(&packer, code, message, NULL);
        pack_nil(&packer);
        connection_message_end(call->connection, &packer);
}

void rpc_error(struct rpc_call *call, enum error_code code, const char *format, ...)
{
        char message[MESSAGE_BYTES];
        va_list ap;

        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        encode_clean(message);
        reply_error(call, code, message);
}

/* What each refusal of the core is on the wire. */
static const struct {
        enum error_code code;
        const char *message;
} refusals[] = {
        [CORE_UNKNOWN_TASK] =
                {ERROR_UNKNOWN_TASK,
                 "no such task is known: it never was, its result was taken or its time is over, "
                 "the gangerd that had it has ended, or it is another user's"},
        [CORE_UNKNOWN_POOL] = {ERROR_UNKNOWN_POOL, "there is no such pool"},
        [CORE_QUEUE_FULL] = {ERROR_QUEUE_FULL, NULL},
        [CORE_QUOTA] = {ERROR_QUOTA_EXCEEDED, NULL},
        [CORE_STOPPING] =
                {ERROR_SHUTTING_DOWN,
                 "gangerd stops: it takes no new tasks, and nothing more comes of what is waited for"},
        [CORE_NOT_READY] = {ERROR_NOT_READY,
                            "the time given is over, and what was waited for has not come to be"},
        [CORE_NOT_OPEN] = {ERROR_INVALID_PARAMS, "no such request is open on this connection"},
        [CORE_MISUSE] =
                {ERROR_INVALID_PARAMS,
                 "the open map was not begun with that option, or its last feed was said to be the last"},
        [CORE_BAD_WORKER] = {ERROR_WORKER_LOST, "the worker broke its protocol"},
        [CORE_OUT_OF_MEMORY] = {ERROR_OUT_OF_MEMORY, "gangerd has no memory for this request"},
        [CORE_CANCELLED] = {ERROR_CANCELLED,
                            "the request was given up, or the task that made it was told to end"},
        [CORE_KEY_CONFLICT] = {ERROR_KEY_CONFLICT,
                               "a task with this key is known that has another function or other arguments"},
        [CORE_DEADLOCK] = {ERROR_DEADLOCK, NULL},
        [CORE_NESTING] = {ERROR_NESTING_LIMIT, NULL},
        [CORE_UNKNOWN_OBJECT] = {ERROR_UNKNOWN_OBJECT,
                                 "there is no shared object of this name, or no longer"},
        [CORE_EXISTS] = {ERROR_KEY_CONFLICT, "there is a shared object of this name already (exclusive)"},
        [CORE_CLASH] = {ERROR_KEY_CONFLICT, NULL},
        [CORE_VERSION] = {ERROR_KEY_CONFLICT, NULL},
        [CORE_NOT_PERMITTED] = {ERROR_NOT_PERMITTED,
                                "the shared object is another user's, and its mode does not let you do that"},
        [CORE_NOT_HELD] = {ERROR_NOT_PERMITTED, "the lock is not held by this owner on this connection"},
        [CORE_BROKEN] = {ERROR_BROKEN_BARRIER,
                         "the barrier is broken: one who waited has gone, given up or run out of time"},
        [CORE_RANGE] = {ERROR_INVALID_PARAMS, "there is no such place in the list"},
        [CORE_TOO_LARGE] = {ERROR_TOO_LARGE,
                            "the answer would be larger than a message may be (max_message)"},
};

static void say_version(const struct core_clash *clash, char *ret, size_t size_bytes)
{
        if (!clash->key)
                snprintf(ret, size_bytes, "the list has the version %llu",
                         (unsigned long long)clash->version);
        else if (!clash->version)
                snprintf(ret, size_bytes, "the key \"%s\" is not there", clash->key);
        else
                snprintf(ret, size_bytes, "the key \"%s\" has the version %llu", clash->key,
                         (unsigned long long)clash->version);
}

/* What only the core can say. False: it is a quota. */
static bool say_refusal(const struct daemon *daemon, int r, char *ret, size_t size_bytes)
{
        const struct core_clash clash = core_refused_clash(daemon->core);

        if (r == CORE_CLASH)
                encode_clash(&clash, ret, size_bytes);
        else if (r == CORE_VERSION)
                say_version(&clash, ret, size_bytes);
        else if (r == CORE_DEADLOCK)
                snprintf(ret, size_bytes, "%s", core_refused_circle(daemon->core));
        else
                return false;
        encode_clean(ret);
        return true;
}

void rpc_pack_refusal(struct packer *packer, const struct daemon *daemon, int r)
{
        char message[MESSAGE_BYTES];

        assert(r != 0);
        if (r < 0)
                r = CORE_OUT_OF_MEMORY; /* nothing else fails in the core */
        const char *why = refusals[r].message;
        if (why || say_refusal(daemon, r, message, sizeof(message))) {
                encode_error(packer, refusals[r].code, why ? why : message, NULL);
                return;
        }
        const struct core_quota quota = core_refused_quota(daemon->core);
        snprintf(message, sizeof(message), "the limit %s would be exceeded: %llu of %llu are used",
                 quota.what, (unsigned long long)quota.used, (unsigned long long)quota.limit);
        encode_error(packer, refusals[r].code, message, &quota);
}

/* It is always the first parameter that names one. */
static void unknown_object(struct rpc_call *call)
{
        struct reader reader = rpc_param(call, 0);
        const char *name = "";
        size_t size_bytes = 0;

        reader_str(&reader, &name, &size_bytes);
        rpc_error(call, ERROR_UNKNOWN_OBJECT, "there is no shared object \"%.*s\"", (int)size_bytes, name);
}

void rpc_refuse(struct rpc_call *call, int r)
{
        struct packer packer;

        assert(!call->answered);
        if (r == CORE_UNKNOWN_OBJECT)
                return unknown_object(call);
        call->answered = true;
        if (call->is_notification)
                return;
        connection_message_begin(call->connection, &packer);
        pack_error_response(&packer, call->msgid);
        rpc_pack_refusal(&packer, call->daemon, r);
        pack_nil(&packer);
        connection_message_end(call->connection, &packer);
}
