/* SPDX-License-Identifier: MIT */
/*
 * Lists: what model clients do with them, and the ledger's page: the values by their places, and the version
 * after each change.
 */
#include "tests/sim/shared.h"

#include <string.h>

static uint64_t draw_version(struct sim *s, const struct shared_object *o)
{
        return random_chance(&s->random, 500) ? CORE_ANY_VERSION
                                              : o->version + random_chance(&s->random, 300);
}

/* True: it was done, and what it should have been refused with was not the case. */
static bool list_done(struct sim *s, struct shared_call *call, int r, int expected)
{
        if (!call->expected && r != expected && (expected || r != CORE_QUOTA))
                sim_fail(s, "%s: a change gives %d instead of %d", shared_names[call->name], r, expected);
        if (r == CORE_VERSION)
                MEET(s, shared, DID_list_version);
        if (r == CORE_RANGE)
                MEET(s, shared, DID_list_range);
        return shared_done(s, call, r);
}

static int expected_by_version(const struct shared_object *o, uint64_t if_version)
{
        return if_version == CORE_ANY_VERSION || if_version == o->version ? 0 : CORE_VERSION;
}

void shared_list_push(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_LIST), n = (uint32_t)random_between(&s->random, 1, 3);
        bool front = random_chance(&s->random, 400);
        struct shared_call call;
        struct shared_object *o = shared_at(s, name);
        struct core_value values[3];
        struct shared_value pushed[3];
        uint64_t if_version, version = 0;
        int r;

        if (o->n_values + n > MAX_VALUES)
                return;
        call = shared_begin(s, connection, name, OBJECT_LIST, ABSENT_MADE, ACCESS_WRITE);
        if_version = draw_version(s, o);
        for (uint32_t i = 0; i < n; i++)
                values[i] = shared_value(s, &pushed[i]);
        TRACE(s, "list_push", connection, name, n, front, if_version);
        r = core_list_push(s->core, connection, shared_names[name], &call.open, values, n, front, if_version,
                           s->now, &version);
        for (uint32_t i = 0; r != 0 && i < n; i++)
                payloads_drop(s, values[i].payload);
        if (!list_done(s, &call, r, expected_by_version(o, if_version)))
                return;
        MEET(s, shared, DID_list_pushed);
        if (front)
                memmove(o->list + n, o->list, o->n_values * sizeof(*o->list));
        memcpy(front ? o->list : o->list + o->n_values, pushed, n * sizeof(*pushed));
        o->n_values += n;
        if (version != ++o->version)
                sim_fail(s, "%s has version %llu after a push", shared_names[name],
                         (unsigned long long)version);
}

/* Of the first or last `max`, as many as have room in one answer, but one in any case. */
static uint64_t count_fitting(struct sim *s, const struct shared_object *o, bool front, uint64_t max)
{
        uint64_t n = 0, bytes = 0;

        for (; n < max && n < o->n_values; n++) {
                bytes += o->list[front ? n : o->n_values - 1 - n].size_bytes;
                if (n > 0 && bytes > s->config.max_answer_bytes) {
                        MEET(s, shared, DID_popped_by_size);
                        break;
                }
        }
        return n;
}

struct popping {
        struct sim *s;
        struct shared_object *list;
        bool front;
        uint64_t n_expected;
};

static void on_pop_begin(void *userdata, uint64_t n)
{
        const struct popping *p = userdata;

        if (n != p->n_expected)
                sim_fail(p->s, "%llu values are popped instead of %llu", (unsigned long long)n,
                         (unsigned long long)p->n_expected);
}

static void on_popped(void *userdata, payload_t payload)
{
        const struct popping *p = userdata;
        struct shared_object *o = p->list;

        if (o->n_values == 0 || !shared_is_value(p->s, payload, &o->list[p->front ? 0 : o->n_values - 1]))
                sim_fail(p->s, "another value than that at the end is popped");
        o->n_values--;
        if (p->front)
                memmove(o->list, o->list + 1, o->n_values * sizeof(*o->list));
}

void shared_list_pop(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_LIST);
        struct shared_call call = shared_begin(s, connection, name, OBJECT_LIST, ABSENT_EMPTY, ACCESS_WRITE);
        struct shared_object *o = shared_at(s, name);
        bool front = random_chance(&s->random, 500);
        uint64_t max = random_between(&s->random, 1, 8), if_version = draw_version(s, o);
        struct popping popping = {
                .s = s, .list = o, .front = front, .n_expected = count_fitting(s, o, front, max)};
        int r;

        TRACE(s, "list_pop", connection, name, max, front, if_version);
        r = core_list_pop(s->core, connection, shared_names[name], front, max, if_version, s->now,
                          on_pop_begin, on_popped, &popping);
        if (!list_done(s, &call, r, expected_by_version(o, if_version)))
                return;
        MEET(s, shared, DID_list_popped);
        o->version += popping.n_expected > 0;
}

/* Looks at a place, too, before it is set. */
void shared_list_set(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_LIST);
        struct shared_call call =
                shared_begin(s, connection, name, OBJECT_LIST, ABSENT_UNKNOWN, ACCESS_WRITE);
        struct shared_object *o = shared_at(s, name);
        uint64_t index = random_below(&s->random, o->n_values + 2), if_version = draw_version(s, o),
                 version = 0;
        int r, expected = index < o->n_values ? expected_by_version(o, if_version) : CORE_RANGE;
        struct shared_value placed;
        struct core_value value = shared_value(s, &placed);
        payload_t old;

        TRACE(s, "list_set", connection, name, index, if_version);
        r = core_list_get(s->core, connection, shared_names[name], index, &old);
        if (r == 0 && !shared_is_value(s, old, &o->list[index]))
                sim_fail(s, "%s has another value at place %llu", shared_names[name],
                         (unsigned long long)index);
        r = core_list_set(s->core, connection, shared_names[name], index, &value, if_version, s->now,
                          &version);
        if (r != 0)
                payloads_drop(s, value.payload);
        if (!list_done(s, &call, r, expected))
                return;
        MEET(s, shared, DID_list_set);
        o->list[index] = placed;
        if (version != ++o->version)
                sim_fail(s, "%s has version %llu after a change", shared_names[name],
                         (unsigned long long)version);
}
