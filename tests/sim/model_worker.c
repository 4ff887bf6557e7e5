/* SPDX-License-Identifier: MIT */
/*
 * Model workers: processes that take messages, claim slots of a real shared area, run bodies, answer, stream,
 * ignore, lie and die. A step changes only the worker, its area and its channel, never the core, so steps may
 * happen between any two operations, as with real processes; what reaches the core goes by deliver.c.
 *
 * One step is one action that another process can see: a death can come between any two of them.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "proto/options.h"

#define SIGNAL_KILL 9
#define SIGNAL_SEGV 11
#define WRITES_MAX  12 /* of one body */

void worker_says(struct sim *s, struct model_worker *w, const struct answer_message *message)
{
        if (w->n_outbox == w->outbox_capacity) {
                w->outbox_capacity = w->outbox_capacity ? 2 * w->outbox_capacity : 8;
                w->outbox = realloc(w->outbox, w->outbox_capacity * sizeof(*w->outbox));
                if (!w->outbox)
                        abort();
        }
        w->outbox[w->n_outbox++] = *message;
        if (!w->deliver_set) {
                w->deliver_set = true;
                sim_schedule(s, (int64_t)random_below(&s->random, 100) * MICROSECOND, HAPPEN_DELIVER,
                             w->index, w->generation);
        }
}

void worker_reset(struct model_worker *w)
{
        struct run_message *inbox = w->inbox;
        struct answer_message *outbox = w->outbox;
        uint32_t inbox_capacity = w->inbox_capacity, outbox_capacity = w->outbox_capacity;
        uint32_t generation = w->generation;

        memset(w, 0, sizeof(*w));
        w->inbox = inbox;
        w->inbox_capacity = inbox_capacity;
        w->outbox = outbox;
        w->outbox_capacity = outbox_capacity;
        w->generation = generation + 1;
}

/* The zygote was asked to fork. What comes of it: a hello, nothing at all, or a failure. */
void worker_born(struct sim *s, uint32_t pool, uint32_t index)
{
        struct model_worker *w = &s->workers[index];
        const struct intensity *by = &s->intensity;

        worker_reset(w);
        w->index = index;
        w->pool = pool;
        w->life = LIFE_FORKING;
        w->n_functions = s->pools[pool].n_functions;
        w->renewal = s->pools[pool].renewals;
        w->evil = random_chance(&s->random, by->evil);
        w->no_area = random_chance(&s->random, by->no_area);
        w->dies_late = random_chance(&s->random, by->dies_late);
        w->n_slots = w->no_area ? 0
                                : (uint32_t)random_between(&s->random, 1,
                                                           random_chance(&s->random, 300) ? 3 : LIMIT_SLOTS);
        w->area.magic = AREA_MAGIC;
        w->area.n_slots = LIMIT_SLOTS;
        if (!s->faults_over && random_chance(&s->random, by->spawn_failed)) {
                MEET(s, faults, FAULT_spawn_failed);
                w->life = LIFE_DEAD;
                w->exit = (struct core_exit){.status = 1};
                sim_schedule(s, 100 * MICROSECOND, HAPPEN_REAP, index, w->generation);
        } else if (!s->faults_over && random_chance(&s->random, by->spawn_silent)) {
                bool late = random_chance(&s->random, 500);
                MEET(s, faults, late ? FAULT_spawn_late : FAULT_spawn_silent);
                w->silent = !late;
                if (late)
                        sim_schedule(s, s->pools[pool].config.start_timeout - 50 * MICROSECOND, HAPPEN_HELLO,
                                     index, w->generation);
        } else {
                sim_schedule(s, (int64_t)random_between(&s->random, 200, 9000) * MICROSECOND, HAPPEN_HELLO,
                             index, w->generation);
        }
}

static void note_death(struct sim *s, const struct model_worker *w)
{
        if (w->life == LIFE_FORKING || !w->hello_heard)
                MEET(s, faults, FAULT_die_starting);
        else if (!w->busy)
                MEET(s, faults, FAULT_die_idle);
        else if (w->answered)
                MEET(s, faults, FAULT_die_answered);
        else
                MEET(s, faults, FAULT_die_claimed);
        if (w->n_inbox > 0)
                MEET(s, faults, FAULT_die_with_ahead);
}

