/* SPDX-License-Identifier: MIT */
/*
 * The operations on workers and zygotes: what the core sends, takes back, reads, tells and ends, done to
 * model workers. A slot's word is written and compared as the daemon does it, on a real area.
 */
#include "tests/sim/ops.h"

#include <errno.h>

#define SIGNAL_KILL 9
#define MANY        8 /* messages at one worker at a time */

int op_spawn(void *ctx, uint32_t pool, uint32_t worker)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_spawn, worker);

        TRACE(s, "> spawn", pool, worker);
        if (w->life != LIFE_NONE)
                sim_fail(s, "worker %u is asked for while it still is", worker);
        if (!s->pools[pool].zygote_told)
                sim_fail(s, "a worker is asked of pool %u, whose zygote is lost", pool);
        if (!s->pools[pool].zygote_up ||
            (!s->faults_over && random_chance(&s->random, s->intensity.spawn_refused))) {
                MEET(s, faults, FAULT_spawn_refused);
                return -EAGAIN;
        }
        admin_check_spawn(s, pool);
        worker_born(s, pool, worker);
        return 0;
}

void op_kill_zygote(void *ctx, uint32_t pool)
{
        struct sim *s = ctx;

        op_begin(s, OPERATION_kill_zygote, 0);
        TRACE(s, "> kill_zygote", pool);
        if (s->pools[pool].zygote_up)
                sim_schedule(s, 0, HAPPEN_ZYGOTE_DOWN, pool, s->pools[pool].generation);
}

static void check_sendable(struct sim *s, const struct model_worker *w, const struct entry *e,
                           const struct core_dispatch *d)
{
        const struct payload *args = payloads_get(s, d->args);
        const struct core_pool_config *config = &s->pools[w->pool].config;
        uint32_t window = w->n_slots ? w->n_slots : 1;

        if (window > config->window)
                window = config->window;
        if (d->slot >= LIMIT_SLOTS)
                sim_fail(s, "task %llu is sent to slot %u", (unsigned long long)d->task, d->slot);
        if (e->pool != w->pool)
                sim_fail(s, "a task of pool %u is sent to a worker of pool %u", e->pool, w->pool);
        if (d->function != e->function)
                sim_fail(s, "task %llu is sent as function %u, not %u", (unsigned long long)d->task,
                         d->function, e->function);
        if (d->is_chunk != (e->kind == ENTRY_MAP))
                sim_fail(s, "task %llu is sent as the wrong kind", (unsigned long long)d->task);
        if (d->is_chunk && (args->kind != PAYLOAD_ITEMS || args->index + d->payload_first != d->first ||
                            d->payload_first + d->n_items > args->n || d->n_items == 0))
                sim_fail(s, "map %llu: the chunk at %llu names other items' bytes",
                         (unsigned long long)d->task, (unsigned long long)d->first);
        if (w->n_inbox + w->busy > 2 * LIMIT_SLOTS + window)
                sim_fail(s, "worker %u has more messages than any window", w->index);
}

int op_send(void *ctx, uint32_t worker, const struct core_dispatch *d)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_send, worker);
        struct entry *e = &s->entries[payloads_get(s, d->args)->entry];
        struct run_message run = {.task = d->task,
                                  .first = d->is_chunk ? d->first : 0,
                                  .attempt = d->attempt,
                                  .slot = d->slot,
                                  .entry = ledger_index(s, e),
                                  .n_items = d->n_items,
                                  .is_chunk = d->is_chunk,
                                  .streams = d->streams || !d->is_chunk}; /* as the daemon does */
        uint64_t word;

        TRACE(s, "> send", worker, d->task, d->slot, d->first, d->n_items);
        if (w->life == LIFE_NONE || !w->hello_heard)
                sim_fail(s, "task %llu is sent to worker %u, which is not there", (unsigned long long)d->task,
                         worker);
        if (w->killed || w->told_stop)
                sim_fail(s, "task %llu is sent to worker %u, which was ended", (unsigned long long)d->task,
                         worker);
        check_sendable(s, w, e, d);
        if (op_no_memory(s, FAULT_no_memory_send))
                return -ENOMEM;
        if (w->deaf && !s->faults_over) {
                sim_meet_task(s, e, TASK_EVENT_send_refused);
                sim_meet_worker(s, worker, WORKER_EVENT_send_refused);
                return 1;
        }
        admin_check_send(s, w, e, d->attempt);
        sim_meet_task(s, e, TASK_EVENT_send);
        sim_meet_worker(s, worker, WORKER_EVENT_send);
        ledger_learn_id(s, e, d->task);
        ledger_sent(s, e, d, worker);
        word = atomic_load(&w->area.slots[d->slot].word);
        if (slot_word_state(word) == SLOT_SENT && !w->evil && !w->no_area)
                sim_fail(s, "worker %u: slot %u is given to task %llu and holds one that was sent", worker,
                         d->slot, (unsigned long long)d->task);
        if (slot_word_state(word) == SLOT_REVOKED && w->slot_revoked[d->slot] > 0)
                MEET(s, faults, FAULT_slot_reused_while_revoked);
        if (atomic_load(&w->area.cancel) == d->task)
                atomic_store(&w->area.cancel, 0); /* of an earlier chunk of this map */
        w->told_task = w->told_task == d->task ? 0 : w->told_task;
        atomic_store(&w->area.slots[d->slot].word, slot_word(d->task, SLOT_SENT));
        w->lone_task = d->task;
        w->lone_since = s->now;
        w->n_held++;
        if (w->n_held > MANY)
                MEET(s, faults, FAULT_many_ahead);
        if (w->life == LIFE_ALIVE)
                worker_receive(s, w, &run);
        return 0;
}

