/* SPDX-License-Identifier: MIT */
/*
 * Dictionaries and lists: what model clients do with them, and the ledger's page: values and versions after
 * each change, all of it or nothing, and what who watches is told.
 */
#include "tests/sim/shared.h"

#include <string.h>

static const char *const keys[MAX_KEYS] = {"a", "b", "c", "d", "e"};

payload_t shared_payload(struct sim *s, uint64_t *ret_value, uint64_t *ret_size_bytes)
{
        *ret_value = random_next(&s->random);
        *ret_size_bytes = random_between(&s->random, 1, random_chance(&s->random, 50) ? 2000 : 200);
        return payloads_new(s, &(struct payload){.kind = PAYLOAD_SHARED,
                                                 .entry = NO_ENTRY,
                                                 .value = *ret_value,
                                                 .size_bytes = *ret_size_bytes});
}

static bool is_value(struct sim *s, payload_t payload, uint64_t value)
{
        const struct payload *p = payloads_get(s, payload);

        return p->kind == PAYLOAD_SHARED && p->value == value;
}

/* -- dictionaries -- */

struct change {
        struct core_pair pairs[MAX_KEYS];
        struct core_condition conditions[MAX_KEYS];
        size_t n, n_conditions, n_deleted;
        bool holds; /* all conditions do */
};

static void draw_conditions(struct sim *s, const struct shared_object *o, struct change *change)
{
        change->holds = true;
        for (unsigned i = 0; i < MAX_KEYS; i++) {
                bool is_wrong = random_chance(&s->random, 150);
                if (!random_chance(&s->random, 150))
                        continue;
                change->conditions[change->n_conditions++] =
                        (struct core_condition){keys[i], o->keys[i].version + is_wrong};
                change->holds &= !is_wrong;
        }
}

/* Some keys, each once, in any order; entered as if it was done. */
static void draw_change(struct sim *s, struct shared_object *o, struct change *change)
{
        uint64_t version = o->version + 1;

        for (uint64_t i = random_below(&s->random, MAX_KEYS), n = 0; n < MAX_KEYS;
             n++, i = (i + 1) % MAX_KEYS) {
                struct core_pair *pair = &change->pairs[change->n];
                struct shared_key *key = &o->keys[i];
                if (!random_chance(&s->random, 300))
                        continue;
                change->n++;
                *pair = (struct core_pair){.key = keys[i]};
                if (random_chance(&s->random, 600)) {
                        o->n_values += key->version == 0;
                        pair->value.payload = shared_payload(s, &key->value, &pair->value.size_bytes);
                        key->version = o->version = version;
                        key->deleted = 0;
                } else if (key->version) {
                        key->deleted = o->version = version;
                        key->version = 0;
                        o->n_values--;
                        change->n_deleted++;
                }
        }
}

void shared_dict_change(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_DICT);
        struct shared_call call = shared_begin(s, connection, name, OBJECT_DICT, true, ACCESS_WRITE);
        struct shared_object *o = shared_at(s, name), before = *o, scratch = {0};
        struct change change = {0};
        uint64_t version = 0;
        size_t n_deleted = 0;
        int r;

        draw_conditions(s, call.expected ? &scratch : o, &change);
        draw_change(s, call.expected ? &scratch : o, &change);
        TRACE(s, "dict_change", connection, name, change.n, change.n_conditions, o->version);
        r = core_dict_change(s->core, connection, shared_names[name], &call.open, change.pairs, change.n,
                             change.conditions, change.n_conditions, s->now, &version, &n_deleted);
        if (!call.expected && (r == CORE_VERSION) == change.holds && r != CORE_QUOTA)
                sim_fail(s, "%s: a change under a condition gives %d", shared_names[name], r);
        for (size_t i = 0; r != 0 && i < change.n; i++)
                if (change.pairs[i].value.payload != PAYLOAD_NONE)
                        payloads_drop(s, change.pairs[i].value.payload);
        if (r != 0)
                *o = before;
        if (r == CORE_VERSION)
                MEET(s, shared, DID_dict_version);
        if (!shared_done(s, &call, r))
                return;
        MEET(s, shared, o->version > before.version ? DID_dict_changed : DID_dict_unchanged);
        if (version != o->version || n_deleted != change.n_deleted)
                sim_fail(s, "%s has version %llu after a change instead of %llu", shared_names[name],
                         (unsigned long long)version, (unsigned long long)o->version);
}

