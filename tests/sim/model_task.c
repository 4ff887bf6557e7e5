/* SPDX-License-Identifier: MIT */
/*
 * Tasks that ask for something themselves. The body's request comes over its worker's channel; here it
 * reaches the core, over a connection of the task's own. What it asks for goes through the model clients'
 * functions and into the same ledger, where a child knows its parent: it may end with that one, and must when
 * that one is over, unless it is detached or others joined it.
 */
#include "tests/sim/shared.h"

bool is_of_task(uint32_t connection)
{
        return connection >= MAX_CLIENTS;
}

static uint32_t connection_of(const struct model_worker *w)
{
        return MAX_CLIENTS + w->index;
}

/* -- who may be told to end -- */

static bool is_timed_out(const struct sim *s, const struct entry *e, uint64_t item)
{
        int64_t begin = e->kind == ENTRY_MAP ? e->items[item].begin : e->begin;

        return e->timeout && (e->was_lone || e->kind == ENTRY_MAP || s->now >= begin + e->timeout);
}

/* Whether what the task, or this item of it, runs as may be over, or under a verdict. */
static bool may_be_over(const struct sim *s, const struct entry *e, uint64_t item)
{
        return e->n_ends || e->cancel_asked || e->told || e->tainted || e->stuck || s->stopping ||
               s->workers[e->worker].killed || is_timed_out(s, e, item) ||
               (e->kind == ENTRY_MAP && (e->map.collect || s->intensity.no_memory)) ||
               task_may_be_let_go(s, e);
}

bool task_may_be_let_go(const struct sim *s, const struct entry *e)
{
        if (!e->by_task || e->detached)
                return false;
        return e->orphaned || may_be_over(s, &s->entries[e->parent], e->parent_item);
}

/* -- what it asks for -- */

/* Itself, or who asked for it, or who asked for that one: mostly a circle. */
static void ask_ancestor(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        struct entry *e = &s->entries[c->entry];
        int r;

        while (e->by_task && random_chance(&s->random, 700))
                e = &s->entries[e->parent];
        if (e->kind == ENTRY_MAP || e->n_ends)
                return;
        c->next_msgid++;
        request_open(s, connection, id.msgid, REQUEST_RESULT, ledger_index(s, e))->keep = true;
        TRACE(s, "ask_ancestor", connection, id.msgid, e->id);
        r = core_result(s->core, id, e->id, CORE_NEVER, true, s->now);
        if (r == 0)
                return;
        request_answer(s, id);
        if (r != CORE_QUOTA)
                task_check_refused(s, r, e);
}

#define CALLS 0 /* what makes trees deep */
static const struct {
        void (*act)(struct sim *, uint32_t connection);
        enum event event;
} asks[] = {
        [CALLS] = {client_call, EVENT_task_call},
        {client_submit, EVENT_task_submit},
        {client_submit, EVENT_task_submit},
        {client_call, EVENT_task_call},
        {client_call, EVENT_task_call},
        {client_map, EVENT_task_map},
        {client_ask_result, EVENT_task_result},
        {client_ask_result, EVENT_task_result},
        {client_ask_wait, EVENT_task_wait},
        {client_ask_wait, EVENT_task_wait},
        {client_ask_attach, EVENT_task_attach},
        {client_cancel, EVENT_task_cancel},
        {client_cancel_request, EVENT_task_cancel_request},
        {ask_ancestor, EVENT_task_result},
};

static bool open_connection(struct sim *s, struct model_worker *w, const struct answer_message *m)
{
        uint32_t connection = connection_of(w);
        struct model_connection *c = &s->connections[connection];
        int r;

        if (c->open)
                return true;
        r = core_connection_open_task(s->core, connection, w->index, s->now);
        TRACE(s, "open_task", connection, (uint64_t)(int64_t)r);
        if (r == CORE_NOT_OPEN) {
                MEET(s, events, EVENT_task_opens_not);
                if (!w->evil && !w->killed)
                        sim_fail(s, "the task of worker %u asks for something and is not heard", w->index);
                return false;
        }
        if (r != 0)
                sim_fail(s, "the task of worker %u gets no connection: %d", w->index, r);
        MEET(s, events, EVENT_task_opens);
        c->open = true;
        c->generation++;
        c->entry = m->entry;
        c->item = m->index;
        c->user = m->entry == NO_ENTRY ? 0 : s->entries[m->entry].user;
        return true;
}

