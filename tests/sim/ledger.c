/* SPDX-License-Identifier: MIT */
/*
 * The ledger: what the clients asked for, what truly happened to it in the workers, and what they were told.
 * It is the oracle. One entry for each accepted task, found by its arguments' payload and by its id; what a
 * body computes, whether it fails and how long it takes follow from its arguments, so any mix-up of tasks,
 * items or answers is a wrong value.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/options.h"

#define LATENESS (20 * MILLISECOND) /* how late the simulated loop may call core_turn(), with room */

uint64_t entry_args(const struct entry *e, uint64_t index)
{
        return index == UINT64_MAX ? e->value : mix64(e->value + index + 1);
}

uint64_t entry_value(const struct entry *e, uint64_t index)
{
        return mix64(entry_args(e, index) ^ (e->function + 1) * UINT64_C(0x1234567));
}

/* Attempts differ, or the second would always fare as the first. */
static uint64_t attempt_of(const struct entry *e, uint64_t index)
{
        return index == UINT64_MAX ? e->attempt : e->items[index].attempt;
}

bool entry_fails(const struct sim *s, const struct entry *e, uint64_t index)
{
        return mix64(entry_args(e, index) + 5 + 100 * attempt_of(e, index)) % 1000 < s->intensity.fails;
}

int64_t entry_duration(const struct entry *e, uint64_t index)
{
        uint64_t x = mix64(entry_args(e, index) + 11 + 100 * attempt_of(e, index)), class = x % 100,
                 part = x >> 32;

        if (class < 60)
                return (int64_t)(part % 40) * MICROSECOND;
        if (class < 85)
                return (int64_t)(part % 2000) * MICROSECOND;
        if (class < 98 || index != UINT64_MAX)
                return (int64_t)(part % 50) * MILLISECOND;
        return (int64_t)(part % 12000) * MILLISECOND;
}

uint32_t ledger_index(const struct sim *s, const struct entry *e)
{
        return (uint32_t)(e - s->entries);
}

struct entry *ledger_by_id(struct sim *s, uint64_t id)
{
        for (uint32_t i = 0; i < s->n_entries; i++)
                if (s->entries[i].id == id)
                        return &s->entries[i];
        return NULL;
}

uint32_t ledger_add(struct sim *s, const struct entry *e)
{
        if (s->n_entries == s->entries_capacity) {
                s->entries_capacity = s->entries_capacity ? 2 * s->entries_capacity : 256;
                s->entries = realloc(s->entries, s->entries_capacity * sizeof(*s->entries));
                if (!s->entries)
                        abort();
        }
        s->entries[s->n_entries] = *e;
        return s->n_entries++;
}

void ledger_learn_id(struct sim *s, struct entry *e, uint64_t id)
{
        if (e->id != 0 && e->id != id)
                sim_fail(s, "task %" PRIu64 " is now called %" PRIu64, e->id, id);
        e->id = id;
}

/* What tasks ask for comes outside the turns when they wait for it. */
bool counts_for_turns(const struct entry *e)
{
        return e->kind != ENTRY_MAP && e->streams == 0 && e->due == e->accepted && !e->by_task;
}

/* He begins nothing to be kept while he holds too much (how much, core_check() holds against all there is),
 * and no calls while he does not read. */
static bool is_held_up(const struct sim *s, unsigned user)
{
        struct core_account account;
        core_account(s->core, s->users[user].uid, &account);
        for (unsigned i = 0; i < s->n_connections; i++)
                if (s->connections[i].open && s->connections[i].user == user &&
                    core_connection_blocked(s->core, i))
                        return true;
        return account.bytes > s->config.user_memory_bytes;
}

/* Nothing of his is for what this worker knows: it was set aside for those that are to come. */
static bool is_aside(const struct sim *s, unsigned user, const struct model_worker *w)
{
        if (s->pools[w->pool].n_functions == w->n_functions)
                return false;
        for (uint32_t i = 0; i < s->n_entries; i++) {
                const struct entry *e = &s->entries[i];
                if (e->user == user && e->pool == w->pool && e->function < w->n_functions && !e->n_ends &&
                    e->n_sent == 0 && counts_for_turns(e))
                        return false;
        }
        return true;
}

