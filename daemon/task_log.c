/* SPDX-License-Identifier: MIT */
/* Lines are held for each worker: it runs one task at a time. */
#include "daemon/task_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/core/core_look.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/lines.h"
#include "daemon/log.h"
#include "daemon/message_ids.h"
#include "daemon/pools.h"
#include "daemon/worker_private.h"
#include "proto/buffer.h"
#include "proto/pack.h"
#include "proto/sentence.h"

/* A user's shares, every LOG_LIMIT_INTERVAL_S. */
#define OUTPUT_BURST 1000
#define MODULE_BURST 1000

#define SENTENCE_BYTES 2048
#define FILE_BYTES     256
#define TEXT_BYTES     2048

struct worker_lines {
        struct lines lines;
        struct worker *worker;
        struct core_running running; /* who wrote what is held */
};

/* -- standard error -- */

static void on_line(void *userdata, const char *line)
{
        static struct log_limits limits = {.burst = OUTPUT_BURST};
        const struct worker_lines *its = userdata;
        const struct pools *pools = its->worker->owner->daemon->pools;
        const struct pool_function *function =
                pools_function(pools, its->worker->pool, its->running.function);

        log_limited(log_limit_of(&limits, its->running.uid), LOG_LEVEL_INFO,
                    LOG_FIELDS(.task = its->running.task, .worker = its->worker->pid,
                               .uid = &its->running.uid, .pool = worker_pool_name(its->worker),
                               .function = function ? function->name : NULL, .stream = "stderr"),
                    "%s", line);
}

void task_log_output(struct worker *worker, const uint8_t *data, size_t size_bytes)
{
        struct core_running running;

        if (!log_enabled(LOG_LEVEL_INFO) ||
            !core_worker_runs(worker->owner->daemon->core, worker->index, &running))
                return;
        if (!worker->lines)
                worker->lines = calloc(1, sizeof(*worker->lines));
        if (!worker->lines)
                return;
        worker->lines->worker = worker;
        worker->lines->running = running;
        lines_feed(&worker->lines->lines, data, size_bytes, on_line, worker->lines);
}

void task_log_output_ends(struct worker *worker)
{
        if (worker->lines)
                lines_flush(&worker->lines->lines, on_line, worker->lines);
}

/* -- modules -- */

static enum log_level level_of(int64_t priority)
{
        return priority <= 3   ? LOG_LEVEL_ERROR
               : priority <= 4 ? LOG_LEVEL_WARNING
               : priority <= 6 ? LOG_LEVEL_INFO
                               : LOG_LEVEL_DEBUG;
}

static void copy(char *ret, size_t ret_bytes, const char *text, size_t size_bytes)
{
        snprintf(ret, ret_bytes, "%.*s", (int)(size_bytes < ret_bytes ? size_bytes : ret_bytes - 1), text);
}

const char *task_log_module(struct worker *worker, struct reader reader)
{
        static const char no_sense[] = "a log message is not [level, file, line, text]";
        static struct log_limits limits = {.burst = MODULE_BURST};
        struct daemon *daemon = worker->owner->daemon;
        char file[FILE_BYTES] = "", text[TEXT_BYTES];
        struct core_running running;
        const char *data;
        size_t size_bytes;
        int64_t priority, line;
        uint32_t n;

        if (reader_array(&reader, &n) < 0 || n != 4 || reader_int(&reader, &priority) < 0)
                return no_sense;
        if (!reader_nil(&reader)) {
                if (reader_str(&reader, &data, &size_bytes) < 0)
                        return no_sense;
                copy(file, sizeof(file), data, size_bytes);
        }
        if (reader_int(&reader, &line) < 0 || reader_str(&reader, &data, &size_bytes) < 0)
                return no_sense;
        enum log_level level = level_of(priority);
        if (!log_enabled(level) || !core_worker_runs(daemon->core, worker->index, &running))
                return NULL;
        copy(text, sizeof(text), data, size_bytes);
        const struct pool_function *function = pools_function(daemon->pools, worker->pool, running.function);
        log_limited(log_limit_of(&limits, running.uid), level,
                    LOG_FIELDS(.task = running.task, .worker = worker->pid, .uid = &running.uid,
                               .pool = worker_pool_name(worker), .function = function ? function->name : NULL,
                               .file = *file ? file : NULL, .line = (int)line),
                    "%s", text);
        return NULL;
}

/* -- ends -- */

/* Those that somebody asked for are no news; a function that says that it failed is its caller's business. */
static enum log_level level_of_end(const struct core_record *record)
{
        switch (record->cause) {
        case CAUSE_NONE:
        case CAUSE_CLIENT:
                return LOG_LEVEL_DEBUG;
        case CAUSE_FUNCTION:
        case CAUSE_SHUTDOWN:
        case CAUSE_EXPIRED:
                return LOG_LEVEL_INFO;
        case CAUSE_WORKER:
        case CAUSE_OUTSIDE:
        case CAUSE_KERNEL:
        case CAUSE_TIMEOUT:
        case CAUSE_LIMIT:
                return LOG_LEVEL_WARNING;
        }
        return LOG_LEVEL_WARNING;
}

/* Without memory for the record: less of a sentence. */
static void sentence(const struct daemon *daemon, const struct core_record *record, char *ret,
                     size_t ret_bytes)
{
        struct buffer buffer = BUFFER_INIT;
        struct packer packer;

        pack_begin(&packer, &buffer);
        encode_record(&packer, daemon, record);
        FILE *f = pack_end(&packer) == 0 ? fmemopen(ret, ret_bytes, "w") : NULL;
        if (f) {
                sentence_write(f, reader_over(buffer_at(&buffer), buffer_size(&buffer)));
                fclose(f);
                ret[ret_bytes - 1] = '\0';
        } else
                encode_failure_message(daemon, record, ret, ret_bytes);
        buffer_deinit(&buffer);
}

void task_log_ended(const struct daemon *daemon, const struct core_record *record)
{
        static struct log_limits
                by_level[N_LOG_LEVELS]; /* what is worse is not hidden by what is not so bad */
        struct log_limits *limits;
        bool is_bad = record->state != TASK_SUCCEEDED && record->cause != CAUSE_NONE;
        enum log_level level = is_bad ? level_of_end(record) : LOG_LEVEL_DEBUG;
        char text[SENTENCE_BYTES];

        if (!log_enabled(level))
                return;
        limits = &by_level[level];
        limits->burst = LOG_LIMIT_EVENTS;
        if (is_bad && !log_may(log_limit_of(limits, record->uid), level, &record->uid, "a task's bad end"))
                return;
        if (is_bad)
                sentence(daemon, record, text, sizeof(text));
        log_with(level,
                 LOG_FIELDS(.task = record->id, .worker = record->worker_pid, .uid = &record->uid,
                            .pool = pools_name(daemon->pools, record->pool),
                            .function = encode_function(daemon, record),
                            .message_id = level < LOG_LEVEL_DEBUG ? MESSAGE_TASK_FAILED : NULL),
                 "%s", is_bad ? text : encode_state(record->state));
}
