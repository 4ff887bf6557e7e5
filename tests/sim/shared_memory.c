/* SPDX-License-Identifier: MIT */
/*
 * The ledger's page for values and arrays: their memory comes later, or cannot be had, and who opened them
 * meanwhile waits for that on a ticket. A ticket is good for the request it was given for and for no later
 * one of the same number.
 */
#include "tests/sim/shared.h"

#include <stdlib.h>

/* The number of a request that is over, on that connection, while its ticket is still about; or a new one. */
static uint32_t pick_msgid(struct sim *s, uint32_t connection)
{
        const struct shared_ticket *t;

        TAILQ_FOREACH (t, &s->shared->tickets, link)
                if (t->is_over && t->ticket.request.connection == connection &&
                    !request_find(s, connection, t->ticket.request.msgid)) {
                        MEET(s, shared, DID_ticket_number_again);
                        return t->ticket.request.msgid;
                }
        return s->connections[connection].next_msgid++;
}

static void await(struct sim *s, const struct shared_call *call)
{
        struct core_request id = {.connection = call->connection, .msgid = pick_msgid(s, call->connection)};
        struct shared_ticket *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                abort();
        t->object = shared_at(s, call->name)->id;
        TRACE(s, "await_memory", id.connection, id.msgid, t->object);
        r = core_request_begin(s->core, id, &t->ticket);
        if (r != 0) {
                if (r != CORE_QUOTA && r != CORE_NESTING && r != CORE_CANCELLED)
                        sim_fail(s, "%s: its memory cannot be waited for: %d", shared_names[call->name], r);
                shared_meet_refusal(s, call, r);
                free(t);
                return;
        }
        request_open(s, id.connection, id.msgid, REQUEST_SHARED, NO_ENTRY);
        TAILQ_INSERT_TAIL(&s->shared->tickets, t, link);
}

void shared_memory_opened(struct sim *s, const struct shared_call *call)
{
        const struct shared_object *o = shared_at(s, call->name);
        uint64_t most = (uint64_t)s->intensity.memory * (random_chance(&s->random, 400) ? 10 : 1);

        if (call->is_new)
                sim_schedule(s, (int64_t)random_below(&s->random, most), HAPPEN_MEMORY, (uint32_t)o->id, 0);
        if (!o->is_made)
                await(s, call);
}

/* -- requests that are over before -- */

bool shared_ticket_is_over(struct sim *s, uint32_t connection, uint32_t msgid, enum shared_end end)
{
        struct shared_ticket *t;

        TAILQ_FOREACH (t, &s->shared->tickets, link) {
                if (t->is_over || t->ticket.request.connection != connection ||
                    t->ticket.request.msgid != msgid)
                        continue;
                t->is_over = true;
                shared_meet_end(s, SHARED_MEMORY, end);
                return true;
        }
        return false;
}

void shared_tickets_gone(struct sim *s, uint32_t connection, enum shared_end end)
{
        struct shared_ticket *t;

        TAILQ_FOREACH (t, &s->shared->tickets, link)
                if (!t->is_over && t->ticket.request.connection == connection) {
                        t->is_over = true;
                        shared_meet_end(s, SHARED_MEMORY, end);
                }
}

void shared_tickets_deinit(struct sim *s)
{
        struct shared_ticket *t;

        while ((t = TAILQ_FIRST(&s->shared->tickets))) {
                TAILQ_REMOVE(&s->shared->tickets, t, link);
                free(t);
        }
}

/* -- the memory -- */

/* It is there, or will never be: the object is `gone`. */
static void tell(struct sim *s, uint32_t id, bool gone)
{
        struct shared_ticket *t, *next;

        for (t = TAILQ_FIRST(&s->shared->tickets); t; t = next) {
                struct core_request request = t->ticket.request;
                bool is_over = t->is_over;
                next = TAILQ_NEXT(t, link);
                if (t->object != id)
                        continue;
                TRACE(s, "memory_told", request.connection, request.msgid, is_over);
                t->is_over = true;
                if (core_request_end(s->core, &t->ticket) == is_over)
                        sim_fail(s, "whether request %u of connection %u is still there is said wrong",
                                 request.msgid, request.connection);
                TAILQ_REMOVE(&s->shared->tickets, t, link);
                free(t);
                if (is_over)
                        continue;
                request_answer(s, request);
                if (is_of_task(request.connection))
                        task_answered(s, request.connection);
                if (gone)
                        shared_meet_end(s, SHARED_MEMORY, END_UNLINKED);
                else
                        MEET(s, shared, DID_memory_awaited);
        }
}

void shared_memory(struct sim *s, uint32_t id)
{
        struct shared_object *o = NULL;
        payload_t payload;

        for (uint32_t i = 0; i < N_NAMES; i++)
                if (shared_at(s, i)->exists && shared_at(s, i)->id == id)
                        o = shared_at(s, i);
        TRACE(s, "memory", id, o != NULL);
        if (core_object_wants_memory(s->core, id) != (o != NULL))
                sim_fail(s, "whether object %u wants memory is said wrong", id);
        if (!o) {
                MEET(s, shared, DID_memory_unwanted);
        } else if (random_chance(&s->random, 200)) {
                MEET(s, shared, DID_memory_failed);
                core_object_failed(s->core, id);
                *o = (struct shared_object){0};
                o = NULL;
        } else {
                MEET(s, shared, DID_memory_came);
                payload = payloads_new(s, &(struct payload){.kind = PAYLOAD_SHARED, .entry = NO_ENTRY});
                core_object_memory(s->core, id, payload);
                o->is_made = true;
        }
        tell(s, id, o == NULL);
}
