/* SPDX-License-Identifier: MIT */
#include "tests/sim/shared.h"

#include <stdlib.h>

static const char *const names[N_SHARED] = {"lock a", "lock b", "semaphore", "queue a", "queue b", "barrier"};

const char *shared_name(unsigned which)
{
        return names[which];
}

struct core_open shared_open_of(unsigned which)
{
        struct core_open open = {.mode = 0666, .gid = (gid_t)-1};

        if (which < N_LOCKS) {
                open.kind = OBJECT_LOCK;
                open.shape.values[PROPERTY_LIMIT] = which == N_LOCKS - 1 ? 2 : 1;
                open.shape.given = 1 << PROPERTY_LIMIT;
        } else if (which < BARRIER) {
                open.kind = OBJECT_QUEUE;
        } else {
                open.kind = OBJECT_BARRIER;
                open.shape.values[PROPERTY_PARTIES] = PARTIES;
                open.shape.given = 1 << PROPERTY_PARTIES;
        }
        return open;
}

struct shared *shared_new(void)
{
        struct shared *shared = calloc(1, sizeof(*shared));

        if (!shared)
                abort();
        return shared;
}

/* -- requests -- */

struct request *shared_begin(struct sim *s, uint32_t connection, unsigned which, int kind,
                             struct core_request *ret)
{
        struct model_connection *c = &s->connections[connection];
        struct request *r;

        *ret = (struct core_request){.connection = connection, .msgid = c->next_msgid++};
        r = request_open(s, connection, ret->msgid, kind, NO_ENTRY);
        r->object = which;
        r->order = ++s->shared->order;
        return r;
}

int64_t shared_timeout(struct sim *s, struct request *r)
{
        int64_t timeout = random_chance(&s->random, 500) ? CORE_NEVER
                          : random_chance(&s->random, 200)
                                  ? 0
                                  : (int64_t)random_below(&s->random, 40 * MILLISECOND);

        r->timeout_at = timeout == CORE_NEVER ? CORE_NEVER : s->now + timeout;
        return timeout;
}

void shared_began(struct sim *s, struct core_request id, int r, int expected)
{
        struct request *request;

        if (r == 0)
                return;
        request = request_answer(s, id);
        TRACE(s, " refused", (uint64_t)(int64_t)r);
        if (r == CORE_QUOTA)
                MEET(s, events, EVENT_refused_quota);
        else if (r == CORE_NOT_READY && request->timeout_at <= s->now)
                MEET(s, events, EVENT_shared_not_at_once);
        else if (r != expected && is_of_task(id.connection))
                task_check_refused(s, r, NULL);
        else if (r != expected)
                sim_fail(s, "%s: a request of kind %d is refused with %d", names[request->object],
                         request->kind, r);
}

static bool waits_for(const struct request *r, unsigned which)
{
        return r->open && r->kind >= REQUEST_ACQUIRE && r->object == which;
}

/* -- barriers -- */

static void barrier_act(struct sim *s, uint32_t connection)
{
        struct model_object *barrier = &s->shared->objects[BARRIER];
        const struct core_open open = shared_open_of(BARRIER);
        struct core_request id;
        int r;

        if (barrier->broken && random_chance(&s->random, 500)) {
                MEET(s, events, EVENT_barrier_reset);
                TRACE(s, "barrier_reset", connection);
                barrier->maybe_broken = true; /* for those who wait */
                r = core_barrier_reset(s->core, connection, names[BARRIER], false, s->now);
                if (r != 0)
                        sim_fail(s, "the barrier cannot be reset: %d", r);
                barrier->broken = barrier->maybe_broken = false;
                return;
        }
        struct request *request = shared_begin(s, connection, BARRIER, REQUEST_BARRIER, &id);
        int64_t timeout = shared_timeout(s, request);
        MEET(s, events, EVENT_barrier_wait);
        TRACE(s, "barrier_wait", connection, id.msgid, (uint64_t)timeout);
        bool was_broken = barrier->broken;
        r = core_barrier_wait(s->core, id, names[BARRIER], &open, timeout, s->now);
        if (r == 0 && was_broken)
                sim_fail(s, "the broken barrier lets somebody in");
        if (r == CORE_BROKEN && !was_broken && timeout > 0)
                sim_fail(s, "the barrier is called broken, and nobody broke it");
        if (r == CORE_BROKEN)
                barrier->broken = true;
        shared_began(s, id, r, CORE_BROKEN);
}