bool op_take_back(void *ctx, uint32_t worker, uint32_t slot, uint64_t task)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_take_back, worker);
        struct entry *e = ledger_by_id(s, task);
        bool won;

        if (!e || slot >= LIMIT_SLOTS || w->life == LIFE_NONE)
                sim_fail(s, "task %llu is taken back and never was sent", (unsigned long long)task);
        won = !w->no_area && area_take_back(&w->area, slot, task);
        TRACE(s, "> take_back", worker, slot, task, won);
        sim_meet_task(s, e, won ? TASK_EVENT_take_back_won : TASK_EVENT_take_back_lost);
        sim_meet_worker(s, worker, won ? WORKER_EVENT_take_back_won : WORKER_EVENT_take_back_lost);
        if (won) {
                ledger_taken_back(s, e);
                w->n_held--;
                w->slot_revoked[slot]++;
        } else if (w->n_held > 1) {
                w->claimed_ahead = true;
        }
        return won;
}

void op_read_slot(void *ctx, uint32_t worker, uint32_t slot, struct core_slot *ret)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_read_slot, worker);
        uint64_t word;

        if (slot >= LIMIT_SLOTS)
                sim_fail(s, "slot %u is read", slot);
        word = w->no_area ? slot_word(w->lone_task, SLOT_CLAIMED) : atomic_load(&w->area.slots[slot].word);
        *ret = (struct core_slot){.task = slot_word_task(word), .state = slot_word_state(word)};
        if (w->no_area) {
                ret->begin = w->lone_since;
        } else {
                ret->begin = atomic_load(&w->area.slots[slot].begin_ns);
                ret->index = atomic_load(&w->area.slots[slot].index);
        }
        TRACE(s, "> read_slot", worker, slot, ret->task, ret->state, ret->index);
}

void op_tell(void *ctx, uint32_t worker, uint64_t task)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_tell, worker);
        struct entry *e = ledger_by_id(s, task);

        TRACE(s, "> tell", worker, task);
        if (!e)
                sim_fail(s, "task %llu is told to end and was never sent", (unsigned long long)task);
        sim_meet_task(s, e, TASK_EVENT_tell);
        sim_meet_worker(s, worker, WORKER_EVENT_tell);
        if (e->kind != ENTRY_MAP)
                e->told = true;
        if (w->busy && w->run.task == task && w->run.is_chunk)
                e->items[w->item].excused = true;
        w->told_task = task;
        w->under_verdict = true;
        atomic_store(&w->area.cancel, task);
        if (w->life == LIFE_ALIVE)
                sim_wake(s, worker);
}

void op_kill(void *ctx, uint32_t worker)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_kill, worker);

        TRACE(s, "> kill", worker);
        if (w->life == LIFE_NONE)
                sim_fail(s, "worker %u is killed and is none", worker);
        sim_meet_worker(s, worker, WORKER_EVENT_kill);
        if (!w->killed)
                worker_last_words(s, w);
        w->killed = true;
        if (w->life == LIFE_ALIVE && w->dies_late && !s->ending) {
                MEET(s, faults, FAULT_worker_stuck);
                for (uint32_t i = 0; i < s->n_entries; i++)
                        if (s->entries[i].sent_out && s->entries[i].worker == worker)
                                s->entries[i].stuck = true;
                w->life = LIFE_DEAD; /* it does nothing more, but it is not gone */
                w->exit = (struct core_exit){.by_signal = true, .status = SIGNAL_KILL};
                sim_schedule(s, (int64_t)random_between(&s->random, 1, 20) * CORE_SECOND, HAPPEN_REAP, worker,
                             w->generation);
                return;
        }
        worker_die(s, w, true, SIGNAL_KILL);
}

void op_stop(void *ctx, uint32_t worker)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_stop, worker);

        TRACE(s, "> stop", worker);
        sim_meet_worker(s, worker, WORKER_EVENT_stop);
        admin_check_stop(s, w);
        w->told_stop = true;
        if (w->life == LIFE_ALIVE)
                sim_wake(s, worker);
}

void op_credit(void *ctx, uint32_t worker, uint64_t task, uint32_t bytes)
{
        struct sim *s = ctx;
        struct model_worker *w = op_begin(s, OPERATION_credit, worker);

        TRACE(s, "> credit", worker, task, bytes);
        if (w->busy && w->run.task == task && !w->answered) {
                w->credit += bytes;
                if (w->credit > LIMIT_STREAM_CREDIT_BYTES && !w->evil)
                        sim_fail(s, "task %llu: %lld bytes of stream credit at once",
                                 (unsigned long long)task, (long long)w->credit);
                sim_wake(s, worker);
        }
}
