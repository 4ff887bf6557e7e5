/* SPDX-License-Identifier: MIT */
/*
 * What comes from a worker: hello, answers, items of maps, streams, and what its task asks for, which is the
 * rpc layer's as if a client asked. The hot path. Only the envelope's own fields are read; results and error
 * maps go on as the bytes that they are. All of it is untrusted: the core checks that it is about what the
 * worker was given.
 */
#include <errno.h>
#include <string.h>

#include "daemon/backend.h"
#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/pools.h"
#include "daemon/readiness.h"
#include "daemon/rights.h"
#include "daemon/rpc.h"
#include "daemon/task_log.h"
#include "daemon/worker_private.h"
#include "daemon/zygote.h"
#include "proto/methods.h"
#include "proto/options.h"
#include "proto/sealed.h"

#define REQUESTS_A_TURN 64
#define REFUSED_MOST    8 /* lines that one hello is worth */
#define NO_SENSE        "a message makes no sense"

static bool is(const char *expected, const char *text, size_t size_bytes)
{
        return strlen(expected) == size_bytes && memcmp(expected, text, size_bytes) == 0;
}

static int uint32_next(struct reader *reader, uint32_t *ret)
{
        uint64_t value = 0;
        int r = reader_uint(reader, &value);
        *ret = (uint32_t)value;
        return r == 0 && value > UINT32_MAX ? -EINVAL : r;
}

static const char *verdict(struct worker *worker, int r)
{
        worker->channel.error = r < 0 ? -r : 0;
        return r > 0 ? "it speaks of what it was not given" : r < 0 ? "what it says cannot be kept" : NULL;
}

/* One whole value without descriptors becomes what is at hand (PAYLOAD_CURRENT). */
static int take_value(struct daemon *daemon, struct reader *reader, struct core_result *ret)
{
        const uint8_t *data;
        size_t size_bytes;
        int r = reader_skip(reader, &data, &size_bytes, NULL);
        if (r < 0)
                return r;
        backend_at_hand(daemon, data, size_bytes, NULL, 0);
        ret->size_bytes = size_bytes;
        return 0;
}

/* The same of a result, whose large values came in memfds. NULL, or why it is bad. */
static const char *take_result(struct worker *worker, struct reader *reader, struct core_result *ret)
{
        const struct channel *channel = &worker->channel;
        uint64_t values_bytes = 0;
        const uint8_t *data;
        size_t size_bytes;

        if (reader_skip(reader, &data, &size_bytes, NULL) < 0)
                return NO_SENSE;
        if (channel->n_message_fds > 0) {
                const char *why = sealed_check(data, size_bytes, channel->message_fds, channel->n_message_fds,
                                               1u << DESCRIPTOR_VALUE, &values_bytes);
                if (why)
                        return why;
        }
        if (values_bytes > LIMIT_SEALED_BYTES)
                return "its result is too large";
        backend_at_hand(worker->owner->daemon, data, size_bytes, channel->message_fds,
                        channel->n_message_fds);
        ret->size_bytes = size_bytes + values_bytes;
        return NULL;
}

/* The worker's own word, and so not trusted: 0 if it makes no sense. */
static int64_t took(const struct worker *worker, uint32_t slot)
{
        int64_t ns = worker->shares_area && slot < LIMIT_SLOTS
                             ? atomic_load_explicit(&worker->area->slots[slot].took_ns, memory_order_relaxed)
                             : 0;
        return ns > 0 ? ns : 0;
}

static const char *on_result(struct worker *worker, const struct envelope *envelope)
{
        struct daemon *daemon = worker->owner->daemon;
        struct reader reader = envelope->result;
        struct core_result result = {0};
        uint32_t n, attempt;
        uint64_t task;

        if (reader_array(&reader, &n) < 0 || n != 3 || reader_uint(&reader, &task) < 0 ||
            uint32_next(&reader, &attempt) < 0)
                return "an answer is not [task, attempt, result]";
        const char *why = take_result(worker, &reader, &result);
        if (why)
                return why;
        task_log_output_ends(worker);
        result.took = took(worker, envelope->msgid);
        return verdict(worker, core_worker_result(daemon->core, worker->index, envelope->msgid, task, attempt,
                                                  &result, daemon->now));
}

