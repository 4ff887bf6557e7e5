/* SPDX-License-Identifier: MIT */
/*
 * Events and barriers: what model clients do with them, and the ledger's page: all go when an event is set;
 * at a barrier all go together, in the order of arrival, or it is broken for all because one left.
 */
#include "tests/sim/shared.h"

_Static_assert(MAX_WORKERS <= 64, "one bit for each in told_broken");

/* -- events -- */

void shared_event_set(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_EVENT);
        struct shared_call call = shared_begin(s, connection, name, OBJECT_EVENT, ABSENT_MADE, ACCESS_WRITE);
        struct shared_object *o = shared_at(s, name);
        bool set = random_chance(&s->random, 400), before = o->is_set;
        int r;

        TRACE(s, "event_set", connection, name, set);
        if (!call.expected)
                o->is_set = set;
        r = core_event_set(s->core, connection, shared_names[name], &call.open, set, s->now);
        if (shared_done(s, &call, r))
                MEET(s, shared, set ? DID_event_set : DID_event_cleared);
        else if (!call.expected)
                o->is_set = before;
}

void shared_event_wait(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_EVENT);
        int64_t timeout = shared_timeout(s);
        const struct shared_wait wait = {.kind = SHARED_EVENT, .timeout_at = timeout};
        struct shared_call call =
                shared_begin_wait(s, connection, name, OBJECT_EVENT, ABSENT_MADE, ACCESS_WRITE, &wait);

        TRACE(s, "event_wait", connection, call.id.msgid, name, (uint64_t)timeout);
        shared_done(s, &call,
                    core_event_wait(s->core, call.id, shared_names[name], &call.open, timeout, s->now));
}

void shared_flagged(struct sim *s, struct shared_wait *w, const struct core_shared_answer *answer)
{
        bool at_once = shared_is_at_once(s, w);

        if (answer->flag != shared_at(s, w->name)->is_set || (answer->flag && !shared_is_first(s, w)))
                shared_wrong(s, w, "is told wrong whether it is set");
        if (!answer->flag && s->now < w->timeout_at)
                shared_wrong(s, w, "is told before its time that it is not set");
        if (answer->flag)
                MEET(s, shared, at_once ? DID_event_at_once : DID_event_in_turn);
        else if (at_once)
                MEET(s, shared, DID_event_not_now);
        else
                shared_meet_end(s, SHARED_EVENT, END_TIME_OVER);
        shared_end_wait(s, w);
}

/* -- barriers -- */

void shared_barrier_wait(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_BARRIER);
        int64_t timeout = shared_timeout(s);
        uint32_t n = shared_count_waits(s, name);
        const struct shared_wait wait = {.kind = SHARED_BARRIER, .n = n, .timeout_at = timeout};
        struct shared_call call =
                shared_begin_wait(s, connection, name, OBJECT_BARRIER, ABSENT_MADE, ACCESS_WRITE, &wait);
        struct shared_object *o = shared_at(s, name);
        bool completes = !call.expected && !o->is_broken && n + 1 == o->values[PROPERTY_PARTIES];
        int r;

        TRACE(s, "barrier_wait", connection, call.id.msgid, name, (uint64_t)timeout);
        o->is_passing = completes;
        r = core_barrier_wait(s->core, call.id, shared_names[name], &call.open, timeout, s->now);
        if (completes && r != 0)
                sim_fail(s, "%s: the last one who comes is refused with %d", shared_names[name], r);
        if (!call.expected && (r == CORE_BROKEN) != o->is_broken)
                sim_fail(s, "%s: whether it is broken is said wrong", shared_names[name]);
        if (r == CORE_BROKEN)
                MEET(s, shared, DID_barrier_was_broken);
        else if (r == CORE_NOT_READY)
                MEET(s, shared, DID_barrier_not_now);
        o->is_passing = false;
        shared_done(s, &call, r);
}

void shared_passed(struct sim *s, struct shared_wait *w, const struct core_shared_answer *answer)
{
        if (!shared_at(s, w->name)->is_passing || !shared_is_first(s, w))
                shared_wrong(s, w, "goes, and not all are there");
        if (answer->count != w->n)
                shared_wrong(s, w, "gets another one's number");
        MEET(s, shared, DID_barrier_passed);
        shared_end_wait(s, w);
}

void shared_broken(struct sim *s, struct shared_wait *wait)
{
        struct shared_object *o = shared_at(s, wait->name);
        const struct shared_wait *w;
        bool is_explained = false;

        MEET(s, shared, DID_barrier_broken);
        if (s->now >= wait->timeout_at)
                shared_meet_end(s, SHARED_BARRIER, END_TIME_OVER);
        TAILQ_FOREACH (w, &s->shared->waits, link) {
                const struct request *r =
                        w->name == wait->name ? request_find(s, w->connection, w->msgid) : NULL;
                is_explained |= w->name == wait->name && (s->now >= w->timeout_at || (r && r->given_up));
        }
        if (!o->is_broken && !is_explained && s->now < wait->timeout_at)
                o->unexplained = true;
        if (o->unexplained && is_of_task(wait->connection))
                o->told_broken |= UINT64_C(1) << (wait->connection - MAX_CLIENTS);
        o->is_broken = true;
}

void shared_barrier_left(struct sim *s, const struct shared_wait *w)
{
        struct shared_object *o = shared_at(s, w->name);

        if (is_of_task(w->connection) && o->told_broken >> (w->connection - MAX_CLIENTS) & 1)
                shared_wrong(s, w, "ends with its task, and another one of that was told that it is broken");
        o->is_broken = true;
        o->unexplained = false;
        o->told_broken = 0;
}

void shared_barrier_reset(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_BARRIER);
        bool abort = random_chance(&s->random, 200);
        struct shared_call call =
                shared_begin(s, connection, name, OBJECT_BARRIER, ABSENT_UNKNOWN, ACCESS_WRITE);
        int r;

        TRACE(s, "barrier_reset", connection, name, abort);
        if (!call.expected)
                shared_at(s, name)->is_broken = true;
        r = core_barrier_reset(s->core, connection, shared_names[name], abort, s->now);
        if (!shared_done(s, &call, r))
                return;
        MEET(s, shared, abort ? DID_barrier_aborted : DID_barrier_reset);
        if (shared_count_waits(s, name) > 0)
                sim_fail(s, "%s is reset, and some still wait", shared_names[name]);
        shared_at(s, name)->is_broken = abort;
}