void worker_die(struct sim *s, struct model_worker *w, bool by_signal, int status)
{
        struct entry *e = w->busy ? &s->entries[w->run.entry] : NULL;

        if (w->life != LIFE_FORKING && w->life != LIFE_ALIVE)
                return;
        TRACE(s, " dies", w->index, by_signal, (uint64_t)status);
        note_death(s, w);
        w->life = LIFE_DEAD;
        w->exit = (struct core_exit){.by_signal = by_signal, .status = status, .max_rss_bytes = 1 << 20};
        if (e && w->run.is_chunk && e->items[w->item].running) {
                e->items[w->item].running = false;
                e->n_running--;
        }
        sim_schedule(s, (int64_t)random_below(&s->random, 300) * MICROSECOND, HAPPEN_REAP, w->index,
                     w->generation);
}

void worker_receive(struct sim *s, struct model_worker *w, const struct run_message *message)
{
        if (w->n_inbox == w->inbox_capacity) {
                w->inbox_capacity = w->inbox_capacity ? 2 * w->inbox_capacity : 8;
                w->inbox = realloc(w->inbox, w->inbox_capacity * sizeof(*w->inbox));
                if (!w->inbox)
                        abort();
        }
        w->inbox[w->n_inbox++] = *message;
        sim_wake(s, w->index);
}

static void body_begins(struct sim *s, struct model_worker *w)
{
        struct entry *e = &s->entries[w->run.entry];
        int64_t duration = entry_duration(e, w->run.is_chunk ? w->item : UINT64_MAX);

        unsigned asks = w->run.is_chunk ? s->intensity.asks / 8 : s->intensity.asks;

        w->until = s->now + duration;
        w->waits = w->ask_pending = false;
        w->n_asks = 0;
        if (e->depth < MAX_DEPTH && !s->ending && random_chance(&s->random, asks))
                w->n_asks = (uint32_t)random_between(&s->random, 1, s->intensity.shared ? 9 : 4);
        ledger_begin(s, w);
        sim_wake(s, w->index);
}

/* The next message: its slot is claimed, or it was taken back meanwhile. */
static void step_claim(struct sim *s, struct model_worker *w)
{
        struct run_message run = w->inbox[0];
        struct area_slot *slot = &w->area.slots[run.slot];

        memmove(w->inbox, w->inbox + 1, --w->n_inbox * sizeof(*w->inbox));
        atomic_store(&slot->index, run.is_chunk ? run.first : 0);
        if (!area_claim(&w->area, run.slot, run.task, s->now) && !w->evil) {
                TRACE(s, " drops", w->index, run.task);
                MEET(s, faults, FAULT_revoked_message_dropped);
                if (w->slot_revoked[run.slot] > 0)
                        w->slot_revoked[run.slot]--;
                sim_wake(s, w->index);
                return;
        }
        TRACE(s, " claims", w->index, run.task, run.slot);
        w->busy = true;
        w->answered = w->cut_short = false;
        w->claimed_at = s->now;
        w->run = run;
        w->item = run.first;
        w->credit = LIMIT_STREAM_CREDIT_BYTES;
        w->unwritten_bytes = w->n_to_write = 0;
        if (random_chance(&s->random, s->entries[run.entry].streams ? 500 : s->intensity.streams))
                w->n_to_write = (uint32_t)random_between(&s->random, 1, WRITES_MAX);
        w->ignores = random_chance(&s->random, s->intensity.ignores);
        body_begins(s, w);
}

/* As the slot would say it: measured, or written there by who lies. */
static int64_t took(struct sim *s, const struct model_worker *w)
{
        if (w->no_area)
                return 0;
        if (w->evil && random_chance(&s->random, 500)) {
                MEET(s, faults, FAULT_worker_lies_about_time);
                return (int64_t)(random_next(&s->random) >> random_between(&s->random, 1, 63));
        }
        return s->now - w->claimed_at + 1;
}

static void answer_result(struct sim *s, struct model_worker *w, bool failed, uint64_t value)
{
        struct answer_message message = {
                .kind = ANSWER_RESULT,
                .task = w->run.task,
                .slot = w->run.slot,
                .attempt = w->run.attempt,
                .entry = w->run.entry,
                .failed = failed,
                .value = value,
                .took = took(s, w),
                .size_bytes = (uint32_t)random_between(&s->random, 1, 2000),
        };

        /* Whoever tells it now means what it answers here, not the next chunk of the same map. */
        if (atomic_load(&w->area.cancel) == w->run.task)
                atomic_store(&w->area.cancel, 0);
        worker_says(s, w, &message);
        w->answered = true;
        sim_wake(s, w->index);
}

