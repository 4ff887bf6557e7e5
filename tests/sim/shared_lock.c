/* SPDX-License-Identifier: MIT */
/*
 * Locks and conditions: what model clients do with them, and the ledger's page: never more holders than the
 * limit, first come first served, tokens that only grow, the next one told when a holder is gone.
 */
#include "tests/sim/shared.h"

#include <stdlib.h>

/* -- who has what -- */

unsigned shared_n_holds(const struct sim *s, uint32_t name)
{
        const struct shared_hold *hold;
        unsigned n = 0;

        TAILQ_FOREACH (hold, &s->shared->holds, link)
                n += hold->name == name;
        return n;
}

void shared_drop_hold(struct sim *s, struct shared_hold *hold)
{
        TAILQ_REMOVE(&s->shared->holds, hold, link);
        free(hold);
}

/* What the owner got last; by token whoever of the connection's it is. */
static struct shared_hold *find_hold(struct sim *s, uint32_t connection, uint32_t name, uint64_t owner,
                                     uint64_t token)
{
        struct shared_hold *hold, *found = NULL;

        TAILQ_FOREACH (hold, &s->shared->holds, link)
                if (hold->connection == connection && hold->name == name &&
                    (token ? hold->token == token : hold->owner == owner))
                        found = hold;
        return found;
}

/* One that the connection has; NULL: none. */
static struct shared_hold *pick_hold(struct sim *s, uint32_t connection)
{
        struct shared_hold *hold, *found = NULL;
        uint64_t n = 0;

        TAILQ_FOREACH (hold, &s->shared->holds, link)
                if (hold->connection == connection && random_below(&s->random, ++n) == 0)
                        found = hold;
        return found;
}

bool shared_owner_waits(struct sim *s, uint32_t connection, uint64_t owner)
{
        const struct shared_wait *w;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->connection == connection && w->owner == owner &&
                    (w->kind == SHARED_ACQUIRE || w->kind == SHARED_CONDITION))
                        return true;
        return false;
}

bool shared_waits_for_lock(struct sim *s, uint32_t connection)
{
        for (uint64_t owner = 0; owner < N_OWNERS; owner++)
                if (shared_owner_waits(s, connection, owner))
                        return true;
        return false;
}

/* One that waits for a lock does nothing else (shared.h). */
static bool may_wait(struct sim *s, uint32_t connection, uint64_t owner)
{
        return !shared_owner_waits(s, connection, owner) &&
               !(is_of_task(connection) && requests_open(s, connection) > 0);
}

/* -- acquire -- */

static void check_deadlock(struct sim *s, uint32_t connection, const struct shared_wait *w)
{
        const struct shared_hold *own = find_hold(s, connection, w->name, w->owner, 0);

        if (w->timeout_at <= s->now || shared_can_go_on(s, connection, w->owner))
                shared_wrong(s, w, "is called a deadlock");
        if (own)
                MEET(s, shared, DID_deadlock_of_itself);
        else if (is_of_task(connection))
                MEET(s, shared, DID_deadlock_of_task);
        else
                MEET(s, shared, DID_deadlock_of_client);
}

void shared_acquire(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_LOCK);
        int64_t timeout = random_chance(&s->random, 400) ? CORE_NEVER : shared_timeout(s);
        struct shared_wait wait = {.kind = SHARED_ACQUIRE,
                                   .owner = random_below(&s->random, N_OWNERS),
                                   .n = 1,
                                   .timeout_at = timeout};
        struct shared_call call;
        const struct shared_wait *w;
        int r;

        if (!may_wait(s, connection, wait.owner))
                return;
        call = shared_begin_wait(s, connection, name, OBJECT_LOCK, ABSENT_MADE, ACCESS_WRITE, &wait);
        TRACE(s, "acquire", connection, call.id.msgid, name, wait.owner, (uint64_t)timeout);
        r = core_lock_acquire(s->core, call.id, shared_names[name], &call.open, wait.owner, timeout, s->now);
        w = shared_find_wait(s, connection, call.id.msgid);
        if (r == CORE_DEADLOCK && w)
                check_deadlock(s, connection, w);
        if (r == CORE_NOT_READY)
                MEET(s, shared, DID_acquire_not_now);
        shared_done(s, &call, r);
}

