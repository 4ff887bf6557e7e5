/* SPDX-License-Identifier: MIT */
/*
 * Dictionaries: what model clients do with them, and the ledger's page: values and versions after each
 * change, all of it or nothing, and what who watches is told.
 */
#include "tests/sim/shared.h"

#include <string.h>

static const char *const keys[MAX_KEYS] = {"a", "b", "c", "d", "e"};

#define MAX_OVERHEAD_BYTES 300 /* that an entry may cost beside its value: the core's matter */

struct change {
        struct core_pair pairs[MAX_KEYS];
        struct core_condition conditions[MAX_KEYS];
        size_t n, n_conditions, n_deleted;
        bool deletes; /* and sets nothing: then a dictionary that is not there is not made */
        bool holds;   /* all conditions do */
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
                if (!change->deletes && random_chance(&s->random, 700)) {
                        o->n_values += key->version == 0;
                        pair->value = shared_value(s, &key->value);
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
        struct change change = {.deletes = random_chance(&s->random, 300)};
        struct shared_call call = shared_begin(s, connection, name, OBJECT_DICT,
                                               change.deletes ? ABSENT_EMPTY : ABSENT_MADE, ACCESS_WRITE);
        struct shared_object *o = shared_at(s, name), before = *o, scratch = {0};
        uint64_t version = 0;
        size_t n_deleted = 0;
        int r;

        draw_conditions(s, call.expected ? &scratch : o, &change);
        draw_change(s, call.expected ? &scratch : o, &change);
        TRACE(s, "dict_change", connection, name, change.n, change.n_conditions, o->version, change.deletes);
        r = core_dict_change(s->core, connection, shared_names[name], change.deletes ? NULL : &call.open,
                             change.pairs, change.n, change.conditions, change.n_conditions, s->now, &version,
                             &n_deleted);
        if (!call.expected && (r == CORE_VERSION) == change.holds)
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
                if (entry->value == PAYLOAD_NONE ? entry->version != key->deleted
                                                 : entry->version != key->version ||
                                                           !shared_is_value(s, entry->value, &key->value))
                        sim_fail(s, "key %s of the dictionary has another value or version", entry->key);
                return;
        }
        sim_fail(s, "the dictionary has a key %s", entry->key);
}

/* The values of what was changed by that version. */
static uint64_t count_bytes(const struct shared_object *o, uint64_t version, unsigned *ret_n)
{
        uint64_t bytes = 0;

        *ret_n = 0;
        for (unsigned i = 0; i < MAX_KEYS; i++) {
                const struct shared_key *key = &o->keys[i];
                if (key->version == version)
                        bytes += key->value.size_bytes;
                *ret_n += key->version == version || key->deleted == version;
        }
        return bytes;
}

/* The rest has no room in one answer: of whole changes as many are told as have. */
static void check_left_out(struct sim *s, const struct shared_object *o, const struct core_changes *changes,
                           uint64_t bytes, unsigned n)
{
        uint64_t next = changes->version;
        unsigned n_next = 0;

        MEET(s, shared, DID_changes_by_size);
        while (n_next == 0 && next < o->version)
                bytes += count_bytes(o, ++next, &n_next);
        if (n == 0 || n_next == 0 ||
            bytes + (uint64_t)(n + n_next) * MAX_OVERHEAD_BYTES <= s->config.max_answer_bytes)
                sim_fail(s, "changes of the dictionary are left out, and there was room");
}

static void check_changes(struct sim *s, const struct shared_object *o, const struct core_changes *changes)
{
        unsigned n = 0, n_expected = 0, n_first = 0, n_groups = 0;
        uint64_t version = changes->after, bytes = 0;

        for (const struct core_entry *entry = changes->first; entry && entry != changes->end;
             entry = core_entry_next(entry), n++) {
                if (entry->version < version)
                        sim_fail(s, "changes of the dictionary are told out of order");
                n_groups += entry->version > version;
                version = entry->version;
                check_entry(s, o, entry);
        }
        for (uint64_t v = changes->after + 1; v <= changes->version && v <= o->version; v++) {
                bytes += count_bytes(o, v, &n_first);
                n_expected += n_first;
        }
        if (n != n_expected || changes->version > o->version || !changes->complete)
                sim_fail(s, "%u changes of the dictionary are told instead of %u", n, n_expected);
        if (n_groups > 1 && bytes > s->config.max_answer_bytes)
                sim_fail(s, "more changes of the dictionary are told than have room");
        if (changes->version < o->version)
                check_left_out(s, o, changes, bytes, n);
        else if (changes->end)
                sim_fail(s, "not all changes of the dictionary are told up to its version");
}

void shared_dict_look(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_DICT);
        enum core_access need = random_chance(&s->random, 300) ? ACCESS_WRITE : ACCESS_READ;
        struct shared_call call = shared_begin(s, connection, name, OBJECT_DICT, ABSENT_EMPTY, need);
        const struct shared_object *o = shared_at(s, name);
        uint64_t key = random_below(&s->random, MAX_KEYS), after = random_below(&s->random, o->version + 1);
        const struct core_entry *entry;
        struct core_changes changes;
        int r = core_dict_get(s->core, connection, shared_names[name], keys[key], need, &entry);

        MEET(s, shared, DID_dict_looked);
        if (!shared_done(s, &call, r))
                return;
        if ((entry != NULL) != (o->keys[key].version > 0))
                sim_fail(s, "whether key %s is there is wrong", keys[key]);
        if (entry)
                check_entry(s, o, entry);
        r = core_dict_changes(s->core, connection, shared_names[name], after, &changes);
        if (r == CORE_NOT_PERMITTED && o->exists && !shared_may(s, connection, o, ACCESS_READ))
                return;
        if (r != 0)
                sim_fail(s, "the dictionary can be looked at, but not its changes");
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
                shared_begin_wait(s, connection, name, OBJECT_DICT, ABSENT_MADE, ACCESS_READ, &wait);
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
