/* SPDX-License-Identifier: MIT */
/* Locks, a semaphore, and conditions: never more holders than may be, in their order, tokens that grow. */
#include "tests/sim/shared.h"

static uint32_t limit_of(unsigned which)
{
        return which == N_LOCKS - 1 ? 2 : 1;
}

static struct held *find_held(struct model_object *lock, uint32_t connection, uint64_t owner)
{
        for (uint32_t i = 0; i < lock->n_held; i++)
                if (lock->held[i].connection == connection && lock->held[i].owner == owner)
                        return &lock->held[i];
        return NULL;
}

/* -- circles, as far as clients alone are in them -- */

static bool lock_reaches(struct sim *s, unsigned which, uint32_t connection, uint64_t owner);

/* Whether this holder waits, for locks or at conditions and through others, for that owner, or for itself:
 * then it cannot go on either. */
static bool holder_reaches(struct sim *s, const struct held *held, uint32_t connection, uint64_t owner)
{
        if (held->connection == connection && held->owner == owner)
                return true;
        for (uint32_t i = 0; i < s->n_requests; i++) {
                struct request *r = &s->requests[i];
                bool reaches = r->looked_at;
                if (!r->open || (r->kind != REQUEST_ACQUIRE && r->kind != REQUEST_CONDITION) ||
                    r->connection != held->connection || r->owner != held->owner)
                        continue;
                if (!reaches) {
                        r->looked_at = true;
                        reaches = lock_reaches(s, r->object, connection, owner);
                        r->looked_at = false;
                }
                if (reaches)
                        return true;
        }
        return false;
}

static bool lock_reaches(struct sim *s, unsigned which, uint32_t connection, uint64_t owner)
{
        const struct model_object *lock = &s->shared->objects[which];

        for (uint32_t i = 0; i < lock->n_held; i++)
                if (!holder_reaches(s, &lock->held[i], connection, owner))
                        return false;
        return lock->n_held > 0;
}

static bool tasks_are_about(const struct sim *s)
{
        for (unsigned i = 0; i < N_LOCKS; i++)
                for (uint32_t j = 0; j < s->shared->objects[i].n_held; j++)
                        if (is_of_task(s->shared->objects[i].held[j].connection))
                                return true;
        return false;
}

/* -- doing -- */

static void acquire(struct sim *s, uint32_t connection, unsigned which, uint64_t owner)
{
        const struct core_open open = shared_open_of(which);
        struct model_object *lock = &s->shared->objects[which];
        struct core_request id;
        bool closes;
        int r;

        if (lock->n_held + PARTIES >= MAX_HELD)
                return;
        closes = lock->n_held >= limit_of(which) && lock_reaches(s, which, connection, owner);
        struct request *request = shared_begin(s, connection, which, REQUEST_ACQUIRE, &id);
        request->owner = owner;
        int64_t timeout = shared_timeout(s, request);
        MEET(s, events, EVENT_lock_acquire);
        TRACE(s, "acquire", connection, id.msgid, which, owner, (uint64_t)timeout);
        r = core_lock_acquire(s->core, id, shared_name(which), &open, owner, timeout, s->now);
        if (r == CORE_DEADLOCK) {
                MEET(s, events, EVENT_lock_circle);
                if (!closes && !is_of_task(connection) && !tasks_are_about(s))
                        sim_fail(s, "connection %u is told of a circle that is none", connection);
        } else if (r == 0 && closes && !tasks_are_about(s) && request_find(s, connection, id.msgid)) {
                sim_fail(s, "connection %u waits in a circle, and nobody is told", connection);
        }
        shared_began(s, id, r, CORE_DEADLOCK);
}

static void release(struct sim *s, uint32_t connection, unsigned which, uint64_t owner)
{
        struct model_object *lock = &s->shared->objects[which];
        struct held *held = find_held(lock, connection, owner);
        uint64_t token = held && limit_of(which) > 1 ? held->token : 0;
        int r;

        if (!held && random_chance(&s->random, 900))
                return;
        MEET(s, events, EVENT_lock_release);
        TRACE(s, "release", connection, which, owner, token);
        if (held)
                *held = lock->held[--lock->n_held];
        r = core_lock_release(s->core, connection, shared_name(which), token, owner, s->now);
        if (held ? r != 0 : r != CORE_NOT_HELD && r != CORE_UNKNOWN_OBJECT)
                sim_fail(s, "%s: its release returns %d", shared_name(which), r);
}

static void wait_for_condition(struct sim *s, uint32_t connection, unsigned which, uint64_t owner)
{
        struct model_object *lock = &s->shared->objects[which];
        struct held *held = find_held(lock, connection, owner), before;
        struct core_request id;
        int r;

        if (!held || limit_of(which) > 1)
                return;
        before = *held;
        struct request *request = shared_begin(s, connection, which, REQUEST_CONDITION, &id);
        request->owner = owner;
        int64_t timeout = shared_timeout(s, request);
        MEET(s, events, EVENT_condition_wait);
        TRACE(s, "condition_wait", connection, id.msgid, which, owner, (uint64_t)timeout);
        *held = lock->held[--lock->n_held];
        r = core_condition_wait(s->core, id, shared_name(which), owner, timeout, s->now);
        if (r != 0)
                lock->held[lock->n_held++] = before;
        shared_began(s, id, r, 0);
}