static void check_entry(struct sim *s, const struct shared_object *o, const struct core_entry *entry)
{
        for (unsigned i = 0; i < MAX_KEYS; i++) {
                const struct shared_key *key = &o->keys[i];
                if (strcmp(entry->key, keys[i]) != 0)
                        continue;
                if (entry->value == PAYLOAD_NONE
                            ? entry->version != key->deleted
                            : entry->version != key->version || !is_value(s, entry->value, key->value))
                        sim_fail(s, "key %s of the dictionary has another value or version", entry->key);
                return;
        }
        sim_fail(s, "the dictionary has a key %s", entry->key);
}

static void check_changes(struct sim *s, const struct shared_object *o, const struct core_changes *changes)
{
        unsigned n = 0, n_expected = 0;
        uint64_t version = changes->after;

        for (unsigned i = 0; i < MAX_KEYS; i++)
                n_expected += o->keys[i].version > changes->after || o->keys[i].deleted > changes->after;
        for (const struct core_entry *entry = changes->first; entry; entry = core_entry_next(entry), n++) {
                if (entry->version < version)
                        sim_fail(s, "changes of the dictionary are told out of order");
                version = entry->version;
                check_entry(s, o, entry);
        }
        if (n != n_expected || changes->version != o->version || !changes->complete)
                sim_fail(s, "%u changes of the dictionary are told instead of %u", n, n_expected);
}

void shared_dict_look(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_DICT);
        struct shared_call call = shared_begin(s, connection, name, OBJECT_DICT, false, ACCESS_READ);
        const struct shared_object *o = shared_at(s, name);
        uint64_t key = random_below(&s->random, MAX_KEYS), after = random_below(&s->random, o->version + 1);
        const struct core_entry *entry;
        struct core_changes changes;
        int r = core_dict_get(s->core, connection, shared_names[name], keys[key], ACCESS_READ, &entry);

        MEET(s, shared, DID_dict_looked);
        if (r == 0 && !o->exists && !entry)
                return;
        if (!shared_done(s, &call, r))
                return;
        if ((entry != NULL) != (o->keys[key].version > 0))
                sim_fail(s, "whether key %s is there is wrong", keys[key]);
        if (entry)
                check_entry(s, o, entry);
        if (core_dict_changes(s->core, connection, shared_names[name], after, &changes) != 0)
                sim_fail(s, "the dictionary can be read, but not its changes");
        check_changes(s, o, &changes);
}

void shared_dict_watch(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_DICT);
        int64_t timeout = shared_timeout(s);
        uint64_t version = shared_at(s, name)->version;
        uint64_t after = random_chance(&s->random, 300) ? UINT64_MAX : random_below(&s->random, version + 2);
        const struct shared_wait wait = {
                .kind = SHARED_WATCH, .after = after < version ? after : version, .timeout_at = timeout};
        struct shared_call call =
                shared_begin_wait(s, connection, name, OBJECT_DICT, true, ACCESS_READ, &wait);
        int r;

        TRACE(s, "watch", connection, call.id.msgid, name, after, (uint64_t)timeout);
        r = core_dict_watch(s->core, call.id, shared_names[name], &call.open, after, timeout, s->now);
        if (r == CORE_NOT_READY)
                MEET(s, shared, DID_watch_not_now);
        shared_done(s, &call, r);
}

