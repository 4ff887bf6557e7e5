/* SPDX-License-Identifier: MIT */
/*
 * The ledger's page for names: what each stands for, who may what with it, how a call on it begins and what
 * it may be refused with.
 */
#include "tests/sim/shared.h"

#include <string.h>

#define A_GROUP 5

static const enum core_object_kind kinds[N_NAMES] = {
        OBJECT_LOCK,  OBJECT_LOCK, OBJECT_LOCK, OBJECT_EVENT, OBJECT_BARRIER, OBJECT_QUEUE,
        OBJECT_QUEUE, OBJECT_DICT, OBJECT_LIST, OBJECT_VALUE, OBJECT_ARRAY,   OBJECT_PIPE,
};

uint32_t shared_pick(struct sim *s, enum core_object_kind kind)
{
        uint32_t name = (uint32_t)random_below(&s->random, N_NAMES);

        if (random_chance(&s->random, 20))
                return name;
        while (kinds[name] != kind)
                name = (name + 1) % N_NAMES;
        return name;
}

/* -- who may -- */

bool shared_is_in_group(uint32_t connection, gid_t gid)
{
        return gid == A_GROUP && connection % 2 == 0;
}

bool shared_may(const struct sim *s, uint32_t connection, const struct shared_object *o, unsigned need)
{
        unsigned user = s->connections[connection].user, shift = 0;

        if (s->users[user].admin && !is_of_task(connection))
                return true;
        if (user == o->user)
                shift = 6;
        else if (shared_is_in_group(connection, o->gid))
                shift = 3;
        return (o->mode >> shift & need) != 0;
}

static bool may_unlink(const struct sim *s, uint32_t connection, const struct shared_object *o)
{
        unsigned user = s->connections[connection].user;

        return user == o->user || (s->users[user].admin && !is_of_task(connection));
}

/* -- how a call begins -- */

static void say(struct core_open *open, enum core_property property, uint64_t value)
{
        open->shape.given |= 1U << property;
        open->shape.values[property] = value;
}

/* What is there is mostly taken as it is. */
static struct core_open draw(struct sim *s, enum core_object_kind kind, bool exists)
{
        static const mode_t modes[] = {0666, 0666, 0666, 0666, 0666, 0666, 0660, 0600, 0644};
        struct random *r = &s->random;
        struct core_open open = {.kind = kind,
                                 .mode = modes[random_below(r, sizeof(modes) / sizeof(*modes))],
                                 .gid = random_chance(r, 500) ? A_GROUP : (gid_t)-1};

        if (kind == OBJECT_VALUE || kind == OBJECT_ARRAY)
                open.memory_bytes = 4096;
        if (exists && random_chance(r, 900))
                return open;
        if (kind == OBJECT_LOCK && random_chance(r, 150))
                say(&open, PROPERTY_LIMIT, random_between(r, 1, 3));
        else if (kind == OBJECT_LOCK && random_chance(r, 150))
                say(&open, PROPERTY_REENTRANT, 1);
        else if (kind == OBJECT_BARRIER)
                say(&open, PROPERTY_PARTIES, random_between(r, 2, 4));
        else if (kind == OBJECT_QUEUE && random_chance(r, 300))
                say(&open, PROPERTY_MAXSIZE, random_between(r, 1, 3));
        else if (kind == OBJECT_ARRAY)
                say(&open, PROPERTY_LENGTH, 10 + random_chance(r, 50));
        return open;
}

static bool agrees(const struct shared_object *o, const struct core_shape *shape)
{
        for (int i = 0; i < N_PROPERTIES; i++)
                if (shape->given >> i & 1 && shape->values[i] != o->values[i])
                        return false;
        return true;
}

static void enter(struct sim *s, uint32_t connection, struct shared_object *o, const struct core_open *open)
{
        static const uint64_t defaults[N_PROPERTIES] = {[PROPERTY_LENGTH] = 1, [PROPERTY_LIMIT] = 1};

        *o = (struct shared_object){.exists = true,
                                    .kind = open->kind,
                                    .user = s->connections[connection].user,
                                    .mode = open->mode,
                                    .gid = open->gid};
        for (int i = 0; i < N_PROPERTIES; i++)
                o->values[i] = open->shape.given >> i & 1 ? open->shape.values[i] : defaults[i];
}

struct shared_call shared_begin(struct sim *s, uint32_t connection, uint32_t name, enum core_object_kind kind,
                                enum shared_absence absence, enum core_access need)
{
        struct shared_object *o = shared_at(s, name);
        struct shared_call call = {.connection = connection, .name = name, .open = draw(s, kind, o->exists)};

        shared_settle(s);
        if (!o->exists && absence == ABSENT_UNKNOWN) {
                call.expected = CORE_UNKNOWN_OBJECT;
        } else if (!o->exists && absence == ABSENT_EMPTY) {
                MEET(s, shared, DID_looked_at_nothing);
        } else if (!o->exists) {
                enter(s, connection, o, &call.open);
                call.is_new = true;
        } else if (!shared_may(s, connection, o, need)) {
                call.expected = CORE_NOT_PERMITTED;
        } else if (o->kind != kind ||
                   (absence == ABSENT_MADE && need == ACCESS_WRITE && !agrees(o, &call.open.shape))) {
                call.expected = CORE_CLASH;
        }
        return call;
}

