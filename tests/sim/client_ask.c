/* SPDX-License-Identifier: MIT */
/*
 * Model clients, the other half: asking for results, waiting, attaching, cancelling, giving up; also for
 * tasks of others, for tasks that are gone, and for numbers that never were a task. Only `submit`ted tasks
 * are asked for by id, as clients know no other ids.
 */
#include "tests/sim/client.h"

#include <stddef.h>

/* A submitted task, most often a recent one; NULL: none known. */
static struct entry *pick_entry(struct sim *s)
{
        for (unsigned tries = 0; s->n_entries > 0 && tries < 8; tries++) {
                uint32_t recent = s->n_entries < 30 ? s->n_entries : 30;
                uint32_t i = random_chance(&s->random, 200)
                                     ? (uint32_t)random_below(&s->random, s->n_entries)
                                     : s->n_entries - 1 - (uint32_t)random_below(&s->random, recent);
                if (s->entries[i].id && s->entries[i].kind == ENTRY_SUBMIT)
                        return &s->entries[i];
        }
        return NULL;
}

/* Rather one that runs, if chance finds one: there is less time to meet it. */
static struct entry *pick_running(struct sim *s)
{
        struct entry *e = NULL;

        for (unsigned tries = 0; tries < 6; tries++) {
                e = pick_entry(s);
                if (e && e->sent_out && !e->n_ends)
                        break;
        }
        return e;
}

static bool is_visible(const struct sim *s, uint32_t connection, const struct entry *e)
{
        unsigned user = s->connections[connection].user;

        return user == e->user || (s->users[user].admin && !is_of_task(connection));
}

static int64_t pick_timeout(struct sim *s)
{
        return random_chance(&s->random, 500) ? CORE_NEVER
                                              : (int64_t)random_below(&s->random, 30 * MILLISECOND);
}

/* unknown_task is right for whoever may not see it, and for what is taken or over. */
static void check_unknown(struct sim *s, uint32_t connection, const struct entry *e, int r)
{
        TRACE(s, " refused", (uint64_t)(int64_t)r);
        if (s->asking != NO_ENTRY && (r == CORE_DEADLOCK || r == CORE_NESTING || r == CORE_CANCELLED)) {
                task_check_refused(s, r, e);
                return;
        }
        if (r == CORE_QUOTA) {
                MEET(s, events, EVENT_refused_quota);
                return;
        }
        if (r != CORE_UNKNOWN_TASK)
                sim_fail(s, "task %llu: asking for it is refused with %d", (unsigned long long)e->id, r);
        MEET(s, events, EVENT_refused_unknown_task);
        if (is_visible(s, connection, e) && !e->taken && !(e->n_ends && s->now >= e->ended + e->ttl))
                sim_fail(s, "task %llu is called unknown", (unsigned long long)e->id);
}

void client_ask_result(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        struct entry *e = pick_entry(s);
        int64_t timeout = pick_timeout(s);
        struct request *request;
        int r;

        if (!e)
                return;
        c->next_msgid++;
        request = request_open(s, connection, id.msgid, REQUEST_RESULT, ledger_index(s, e));
        request->keep = random_chance(&s->random, 300);
        request->timeout_at = timeout == CORE_NEVER ? CORE_NEVER : s->now + timeout;
        MEET(s, events, EVENT_result);
        TRACE(s, "result", connection, id.msgid, e->id, request->keep, (uint64_t)timeout);
        sim_meet_task(s, e, TASK_EVENT_ask_result);
        r = core_result(s->core, id, e->id, timeout, request->keep, s->now);
        if (r == 0 && !is_visible(s, connection, e))
                sim_fail(s, "task %llu is another user's, and may be asked for", (unsigned long long)e->id);
        if (r == 0)
                return;
        request_answer(s, id);
        check_unknown(s, connection, e, r);
}