static void take(struct sim *s, const struct shared_wait *w, uint64_t token)
{
        struct shared_hold *hold = malloc(sizeof(*hold));

        if (!hold)
                abort();
        *hold = (struct shared_hold){
                .connection = w->connection, .name = w->name, .owner = w->owner, .token = token, .n = w->n};
        TAILQ_INSERT_TAIL(&s->shared->holds, hold, link);
}

static void acquired(struct sim *s, const struct shared_wait *w, const struct core_shared_answer *answer)
{
        struct shared_object *o = shared_at(s, w->name);

        if (answer->token <= s->shared->last_token)
                shared_wrong(s, w, "gets a token that is not larger than all before");
        if (answer->abandoned != (o->n_abandoned > 0))
                shared_wrong(s, w, "is told wrong whether it was abandoned");
        s->shared->last_token = answer->token;
        if (answer->abandoned) {
                MEET(s, shared, DID_abandoned);
                o->n_abandoned--;
        }
        MEET(s, shared, shared_is_at_once(s, w) ? DID_acquired_at_once : DID_acquired_in_turn);
}

void shared_granted(struct sim *s, struct shared_wait *w, const struct core_shared_answer *answer)
{
        const struct shared_object *o = shared_at(s, w->name);
        struct shared_hold *own = w->kind == SHARED_ACQUIRE && o->values[PROPERTY_LIMIT] == 1
                                          ? find_hold(s, w->connection, w->name, w->owner, 0)
                                          : NULL;

        if (own) {
                if (!o->values[PROPERTY_REENTRANT] || (own->token && own->token != answer->token))
                        shared_wrong(s, w, "has it already");
                MEET(s, shared, DID_acquired_again);
                own->token = answer->token;
                own->n++;
                shared_end_wait(s, w);
                return;
        }
        if (!shared_is_due(s, w) && !(shared_presume(s, w->name) && shared_is_due(s, w)))
                shared_wrong(s, w, "gets what is another one's");
        if (w->kind == SHARED_ACQUIRE)
                acquired(s, w, answer);
        else if (answer->flag != w->notified)
                shared_wrong(s, w, "is told wrong whether it was notified");
        take(s, w, w->kind == SHARED_ACQUIRE ? answer->token : 0);
        shared_end_wait(s, w);
}

/* -- release -- */

void shared_release(struct sim *s, uint32_t connection)
{
        struct shared_hold *hold = pick_hold(s, connection);
        uint32_t name = hold && random_chance(&s->random, 900) ? hold->name : shared_pick(s, OBJECT_LOCK);
        uint64_t owner = hold ? hold->owner : 0;
        uint64_t token = hold && random_chance(&s->random, 300) ? hold->token : 0;
        struct shared_call call =
                shared_begin(s, connection, name, OBJECT_LOCK, ABSENT_UNKNOWN, ACCESS_WRITE);
        int r, expected = 0;

        TRACE(s, "release", connection, name, owner, token);
        hold = call.expected ? NULL : find_hold(s, connection, name, owner, token);
        if (!hold) {
                expected = CORE_NOT_HELD;
        } else if (--hold->n == 0) {
                MEET(s, shared, DID_released);
                shared_drop_hold(s, hold);
        } else {
                MEET(s, shared, DID_released_in_part);
        }
        r = core_lock_release(s->core, connection, shared_names[name], token, owner, s->now);
        if (!call.expected && r != expected)
                sim_fail(s, "%s: its release by connection %u gives %d instead of %d", shared_names[name],
                         connection, r, expected);
        if (r == CORE_NOT_HELD)
                MEET(s, shared, DID_released_not_held);
        shared_done(s, &call, r);
}