/* A single task's body, or one item, comes to its end by itself. */
static void step_finish(struct sim *s, struct model_worker *w)
{
        struct entry *e = &s->entries[w->run.entry];
        uint64_t index = w->run.is_chunk ? w->item : UINT64_MAX;
        bool fails = entry_fails(s, e, index);
        uint64_t value = entry_value(e, index);

        TRACE(s, " finishes", w->index, w->run.task, index);
        ledger_finish(s, w, w->run.is_chunk);
        if (!w->run.is_chunk) {
                answer_result(s, w, fails, value);
                return;
        }
        worker_says(s, w,
                    &(struct answer_message){.kind = ANSWER_ITEM,
                                             .task = w->run.task,
                                             .attempt = w->run.attempt,
                                             .index = w->item,
                                             .entry = w->run.entry,
                                             .item_value = true,
                                             .failed = fails,
                                             .value = value,
                                             .size_bytes = (uint32_t)random_between(&s->random, 1, 200)});
        /* The item has left, its cursor still says so: a death may come here. */
        w->until = INT64_MIN;
        sim_wake(s, w->index);
}

/* Between two items, or behind the last one. */
static void step_next_item(struct sim *s, struct model_worker *w)
{
        struct area_slot *slot = &w->area.slots[w->run.slot];

        if (w->item + 1 == w->run.first + w->run.n_items) {
                answer_result(s, w, false, 0);
                return;
        }
        w->item++;
        atomic_store(&slot->index, w->item);
        atomic_store(&slot->begin_ns, s->now);
        body_begins(s, w);
}

/* The cancel word is seen: the body gives up and says so. */
static void step_give_up(struct sim *s, struct model_worker *w)
{
        TRACE(s, " gives up", w->index, w->run.task);
        w->cut_short = true;
        if (w->run.is_chunk && w->until != INT64_MIN) {
                struct entry *e = &s->entries[w->run.entry];
                e->items[w->item].running = false;
                e->n_running--;
        }
        answer_result(s, w, true, 0);
}

/* A program's output waits until there is credit for it, and so does the program. */
static void step_stream(struct sim *s, struct model_worker *w)
{
        bool progress = !w->unwritten_bytes && (!w->run.streams || random_chance(&s->random, 200));
        uint32_t size =
                w->unwritten_bytes ? w->unwritten_bytes : (uint32_t)random_between(&s->random, 1, 40000);

        if (!progress && size > w->credit) {
                if (!w->unwritten_bytes)
                        MEET(s, faults, FAULT_program_waits_for_credit);
                w->unwritten_bytes = size;
                return;
        }
        w->n_to_write -= w->n_to_write > 0;
        if (!progress) {
                w->unwritten_bytes = 0;
                w->credit -= size;
        }
        worker_says(s, w,
                    &(struct answer_message){.kind = progress ? ANSWER_PROGRESS : ANSWER_STREAM,
                                             .task = w->run.task,
                                             .entry = w->run.entry,
                                             .stream = progress                         ? STREAM_PROGRESS
                                                       : random_chance(&s->random, 700) ? STREAM_STDOUT
                                                                                        : STREAM_STDERR,
                                             .size_bytes = size});
}

/* The body asks for something, and most often does nothing until that is there. */
static void step_ask(struct sim *s, struct model_worker *w)
{
        w->n_asks--;
        w->ask_pending = true;
        w->waits = random_chance(&s->random, 700);
        worker_says(s, w,
                    &(struct answer_message){.kind = ANSWER_ASK,
                                             .task = w->run.task,
                                             .attempt = w->run.attempt,
                                             .entry = w->run.entry,
                                             .index = w->item});
}

static bool step_of_body(struct sim *s, struct model_worker *w)
{
        bool told = (w->no_area ? w->told_task : atomic_load(&w->area.cancel)) == w->run.task;

        if (w->answered) {
                uint64_t claimed = slot_word(w->run.task, SLOT_CLAIMED);
                /* Not a plain store: the answer may have been read, and the slot given to another task. */
                atomic_compare_exchange_strong(&w->area.slots[w->run.slot].word, &claimed,
                                               slot_word(w->run.task, SLOT_DONE));
                w->busy = false;
                sim_wake(s, w->index);
                return true;
        }
        if (told && !w->ignores) {
                step_give_up(s, w);
                return true;
        }
        if (told && w->until != INT64_MIN && s->now < w->until)
                MEET(s, faults, FAULT_worker_ignores_tell);
        if (w->until == INT64_MIN) {
                step_next_item(s, w);
                return true;
        }
        if (w->waits && (w->ask_pending || requests_open(s, MAX_CLIENTS + w->index) > 0))
                return false; /* the answer wakes it */
        w->waits = false;
        if (w->n_asks > 0) {
                step_ask(s, w);
                sim_wake_soon(s, w->index);
                return true;
        }
        if (w->unwritten_bytes || w->n_to_write) {
                step_stream(s, w);
                if (!w->unwritten_bytes)
                        sim_wake_soon(s, w->index);
                return !w->unwritten_bytes; /* else credit wakes it */
        }
        if (s->now < w->until) {
                sim_wake(s, w->index);
                return false;
        }
        step_finish(s, w);
        return true;
}

