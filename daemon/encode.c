/* SPDX-License-Identifier: MIT */
/* Task records and failure records. What a function said of its error comes out of the worker's error map. */
#include "daemon/encode.h"

#include <stdio.h>
#include <string.h>

#include "daemon/backend.h"
#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/pools.h"
#include "daemon/rpc_private.h"
#include "proto/options.h"
#include "proto/pack.h"
#include "proto/size_text.h"

#define MESSAGE_BYTES 1024

const char *encode_state(enum task_state state)
{
        switch (state) {
        case TASK_DELAYED:
                return "delayed";
        case TASK_READY:
        case TASK_SENT:
                return "ready";
        case TASK_RUNNING:
        case TASK_WAITING:
        case TASK_STOPPING:
                return "running";
        case TASK_SUCCEEDED:
                return "succeeded";
        case TASK_FAILED:
                return "failed";
        case TASK_CANCELLED:
                return "cancelled";
        case TASK_EXPIRED:
                return "expired";
        case N_TASK_STATES:
                break;
        }
        return "unknown";
}

/* Wire code and `ended_by` of each cause. */
static const struct {
        enum error_code code;
        const char *ended_by;
} causes[] = {
        [CAUSE_NONE] = {ERROR_TASK_FAILED, NULL},         [CAUSE_FUNCTION] = {ERROR_TASK_FAILED, "function"},
        [CAUSE_WORKER] = {ERROR_WORKER_LOST, "worker"},   [CAUSE_OUTSIDE] = {ERROR_WORKER_LOST, "outside"},
        [CAUSE_KERNEL] = {ERROR_WORKER_LOST, "kernel"},   [CAUSE_TIMEOUT] = {ERROR_TIMED_OUT, "timeout"},
        [CAUSE_LIMIT] = {ERROR_WORKER_LOST, "limit"},     [CAUSE_CLIENT] = {ERROR_CANCELLED, "client"},
        [CAUSE_SHUTDOWN] = {ERROR_CANCELLED, "shutdown"}, [CAUSE_EXPIRED] = {ERROR_EXPIRED, NULL},
};

const char *encode_cause(enum core_cause cause)
{
        return error_name(causes[cause].code);
}

/* -- the function's own words: {code, message, detail} -- */

struct words {
        const char *message, *code;
        size_t message_size_bytes, code_size_bytes;
        const uint8_t *detail;
        size_t detail_size_bytes;
};

static bool is(const char *expected, const char *text, size_t size_bytes)
{
        return strlen(expected) == size_bytes && memcmp(expected, text, size_bytes) == 0;
}

/* A worker's map is untrusted: what is not as it should be is left out. */
static void read_words(const struct daemon *daemon, payload_t error, struct words *ret)
{
        const char *key;
        size_t size_bytes, key_size_bytes;
        uint32_t n;

        *ret = (struct words){0};
        if (error == PAYLOAD_NONE)
                return;
        const uint8_t *data = backend_payload(daemon, error, &size_bytes);
        struct reader reader = reader_over(data, size_bytes);
        if (reader_map(&reader, &n) < 0)
                return;
        for (; n > 0 && reader_str(&reader, &key, &key_size_bytes) == 0; n--) {
                struct reader value = reader;
                const uint8_t *raw;
                size_t raw_size_bytes;
                if (reader_skip(&reader, &raw, &raw_size_bytes, NULL) < 0)
                        return;
                if (is("message", key, key_size_bytes))
                        reader_str(&value, &ret->message, &ret->message_size_bytes);
                else if (is("code", key, key_size_bytes))
                        reader_str(&value, &ret->code, &ret->code_size_bytes);
                else if (is("detail", key, key_size_bytes))
                        ret->detail = raw, ret->detail_size_bytes = raw_size_bytes;
        }
}

/* -- the sentence -- */

void encode_clean(char *text)
{
        size_t left = strlen(text), n;

        if (utf8_valid((const uint8_t *)text, left))
                return;
        for (; left > 0; text += n, left -= n) {
                for (n = 1; n < 4 && n < left && !utf8_valid((const uint8_t *)text, n); n++)
                        ;
                if (!utf8_valid((const uint8_t *)text, n)) {
                        *text = '?';
                        n = 1;
                }
        }
}