void shared_changed(struct sim *s, struct shared_wait *w, const struct core_shared_answer *answer)
{
        const struct shared_object *o = shared_at(s, w->name);

        if (o->version <= w->after || answer->changes.after != w->after)
                shared_wrong(s, w, "is told of no change");
        check_changes(s, o, &answer->changes);
        MEET(s, shared, shared_is_at_once(s, w) ? DID_watch_at_once : DID_watch_in_turn);
        shared_end_wait(s, w);
}

/* -- lists -- */

static uint64_t draw_version(struct sim *s, const struct shared_object *o)
{
        return random_chance(&s->random, 500) ? CORE_ANY_VERSION
                                              : o->version + random_chance(&s->random, 300);
}

/* True: it was done, and what it should have been refused with was not the case. */
static bool list_done(struct sim *s, struct shared_call *call, int r, int expected)
{
        if (!call->expected && r != expected && r != CORE_QUOTA)
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
        uint64_t numbers[3], if_version, version = 0;
        int r;

        if (o->n_values + n > MAX_VALUES)
                return;
        call = shared_begin(s, connection, name, OBJECT_LIST, true, ACCESS_WRITE);
        if_version = draw_version(s, o);
        for (uint32_t i = 0; i < n; i++)
                values[i].payload = shared_payload(s, &numbers[i], &values[i].size_bytes);
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
        memcpy(front ? o->list : o->list + o->n_values, numbers, n * sizeof(*numbers));
        o->n_values += n;
        if (version != ++o->version)
                sim_fail(s, "%s has version %llu after a push", shared_names[name],
                         (unsigned long long)version);
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

        if (o->n_values == 0 || !is_value(p->s, payload, p->front ? o->list[0] : o->list[o->n_values - 1]))
                sim_fail(p->s, "another value than that at the end is popped");
        o->n_values--;
        if (p->front)
                memmove(o->list, o->list + 1, o->n_values * sizeof(*o->list));
}

void shared_list_pop(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_LIST);
        struct shared_call call = shared_begin(s, connection, name, OBJECT_LIST, false, ACCESS_WRITE);
        struct shared_object *o = shared_at(s, name);
        uint64_t max = random_between(&s->random, 1, 4), if_version = draw_version(s, o);
        struct popping popping = {.s = s,
                                  .list = o,
                                  .front = random_chance(&s->random, 500),
                                  .n_expected = max < o->n_values ? max : o->n_values};
        int r;

        TRACE(s, "list_pop", connection, name, max, popping.front, if_version);
        r = core_list_pop(s->core, connection, shared_names[name], popping.front, max, if_version, s->now,
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
        struct shared_call call = shared_begin(s, connection, name, OBJECT_LIST, false, ACCESS_WRITE);
        struct shared_object *o = shared_at(s, name);
        uint64_t index = random_below(&s->random, o->n_values + 2), if_version = draw_version(s, o),
                 version = 0;
        int r, expected = index < o->n_values ? expected_by_version(o, if_version) : CORE_RANGE;
        struct core_value value;
        uint64_t number;
        payload_t old;

        value.payload = shared_payload(s, &number, &value.size_bytes);
        TRACE(s, "list_set", connection, name, index, if_version);
        r = core_list_get(s->core, connection, shared_names[name], index, &old);
        if (r == 0 && !is_value(s, old, o->list[index]))
                sim_fail(s, "%s has another value at place %llu", shared_names[name],
                         (unsigned long long)index);
        r = core_list_set(s->core, connection, shared_names[name], index, &value, if_version, s->now,
                          &version);
        if (r != 0)
                payloads_drop(s, value.payload);
        if (!list_done(s, &call, r, expected))
                return;
        MEET(s, shared, DID_list_set);
        o->list[index] = number;
        if (version != ++o->version)
                sim_fail(s, "%s has version %llu after a change", shared_names[name],
                         (unsigned long long)version);
}