void worker_last_words(struct sim *s, struct model_worker *w)
{
        unsigned n = w->run.is_chunk ? (unsigned)random_between(&s->random, 1, 4) : 1;

        if (!random_chance(&s->random, w->run.is_chunk ? 800 : 400))
                return;
        for (; n > 0 && w->life == LIFE_ALIVE && w->busy && !w->answered; n--) {
                MEET(s, faults, FAULT_last_words);
                if (w->run.is_chunk && w->until == INT64_MIN)
                        step_next_item(s, w);
                else if (w->unwritten_bytes || random_chance(&s->random, 300))
                        step_stream(s, w);
                else
                        step_finish(s, w);
        }
}

/* Whatever fate has for it before its next step; true: it did not survive. */
static bool step_of_fate(struct sim *s, struct model_worker *w)
{
        if (s->faults_over)
                return false;
        if (random_chance(&s->random, s->intensity.crash)) {
                bool exits = random_chance(&s->random, 300);
                MEET(s, faults, exits ? FAULT_worker_exit : FAULT_worker_crash);
                if (w->busy && w->run.is_chunk && w->until == INT64_MIN)
                        MEET(s, faults, FAULT_die_between_items);
                worker_die(s, w, !exits, exits ? 3 : SIGNAL_SEGV);
                return true;
        }
        if (random_chance(&s->random, s->intensity.outside)) {
                MEET(s, faults, FAULT_worker_outside);
                w->by_outside = true;
                worker_die(s, w, true, SIGNAL_KILL);
                return true;
        }
        if (!w->deaf && random_chance(&s->random, s->intensity.deaf)) {
                MEET(s, faults, FAULT_worker_stops_reading);
                w->deaf = true;
                sim_schedule(s, (int64_t)random_between(&s->random, 10, 3000) * MICROSECOND,
                             HAPPEN_READS_AGAIN, w->index, w->generation);
        }
        if (w->evil && random_chance(&s->random, 250))
                worker_lies(s, w);
        return false;
}

bool worker_step(struct sim *s, struct model_worker *w)
{
        if (w->life != LIFE_ALIVE || step_of_fate(s, w))
                return false;
        if (w->busy)
                return step_of_body(s, w);
        if (w->told_stop) {
                worker_die(s, w, false, 0);
                return false;
        }
        if (w->n_inbox == 0 || w->deaf)
                return false;
        step_claim(s, w);
        return true;
}

void workers_poke(struct sim *s)
{
        unsigned n = s->intensity.poke ? (unsigned)random_below(&s->random, s->intensity.poke + 1) : 0;

        for (; n > 0; n--) {
                struct model_worker *w = &s->workers[random_below(&s->random, MAX_WORKERS / 4)];
                bool alive = w->life == LIFE_ALIVE;
                worker_step(s, w);
                if (alive && w->life == LIFE_DEAD)
                        MEET(s, faults, FAULT_die_within_operation);
        }
}

void worker_happen(struct sim *s, enum happening what, uint32_t index, uint32_t generation)
{
        struct model_worker *w = &s->workers[index];

        if (w->generation != generation || w->life == LIFE_NONE)
                return;
        if (what == HAPPEN_HELLO && w->life == LIFE_FORKING) {
                w->forked = true;
                w->life = LIFE_ALIVE;
                if (!s->pools[w->pool].zygote_up)
                        MEET(s, faults, FAULT_hello_after_zygote);
                if (w->evil && random_chance(&s->random, 100))
                        worker_lies(s, w); /* before its hello */
                worker_says(s, w, &(struct answer_message){.kind = ANSWER_HELLO, .entry = NO_ENTRY});
        } else if (what == HAPPEN_READS_AGAIN) {
                w->deaf = false;
                sim_wake(s, index);
        } else if (what == HAPPEN_WAKE && w->wake_set && s->now >= w->wake_at) {
                w->wake_set = false;
                for (unsigned n = (unsigned)random_between(&s->random, 1, 4); n > 0 && worker_step(s, w); n--)
                        continue;
        }
}
