/* SPDX-License-Identifier: MIT */
/*
 * What goes to a worker: tasks, credit, the signal that tells a task to end, SIGKILL; and the slots of its
 * area. Bytes leave at the loop's end, so a task may be taken back before it was ever sent; its message then
 * finds the slot revoked.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/payload.h"
#include "daemon/rights.h"
#include "daemon/worker_private.h"
#include "proto/pack.h"

#define SEND_MARK_BYTES   (256u << 10) /* with so much unsent a worker takes no further task */
#define FLAG_WANT_STREAMS 1u
#define FLAG_WANT_STDERR  2u

static void pack_args(struct packer *packer, struct payload_table *payloads,
                      const struct core_dispatch *dispatch, const int **ret_fds, uint32_t *ret_n_fds)
{
        const uint8_t *bytes;
        size_t size_bytes;

        if (dispatch->is_chunk) {
                payload_items(payloads, dispatch->args, dispatch->payload_first, dispatch->n_items, &bytes,
                              &size_bytes, ret_fds, ret_n_fds);
                pack_array(packer, dispatch->n_items);
        } else {
                bytes = payload_bytes(payloads, dispatch->args, &size_bytes);
                *ret_fds = payload_fds(payloads, dispatch->args, ret_n_fds);
        }
        pack_raw(packer, bytes, size_bytes);
}

/* The copies are whose the originals are: their close may wait for him as well. */
static int duplicate(const int *fds, uint32_t n, int *ret)
{
        int r = fds_duplicate(fds, n, ret), adopted = 0;

        for (uint32_t i = 0; r == 0 && adopted == 0 && i < n; i++)
                adopted = closer_adopt_copy(ret[i], fds[i]);
        for (uint32_t i = 0; adopted < 0 && i < n; i++)
                closer_close(ret[i]);
        return adopted < 0 ? adopted : r;
}

static int pack_dispatch(struct worker *worker, const struct core_dispatch *dispatch)
{
        struct payload_table *payloads = worker->owner->daemon->payloads;
        struct packer packer;
        const int *fds;
        uint32_t n_fds;
        int copies[LIMIT_DESCRIPTORS] = {0};

        channel_message_begin(&worker->channel, &packer);
        pack_request(&packer, dispatch->slot, dispatch->is_chunk ? "chunk" : "run",
                     dispatch->is_chunk ? 7 : 6);
        pack_uint(&packer, dispatch->task);
        pack_uint(&packer, dispatch->attempt);
        pack_uint(&packer, dispatch->slot);
        pack_uint(&packer, generation_function(worker->generation, dispatch->function));
        pack_args(&packer, payloads, dispatch, &fds, &n_fds);
        /* Of a single task always: who attaches later, and the failure record, want to see it. The log always
         * wants what goes to standard error. */
        pack_uint(&packer,
                  FLAG_WANT_STDERR | (dispatch->streams || !dispatch->is_chunk ? FLAG_WANT_STREAMS : 0));
        if (dispatch->is_chunk)
                pack_uint(&packer, dispatch->first);
        assert(n_fds <= LIMIT_DESCRIPTORS);
        /* They stay with the payload, which may be sent again. */
        int r = duplicate(fds, n_fds, copies);
        if (r < 0) {
                buffer_truncate(&worker->channel.output.bytes, packer.start);
                return r;
        }
        r = channel_message_end(&worker->channel, &packer, copies, n_fds);
        for (uint32_t i = 0; r < 0 && i < n_fds; i++)
                closer_close(copies[i]);
        return r;
}

int worker_send(struct workers *workers, uint32_t index, const struct core_dispatch *dispatch)
{
        struct worker *worker = worker_at(workers, index);

        assert(worker && dispatch->slot < LIMIT_SLOTS);
        if (worker->doomed || worker->channel.lost || output_size(&worker->channel.output) > SEND_MARK_BYTES)
                return 1;
        int r = pack_dispatch(worker, dispatch);
        if (r == -EMFILE)
                return 1;
        if (r < 0)
                return r;
        struct area_slot *slot = &worker->area->slots[dispatch->slot];
        /* A word about an item of an earlier chunk may have come when that had just ended; it must not end
         * this chunk of the same map. */
        uint64_t told = dispatch->task;
        if (atomic_load(&worker->area->cancel) == told) /* looked at first: the worker looks, too */
                atomic_compare_exchange_strong(&worker->area->cancel, &told, 0);
        /* That it is seen before the message is, is all that is needed: who claims it or takes it back does
         * so by the word itself, and what the worker says of the slot's last task it says by
         * compare-and-swap. */
        atomic_store_explicit(&slot->word, slot_word(dispatch->task, SLOT_SENT), memory_order_release);
        struct rights **rights = &worker->rights[dispatch->slot];
        rights_unref(*rights);
        *rights = rights_ref(payload_rights(workers->daemon->payloads, dispatch->args));
        worker->task_at[dispatch->slot] = dispatch->task;
        worker->lone_task = dispatch->task;
        worker->lone_since = workers->daemon->now;
        worker_watch(worker);
        return 0;
}

bool worker_take_back(struct workers *workers, uint32_t index, uint32_t slot, uint64_t task)
{
        struct worker *worker = worker_at(workers, index);
        assert(worker && slot < LIMIT_SLOTS);
        return worker->shares_area && area_take_back(worker->area, slot, task);
}

void worker_read_slot(struct workers *workers, uint32_t index, uint32_t slot, struct core_slot *ret)
{
        const struct worker *worker = worker_at(workers, index);

        assert(worker && slot < LIMIT_SLOTS);
        if (!worker->shares_area) {
                *ret = (struct core_slot){
                        .task = worker->lone_task, .state = SLOT_CLAIMED, .begin = worker->lone_since};
                return;
        }
        const struct area_slot *at = &worker->area->slots[slot];
        uint64_t word = atomic_load(&at->word);
        *ret = (struct core_slot){
                .task = slot_word_task(word),
                .state = slot_word_state(word),
                .begin = atomic_load(&at->begin_ns),
                .index = atomic_load(&at->index),
        };
}

void worker_tell(struct workers *workers, uint32_t index, uint64_t task)
{
        struct worker *worker = worker_at(workers, index);

        assert(worker);
        atomic_store(&worker->area->cancel, task);
        if (worker_signal(worker, SIGTERM) < 0 && errno != ESRCH)
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.task = task, .worker = worker->pid),
                         "cannot tell the task to end: %s", strerror(errno));
}

void worker_kill(struct workers *workers, uint32_t index)
{
        struct worker *worker = worker_at(workers, index);
        assert(worker);
        worker_doom(worker);
}

void worker_stop(struct workers *workers, uint32_t index)
{
        struct worker *worker = worker_at(workers, index);
        struct packer packer;

        assert(worker);
        channel_message_begin(&worker->channel, &packer);
        pack_notification(&packer, "stop", 0);
        if (channel_message_end(&worker->channel, &packer, NULL, 0) < 0)
                worker_doom(worker); /* it is idle: nothing is lost by that */
}

void worker_credit(struct workers *workers, uint32_t index, uint64_t task, uint32_t bytes)
{
        struct worker *worker = worker_at(workers, index);
        struct packer packer;

        assert(worker);
        channel_message_begin(&worker->channel, &packer);
        pack_notification(&packer, "credit", 2);
        pack_uint(&packer, task);
        pack_uint(&packer, bytes);
        if (channel_message_end(&worker->channel, &packer, NULL, 0) < 0) {
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.task = task, .worker = worker->pid),
                         "no memory for stream credit; the worker is killed");
                worker_doom(worker);
        }
}
