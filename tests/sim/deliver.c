/* SPDX-License-Identifier: MIT */
/*
 * What workers say reaches the core here, one message after another, in the order in which it left; as the
 * daemon does it: what the core calls bad gets the worker killed, a dead worker's channel is read to its end
 * before its loss is told. An honest worker that the core calls bad fails the run.
 */
#include "tests/sim/objects.h"

#include <string.h>

static void set_current(struct sim *s, const struct answer_message *m)
{
        s->current = (struct payload){.used = true,
                                      .kind = m->failed ? PAYLOAD_ERROR : PAYLOAD_VALUE,
                                      .entry = m->entry,
                                      .index = m->item_value ? m->index : UINT64_MAX,
                                      .value = m->value,
                                      .size_bytes = m->size_bytes};
        s->current_valid = true;
}

static void meet(struct sim *s, const struct model_worker *w, const struct answer_message *m,
                 enum worker_event worker_event, enum task_event task_event)
{
        const struct entry *e = m->bogus               ? ledger_by_id(s, m->task)
                                : m->entry != NO_ENTRY ? &s->entries[m->entry]
                                                       : NULL;

        sim_meet_worker(s, w->index, worker_event);
        if (e)
                sim_meet_task(s, e, task_event);
}

static int deliver_result(struct sim *s, struct model_worker *w, const struct answer_message *m)
{
        struct core_result result = {.failed = m->failed, .size_bytes = m->size_bytes, .took = m->took};

        if (!m->bogus && !(w->evil && w->killed)) {
                task_lets_go(s, w->index);
                w->n_held -= w->n_held > 0;
                if (w->n_held == 0) /* else it may be about the next one too */
                        w->under_verdict = w->claimed_ahead = false;
        }
        MEET(s, events, EVENT_worker_result);
        meet(s, w, m, WORKER_EVENT_result, TASK_EVENT_result);
        if (m->entry != NO_ENTRY && s->entries[m->entry].told)
                MEET(s, faults, FAULT_late_result_after_tell);
        if (m->entry != NO_ENTRY && !m->bogus && s->entries[m->entry].kind != ENTRY_MAP)
                ledger_attempt_over(s, &s->entries[m->entry]);
        return core_worker_result(s->core, w->index, m->slot, m->task, m->attempt, &result, s->now);
}

static int deliver_item(struct sim *s, struct model_worker *w, const struct answer_message *m)
{
        struct core_result result = {.failed = m->failed, .size_bytes = m->size_bytes};

        if (!m->bogus && !(w->evil && w->killed))
                task_lets_go(s, w->index);
        MEET(s, events, EVENT_worker_item);
        meet(s, w, m, WORKER_EVENT_item, TASK_EVENT_item);
        return core_worker_item(s->core, w->index, m->task, m->attempt, m->index, &result, s->now);
}

static int deliver(struct sim *s, struct model_worker *w, const struct answer_message *m)
{
        switch (m->kind) {
        case ANSWER_HELLO:
                MEET(s, events, EVENT_worker_hello);
                sim_meet_worker(s, w->index, WORKER_EVENT_hello);
                w->hello_heard = true;
                return core_worker_hello(s->core, w->index, (pid_t)(1000 + w->generation * 100 + w->index),
                                         w->n_slots, s->now);
        case ANSWER_RESULT:
                return deliver_result(s, w, m);
        case ANSWER_ITEM:
                return deliver_item(s, w, m);
        case ANSWER_STREAM:
                MEET(s, events, EVENT_worker_stream);
                meet(s, w, m, WORKER_EVENT_stream, TASK_EVENT_stream);
                return core_worker_stream(s->core, w->index, m->task, m->stream, m->size_bytes, s->now);
        case ANSWER_ASK:
                s->current_valid = false;
                sim_meet_worker(s, w->index, WORKER_EVENT_ask);
                task_asks(s, w, m);
                return 0;
        case ANSWER_GARBAGE:
                MEET(s, events, EVENT_worker_bad);
                return core_worker_bad(s->core, w->index, s->now);
        case ANSWER_PROGRESS:
                MEET(s, events, EVENT_worker_progress);
                return core_worker_progress(s->core, w->index, m->task, 0.5, s->now);
        }
        return 0;
}

static void worker_is_bad(struct sim *s, struct model_worker *w)
{
        MEET(s, events, EVENT_refused_bad_worker);
        sim_meet_worker(s, w->index, WORKER_EVENT_bad);
        if (!w->killed)
                sim_fail(s, "bad worker %u was not killed", w->index);
}

void worker_deliver_one(struct sim *s, struct model_worker *w)
{
        struct answer_message m = w->outbox[0];
        int r;

        memmove(w->outbox, w->outbox + 1, --w->n_outbox * sizeof(*w->outbox));
        TRACE(s, "worker says", w->index, (uint64_t)m.kind, m.task, m.index, m.failed, m.bogus);
        set_current(s, &m);
        shared_hear(s, w->index, false);
        r = deliver(s, w, &m);
        shared_heard(s);
        s->current_valid = false;
        TRACE(s, " core", (uint64_t)(int64_t)r);
        if (r < 0)
                sim_fail(s, "worker %u: the core could not take a message: %d", w->index, r);
        if (r > 0 && r != CORE_BAD_WORKER)
                sim_fail(s, "worker %u: its message was refused with %d", w->index, r);
        if (r == CORE_BAD_WORKER && !w->evil)
                sim_fail(s, "honest worker %u was called bad for a message of kind %d, task %llu", w->index,
                         m.kind, (unsigned long long)m.task);
        if (r == CORE_BAD_WORKER)
                worker_is_bad(s, w);
}
