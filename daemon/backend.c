/* SPDX-License-Identifier: MIT */
/*
 * The core's operations, done: answers and streams into the outputs of connections, payloads, tails,
 * collections, and what goes to workers and zygotes. None of them calls the core but store(), whose memory
 * store is always done at once.
 */
#include "daemon/backend.h"
#include "daemon/closer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/backend_private.h"
#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/message_ids.h"
#include "daemon/payload.h"
#include "daemon/pools.h"
#include "daemon/rpc_private.h"
#include "daemon/task_log.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

int backend_init(struct backend *backend)
{
        *backend = (struct backend){0};
        if (getrandom(&backend->random_state, sizeof(backend->random_state), 0) !=
            sizeof(backend->random_state))
                return -errno;
        return 0;
}

void backend_at_hand(struct daemon *daemon, const uint8_t *data, size_t size_bytes, const int *fds,
                     uint32_t n_fds)
{
        struct backend *backend = &daemon->rpc->backend;
        backend->at_hand = data;
        backend->at_hand_size_bytes = size_bytes;
        backend->at_hand_fds = fds;
        backend->n_at_hand_fds = n_fds;
}

const int *backend_payload_fds(const struct daemon *daemon, payload_t payload, uint32_t *ret_n)
{
        if (payload != PAYLOAD_CURRENT)
                return payload_fds(daemon->payloads, payload, ret_n);
        *ret_n = daemon->rpc->backend.n_at_hand_fds;
        return daemon->rpc->backend.at_hand_fds;
}

const uint8_t *backend_payload(const struct daemon *daemon, payload_t payload, size_t *ret_size_bytes)
{
        if (payload != PAYLOAD_CURRENT)
                return payload_bytes(daemon->payloads, payload, ret_size_bytes);
        assert(daemon->rpc->backend.at_hand);
        *ret_size_bytes = daemon->rpc->backend.at_hand_size_bytes;
        return daemon->rpc->backend.at_hand;
}

/* -- workers -- */

static int on_spawn(void *ctx, uint32_t pool, uint32_t worker)
{
        return worker_spawn(((struct daemon *)ctx)->workers, pool, worker);
}

static void on_kill_zygote(void *ctx, uint32_t pool)
{
        struct zygote *zygote = pools_zygote(((struct daemon *)ctx)->pools, pool);
        if (zygote)
                zygote_kill(zygote);
}

static int on_send(void *ctx, uint32_t worker, const struct core_dispatch *dispatch)
{
        return worker_send(((struct daemon *)ctx)->workers, worker, dispatch);
}

static bool on_take_back(void *ctx, uint32_t worker, uint32_t slot, uint64_t task)
{
        return worker_take_back(((struct daemon *)ctx)->workers, worker, slot, task);
}

static void on_read_slot(void *ctx, uint32_t worker, uint32_t slot, struct core_slot *ret)
{
        worker_read_slot(((struct daemon *)ctx)->workers, worker, slot, ret);
}

static void on_tell(void *ctx, uint32_t worker, uint64_t task)
{
        worker_tell(((struct daemon *)ctx)->workers, worker, task);
}

static void on_kill(void *ctx, uint32_t worker)
{
        worker_kill(((struct daemon *)ctx)->workers, worker);
}

static void on_stop(void *ctx, uint32_t worker)
{
        worker_stop(((struct daemon *)ctx)->workers, worker);
}

static uint64_t on_rss(void *ctx, uint32_t worker)
{
        return worker_rss_now(((struct daemon *)ctx)->workers, worker);
}

static void on_credit(void *ctx, uint32_t worker, uint64_t task, uint32_t bytes)
{
        worker_credit(((struct daemon *)ctx)->workers, worker, task, bytes);
}

static void on_connection_over(void *ctx, uint32_t connection)
{
        connection_task_over(connection_by_index(((struct daemon *)ctx)->connections, connection));
}

/* -- payloads -- */

static payload_t on_keep(void *ctx, payload_t payload)
{
        struct daemon *daemon = ctx;
        payload_t kept;
        size_t size_bytes;
        uint32_t n_fds;
        int copies[LIMIT_DESCRIPTORS];
        const uint8_t *data = backend_payload(daemon, payload, &size_bytes);
        const int *fds = backend_payload_fds(daemon, payload, &n_fds);

        if (fds_duplicate(fds, n_fds, copies) < 0)
                return PAYLOAD_NONE;
        if (payload_new(daemon->payloads, data, size_bytes, copies, n_fds, &kept) == 0)
                return kept;
        for (uint32_t i = 0; i < n_fds; i++)
                closer_close(copies[i]);
        return PAYLOAD_NONE;
}

static void on_drop(void *ctx, payload_t payload)
{
        struct daemon *daemon = ctx;
        payload_drop(daemon->payloads, payload);
}

static int64_t on_collect(void *ctx, uint64_t task, uint64_t index, payload_t payload,
                          const struct core_record *failed)
{
        struct daemon *daemon = ctx;
        struct collections *collections = &daemon->rpc->backend.collections;
        struct buffer record = BUFFER_INIT;
        struct packer packer;
        size_t size_bytes;

        if (!failed) {
                const uint8_t *data = backend_payload(daemon, payload, &size_bytes);
                return collections_add(collections, task, index, false, data, size_bytes);
        }
        pack_begin(&packer, &record);
        encode_failure(&packer, daemon, failed);
        int64_t r = pack_end(&packer);
        if (r == 0)
                r = collections_add(collections, task, index, true, buffer_at(&record), buffer_size(&record));
        buffer_deinit(&record);
        return r;
}