void client_ask_attach(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        struct entry *e = pick_running(s);
        struct request *request;
        int r;

        if (!e)
                return;
        c->next_msgid++;
        request = request_open(s, connection, id.msgid, REQUEST_ATTACH, ledger_index(s, e));
        request->keep = true;
        request->streams = (unsigned)random_below(&s->random, 8);
        MEET(s, events, EVENT_attach);
        TRACE(s, "attach", connection, id.msgid, e->id, request->streams);
        sim_meet_task(s, e, TASK_EVENT_ask_attach);
        r = core_attach(s->core, id, e->id, request->streams, (uint32_t)random_below(&s->random, 5000),
                        s->now);
        if (r == 0 && !is_visible(s, connection, e))
                sim_fail(s, "task %llu is another user's, and may be attached to", (unsigned long long)e->id);
        if (r == 0)
                return;
        request_answer(s, id);
        check_unknown(s, connection, e, r);
}

void client_ask_wait(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        int64_t timeout = pick_timeout(s);
        uint32_t n = (uint32_t)random_between(&s->random, 1, MAX_WAIT_IDS);
        struct request *request = request_open(s, connection, id.msgid, REQUEST_WAIT, NO_ENTRY);
        int r;

        c->next_msgid++;
        for (uint32_t i = 0; i < n; i++) {
                struct entry *e = pick_entry(s);
                request->ids[i] = e ? e->id : UNKNOWN_ID;
                request->entries[i] = e && is_visible(s, connection, e) ? ledger_index(s, e) : NO_ENTRY;
                if (e)
                        sim_meet_task(s, e, TASK_EVENT_ask_wait);
        }
        request->n_ids = n;
        request->count = random_chance(&s->random, 300) ? (uint32_t)random_between(&s->random, 1, n) : n;
        request->timeout_at = timeout == CORE_NEVER ? CORE_NEVER : s->now + timeout;
        MEET(s, events, EVENT_wait);
        TRACE(s, "wait", connection, id.msgid, n, request->count, (uint64_t)timeout);
        r = core_wait(s->core, id, request->ids, n, timeout, request->count, s->now);
        if (r == 0)
                return;
        request_answer(s, id);
        if (r == CORE_QUOTA)
                MEET(s, events, EVENT_refused_quota);
        else if (s->asking == NO_ENTRY)
                sim_fail(s, "a wait is refused with %d", r);
        else
                task_check_refused(s, r, NULL);
}

void client_cancel(struct sim *s, uint32_t connection)
{
        struct entry *e = random_chance(&s->random, 500) ? pick_running(s) : pick_entry(s);
        size_t n = 0;
        bool may, over;
        int r;

        if (!e)
                return;
        may = is_visible(s, connection, e);
        over = e->n_ends > 0;
        MEET(s, events, EVENT_cancel);
        TRACE(s, "cancel", connection, e->id);
        sim_meet_task(s, e, TASK_EVENT_cancel);
        if (may && !over) {
                e->cancel_asked = true;
                ledger_verdict(s, e);
        }
        r = core_cancel(s->core, connection, &e->id, 1, s->now, &n);
        if (r == CORE_UNKNOWN_TASK) {
                MEET(s, events, EVENT_refused_unknown_task);
                if (may && !over)
                        sim_fail(s, "task %llu cannot be cancelled: unknown", (unsigned long long)e->id);
        } else if (r != 0) {
                sim_fail(s, "a cancel is refused with %d", r);
        }
        if (r == 0 && n > 0 && (!may || over))
                sim_fail(s, "task %llu is cancelled %s", (unsigned long long)e->id,
                         over ? "after its end" : "by another user");
}

void client_cancel_request(struct sim *s, uint32_t connection)
{
        for (unsigned tries = 0; s->n_requests > 0 && tries < 8; tries++) {
                struct request *r = &s->requests[random_below(&s->random, s->n_requests)];
                struct core_request id = {.connection = connection, .msgid = r->msgid};
                int result;
                if (!r->open || r->connection != connection || r->given_up)
                        continue;
                r->given_up = true;
                if (r->kind == REQUEST_CALL || r->kind == REQUEST_MAP) {
                        struct entry *e = &s->entries[r->entry];
                        sim_meet_task(s, e, TASK_EVENT_cancel_request);
                        if (!e->joined) {
                                e->cancel_asked = true;
                                ledger_verdict(s, e);
                        }
                }
                MEET(s, events, EVENT_cancel_request);
                TRACE(s, "cancel_request", connection, id.msgid);
                result = core_cancel_request(s->core, id, s->now);
                if (result != 0)
                        sim_fail(s, "an open request cannot be given up: %d", result);
                return;
        }
}