/* The longest waiting ones come into the line for the lock. */
static void notify(struct sim *s, uint32_t connection, unsigned which, uint64_t owner)
{
        struct model_object *lock = &s->shared->objects[which];
        uint64_t n = random_between(&s->random, 1, 3), got = 0;
        int r;

        if (!find_held(lock, connection, owner))
                return;
        MEET(s, events, EVENT_condition_notify);
        TRACE(s, "notify", connection, which, owner, n);
        r = core_condition_notify(s->core, connection, shared_name(which), owner, n, s->now, &got);
        if (r != 0 || got > n)
                sim_fail(s, "%s: its holder cannot notify: %d", shared_name(which), r);
        while (got > 0) {
                struct request *first = NULL;
                for (uint32_t i = 0; i < s->n_requests; i++) {
                        struct request *other = &s->requests[i];
                        if (other->open && other->kind == REQUEST_CONDITION && other->object == which &&
                            !other->notified && other->timeout_at > s->now &&
                            (!first || other->order < first->order))
                                first = other;
                }
                if (!first)
                        sim_fail(s, "%s: more are notified than wait", shared_name(which));
                first->notified = true;
                first->order = ++s->shared->order;
                got--;
        }
}

void locks_act(struct sim *s, uint32_t connection, unsigned which)
{
        static void (*const acts[])(struct sim *, uint32_t, unsigned, uint64_t) = {
                acquire, acquire, acquire, release, release, release, wait_for_condition, notify};
        uint64_t owner = random_below(&s->random, N_OWNERS);

        acts[random_below(&s->random, sizeof(acts) / sizeof(*acts))](s, connection, which, owner);
}

/* -- answers -- */

/* Nobody who came before waits yet, of those whose place in the line is known. */
static void check_order(struct sim *s, const struct request *r)
{
        if (r->kind == REQUEST_CONDITION && !r->notified)
                return;
        for (uint32_t i = 0; i < s->n_requests; i++) {
                const struct request *other = &s->requests[i];
                bool in_line = other->kind == REQUEST_ACQUIRE ||
                               (other->kind == REQUEST_CONDITION && other->notified);
                if (other->open && in_line && !s->connections[other->connection].lets_go &&
                    other->object == r->object && other->order < r->order)
                        sim_fail(s, "%s is given to connection %u before connection %u, who came first",
                                 shared_name(r->object), r->connection, other->connection);
        }
}

/* Room for one more; a task that holds it may just be over. */
static void take(struct sim *s, const struct request *r, uint64_t token)
{
        struct model_object *lock = &s->shared->objects[r->object];
        uint32_t n_of_tasks = 0;

        for (uint32_t i = 0; i < lock->n_held; i++)
                n_of_tasks += is_of_task(lock->held[i].connection);
        if (lock->n_held - lock->n_presumed >= limit_of(r->object)) {
                if (++lock->n_presumed > n_of_tasks)
                        sim_fail(s, "%s has more holders than it may have", shared_name(r->object));
                lock->maybe_abandoned = true;
        }
        if (lock->n_held == MAX_HELD)
                sim_fail(s, "too many hold %s for this model", shared_name(r->object));
        lock->held[lock->n_held++] = (struct held){r->connection, r->owner, token};
}

void lock_answered(struct sim *s, const struct request *r, const struct core_shared_answer *answer)
{
        struct model_object *lock = &s->shared->objects[r->object];

        check_order(s, r);
        if (r->kind == REQUEST_CONDITION) {
                MEET(s, events, answer->flag ? EVENT_condition_notified : EVENT_condition_late);
                if (answer->kind != ANSWER_FLAG || answer->flag != r->notified ||
                    (!answer->flag && s->now < r->timeout_at))
                        sim_fail(s, "%s: connection %u is told wrongly whether it was notified",
                                 shared_name(r->object), r->connection);
                take(s, r, 0);
                return;
        }
        if (answer->kind != ANSWER_HOLD || answer->token <= s->shared->last_token)
                sim_fail(s, "%s: the token %llu does not grow", shared_name(r->object),
                         (unsigned long long)answer->token);
        s->shared->last_token = answer->token;
        take(s, r, answer->token);
        if (answer->abandoned)
                MEET(s, events, EVENT_lock_abandoned);
        if (answer->abandoned ? !lock->abandoned && !lock->maybe_abandoned
                              : lock->abandoned && !lock->maybe_abandoned)
                sim_fail(s, "%s: connection %u is told wrongly whether it was abandoned",
                         shared_name(r->object), r->connection);
        lock->abandoned = false;
        lock->maybe_abandoned = lock->n_presumed > 0 || lock->gone_in_turn == s->n_turns + 1;
}