const char *encode_function(const struct daemon *daemon, const struct core_record *record)
{
        const struct pool_function *function = pools_function(daemon->pools, record->pool, record->function);
        return function ? function->name : NULL;
}

/* ": an allocation failed under memory_limit = 64M"; of another end nothing. */
static void limit_clause(const struct daemon *daemon, const struct core_record *record, char *ret,
                         size_t size_bytes)
{
        const struct pool_configuration *pool = pools_configuration(daemon->pools, record->pool);
        uint64_t limit_bytes = pool ? pool->memory_limit_bytes : 0;
        char size[SIZE_TEXT_BYTES];

        *ret = 0;
        if (record->cause == CAUSE_LIMIT) /* 0: there was one then */
                snprintf(ret, size_bytes, ": an allocation failed under memory_limit%s%s",
                         limit_bytes > 0 ? " = " : "", limit_bytes > 0 ? size_text(limit_bytes, size) : "");
}

static void died_message(const struct daemon *daemon, const struct core_record *record, const char *function,
                         char *ret, size_t size_bytes)
{
        bool by_itself = record->cause == CAUSE_WORKER || record->cause == CAUSE_LIMIT;
        char limit[96];
        const char *abbreviation = record->exited_by_signal ? sigabbrev_np(record->exit_status) : NULL;
        const char *from = record->cause == CAUSE_OUTSIDE  ? " from outside"
                           : record->cause == CAUSE_KERNEL ? " by the kernel, for want of memory,"
                                                           : "";
        limit_clause(daemon, record, limit, sizeof(limit));
        if (record->exit_status < 0)
                snprintf(ret, size_bytes, "worker %d broke its protocol while it ran %s",
                         (int)record->worker_pid, function);
        else if (record->exited_by_signal)
                snprintf(ret, size_bytes, "worker %d %s signal %d (SIG%s)%s while it ran %s%s",
                         (int)record->worker_pid, by_itself ? "crashed by" : "was killed by",
                         record->exit_status, abbreviation ? abbreviation : "?", from, function, limit);
        else
                snprintf(ret, size_bytes, "worker %d exited with status %d while it ran %s%s",
                         (int)record->worker_pid, record->exit_status, function, limit);
}

static void function_message(const struct daemon *daemon, const struct core_record *record,
                             const char *function, char *ret, size_t size_bytes)
{
        struct words words;

        read_words(daemon, record->error, &words);
        if (words.message)
                snprintf(ret, size_bytes, "%.*s",
                         (int)(words.message_size_bytes < size_bytes ? words.message_size_bytes
                                                                     : size_bytes - 1),
                         words.message);
        else if (record->is_map && record->error == PAYLOAD_NONE)
                snprintf(ret, size_bytes, "an item of %s failed, and fail_fast ended the map", function);
        else
                snprintf(ret, size_bytes,
                         record->error == PAYLOAD_NONE ? "%s failed; what it said is not kept any more"
                                                       : "%s failed without a message",
                         function);
}

void encode_failure_message(const struct daemon *daemon, const struct core_record *record, char *ret,
                            size_t size_bytes)
{
        const char *function = encode_function(daemon, record);

        if (!function)
                function = "a function";
        switch (record->cause) {
        case CAUSE_NONE:
        case CAUSE_FUNCTION:
                return function_message(daemon, record, function, ret, size_bytes);
        case CAUSE_WORKER:
        case CAUSE_OUTSIDE:
        case CAUSE_KERNEL:
        case CAUSE_LIMIT:
                return died_message(daemon, record, function, ret, size_bytes);
        case CAUSE_TIMEOUT:
                snprintf(ret, size_bytes, "%s ran longer than its timeout of %g s", function,
                         (double)record->timeout / CORE_SECOND);
                return;
        case CAUSE_CLIENT:
                snprintf(ret, size_bytes, "%s was cancelled by user %u (process %d)", function,
                         record->by_uid, (int)record->by_pid);
                return;
        case CAUSE_SHUTDOWN:
                snprintf(ret, size_bytes, "%s was cancelled because gangerd stops", function);
                return;
        case CAUSE_EXPIRED:
                snprintf(ret, size_bytes, "%s did not begin before it expired", function);
                return;
        }
}