/* It is in nobody's way any more. */
static void leave_turns(struct sim *s, const struct entry *e)
{
        if (e->n_sent == 0 && counts_for_turns(e))
                s->users[e->user].n_ready[e->pool]--;
}

/* Turns: while a user has ready work that was never sent, every other user gets only so many before him. */
static void count_turn(struct sim *s, const struct entry *e, const struct model_worker *w)
{
        struct model_user *own = &s->users[e->user];

        if (e->by_task || requests_of_tasks_want(s, ledger_index(s, e))) {
                own->n_passed[e->pool] = 0; /* it may have been its user's turn */
                leave_turns(s, e);
                return;
        }
        for (unsigned u = 0; u < s->n_users; u++) {
                struct model_user *user = &s->users[u];
                if (u == e->user)
                        continue;
                /* The priorities of admins count across users. */
                if (user->n_ready[e->pool] == 0 || is_held_up(s, u) || is_aside(s, u, w) || user->admin ||
                    (own->admin && e->priority > 0)) {
                        user->n_passed[e->pool] = 0;
                        continue;
                }
                if (++user->n_passed[e->pool] > 4 * s->n_users + 4)
                        sim_fail(s, "user %u waits while others had %u turns in pool %u", user->uid,
                                 user->n_passed[e->pool], e->pool);
        }
        own->n_passed[e->pool] = 0;
        if (e->n_sent == 0 && counts_for_turns(e))
                own->n_ready[e->pool]--;
}

void ledger_taken_back(struct sim *s, struct entry *e)
{
        e->sent_out = false;
        for (unsigned u = 0; u < s->n_users; u++)
                if (u != e->user && s->users[u].n_passed[e->pool] > 0)
                        s->users[u].n_passed[e->pool]--;
}

/* No attempt begins while the one before may still be at work, nor before its pause is over. */
static void check_retry(struct sim *s, const struct entry *e, const struct core_dispatch *d)
{
        const struct model_worker *w = &s->workers[e->worker];
        int64_t pause = e->backoff / 2;

        if (e->tainted)
                return;
        if (d->attempt > 1 + e->retries)
                sim_fail(s, "task %" PRIu64 " has attempt %u of %u", e->id, d->attempt, 1 + e->retries);
        if (d->attempt <= e->n_begun || (!e->was_lone && d->attempt != 1 + e->n_begun))
                sim_fail(s, "task %" PRIu64 " is sent as attempt %u and began %u times", e->id, d->attempt,
                         e->n_begun);
        if (e->n_sent && w->life != LIFE_NONE && w->busy && !w->answered && w->run.task == e->id)
                sim_fail(s, "task %" PRIu64 " is sent again while worker %u is at it", e->id, e->worker);
        for (uint32_t i = 2; i < d->attempt; i++)
                pause *= 2;
        if (d->attempt > e->attempt && d->attempt > 1 && s->now < e->over_at + pause)
                sim_fail(s, "task %" PRIu64 " is tried again before its pause is over", e->id);
}

static void check_items_retry(struct sim *s, const struct entry *e, const struct core_dispatch *d)
{
        const struct item *item = &e->items[d->first];

        if (d->attempt > 1)
                MEET(s, faults, FAULT_item_tried_again);
        if (e->tainted)
                return;
        if (d->attempt > 1 + e->retries || (d->attempt > 1 && d->n_items != 1))
                sim_fail(s, "map %" PRIu64 ": %u items are sent as attempt %u of %u", e->id, d->n_items,
                         d->attempt, 1 + e->retries);
        if (d->attempt > 1 && d->attempt != item->n_begun + 1u && !item->lone && !item->excused)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " is sent as attempt %u and began %u times",
                         e->id, d->first, d->attempt, item->n_begun);
}