static void barrier_answered(struct sim *s, const struct request *request,
                             const struct core_shared_answer *answer)
{
        struct model_object *barrier = &s->shared->objects[BARRIER];
        uint32_t n_others = 0;

        if (barrier->n_left == 0) {
                for (uint32_t i = 0; i < s->n_requests; i++)
                        n_others += waits_for(&s->requests[i], BARRIER);
                if (n_others != PARTIES - 1 || barrier->broken)
                        sim_fail(s, "the barrier opens with %u others waiting", n_others);
                MEET(s, events, EVENT_barrier_met);
                barrier->n_left = PARTIES;
                barrier->answered = 0;
        }
        if (answer->kind != ANSWER_COUNT || answer->count >= PARTIES ||
            barrier->answered >> answer->count & 1)
                sim_fail(s, "connection %u gets a number at the barrier that it cannot have",
                         request->connection);
        barrier->answered |= 1u << answer->count;
        barrier->n_left--;
}

/* -- answers -- */

void shared_answered(struct sim *s, const struct request *r, const struct core_shared_answer *answer)
{
        if (s->shared->objects[r->object].going)
                sim_fail(s, "%s is gone, and somebody gets it", names[r->object]);
        if (r->object < N_LOCKS)
                lock_answered(s, r, answer);
        else if (r->object < BARRIER)
                queue_answered(s, r, answer);
        else
                barrier_answered(s, r, answer);
}

static bool somebody_is_late(const struct sim *s, const struct request *own)
{
        bool late = own->timeout_at <= s->now;

        for (uint32_t i = 0; i < s->n_requests; i++)
                late |= waits_for(&s->requests[i], own->object) && s->requests[i].timeout_at <= s->now;
        return late;
}

static bool a_task_waits(const struct sim *s, unsigned which)
{
        for (uint32_t i = 0; i < s->n_requests; i++)
                if (waits_for(&s->requests[i], which) && is_of_task(s->requests[i].connection))
                        return true;
        return false;
}

void shared_refused(struct sim *s, const struct request *r, enum core_refusal refusal)
{
        struct model_object *object = &s->shared->objects[r->object];

        if (refusal == CORE_UNKNOWN_OBJECT) {
                MEET(s, events, EVENT_late_unknown_object);
                if (!object->going)
                        sim_fail(s, "%s is called unknown, and is there", names[r->object]);
        } else if (refusal == CORE_BROKEN) {
                MEET(s, events, EVENT_barrier_broken);
                if (r->kind != REQUEST_BARRIER ||
                    !(object->broken || object->maybe_broken || somebody_is_late(s, r) ||
                      a_task_waits(s, BARRIER) || is_of_task(r->connection)))
                        sim_fail(s, "the barrier breaks, and nobody left it");
                object->broken = true;
        } else {
                sim_fail(s, "%s: a request is answered with the refusal %d", names[r->object], refusal);
        }
}

/* -- going -- */

static void unlease_all(struct sim *s, struct model_object *queue, uint32_t connection)
{
        for (uint32_t i = 0; i < queue->n_items; i++)
                if (queue->items[i].leased && queue->items[i].connection == connection) {
                        MEET(s, faults,
                             is_of_task(connection) ? FAULT_task_gone_with_item : FAULT_gone_with_item);
                        queue->items[i].leased = false;
                }
}

static void release_all(struct sim *s, struct model_object *lock, uint32_t connection)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < lock->n_held;) {
                if (lock->held[i].connection != connection) {
                        i++;
                        continue;
                }
                MEET(s, faults, is_of_task(connection) ? FAULT_task_gone_with_lock : FAULT_gone_with_lock);
                lock->held[i] = lock->held[--lock->n_held];
                n++;
                if (lock->n_presumed > 0) {
                        lock->n_presumed--;
                        lock->maybe_abandoned = true; /* was told to the next one, or will be */
                } else {
                        lock->abandoned = true;
                }
        }
        if (n > 1) {
                lock->maybe_abandoned = true;
                lock->gone_in_turn = s->n_turns + 1;
        }
}

