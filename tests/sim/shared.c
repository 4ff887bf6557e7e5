/* SPDX-License-Identifier: MIT */
/*
 * What model clients and model tasks do with shared objects, and how the ledger hears of it: what is done
 * next, which answer goes where, who is gone. Few names, so that they meet.
 */
#include "tests/sim/shared.h"

#include <stdlib.h>

const char *const shared_names[N_NAMES] = {"lock 1",  "lock 2", "lock 3", "event", "barrier", "queue 1",
                                           "queue 2", "dict",   "list",   "value", "array",   "pipe"};

void shared_init(struct sim *s)
{
        s->shared = calloc(1, sizeof(*s->shared));
        if (!s->shared)
                abort();
        TAILQ_INIT(&s->shared->waits);
        TAILQ_INIT(&s->shared->holds);
        TAILQ_INIT(&s->shared->items);
        TAILQ_INIT(&s->shared->tickets);
        s->shared->hearing = s->shared->presumed = NOBODY;
}

void shared_deinit(struct sim *s)
{
        shared_tickets_deinit(s);
        free(s->shared);
}

struct shared_object *shared_at(struct sim *s, uint32_t name)
{
        return &s->shared->objects[name];
}

/* -- acts -- */

/* How often each is done, in relation. */
static const struct {
        void (*act)(struct sim *, uint32_t connection);
        unsigned of_client, of_task;
} acts[] = {
        {shared_acquire, 8, 12},
        {shared_release, 3, 3},
        {shared_condition_wait, 2, 14},
        {shared_event_set, 1, 1},
        {shared_condition_notify, 1, 1},
        {shared_event_wait, 1, 2},
        {shared_put, 3, 6},
        {shared_barrier_wait, 2, 6},
        {shared_barrier_reset, 1, 1},
        {shared_get, 3, 6},
        {shared_task_done, 1, 1},
        {shared_join, 1, 2},
        {shared_dict_change, 2, 2},
        {shared_dict_look, 1, 1},
        {shared_dict_watch, 1, 2},
        {shared_list_push, 1, 1},
        {shared_list_pop, 1, 1},
        {shared_list_set, 1, 1},
        {shared_pipe, 1, 1},
        {shared_open, 1, 4},
        {shared_list_all, 1, 1},
        {shared_unlink, 1, 1},
};

static void act(struct sim *s, uint32_t connection)
{
        bool is_task = is_of_task(connection);
        size_t n = sizeof(acts) / sizeof(*acts), i;
        uint64_t sum = 0, at;

        for (i = 0; i < n; i++)
                sum += is_task ? acts[i].of_task : acts[i].of_client;
        at = random_below(&s->random, sum);
        for (i = 0; at >= (is_task ? acts[i].of_task : acts[i].of_client); i++)
                at -= is_task ? acts[i].of_task : acts[i].of_client;
        acts[i].act(s, connection);
}

void shared_act(struct sim *s, uint32_t connection)
{
        uint64_t n = random_between(&s->random, 1, 3);

        for (; n > 0 && !shared_is_barred(s, connection); n--)
                act(s, connection);
}

int64_t shared_timeout(struct sim *s)
{
        switch (random_below(&s->random, 4)) {
        case 0:
                return CORE_NEVER;
        case 1:
                return 0;
        default:
                return (int64_t)random_between(&s->random, 1, 15 * MILLISECOND);
        }
}

struct core_value shared_value(struct sim *s, struct shared_value *ret)
{
        ret->number = random_next(&s->random);
        ret->size_bytes = random_between(&s->random, 1, random_chance(&s->random, 250) ? 2000 : 200);
        return (struct core_value){.payload =
                                           payloads_new(s, &(struct payload){.kind = PAYLOAD_SHARED,
                                                                             .entry = NO_ENTRY,
                                                                             .value = ret->number,
                                                                             .size_bytes = ret->size_bytes}),
                                   .size_bytes = ret->size_bytes};
}

bool shared_is_value(struct sim *s, payload_t payload, const struct shared_value *value)
{
        const struct payload *p = payloads_get(s, payload);

        return p->kind == PAYLOAD_SHARED && p->value == value->number;
}