void task_asks(struct sim *s, struct model_worker *w, const struct answer_message *m)
{
        bool nests = random_chance(&s->random, s->intensity.nests);
        size_t i = nests ? CALLS : random_below(&s->random, sizeof(asks) / sizeof(*asks));
        bool shares = s->intensity.shared && random_chance(&s->random, s->intensity.shares);

        w->ask_pending = false;
        sim_wake_soon(s, w->index);
        if (!open_connection(s, w, m) || w->evil || s->ending || shared_is_barred(s, connection_of(w)))
                return;
        s->asking = w->index;
        MEET(s, events, shares ? EVENT_task_shares : asks[i].event);
        if (s->entries[m->entry].kind == ENTRY_MAP)
                MEET(s, events, EVENT_task_asks_item);
        sim_meet_task(s, &s->entries[m->entry], TASK_EVENT_ask);
        (shares ? shared_act : asks[i].act)(s, connection_of(w));
        s->asking = NO_ENTRY;
        if (w->life == LIFE_DEAD)
                MEET(s, faults, FAULT_ask_before_death);
}

void task_answered(struct sim *s, uint32_t connection)
{
        uint32_t worker = connection - MAX_CLIENTS;

        if (s->workers[worker].life == LIFE_ALIVE)
                sim_wake_soon(s, worker);
}

/* -- its end -- */

void task_lets_go(struct sim *s, uint32_t worker)
{
        struct model_connection *c = &s->connections[MAX_CLIENTS + worker];

        if (!c->open)
                return;
        c->lets_go = true;
        if (requests_open(s, MAX_CLIENTS + worker) > 0)
                MEET(s, faults, FAULT_over_while_waiting);
        for (uint32_t i = 0; i < s->n_entries; i++) {
                struct entry *e = &s->entries[i];
                if (e->connection != MAX_CLIENTS + worker || e->generation != c->generation || e->n_ends ||
                    e->orphaned)
                        continue;
                MEET(s, faults,
                     e->detached ? FAULT_child_detached
                     : e->joined ? FAULT_child_joined
                                 : FAULT_over_with_children);
                if (e->detached || e->joined)
                        continue;
                sim_meet_task(s, e, TASK_EVENT_parent_over);
                e->orphaned = e->cancel_asked = true;
                ledger_verdict(s, e);
        }
}

void task_connection_over(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];

        if (!is_of_task(connection) || !c->open)
                sim_fail(s, "connection %u is over and was none", connection);
        task_lets_go(s, connection - MAX_CLIENTS);
        shared_gone(s, connection);
        requests_gone(s, connection);
        c->open = c->lets_go = false;
}

/* -- refusals -- */

static void check_nesting(struct sim *s, const struct model_worker *w)
{
        const struct core_pool_config *config = &s->pools[w->pool].config;
        uint32_t n = pool_n_waiting(s, w->pool);

        MEET(s, events, EVENT_refused_nesting);
        if (n + 1 < config->max_workers + config->nesting_limit)
                sim_fail(s, "worker %u may not wait, but only %u do", w->index, n);
}

void task_check_refused(struct sim *s, int refusal, const struct entry *wanted)
{
        struct model_worker *w = &s->workers[s->asking];
        const struct model_connection *c = &s->connections[connection_of(w)];

        TRACE(s, " refused", (uint64_t)(int64_t)refusal);
        if (refusal == CORE_DEADLOCK) {
                MEET(s, events, EVENT_refused_deadlock);
                if (wanted && shared_task_can_end(s, ledger_index(s, wanted), connection_of(w)))
                        sim_fail(s, "task %llu can end without who asks for it: %s",
                                 (unsigned long long)wanted->id, core_refused_circle(s->core));
        } else if (refusal == CORE_NESTING) {
                check_nesting(s, w);
        } else if (refusal == CORE_CANCELLED) {
                MEET(s, events, EVENT_refused_cancelled);
                if (!may_be_over(s, &s->entries[c->entry], c->item) && w->run.entry == c->entry)
                        sim_fail(s, "task %llu may ask for nothing, and nobody ended it",
                                 (unsigned long long)s->entries[c->entry].id);
        } else {
                sim_fail(s, "what a task asks for is refused with %d", refusal);
        }
}