/* The values of `task` and `attempt` in an error map. */
static bool find_task(struct reader reader, uint64_t *ret_task, uint32_t *ret_attempt)
{
        const char *key;
        size_t key_size_bytes;
        uint32_t n, n_found = 0;

        if (reader_map(&reader, &n) < 0)
                return false;
        for (; n > 0; n--) {
                int r = reader_str(&reader, &key, &key_size_bytes);
                if (r == 0 && is("task", key, key_size_bytes))
                        n_found++, r = reader_uint(&reader, ret_task);
                else if (r == 0 && is("attempt", key, key_size_bytes))
                        n_found++, r = uint32_next(&reader, ret_attempt);
                else if (r == 0)
                        r = reader_skip(&reader, NULL, NULL, NULL);
                if (r < 0)
                        return false;
        }
        return n_found == 2;
}

static const char *on_failure(struct worker *worker, const struct envelope *envelope)
{
        struct daemon *daemon = worker->owner->daemon;
        struct reader reader = envelope->error;
        struct core_result result = {.failed = true};
        uint32_t attempt = 0;
        uint64_t task = 0;

        if (!find_task(reader, &task, &attempt) || take_value(daemon, &reader, &result) < 0)
                return "an error is not {task, attempt, code, message, detail}";
        task_log_output_ends(worker);
        result.took = took(worker, envelope->msgid);
        return verdict(worker, core_worker_result(daemon->core, worker->index, envelope->msgid, task, attempt,
                                                  &result, daemon->now));
}

static const char *on_item(struct worker *worker, struct reader reader)
{
        struct daemon *daemon = worker->owner->daemon;
        struct core_result result = {0};
        uint32_t attempt;
        uint64_t task, index;

        if (reader_uint(&reader, &task) < 0 || uint32_next(&reader, &attempt) < 0 ||
            reader_uint(&reader, &index) < 0)
                return NO_SENSE;
        result.failed = !reader_nil(&reader);
        if (take_value(daemon, &reader, &result) < 0)
                return NO_SENSE;
        task_log_output_ends(worker);
        return verdict(worker, core_worker_item(daemon->core, worker->index, task, attempt, index, &result,
                                                daemon->now));
}

static const char *on_progress(struct worker *worker, uint64_t task, struct reader reader)
{
        struct daemon *daemon = worker->owner->daemon;
        struct reader data = reader;
        struct core_result ignored;
        uint32_t n;
        double done;

        if (reader_array(&data, &n) < 0 || n != 2 || reader_double(&data, &done) < 0 ||
            !(done >= 0 && done <= 1))
                return "progress is not [0...1, text]";
        if (take_value(daemon, &reader, &ignored) < 0)
                return NO_SENSE;
        int r = core_worker_progress(daemon->core, worker->index, task, done, daemon->now);
        if (r == 0)
                r = core_worker_stream(daemon->core, worker->index, task, STREAM_PROGRESS, 0, daemon->now);
        return verdict(worker, r);
}

static const char *on_output(struct worker *worker, uint64_t task, enum stream_kind kind,
                             struct reader reader)
{
        struct daemon *daemon = worker->owner->daemon;
        struct reader data = reader;
        struct core_result ignored;
        struct value value;

        if (reader_next(&data, &value) < 0 || value.type != VALUE_BIN ||
            take_value(daemon, &reader, &ignored) < 0)
                return "output is no bin";
        int r = core_worker_stream(daemon->core, worker->index, task, kind, value.size, daemon->now);
        if (r == 0 && kind == STREAM_STDERR)
                task_log_output(worker, value.as.data, value.size);
        return verdict(worker, r);
}

