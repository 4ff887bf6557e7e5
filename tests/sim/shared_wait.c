/* SPDX-License-Identifier: MIT */
/*
 * The ledger's page for requests that wait for something of an object: in their order, each list on its own.
 * After every event: none waits that could be answered.
 */
#include "tests/sim/shared.h"

#include <stdlib.h>

static unsigned list_of(const struct shared_wait *w)
{
        if (w->kind == SHARED_PUT || (w->kind == SHARED_CONDITION && !w->wants_lock))
                return 1;
        return w->kind == SHARED_JOIN ? 2 : 0;
}

struct shared_wait *shared_find_wait(struct sim *s, uint32_t connection, uint32_t msgid)
{
        struct shared_wait *w;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->connection == connection && w->msgid == msgid)
                        return w;
        return NULL;
}

bool shared_is_first(struct sim *s, const struct shared_wait *wait)
{
        const struct shared_wait *w;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->name == wait->name && list_of(w) == list_of(wait))
                        return w == wait;
        return false;
}

struct shared_wait *shared_first(struct sim *s, uint32_t name, enum shared_row kind)
{
        struct shared_wait *w;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->name == name && w->kind == kind && !w->wants_lock)
                        return w;
        return NULL;
}

unsigned shared_count_waits(const struct sim *s, uint32_t name)
{
        const struct shared_wait *w;
        unsigned n = 0;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                n += w->name == name;
        return n;
}

struct shared_wait *shared_first_of(struct sim *s, uint32_t connection)
{
        struct shared_wait *w;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->connection == connection)
                        return w;
        return NULL;
}

void shared_add_wait(struct sim *s, const struct shared_wait *wait)
{
        struct shared_wait *w = malloc(sizeof(*w));

        if (!w)
                abort();
        *w = *wait;
        TAILQ_INSERT_TAIL(&s->shared->waits, w, link);
}

void shared_end_wait(struct sim *s, struct shared_wait *w)
{
        if (w->kind == SHARED_PUT)
                shared_forget_put(s, w);
        TAILQ_REMOVE(&s->shared->waits, w, link);
        free(w);
}

void shared_wants_lock(struct sim *s, struct shared_wait *w)
{
        w->wants_lock = true;
        TAILQ_REMOVE(&s->shared->waits, w, link);
        TAILQ_INSERT_TAIL(&s->shared->waits, w, link);
        request_find(s, w->connection, w->msgid)->timeout_at = CORE_NEVER;
}

/* Who was notified and does not come to his lock: it is the next one's. If that is one who has to go just as
 * well, he passes it on when it is his turn. */
static void pass_on(struct sim *s, uint32_t name)
{
        struct shared_wait *w = shared_first(s, name, SHARED_CONDITION);

        if (!w)
                return;
        MEET(s, shared, DID_condition_passed_on);
        w->notified = true;
        shared_wants_lock(s, w);
}

void shared_left(struct sim *s, struct shared_wait *w)
{
        uint32_t name = w->name;
        bool is_unheard = w->kind == SHARED_CONDITION && w->notified;

        if (w->kind == SHARED_BARRIER)
                shared_barrier_left(s, w);
        shared_end_wait(s, w);
        if (is_unheard)
                pass_on(s, name);
}

void shared_meet_end(struct sim *s, enum shared_row row, enum shared_end end)
{
        s->coverage->ends[end][row]++;
}

void shared_wrong(struct sim *s, const struct shared_wait *w, const char *what)
{
        static const char *const rows[] = {
#define X(name, text) text,
                SHARED_ROW_TABLE(X)
#undef X
        };

        sim_fail(s, "%s: request %u of connection %u, which %s, %s", shared_names[w->name], w->msgid,
                 w->connection, rows[w->kind], what);
}

/* -- time -- */

/* Conditions whose time is over, that of the earliest first, want their lock again. */
void shared_time(struct sim *s)
{
        struct shared_wait *w, *first;

        do {
                first = NULL;
                TAILQ_FOREACH (w, &s->shared->waits, link)
                        if (w->kind == SHARED_CONDITION && !w->wants_lock && w->timeout_at <= s->now &&
                            (!first || w->timeout_at < first->timeout_at))
                                first = w;
                if (first) {
                        MEET(s, shared, DID_condition_late);
                        shared_meet_end(s, SHARED_CONDITION, END_TIME_OVER);
                        shared_wants_lock(s, first);
                }
        } while (first);
}

/* -- what is due -- */

bool shared_is_due(struct sim *s, const struct shared_wait *w)
{
        const struct shared_object *o = shared_at(s, w->name);

        switch ((int)w->kind) {
        case SHARED_CONDITION:
        case SHARED_ACQUIRE:
                return list_of(w) == 0 && shared_is_first(s, w) &&
                       shared_n_holds(s, w->name) < o->values[PROPERTY_LIMIT];
        case SHARED_EVENT:
                return o->is_set;
        case SHARED_BARRIER:
                return o->is_broken || shared_count_waits(s, w->name) >= o->values[PROPERTY_PARTIES];
        case SHARED_GET:
                return shared_count_items(s, w->name, ITEM_QUEUED) > 0;
        case SHARED_PUT:
                return w->n_done == w->n;
        case SHARED_JOIN:
                return shared_is_idle(s, w->name);
        default:
                return w->after < o->version;
        }
}

void shared_check_waits(struct sim *s)
{
        const struct shared_wait *w;

        TAILQ_FOREACH (w, &s->shared->waits, link) {
                if (shared_is_due(s, w))
                        shared_wrong(s, w, "waits for what is there");
                if ((w->kind == SHARED_ACQUIRE || w->kind == SHARED_CONDITION) &&
                    !shared_can_go_on(s, w->connection, w->owner))
                        shared_wrong(s, w, "waits for itself");
        }
}