static void on_collect_drop(void *ctx, uint64_t task)
{
        collections_drop(&((struct daemon *)ctx)->rpc->backend.collections, task);
}

/* -- tails -- */

/* What is at hand is a bin; its bytes are what the program wrote. Of progress the whole value is kept. */
static uint32_t on_tail_keep(void *ctx, uint64_t task, unsigned kind)
{
        struct daemon *daemon = ctx;
        size_t size_bytes;
        const uint8_t *data = backend_payload(daemon, PAYLOAD_CURRENT, &size_bytes);
        struct reader reader = reader_over(data, size_bytes);
        struct value value;

        if (kind != STREAM_PROGRESS && reader_next(&reader, &value) == 0) {
                data = value.as.data;
                size_bytes = value.size;
        }
        return tails_add(&daemon->rpc->backend.tails, task, kind, data, size_bytes);
}

static bool on_tail_shrink(void *ctx, uint64_t task)
{
        return tails_shrink(&((struct daemon *)ctx)->rpc->backend.tails, task);
}

static void on_tail_drop(void *ctx, uint64_t task)
{
        tails_drop(&((struct daemon *)ctx)->rpc->backend.tails, task);
}

/* -- the rest -- */

static void on_store(void *ctx, uint64_t task, enum task_state state)
{
        core_store_done(((struct daemon *)ctx)->core, task);
}

/* splitmix64, seeded by the kernel: for jitter, not for secrets. */
static double on_random(void *ctx)
{
        uint64_t z = ((struct daemon *)ctx)->rpc->backend.random_state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        return (double)(z >> 11) * 0x1p-53;
}

static void on_note(void *ctx, enum core_note note, uint32_t pool, uint32_t worker,
                    const struct core_record *record)
{
        static struct log_limit over_limit;
        struct daemon *daemon = ctx;
        const char *name = pools_name(daemon->pools, pool);

        switch (note) {
        case NOTE_TASK_ENDED:
                task_log_ended(daemon, record);
                events_note_ended(daemon->events, record);
                return;
        case NOTE_WORKER_LOST:
                events_note_worker(daemon->events, EVENT_KIND_WORKER_LOST, pool,
                                   worker_pid(daemon->workers, worker), record);
                worker_obituary(daemon->workers, worker, LOG_LEVEL_WARNING, record ? record->id : 0,
                                record ? encode_function(daemon, record) : NULL);
                return;
        case NOTE_WORKER_BAD:
                if (!worker_fault_is_said(daemon->workers, worker))
                        log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = name, .message_id = MESSAGE_WORKER_BAD),
                                 "a worker broke the protocol and is killed");
                return;
        case NOTE_WORKER_STUCK:
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = name, .message_id = MESSAGE_WORKER_STUCK),
                         "a worker was killed 5 s ago and does not die: stuck");
                events_note_worker(daemon->events, EVENT_KIND_WORKER_STUCK, pool,
                                   worker_pid(daemon->workers, worker), NULL);
                return;
        case NOTE_POOL_DEGRADED:
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = name, .message_id = MESSAGE_POOL_DEGRADED),
                         "workers die young again and again: the pool is degraded, restarts are slowed down");
                events_note_pool(daemon->events, EVENT_KIND_POOL_DEGRADED, pool);
                return;
        case NOTE_POOL_RECOVERED:
                log_with(LOG_LEVEL_INFO, LOG_FIELDS(.pool = name, .message_id = MESSAGE_POOL_RECOVERED),
                         "the pool has recovered");
                events_note_pool(daemon->events, EVENT_KIND_POOL_RECOVERED, pool);
                return;
        case NOTE_USER_OVER:
                events_note_task(daemon->events, EVENT_KIND_USER_OVER, record);
                log_limited(
                        &over_limit, LOG_LEVEL_WARNING,
                        LOG_FIELDS(.uid = &record->uid, .message_id = MESSAGE_USER_OVER),
                        "results that nobody took are more than user_memory: what this user has submitted "
                        "waits until some are taken");
                return;
        case NOTE_SPAWN_TIMEOUT:
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = name, .message_id = MESSAGE_SPAWN_TIMEOUT),
                         "the zygote brought no worker within start_timeout and is killed");
                return;
        case NOTE_DRAINED:
                daemon_drained(daemon);
                return;
        }
}

const struct core_ops backend_ops = {
        .spawn = on_spawn,
        .kill_zygote = on_kill_zygote,
        .send = on_send,
        .take_back = on_take_back,
        .read_slot = on_read_slot,
        .tell = on_tell,
        .kill = on_kill,
        .stop = on_stop,
        .credit = on_credit,
        .rss = on_rss,
        .answer_result = backend_answer_result,
        .answer_record = backend_answer_record,
        .answer_states = backend_answer_states,
        .answer_map = backend_answer_map,
        .answer_refusal = backend_answer_refusal,
        .answer_done = backend_answer_done,
        .answer_shared = backend_answer_shared,
        .connection_over = on_connection_over,
        .item = backend_item,
        .stream = backend_stream,
        .stream_tail = backend_stream_tail,
        .tail_keep = on_tail_keep,
        .tail_shrink = on_tail_shrink,
        .tail_drop = on_tail_drop,
        .keep = on_keep,
        .drop = on_drop,
        .collect = on_collect,
        .collect_drop = on_collect_drop,
        .store = on_store,
        .random = on_random,
        .in_group = backend_in_group,
        .note = on_note,
};