bool ledger_must_retry(const struct sim *s, const struct entry *e, enum core_cause cause, uint32_t attempt)
{
        unsigned end = cause == CAUSE_FUNCTION                           ? RETRY_TASK_FAILED
                       : cause == CAUSE_TIMEOUT                          ? RETRY_TIMED_OUT
                       : cause == CAUSE_WORKER || cause == CAUSE_OUTSIDE ? RETRY_WORKER_LOST
                                                                         : 0;

        return attempt <= e->retries && (e->retry_on & end) && !s->stopping && !e->stuck && !e->tainted &&
               !e->cancel_asked && !e->failed_fast && !task_may_be_let_go(s, e);
}

void ledger_attempt_over(struct sim *s, struct entry *e)
{
        e->sent_out = false;
        e->over_at = s->now;
}

/* Its caller has the stream for as long as he wants the answer; who joined it by its key is attached, and
 * held up by credit alone. */
static bool streams_to_blocked(struct sim *s, const struct entry *e)
{
        return e->streams && s->connections[e->connection].told_bytes > s->config.output_limit_bytes &&
               request_find(s, e->connection, e->msgid);
}

void ledger_sent(struct sim *s, struct entry *e, const struct core_dispatch *d, uint32_t worker)
{
        if (e->n_ends)
                sim_fail(s, "task %" PRIu64 " is sent after its end", e->id);
        if (s->now < e->due)
                sim_fail(s, "task %" PRIu64 " is sent before its time", e->id);
        if (s->now - LATENESS >= e->expires && e->kind != ENTRY_MAP && d->attempt == 1)
                sim_fail(s, "task %" PRIu64 " is sent after it expired", e->id);
        if (streams_to_blocked(s, e))
                sim_fail(s, "task %" PRIu64 " streams to a reader above its mark and is begun", e->id);
        if (!d->is_chunk) {
                if (e->sent_out)
                        sim_fail(s, "task %" PRIu64 " is sent to worker %u while worker %u has it", e->id,
                                 worker, e->worker);
                check_retry(s, e, d);
                if (d->attempt > 1)
                        MEET(s, faults, FAULT_task_tried_again);
                if (d->attempt > e->attempt)
                        e->finished = e->told = false;
                e->attempt = d->attempt;
        } else if (s->connections[e->connection].told_bytes > s->config.output_limit_bytes) {
                sim_fail(s, "map %" PRIu64 " begins a chunk while its reader is above its mark", e->id);
        }
        if (e->n_sent == 0 || d->is_chunk)
                count_turn(s, e, &s->workers[worker]);
        else
                s->users[e->user].n_passed[e->pool] = 0; /* what was taken back takes a turn again */
        if (d->is_chunk)
                check_items_retry(s, e, d);
        e->n_sent++;
        e->sent_out = true;
        e->sent_at = s->now;
        e->lone = s->workers[worker].no_area;
        e->was_lone |= e->lone;
        for (uint64_t i = d->first; d->is_chunk && i < d->first + d->n_items; i++) {
                struct item *item = &e->items[i];
                item->lone |= e->lone;
                if (d->attempt > item->attempt)
                        item->finished = false;
                item->attempt = d->attempt;
        }
        e->worker = worker;
        e->tainted |= s->workers[worker].evil;
        e->stuck |= s->workers[worker].dies_late;
}

void ledger_verdict(struct sim *s, struct entry *e)
{
        int64_t by = s->now + s->pools[e->pool].config.kill_grace + CORE_SECOND + LATENESS;

        if (by < e->end_by)
                e->end_by = by;
}