bool shared_is_barred(struct sim *s, uint32_t connection)
{
        return is_of_task(connection) && shared_waits_for_lock(s, connection);
}

/* -- answers -- */

static const int kinds[] = {
        [SHARED_ACQUIRE] = ANSWER_HOLD,  [SHARED_CONDITION] = ANSWER_FLAG, [SHARED_EVENT] = ANSWER_FLAG,
        [SHARED_BARRIER] = ANSWER_COUNT, [SHARED_GET] = ANSWER_ITEMS,      [SHARED_PUT] = ANSWER_COUNT,
        [SHARED_JOIN] = ANSWER_NIL,      [SHARED_WATCH] = ANSWER_CHANGES,
};

void shared_answered(struct sim *s, const struct request *r, const struct core_shared_answer *answer)
{
        struct shared_wait *w = shared_find_wait(s, r->connection, r->msgid);

        if (!w)
                sim_fail(s, "request %u of connection %u is answered, and waits for nothing", r->msgid,
                         r->connection);
        w->given_up = r->given_up;
        if ((int)answer->kind != kinds[w->kind])
                shared_wrong(s, w, "is answered as something else");
        switch ((int)w->kind) {
        case SHARED_ACQUIRE:
        case SHARED_CONDITION:
                shared_granted(s, w, answer);
                break;
        case SHARED_EVENT:
                shared_flagged(s, w, answer);
                break;
        case SHARED_BARRIER:
                shared_passed(s, w, answer);
                break;
        case SHARED_GET:
                shared_got(s, w, answer);
                break;
        case SHARED_PUT:
                shared_was_put(s, w, answer);
                break;
        case SHARED_JOIN:
                shared_joined(s, w);
                break;
        case SHARED_WATCH:
                shared_changed(s, w, answer);
                break;
        }
}

static bool has_refusal_of_time(const struct shared_wait *w)
{
        return w->kind != SHARED_CONDITION && w->kind != SHARED_EVENT && w->kind != SHARED_BARRIER;
}

/* Everything that was waited for has ended: all are told, and what that does to the others is no matter. */
static void stopped(struct sim *s, const struct request *r, struct shared_wait *w)
{
        if (!s->drained)
                sim_fail(s, "request %u of connection %u is refused for a stop too early", r->msgid,
                         r->connection);
        if (w) {
                shared_meet_end(s, w->kind, END_STOPPED);
                shared_end_wait(s, w);
        } else if (!shared_ticket_is_over(s, r->connection, r->msgid, END_STOPPED)) {
                sim_fail(s, "request %u of connection %u is refused, and waits for nothing", r->msgid,
                         r->connection);
        }
}

void shared_refused(struct sim *s, const struct request *r, enum core_refusal refusal)
{
        struct shared_wait *w = shared_find_wait(s, r->connection, r->msgid);

        if (refusal == CORE_STOPPING && !(w && w->kind == SHARED_PUT && w->n_done > 0)) {
                stopped(s, r, w);
                return;
        }
        if (!w && refusal == CORE_CANCELLED && (r->given_up || is_of_task(r->connection)) &&
            shared_ticket_is_over(s, r->connection, r->msgid,
                                  r->given_up ? END_GIVEN_UP : END_TASK_CANCELLED))
                return;
        if (!w)
                sim_fail(s, "request %u of connection %u is refused, and waits for nothing", r->msgid,
                         r->connection);
        if (w->kind == SHARED_PUT && w->n_done > 0 && refusal != CORE_UNKNOWN_OBJECT)
                shared_wrong(s, w, "was done in part and is refused");
        if (refusal == CORE_NOT_READY) {
                if (!has_refusal_of_time(w) || s->now < w->timeout_at)
                        shared_wrong(s, w, "is not ready before its time");
                shared_meet_end(s, w->kind, END_TIME_OVER);
        } else if (refusal == CORE_CANCELLED) {
                if (!r->given_up && !is_of_task(r->connection))
                        shared_wrong(s, w, "is given up by nobody");
                shared_meet_end(s, w->kind, r->given_up ? END_GIVEN_UP : END_TASK_CANCELLED);
        } else if (refusal == CORE_UNKNOWN_OBJECT) {
                if (!shared_at(s, w->name)->is_going)
                        shared_wrong(s, w, "is for nothing that there is");
                shared_meet_end(s, w->kind, END_UNLINKED);
                shared_end_wait(s, w);
                return;
        } else if (refusal == CORE_BROKEN && w->kind == SHARED_BARRIER) {
                shared_broken(s, w);
                shared_end_wait(s, w);
                return;
        } else {
                sim_fail(s, "what waits for %s is refused with %d", shared_names[w->name], refusal);
        }
        shared_left(s, w);
}