struct shared_call shared_begin_wait(struct sim *s, uint32_t connection, uint32_t name,
                                     enum core_object_kind kind, enum shared_absence absence,
                                     enum core_access need, const struct shared_wait *wait)
{
        struct model_connection *c = &s->connections[connection];
        struct shared_call call = shared_begin(s, connection, name, kind, absence, need);
        struct shared_wait w = *wait;

        call.is_open = true;
        call.id = (struct core_request){.connection = connection, .msgid = c->next_msgid++};
        w.connection = connection;
        w.msgid = call.id.msgid;
        w.name = name;
        w.timeout_at = wait->timeout_at == CORE_NEVER ? CORE_NEVER : s->now + wait->timeout_at;
        request_open(s, connection, w.msgid, REQUEST_SHARED, NO_ENTRY)->timeout_at = w.timeout_at;
        if (!call.expected)
                shared_add_wait(s, &w);
        s->shared->beginning = call.id;
        s->shared->is_beginning = true;
        return call;
}

bool shared_is_at_once(const struct sim *s, const struct shared_wait *w)
{
        return s->shared->is_beginning && s->shared->beginning.connection == w->connection &&
               s->shared->beginning.msgid == w->msgid;
}

/* -- what the core returned -- */

void shared_meet_refusal(struct sim *s, const struct shared_call *call, int r)
{
        TRACE(s, " refused", (uint64_t)(int64_t)r);
        if (r == CORE_UNKNOWN_OBJECT && call->expected) {
                MEET(s, shared, DID_refused_unknown);
        } else if (r == CORE_CLASH) {
                MEET(s, shared, DID_refused_clash);
        } else if (r == CORE_NOT_PERMITTED && call->expected) {
                MEET(s, shared, DID_refused_mode);
        } else if (r == CORE_QUOTA) {
                MEET(s, shared, DID_refused_quota);
        } else if (r == CORE_NESTING || r == CORE_CANCELLED) {
                if (s->asking == NO_ENTRY)
                        sim_fail(s, "%s: refused with %d, and no task asks", shared_names[call->name], r);
                task_check_refused(s, r, NULL);
                if (r == CORE_NESTING)
                        MEET(s, shared, DID_refused_nesting);
        }
}

static void check_wait(struct sim *s, const struct shared_call *call, const struct shared_wait *w, int r)
{
        if (r == CORE_NOT_READY && (w->timeout_at > s->now || shared_is_due(s, w)))
                shared_wrong(s, w, "is not ready, but has time, or it is there");
        if (r == 0 && w->timeout_at <= s->now && w->kind != SHARED_CONDITION)
                shared_wrong(s, w, "waits and has no time for that");
        (void)call;
}

/* It is there if the core has made it before it refused what was asked of it, but not for its version. */
static void take_back(struct sim *s, const struct shared_call *call, int refusal)
{
        struct core_object object;

        if (!call->is_new)
                return;
        if (core_object_look(s->core, OBSERVER, shared_names[call->name], N_OBJECT_KINDS, &object) != 0)
                *shared_at(s, call->name) = (struct shared_object){0};
        else if (refusal == CORE_VERSION)
                sim_fail(s, "%s is made by what is refused for a version", shared_names[call->name]);
}

bool shared_done(struct sim *s, struct shared_call *call, int r)
{
        struct shared_wait *w = call->is_open ? shared_find_wait(s, call->connection, call->id.msgid) : NULL;

        s->shared->is_beginning = false;
        if (r < 0 || (call->expected && r != call->expected))
                sim_fail(s, "%s: connection %u is refused with %d, it should be %d", shared_names[call->name],
                         call->connection, r, call->expected);
        if (w)
                check_wait(s, call, w, r);
        if (r == 0) {
                if (call->is_new)
                        MEET(s, shared, DID_made);
                return true;
        }
        shared_meet_refusal(s, call, r);
        if (!call->expected && (r == CORE_UNKNOWN_OBJECT || r == CORE_NOT_PERMITTED))
                sim_fail(s, "%s: connection %u is refused with %d", shared_names[call->name],
                         call->connection, r);
        if (call->is_open)
                request_answer(s, call->id);
        if (w)
                shared_end_wait(s, w);
        take_back(s, call, r);
        return false;
}

/* -- opened, listed, unlinked -- */

static int expected_of_open(struct sim *s, uint32_t connection, const struct shared_object *o,
                            const struct core_open *open)
{
        if (!o->exists)
                return open->must_exist ? CORE_UNKNOWN_OBJECT : 0;
        if (!shared_may(s, connection, o, ACCESS_READ | ACCESS_WRITE))
                return CORE_NOT_PERMITTED;
        if (open->exclusive)
                return CORE_EXISTS;
        return o->kind == open->kind && agrees(o, &open->shape) ? 0 : CORE_CLASH;
}