static const char *on_stream(struct worker *worker, struct reader reader)
{
        const char *name;
        size_t name_size_bytes;
        uint64_t task;

        if (reader_uint(&reader, &task) < 0 || reader_str(&reader, &name, &name_size_bytes) < 0)
                return NO_SENSE;
        if (is("log", name, name_size_bytes))
                return task_log_module(worker, reader);
        switch (stream_from_name(name, name_size_bytes)) {
        case STREAM_PROGRESS:
                return on_progress(worker, task, reader);
        case STREAM_STDOUT:
                return on_output(worker, task, STREAM_STDOUT, reader);
        case STREAM_STDERR:
                return on_output(worker, task, STREAM_STDERR, reader);
        }
        return "it streams what is no stream";
}

struct greeting {
        uint64_t protocol, slots;
        bool area, descriptors, ring;
        struct reader refused; /* what it could not make of itself, and why */
        uint32_t n_refused;
};

static int read_refused(struct reader *reader, struct greeting *ret)
{
        struct reader map = *reader;
        int r = reader_map(&map, &ret->n_refused);

        ret->refused = map;
        return r < 0 ? r : reader_skip(reader, NULL, NULL, NULL);
}

static bool read_greeting(struct reader reader, struct greeting *ret)
{
        const char *key;
        size_t size_bytes;
        uint32_t n;

        if (reader_map(&reader, &n) < 0)
                return false;
        for (; n > 0; n--) {
                int r = reader_str(&reader, &key, &size_bytes);
                if (r == 0 && is("protocol", key, size_bytes))
                        r = reader_uint(&reader, &ret->protocol);
                else if (r == 0 && is("slots", key, size_bytes))
                        r = reader_uint(&reader, &ret->slots);
                else if (r == 0 && is("area", key, size_bytes))
                        r = reader_bool(&reader, &ret->area);
                else if (r == 0 && is("ring", key, size_bytes))
                        r = reader_bool(&reader, &ret->ring);
                else if (r == 0 && is("descriptors", key, size_bytes))
                        r = reader_bool(&reader, &ret->descriptors);
                else if (r == 0 && is("refused", key, size_bytes))
                        r = read_refused(&reader, ret);
                else if (r == 0)
                        r = reader_skip(&reader, NULL, NULL, NULL);
                if (r < 0)
                        return false;
        }
        return true;
}

/* It works without; of all workers of a zygote the first one's word is logged. */
static void hear_refused(struct worker *worker, struct greeting *greeting)
{
        struct zygote *zygote = pools_zygote(worker->owner->daemon->pools, worker->pool);
        const char *key, *why;
        size_t key_size_bytes, why_size_bytes;

        if (greeting->n_refused == 0 || !zygote || zygote_serial(zygote) != worker->zygote ||
            !zygote_hears_first(zygote))
                return;
        for (uint32_t i = 0; i < greeting->n_refused && i < REFUSED_MOST; i++) {
                if (reader_str(&greeting->refused, &key, &key_size_bytes) < 0 ||
                    reader_str(&greeting->refused, &why, &why_size_bytes) < 0)
                        return;
                log_with(LOG_LEVEL_WARNING,
                         LOG_FIELDS(.worker = worker->pid, .pool = worker_pool_name(worker)),
                         "the workers run without their pool's %.*s, which cannot be set: %.*s",
                         (int)(key_size_bytes < 64 ? key_size_bytes : 64), key,
                         (int)(why_size_bytes < 256 ? why_size_bytes : 256), why);
        }
}

static const char *on_hello(struct worker *worker, struct reader reader)
{
        struct daemon *daemon = worker->owner->daemon;
        struct greeting greeting = {0};

        if (!read_greeting(reader, &greeting))
                return "its hello is not {protocol, slots, area}";
        if (greeting.protocol != ZYGOTE_PROTOCOL_VERSION)
                return "it speaks another version of the protocol: restart gangerd";
        if (greeting.slots > LIMIT_SLOTS || (greeting.slots > 0) != greeting.area)
                return "its hello claims slots that cannot be";
        worker_on(worker, EVENT_HELLO, worker->channel.sender);
        if (worker->bad)
                return "its hello is not its own"; /* which was said: its channel is over */
        worker->shares_area = greeting.area;
        worker->takes_descriptors = greeting.descriptors;
        if (greeting.area && greeting.ring)
                worker->channel.ring = (struct ring_reader){.ring = area_ring(worker->area)};
        hear_refused(worker, &greeting);
        const char *why = verdict(worker, core_worker_hello(daemon->core, worker->index, worker->pid,
                                                            (uint32_t)greeting.slots, daemon->now));
        if (why)
                return why;
        events_note_worker(daemon->events, EVENT_KIND_WORKER_STARTED, worker->pool, worker->pid, NULL);
        readiness_hello(daemon->readiness, worker->pool);
        return NULL;
}