/* A worker's death, as the record tells it, against the death that it died. */
static void check_loss(struct sim *s, const struct entry *e, const struct core_record *record)
{
        const struct model_worker *w = &s->workers[e->worker];
        bool outside = record->cause == CAUSE_OUTSIDE;

        if (e->kind == ENTRY_MAP)
                return;
        if (w->life != LIFE_DEAD)
                sim_fail(s, "task %" PRIu64 " ends by the loss of worker %u, which lives", e->id, e->worker);
        if (e->n_begun == 0 && !e->lone)
                sim_fail(s, "task %" PRIu64 " ends by the loss of worker %u and never began", e->id,
                         e->worker);
        if (e->finished)
                sim_fail(s, "task %" PRIu64 " ends by a loss, but its answer had left", e->id);
        if (e->stuck || w->killed)
                return; /* the core's own doing */
        if (outside != w->by_outside)
                sim_fail(s, "task %" PRIu64 ": who killed worker %u is wrong", e->id, e->worker);
        if (record->exited_by_signal != w->exit.by_signal || record->exit_status != w->exit.status)
                sim_fail(s, "task %" PRIu64 ": the record has exit status %d, worker %u had %d", e->id,
                         record->exit_status, e->worker, w->exit.status);
}

static void check_failure(struct sim *s, struct entry *e, const struct core_record *record)
{
        bool map = e->kind == ENTRY_MAP;

        if (!map && ledger_must_retry(s, e, record->cause, record->attempt))
                sim_fail(s, "task %" PRIu64 " ends at attempt %u, and was to be tried again", e->id,
                         record->attempt);
        switch (record->cause) {
        case CAUSE_FUNCTION:
                if (!map && !e->tainted && (!e->finished || !entry_fails(s, e, UINT64_MAX)))
                        sim_fail(s, "task %" PRIu64 " ends as failed, but did not fail", e->id);
                break;
        case CAUSE_WORKER:
        case CAUSE_OUTSIDE:
                if (!e->tainted)
                        check_loss(s, e, record);
                break;
        case CAUSE_TIMEOUT:
                if (e->timeout == 0 ||
                    (!map && !e->tainted && s->now < (e->lone ? e->sent_at : e->begin) + e->timeout))
                        sim_fail(s, "task %" PRIu64 " timed out before its time", e->id);
                break;
        case CAUSE_KERNEL:
        case CAUSE_LIMIT:
        case CAUSE_NONE:
        case CAUSE_CLIENT:
        case CAUSE_SHUTDOWN:
        case CAUSE_EXPIRED:
                sim_fail(s, "task %" PRIu64 " failed for cause %d", e->id, record->cause);
        }
}

static void check_end(struct sim *s, struct entry *e, const struct core_record *record)
{
        switch (record->state) {
        case TASK_SUCCEEDED:
                if (e->kind == ENTRY_MAP || e->tainted)
                        break;
                if (!e->finished || entry_fails(s, e, UINT64_MAX))
                        sim_fail(s, "task %" PRIu64 " ends as succeeded and did not succeed", e->id);
                if (e->told)
                        sim_fail(s, "task %" PRIu64 " succeeds after a verdict", e->id);
                break;
        case TASK_FAILED:
                check_failure(s, e, record);
                break;
        case TASK_CANCELLED:
                if (e->kind == ENTRY_MAP && (e->map.collect || s->intensity.no_memory))
                        break; /* its answer may be too large, or find no memory; its client is told so */
                if (record->cause == CAUSE_CLIENT ? !e->cancel_asked && !task_may_be_let_go(s, e)
                                                  : record->cause != CAUSE_SHUTDOWN || !s->stopping)
                        sim_fail(s, "task %" PRIu64 " is cancelled for cause %d, and nobody did it", e->id,
                                 record->cause);
                break;
        case TASK_EXPIRED:
                if (s->now < e->expires || (e->n_begun && !e->tainted))
                        sim_fail(s, "task %" PRIu64 " expired, but %s", e->id,
                                 e->n_begun ? "had begun" : "not yet");
                if (s->now > e->expires + LATENESS)
                        sim_fail(s, "task %" PRIu64 " expired %" PRId64 " ns late", e->id,
                                 s->now - e->expires);
                break;
        case TASK_DELAYED:
        case TASK_READY:
        case TASK_SENT:
        case TASK_RUNNING:
        case TASK_WAITING:
        case TASK_STOPPING:
        case N_TASK_STATES:
                sim_fail(s, "task %" PRIu64 " ends in state %d, which is none", e->id, record->state);
        }
}