void shared_open(struct sim *s, uint32_t connection)
{
        uint32_t name = random_chance(&s->random, 500) ? (uint32_t)random_below(&s->random, N_NAMES)
                                                       : shared_pick(s, OBJECT_VALUE);
        struct shared_object *o = shared_at(s, name);
        struct shared_call call = {
                .connection = connection, .name = name, .open = draw(s, kinds[name], o->exists)};
        struct core_object object;
        int r;

        if (kinds[name] == OBJECT_PIPE) /* it is not opened so */
                return;
        call.open.must_exist = random_chance(&s->random, 100);
        call.open.exclusive = random_chance(&s->random, 100);
        call.expected = expected_of_open(s, connection, o, &call.open);
        call.is_new = !call.expected && !o->exists;
        TRACE(s, "open_object", connection, name, call.open.must_exist, call.open.exclusive);
        if (call.is_new)
                enter(s, connection, o, &call.open);
        r = core_object_open(s->core, connection, shared_names[name], &call.open, s->now, &object);
        if (r == CORE_EXISTS)
                MEET(s, shared, DID_refused_exists);
        if (!shared_done(s, &call, r))
                return;
        MEET(s, shared, DID_opened);
        if (object.is_new != call.is_new)
                sim_fail(s, "%s: whether it is new is said wrong", shared_names[name]);
        o->id = object.id;
        if (o->kind == OBJECT_VALUE || o->kind == OBJECT_ARRAY)
                shared_memory_opened(s, &call);
}

struct listing {
        struct sim *s;
        const char *last;
        unsigned n, limit;
};

static bool on_listed(void *userdata, const struct core_object *object)
{
        struct listing *listing = userdata;

        if (listing->last && strcmp(listing->last, object->name) >= 0)
                sim_fail(listing->s, "%s is listed after %s", object->name, listing->last);
        listing->last = object->name;
        return ++listing->n < listing->limit;
}

void shared_list_all(struct sim *s, uint32_t connection)
{
        static const char *const prefixes[] = {"", "lock ", "queue", "value or"};
        struct listing listing = {.s = s, .limit = (unsigned)random_between(&s->random, 1, 2 * N_NAMES)};
        const char *after = shared_names[random_below(&s->random, N_NAMES)];
        const char *prefix = prefixes[random_below(&s->random, sizeof(prefixes) / sizeof(*prefixes))];
        unsigned n = 0;

        MEET(s, shared, DID_listed);
        if (random_chance(&s->random, 500))
                after = "";
        for (uint32_t i = 0; i < N_NAMES; i++)
                n += shared_at(s, i)->exists && strcmp(shared_names[i], after) > 0 &&
                     strncmp(shared_names[i], prefix, strlen(prefix)) == 0 &&
                     shared_may(s, connection, shared_at(s, i), ACCESS_READ | ACCESS_WRITE);
        core_objects(s->core, connection,
                     &(struct core_range){{after, strlen(after)}, {prefix, strlen(prefix)}}, on_listed,
                     &listing);
        if (listing.n != (n < listing.limit ? n : listing.limit))
                sim_fail(s, "%u objects are listed instead of %u", listing.n, n);
}

static void unlink_name(struct sim *s, uint32_t connection, uint32_t name)
{
        struct shared_object *o = shared_at(s, name);
        int r, expected = !o->exists                     ? CORE_UNKNOWN_OBJECT
                          : may_unlink(s, connection, o) ? 0
                                                         : CORE_NOT_PERMITTED;
        struct shared_hold *hold, *next;

        TRACE(s, "unlink", connection, name, (uint64_t)expected);
        for (hold = TAILQ_FIRST(&s->shared->holds); hold && !expected; hold = next) {
                next = TAILQ_NEXT(hold, link);
                if (hold->name != name)
                        continue;
                shared_meet_end(s, SHARED_HOLD, END_UNLINKED);
                shared_drop_hold(s, hold);
        }
        if (!expected && shared_count_items(s, name, ITEM_LEASED) > 0)
                shared_meet_end(s, SHARED_LEASE, END_UNLINKED);
        o->is_going = !expected;
        r = core_object_unlink(s->core, connection, shared_names[name], s->now);
        if (r != expected)
                sim_fail(s, "%s: its unlinking gives %d instead of %d", shared_names[name], r, expected);
        if (r != 0) {
                MEET(s, shared, DID_unlinked_not);
                return;
        }
        MEET(s, shared, DID_unlinked);
        if (shared_count_waits(s, name) > 0)
                sim_fail(s, "%s is unlinked, and some still wait", shared_names[name]);
        shared_drop_items(s, name);
        *o = (struct shared_object){0};
}

void shared_unlink(struct sim *s, uint32_t connection)
{
        if (random_chance(&s->random, 300))
                unlink_name(s, connection, (uint32_t)random_below(&s->random, N_NAMES));
}

void shared_finish(struct sim *s, bool all)
{
        for (uint32_t i = 0; i < N_NAMES; i++)
                if (shared_at(s, i)->exists && (all || random_chance(&s->random, 300)))
                        unlink_name(s, OBSERVER, i);
}