/* -- what its task asks for -- */

/* gangerd never stops reading a worker. One that asks on and on without reading the answers is stopped by
 * this: more than the largest answer, and what may wait beside it. */
static bool is_rude(const struct worker *worker)
{
        const struct configuration *config = worker->owner->daemon->config;
        return output_size(&worker->channel.output) > config->output_limit_bytes + config->max_message_bytes;
}

/* What the task may use: all chunks of a map were brought by the same connection. */
static struct rights *rights_of(const struct worker *worker, uint64_t task)
{
        for (uint32_t i = 0; i < LIMIT_SLOTS; i++)
                if (worker->task_at[i] == task)
                        return worker->rights[i];
        return NULL;
}

static const char *on_request(struct worker *worker, const struct envelope *envelope)
{
        struct daemon *daemon = worker->owner->daemon;
        struct connection *c = worker_asks_by(worker);

        if (worker->doomed)
                return NULL; /* it was killed, and what it asks ends with it */
        if (is_rude(worker))
                return "it asks for more and more and does not read the answers";
        if (!c) {
                int r = connection_open_task(daemon->connections, &worker->channel, worker->index,
                                             worker->pid, &c);
                if (r == CORE_NOT_OPEN)
                        return "it asks for something and runs no task";
                if (r != 0) {
                        worker->channel.error = -r;
                        return "what it asks cannot be kept";
                }
                c->rights = rights_ref(rights_of(worker, c->task));
                c->takes_descriptors = worker->takes_descriptors;
                worker->asks_by = c->index;
        }
        /* Others have their turn, also while a worker asks and asks. */
        if (++worker->n_asked % REQUESTS_A_TURN == 0 || core_connection_blocked(daemon->core, c->index) ||
            c->owed_bytes > daemon->config->output_limit_bytes)
                worker->channel.rests = true;
        return rpc_serve_task(daemon->rpc, c, envelope);
}

static const char *dispatch(struct worker *worker, const struct envelope *envelope)
{
        if (envelope->type == ENVELOPE_NOTIFICATION &&
            is("hello", envelope->method, envelope->method_size_bytes))
                return envelope->n_params == 1 ? on_hello(worker, envelope->params) : NO_SENSE;
        if (worker->life < LIFE_UP)
                return "its first message is no hello";
        if (envelope->type == ENVELOPE_RESPONSE) {
                struct reader error = envelope->error;
                if (reader_nil(&error))
                        return on_result(worker, envelope);
        }
        if (worker->channel.n_message_fds > 0)
                return "it sent a descriptor that is no value of a result";
        if (envelope->type == ENVELOPE_RESPONSE)
                return on_failure(worker, envelope);
        if (envelope->type == ENVELOPE_REQUEST)
                return on_request(worker, envelope);
        if (is("item", envelope->method, envelope->method_size_bytes))
                return envelope->n_params == 5 ? on_item(worker, envelope->params) : NO_SENSE;
        if (is("stream", envelope->method, envelope->method_size_bytes))
                return envelope->n_params == 3 ? on_stream(worker, envelope->params) : NO_SENSE;
        if (method_from_name(envelope->method, envelope->method_size_bytes) == N_METHODS)
                return "it sends a message that there is not";
        return on_request(worker, envelope);
}

const char *worker_on_message(struct worker *worker, const struct envelope *envelope)
{
        struct workers *workers = worker->owner;
        workers->speaking = worker;
        const char *why = dispatch(worker, envelope);
        workers->speaking = NULL;
        backend_at_hand(workers->daemon, NULL, 0, NULL, 0);
        return why;
}