void ledger_ended(struct sim *s, const struct core_record *record)
{
        struct entry *e = ledger_by_id(s, record->id);

        if (record->index != UINT64_MAX)
                return; /* an item; its map's client hears of it */
        if (!e)
                sim_fail(s, "task %" PRIu64 " ends and never was accepted", record->id);
        TRACE(s, " ended", record->id, (uint64_t)record->state, (uint64_t)record->cause);
        if (e->n_ends++)
                sim_fail(s, "task %" PRIu64 " ends twice", record->id);
        check_end(s, e, record);
        leave_turns(s, e);
        if (s->now > e->end_by && !e->stuck)
                sim_fail(s, "task %" PRIu64 " ends %" PRId64 " ns after its bound", record->id,
                         s->now - e->end_by);
        e->sent_out = false;
        e->end = record->state;
        e->cause = record->cause;
        e->ended = s->now;
}

void ledger_check_value(struct sim *s, struct entry *e, uint64_t index, payload_t number)
{
        const struct payload *p = payloads_get(s, number);

        if (e->tainted)
                return;
        if (p->kind != PAYLOAD_VALUE || p->entry != ledger_index(s, e) || p->index != index ||
            p->value != entry_value(e, index))
                sim_fail(s, "task %" PRIu64 " is answered with another one's value", e->id);
        if (index == UINT64_MAX && (!e->n_ends || e->end != TASK_SUCCEEDED))
                sim_fail(s, "task %" PRIu64 " is answered with a value before it succeeded", e->id);
}

void ledger_check_record(struct sim *s, struct entry *e, const struct core_record *record)
{
        if (record->id != e->id || !e->n_ends || e->end != record->state || e->cause != record->cause)
                sim_fail(s, "task %" PRIu64 " is answered with a record of %" PRIu64 " in state %d", e->id,
                         record->id, record->state);
        if (record->function != e->function || record->pool != e->pool ||
            record->uid != s->users[e->user].uid)
                sim_fail(s, "the record of task %" PRIu64 " says another function, pool or user", e->id);
        if (record->cause != CAUSE_FUNCTION || e->tainted || e->kind == ENTRY_MAP)
                return;
        if (record->error == PAYLOAD_NONE && (e->taken || s->now >= e->ended + e->ttl))
                return; /* of history: how it failed, not what it said */
        if (payloads_get(s, record->error)->kind != PAYLOAD_ERROR ||
            payloads_get(s, record->error)->value != entry_value(e, UINT64_MAX))
                sim_fail(s, "task %" PRIu64 " is answered with another one's error", e->id);
}

void ledger_check_bounds(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_entries; i++) {
                const struct entry *e = &s->entries[i];
                int64_t grace = s->pools[e->pool].config.kill_grace + CORE_SECOND + LATENESS;
                if (e->n_ends || e->stuck || e->tainted)
                        continue;
                if (s->now > e->end_by)
                        sim_fail(s, "task %" PRIu64 " has not ended %" PRId64 " ns after its verdict's bound",
                                 e->id, s->now - e->end_by);
                if (e->kind == ENTRY_MAP)
                        continue;
                if (e->sent_out && e->n_begun >= e->attempt && e->timeout &&
                    s->now > e->begin + e->timeout + grace)
                        sim_fail(s, "task %" PRIu64 " runs on after its timeout", e->id);
                /* Who has no slots cannot say that it had not begun: then its next attempt may be what waits.
                 */
                if (!e->n_begun && !e->sent_out && !e->was_lone && e->expires < s->now - LATENESS)
                        sim_fail(s, "task %" PRIu64 " expired and nobody was told", e->id);
        }
}

void ledger_close(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_entries; i++) {
                struct entry *e = &s->entries[i];
                if (e->n_ends != 1)
                        sim_fail(s, "task %" PRIu64 " had %u ends", e->id, e->n_ends);
        }
        for (uint32_t i = 0; i < s->n_requests; i++)
                if (s->requests[i].open)
                        sim_fail(s, "request %u of connection %u was never answered", s->requests[i].msgid,
                                 s->requests[i].connection);
}