/* -- conditions -- */

void shared_condition_wait(struct sim *s, uint32_t connection)
{
        struct shared_hold *hold = pick_hold(s, connection), *next = NULL;
        uint32_t name = hold ? hold->name : shared_pick(s, OBJECT_LOCK);
        int64_t timeout = random_chance(&s->random, 400)
                                  ? CORE_NEVER
                                  : (int64_t)random_between(&s->random, 1, 10 * MILLISECOND);
        struct shared_wait wait = {
                .kind = SHARED_CONDITION, .owner = hold ? hold->owner : 0, .timeout_at = timeout};
        struct shared_call call;
        int r, expected = 0;

        if (!may_wait(s, connection, wait.owner))
                return;
        if (!hold && random_chance(&s->random, 700)) { /* then at another time */
                shared_acquire(s, connection);
                return;
        }
        hold = find_hold(s, connection, name, wait.owner, 0);
        wait.n = hold ? hold->n : 0;
        call = shared_begin_wait(s, connection, name, OBJECT_LOCK, ABSENT_UNKNOWN, ACCESS_WRITE, &wait);
        TRACE(s, "condition_wait", connection, call.id.msgid, name, wait.owner, (uint64_t)timeout);
        if (!call.expected && !hold)
                expected = CORE_NOT_HELD;
        else if (!call.expected && shared_at(s, name)->values[PROPERTY_LIMIT] != 1)
                expected = CORE_CLASH;
        if (!call.expected && !expected) {
                next = TAILQ_NEXT(hold, link);
                TAILQ_REMOVE(&s->shared->holds, hold, link);
        }
        r = core_condition_wait(s->core, call.id, shared_names[name], wait.owner, timeout, s->now);
        if (expected && r != expected)
                sim_fail(s, "%s: a wait for its condition gives %d", shared_names[name], r);
        if (r == CORE_NOT_HELD)
                MEET(s, shared, DID_condition_not_held);
        if (shared_done(s, &call, r)) {
                MEET(s, shared, DID_condition_waits);
                free(hold);
        } else if (!call.expected && !expected) { /* as before */
                if (next)
                        TAILQ_INSERT_BEFORE(next, hold, link);
                else
                        TAILQ_INSERT_TAIL(&s->shared->holds, hold, link);
        }
}

void shared_condition_notify(struct sim *s, uint32_t connection)
{
        struct shared_hold *hold = pick_hold(s, connection);
        uint32_t name = hold ? hold->name : shared_pick(s, OBJECT_LOCK);
        uint64_t owner = hold ? hold->owner : 0, n_notified = 0, n_told = 0;
        uint64_t n = random_chance(&s->random, 300) ? UINT64_MAX : random_between(&s->random, 1, 2);
        struct shared_call call =
                shared_begin(s, connection, name, OBJECT_LOCK, ABSENT_UNKNOWN, ACCESS_WRITE);
        struct shared_wait *w;
        int r;

        TRACE(s, "notify", connection, name, owner, n);
        hold = call.expected ? NULL : find_hold(s, connection, name, owner, 0);
        for (; hold && n_notified < n && (w = shared_first(s, name, SHARED_CONDITION)); n_notified++) {
                MEET(s, shared, DID_condition_notified);
                w->notified = true;
                shared_wants_lock(s, w);
        }
        r = core_condition_notify(s->core, connection, shared_names[name], owner, n, s->now, &n_told);
        if (!call.expected && r != (hold ? 0 : CORE_NOT_HELD))
                sim_fail(s, "%s: a notification by connection %u gives %d", shared_names[name], connection,
                         r);
        if (n_told != n_notified)
                sim_fail(s, "%s: %llu are notified instead of %llu", shared_names[name],
                         (unsigned long long)n_told, (unsigned long long)n_notified);
        MEET(s, shared, DID_notify);
        shared_done(s, &call, r);
}
