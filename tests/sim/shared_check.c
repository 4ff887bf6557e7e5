/* SPDX-License-Identifier: MIT */
/*
 * After every event: what was begun in an object has come to its end, nobody waits for what is there, and,
 * one name after another, the core says of it what the ledger says.
 */
#include "tests/sim/shared.h"

#include <string.h>

static void check_holders(struct sim *s, uint32_t name, const struct core_object *object)
{
        const struct hold *next = object->holders;
        struct core_holder holder;
        struct shared_hold *hold;

        TAILQ_FOREACH (hold, &s->shared->holds, link) {
                if (hold->name != name)
                        continue;
                if (!next)
                        sim_fail(s, "%s has fewer holders than it was given to", shared_names[name]);
                next = core_holder_next(next, &holder);
                if (hold->token == 0)
                        hold->token = holder.token;
                if (holder.owner != hold->owner || holder.token != hold->token ||
                    (holder.task != 0) != is_of_task(hold->connection))
                        sim_fail(s, "%s has another holder than it was given to", shared_names[name]);
                if (holder.token > s->shared->last_token)
                        s->shared->last_token = holder.token;
        }
        if (next)
                sim_fail(s, "%s has more holders than it was given to", shared_names[name]);
}

static void look(struct sim *s, uint32_t name)
{
        const struct shared_object *o = shared_at(s, name);
        struct core_object object;
        int r = core_object_look(s->core, OBSERVER, shared_names[name], N_OBJECT_KINDS, &object);
        uint64_t size;

        if (r != (o->exists ? 0 : CORE_UNKNOWN_OBJECT))
                sim_fail(s, "%s: whether it is there is wrong", shared_names[name]);
        if (r != 0)
                return;
        if (object.kind != o->kind || object.uid != s->users[o->user].uid || object.mode != o->mode ||
            memcmp(object.values, o->values, sizeof(o->values)) != 0 ||
            object.n_waiting != shared_count_waits(s, name))
                sim_fail(s, "%s is otherwise than it was made, or %u wait", shared_names[name],
                         object.n_waiting);
        size = o->kind == OBJECT_QUEUE ? shared_count_items(s, name, ITEM_QUEUED) : o->n_values;
        if (object.is_set != o->is_set || object.is_broken != o->is_broken || object.size != size ||
            object.version != o->version || (object.memory != PAYLOAD_NONE) != o->is_made ||
            object.n_leased != shared_count_items(s, name, ITEM_LEASED))
                sim_fail(s, "%s has come to be otherwise: size %llu, version %llu, %llu leased",
                         shared_names[name], (unsigned long long)object.size,
                         (unsigned long long)object.version, (unsigned long long)object.n_leased);
        if (o->kind == OBJECT_LOCK)
                check_holders(s, name, &object);
}

/* What has happened in the core when a call returned. */
void shared_settle(struct sim *s)
{
        for (uint32_t i = 0; i < N_NAMES; i++) {
                struct shared_object *o = shared_at(s, i);
                if (!o->exists)
                        continue;
                if (o->kind == OBJECT_QUEUE)
                        shared_fill(s, i);
                if (o->n_abandoned > 1)
                        o->n_abandoned = 1; /* it is told once */
                if (o->unexplained)
                        sim_fail(s, "%s broke, and nobody left it", shared_names[i]);
        }
}

void shared_check(struct sim *s)
{
        if (s->intensity.shared == 0)
                return;
        shared_settle(s);
        if (s->shared->presumed != NOBODY)
                shared_heard(s);
        shared_check_waits(s);
        s->shared->looked_at = (s->shared->looked_at + 1) % N_NAMES;
        look(s, s->shared->looked_at);
}