/* -- who is gone -- */

static enum shared_end end_of(const struct sim *s, uint32_t connection)
{
        const struct entry *e;

        if (!is_of_task(connection))
                return END_CLIENT_GONE;
        if (s->shared->is_loss || s->shared->hearing == NOBODY)
                return END_WORKER_LOST;
        if (s->connections[connection].entry == NO_ENTRY) /* of a liar, who asked for nothing */
                return END_TASK_ENDED;
        e = &s->entries[s->connections[connection].entry];
        return e->told || e->cancel_asked ? END_TASK_CANCELLED : END_TASK_ENDED;
}

/* Each that it had of one lock is told to another one, if so many wait; what was to be told before is the
 * same as the first. */
static void abandon_holds(struct sim *s, uint32_t connection, enum shared_end end)
{
        struct shared_hold *hold, *next;

        TAILQ_FOREACH (hold, &s->shared->holds, link)
                if (hold->connection == connection)
                        shared_at(s, hold->name)->n_abandoned = 0;
        for (hold = TAILQ_FIRST(&s->shared->holds); hold; hold = next) {
                next = TAILQ_NEXT(hold, link);
                if (hold->connection != connection)
                        continue;
                shared_meet_end(s, SHARED_HOLD, end);
                shared_at(s, hold->name)->n_abandoned++;
                shared_drop_hold(s, hold);
        }
}

void shared_gone(struct sim *s, uint32_t connection)
{
        enum shared_end end = end_of(s, connection);
        struct shared_wait *w;

        if (s->shared->presumed == connection) {
                s->shared->presumed = NOBODY;
                return;
        }
        if (!is_of_task(connection))
                shared_settle(s);
        while ((w = shared_first_of(s, connection))) {
                shared_meet_end(s, w->kind, end);
                shared_left(s, w);
        }
        shared_tickets_gone(s, connection, end);
        abandon_holds(s, connection, end);
        if (shared_give_back(s, connection))
                shared_meet_end(s, SHARED_LEASE, end);
}

void shared_hear(struct sim *s, uint32_t worker, bool is_loss)
{
        shared_settle(s);
        s->shared->hearing = worker;
        s->shared->is_loss = is_loss;
}

void shared_heard(struct sim *s)
{
        s->shared->hearing = NOBODY;
        s->shared->is_loss = false;
        if (s->shared->presumed != NOBODY)
                sim_fail(s, "what task %llu had is given away before it ended",
                         (unsigned long long)s->entries[s->connections[s->shared->presumed].entry].id);
}

static bool has_part_in(const struct sim *s, uint32_t connection, uint32_t name)
{
        const struct shared_wait *w;
        const struct shared_hold *hold;
        const struct shared_item *item;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->connection == connection && w->name == name)
                        return true;
        TAILQ_FOREACH (hold, &s->shared->holds, link)
                if (hold->connection == connection && hold->name == name)
                        return true;
        TAILQ_FOREACH (item, &s->shared->items, link)
                if (item->state == ITEM_LEASED && item->connection == connection && item->name == name)
                        return true;
        return false;
}

/* Outside a worker's message it is one that was killed and cannot be reaped. */
bool shared_presume(struct sim *s, uint32_t name)
{
        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                uint32_t connection = MAX_CLIENTS + i;
                if (s->shared->hearing == NOBODY ? !s->workers[i].killed : s->shared->hearing != i)
                        continue;
                if (!s->connections[connection].open || s->shared->presumed != NOBODY ||
                    !has_part_in(s, connection, name))
                        continue;
                shared_gone(s, connection);
                s->shared->presumed = connection;
                return true;
        }
        return false;
}