/* -- the records -- */

static void pack_time(struct packer *packer, const struct daemon *daemon, int64_t at)
{
        if (at == 0 || at == CORE_NEVER)
                pack_nil(packer);
        else
                pack_double(packer, daemon_wall(daemon, at));
}

static void pack_duration(struct packer *packer, int64_t duration)
{
        if (duration == 0 || duration == CORE_NEVER)
                pack_nil(packer);
        else
                pack_double(packer, (double)duration / CORE_SECOND);
}

static void pack_number(struct packer *packer, uint64_t value)
{
        if (value == 0)
                pack_nil(packer);
        else
                pack_uint(packer, value);
}

static void pack_stderr(struct packer *packer, const struct daemon *daemon, const struct core_record *record)
{
        struct tail_part parts[2];
        size_t n =
                tails_last(&daemon->rpc->backend.tails, record->id, STREAM_STDERR, LIMIT_STDERR_BYTES, parts);

        if (n == 0 || record->index != UINT64_MAX)
                return pack_nil(packer);
        msgpack_pack_bin(&packer->pk, n);
        msgpack_pack_bin_body(&packer->pk, parts[0].data, parts[0].size_bytes);
        if (parts[1].size_bytes > 0)
                msgpack_pack_bin_body(&packer->pk, parts[1].data, parts[1].size_bytes);
}

static void pack_exit(struct packer *packer, const struct core_record *record)
{
        bool died = record->exit_status >= 0 && record->worker_pid > 0;

        pack_str(packer, "exit_status");
        if (died && !record->exited_by_signal)
                pack_int(packer, record->exit_status);
        else
                pack_nil(packer);
        pack_str(packer, "signal");
        if (died && record->exited_by_signal)
                pack_int(packer, record->exit_status);
        else
                pack_nil(packer);
}

static void pack_who(struct packer *packer, const struct core_record *record)
{
        bool by_client = record->cause == CAUSE_CLIENT;

        pack_str(packer, "ended_by");
        pack_str(packer, causes[record->cause].ended_by);
        pack_str(packer, "by_uid");
        if (by_client)
                pack_uint(packer, record->by_uid);
        else
                pack_nil(packer);
        pack_str(packer, "by_pid");
        pack_number(packer, by_client && record->by_pid > 0 ? (uint64_t)record->by_pid : 0);
}

/* `code` is always one of the table, so that programs can rely on it; a function's own goes beside it. */
static bool has_own_code(const struct words *words)
{
        return words->code && utf8_valid((const uint8_t *)words->code, words->code_size_bytes) &&
               !is(error_name(ERROR_TASK_FAILED), words->code, words->code_size_bytes);
}

void encode_failure(struct packer *packer, const struct daemon *daemon, const struct core_record *record)
{
        char message[MESSAGE_BYTES];
        struct words words;
        bool is_item = record->index != UINT64_MAX;

        read_words(daemon, record->error, &words);
        encode_failure_message(daemon, record, message, sizeof(message));
        encode_clean(message);
        pack_map(packer, 15u + is_item + has_own_code(&words));
        pack_str(packer, "code");
        pack_str(packer, encode_cause(record->cause));
        if (has_own_code(&words)) {
                pack_str(packer, "function_code");
                pack_str_n(packer, words.code, words.code_size_bytes);
        }
        pack_str(packer, "message");
        if (words.message && utf8_valid((const uint8_t *)words.message, words.message_size_bytes))
                pack_str_n(packer, words.message, words.message_size_bytes);
        else
                pack_str(packer, message);
        pack_str(packer, "task");
        pack_number(packer, record->id);
        if (is_item) {
                pack_str(packer, "index");
                pack_uint(packer, record->index);
        }
        pack_str(packer, "function");
        pack_str(packer, encode_function(daemon, record));
        pack_str(packer, "attempt");
        pack_uint(packer, record->attempt);
        pack_str(packer, "worker_pid");
        pack_number(packer, (uint64_t)record->worker_pid);
        pack_exit(packer, record);
        pack_who(packer, record);
        pack_str(packer, "run_time");
        if (record->started)
                pack_double(packer, (double)record->run_time / CORE_SECOND);
        else
                pack_nil(packer);
        pack_str(packer, "max_rss");
        pack_number(packer, record->max_rss_bytes);
        pack_str(packer, "stderr");
        pack_stderr(packer, daemon, record);
        pack_str(packer, "detail");
        if (words.detail)
                pack_raw(packer, words.detail, words.detail_size_bytes);
        else
                pack_nil(packer);
}

