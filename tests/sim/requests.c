/* SPDX-License-Identifier: MIT */
/*
 * The open requests of all connections, by (connection, msgid). Each is answered exactly once or goes with
 * its connection; what could be answered is answered in the same turn.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

struct request *request_open(struct sim *s, uint32_t connection, uint32_t msgid, int kind, uint32_t entry)
{
        struct request *r;

        if (s->n_requests == s->requests_capacity) {
                s->requests_capacity = s->requests_capacity ? 2 * s->requests_capacity : 128;
                s->requests = realloc(s->requests, s->requests_capacity * sizeof(*s->requests));
                if (!s->requests)
                        abort();
        }
        r = &s->requests[s->n_requests++];
        *r = (struct request){.connection = connection, .msgid = msgid, .entry = entry, .open = true};
        r->kind = kind;
        r->timeout_at = CORE_NEVER;
        return r;
}

struct request *request_find(struct sim *s, uint32_t connection, uint32_t msgid)
{
        for (uint32_t i = s->n_requests; i-- > 0;)
                if (s->requests[i].open && s->requests[i].connection == connection &&
                    s->requests[i].msgid == msgid)
                        return &s->requests[i];
        return NULL;
}

struct request *request_answer(struct sim *s, struct core_request id)
{
        struct request *r = request_find(s, id.connection, id.msgid);

        if (!r)
                sim_fail(s, "request %u of connection %u is answered and is not open", id.msgid,
                         id.connection);
        r->open = false;
        return r;
}

void requests_gone(struct sim *s, uint32_t connection)
{
        for (uint32_t i = 0; i < s->n_requests; i++)
                if (s->requests[i].connection == connection)
                        s->requests[i].open = false;
}

uint32_t requests_open(const struct sim *s, uint32_t connection)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < s->n_requests; i++)
                n += s->requests[i].open && s->requests[i].connection == connection;
        return n;
}

bool requests_of_tasks_want(const struct sim *s, uint32_t entry)
{
        for (uint32_t i = 0; i < s->n_requests; i++) {
                const struct request *r = &s->requests[i];
                if (!r->open || !is_of_task(r->connection))
                        continue;
                if (r->entry == entry)
                        return true;
                for (uint32_t j = 0; j < r->n_ids; j++)
                        if (r->entries[j] == entry)
                                return true;
        }
        return false;
}

static bool is_late(const struct sim *s, const struct request *r)
{
        return r->timeout_at != CORE_NEVER && s->now > r->timeout_at + 20 * MILLISECOND;
}

/* Whether everything that the request waits for is there. */
static bool is_due(const struct sim *s, const struct request *r)
{
        uint32_t n = 0;

        switch (r->kind) {
        case REQUEST_CALL:
        case REQUEST_MAP:
        case REQUEST_RESULT:
        case REQUEST_ATTACH:
                return s->entries[r->entry].n_ends > 0 || is_late(s, r);
        case REQUEST_WAIT:
                for (uint32_t i = 0; i < r->n_ids; i++)
                        n += r->entries[i] == NO_ENTRY || s->entries[r->entries[i]].n_ends > 0;
                return n >= r->count || is_late(s, r);
        case REQUEST_SHARED:
                return is_late(s, r);
        case REQUEST_DRAIN:
        case REQUEST_RENEWAL:
                return admin_is_done(s, r) || is_late(s, r);
        }
        return false;
}

void requests_check(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_requests; i++) {
                struct request *r = &s->requests[i];
                if (!r->open) { /* forgotten: the last one takes its place */
                        *r = s->requests[--s->n_requests];
                        i--;
                        continue;
                }
                if (!is_due(s, r))
                        continue;
                if (r->kind == REQUEST_MAP || r->kind == REQUEST_CALL)
                        sim_fail(s, "task %llu ended, its caller was told nothing",
                                 (unsigned long long)s->entries[r->entry].id);
                sim_fail(s, "request %u of connection %u waits for what is there", r->msgid, r->connection);
        }
}