void shared_gone(struct sim *s, uint32_t connection)
{
        for (uint32_t i = 0; i < s->n_requests; i++) {
                const struct request *r = &s->requests[i];
                if (!r->open || r->connection != connection || r->kind < REQUEST_ACQUIRE)
                        continue;
                MEET(s, faults,
                     r->kind == REQUEST_BARRIER     ? FAULT_gone_at_barrier
                     : r->kind == REQUEST_CONDITION ? FAULT_gone_at_condition
                                                    : FAULT_gone_waiting);
                if (r->kind == REQUEST_BARRIER)
                        s->shared->objects[BARRIER].broken = true;
        }
        for (unsigned i = 0; i < N_LOCKS; i++)
                release_all(s, &s->shared->objects[i], connection);
        for (unsigned i = N_LOCKS; i < BARRIER; i++)
                unlease_all(s, &s->shared->objects[i], connection);
}

void shared_given_up(struct sim *s, const struct request *r)
{
        if (r->kind == REQUEST_BARRIER)
                s->shared->objects[BARRIER].broken = true;
}

/* By the observer, who is an admin. */
static void unlink_object(struct sim *s, unsigned which)
{
        struct model_object *object = &s->shared->objects[which];
        int r;

        MEET(s, events, EVENT_object_unlink);
        TRACE(s, "unlink", which);
        object->going = true;
        r = core_object_unlink(s->core, OBSERVER, names[which], s->now);
        if (r != 0 && r != CORE_UNKNOWN_OBJECT)
                sim_fail(s, "%s cannot be unlinked: %d", names[which], r);
        for (uint32_t i = 0; i < s->n_requests; i++)
                if (waits_for(&s->requests[i], which))
                        sim_fail(s, "%s is gone, and somebody waits for it", names[which]);
        *object = (struct model_object){0};
}

void shared_finish(struct sim *s)
{
        for (unsigned i = 0; i < N_SHARED; i++)
                unlink_object(s, i);
}

/* -- doing -- */

void shared_act(struct sim *s, uint32_t connection)
{
        unsigned which = (unsigned)random_below(&s->random, N_SHARED);

        if (random_chance(&s->random, 10) && !is_of_task(connection))
                unlink_object(s, which);
        else if (which < N_LOCKS)
                locks_act(s, connection, which);
        else if (which < BARRIER)
                queues_act(s, connection, which);
        else
                barrier_act(s, connection);
}

/* -- after a turn -- */

bool shared_is_due(struct sim *s, const struct request *r)
{
        const struct model_object *object = &s->shared->objects[r->object];
        uint32_t n = 0, n_queued = 0;

        if (r->timeout_at != CORE_NEVER && r->kind != REQUEST_CONDITION &&
            s->now > r->timeout_at + 20 * MILLISECOND)
                return true;
        for (uint32_t i = 0; i < object->n_items; i++)
                n_queued += !object->items[i].leased;
        switch ((int)r->kind) {
        case REQUEST_ACQUIRE:
                return object->n_held < shared_open_of(r->object).shape.values[PROPERTY_LIMIT];
        case REQUEST_GET:
                return n_queued > 0;
        case REQUEST_JOIN:
                return object->n_items == 0;
        case REQUEST_BARRIER:
                for (uint32_t i = 0; i < s->n_requests; i++)
                        n += waits_for(&s->requests[i], BARRIER);
                return n >= PARTIES || object->broken;
        }
        return false;
}

void shared_check(struct sim *s)
{
        for (unsigned i = 0; i < N_LOCKS; i++) {
                struct model_object *lock = &s->shared->objects[i];
                if (lock->n_presumed > 0)
                        sim_fail(s, "%s was given on, and its holder's task is not over", names[i]);
        }
        if (s->shared->objects[BARRIER].n_left > 0)
                sim_fail(s, "the barrier let in some, not all");
}