static void pack_items(struct packer *packer, const struct core_record *record)
{
        pack_str(packer, "items");
        pack_map(packer, 4);
        pack_str(packer, "count");
        pack_uint(packer, record->n_items);
        pack_str(packer, "succeeded");
        pack_uint(packer, record->n_items_succeeded);
        pack_str(packer, "failed");
        pack_uint(packer, record->n_items_failed);
        pack_str(packer, "running");
        pack_uint(packer, record->n_items_running);
}

static void pack_times(struct packer *packer, const struct daemon *daemon, const struct core_record *record)
{
        pack_str(packer, "submitted");
        pack_time(packer, daemon, record->submitted);
        pack_str(packer, "due");
        pack_time(packer, daemon, record->due);
        pack_str(packer, "started");
        pack_time(packer, daemon, record->started);
        pack_str(packer, "ended");
        pack_time(packer, daemon, record->ended);
        pack_str(packer, "expires");
        pack_time(packer, daemon, record->expires);
        pack_str(packer, "timeout");
        pack_duration(packer, record->timeout);
}

void encode_record(struct packer *packer, const struct daemon *daemon, const struct core_record *record)
{
        pack_map(packer, 22u + record->is_map);
        pack_str(packer, "id");
        pack_uint(packer, record->id);
        pack_str(packer, "state");
        pack_str(packer, encode_state(record->state));
        pack_str(packer, "function");
        pack_str(packer, encode_function(daemon, record));
        pack_str(packer, "pool");
        pack_str(packer, pools_name(daemon->pools, record->pool));
        pack_str(packer, "label");
        pack_str(packer, record->label);
        pack_str(packer, "key");
        pack_str(packer, record->key);
        pack_str(packer, "uid");
        pack_uint(packer, record->uid);
        pack_str(packer, "pid");
        pack_int(packer, record->pid);
        pack_str(packer, "priority");
        pack_int(packer, record->priority);
        pack_str(packer, "attempt");
        pack_uint(packer, record->attempt);
        pack_str(packer, "retries");
        pack_uint(packer, record->retries);
        pack_times(packer, daemon, record);
        pack_str(packer, "worker_pid");
        pack_number(packer, (uint64_t)record->worker_pid);
        pack_str(packer, "progress");
        if (record->progress >= 0)
                pack_double(packer, record->progress);
        else
                pack_nil(packer);
        pack_str(packer, "args_size");
        pack_uint(packer, record->args_size_bytes);
        pack_str(packer, "result_size");
        if (record->state == TASK_SUCCEEDED)
                pack_uint(packer, record->result_size_bytes);
        else
                pack_nil(packer);
        pack_str(packer, "error");
        if (TASK_IS_END(record->state) && record->state != TASK_SUCCEEDED)
                encode_failure(packer, daemon, record);
        else
                pack_nil(packer);
        if (record->is_map)
                pack_items(packer, record);
}

void encode_error(struct packer *packer, enum error_code code, const char *message,
                  const struct core_quota *quota)
{
        pack_map(packer, quota ? 5 : 2);
        pack_str(packer, "code");
        pack_str(packer, error_name(code));
        pack_str(packer, "message");
        pack_str(packer, message);
        if (!quota)
                return;
        pack_str(packer, "what");
        pack_str(packer, quota->what);
        pack_str(packer, "used");
        pack_uint(packer, quota->used);
        pack_str(packer, "limit");
        pack_uint(packer, quota->limit);
}
