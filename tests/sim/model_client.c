/* SPDX-License-Identifier: MIT */
/*
 * Model clients: programs of several users that submit, call and client_map, feed and confirm, come and go,
 * and read fast or slowly. Everything that the core accepts is entered into the ledger first. A refusal is
 * checked against what the ledger knows.
 */
#include "tests/sim/client.h"
#include "tests/sim/objects.h"

#include <stdlib.h>

static struct model_user *user_of(struct sim *s, uint32_t connection)
{
        return &s->users[s->connections[connection].user];
}

void client_check_refused(struct sim *s, int r, uint32_t pool, const char *what)
{
        uint64_t n = 0;

        TRACE(s, " refused", (uint64_t)(int64_t)r);
        if (r < 0)
                sim_fail(s, "%s: the core returned %d", what, r);
        switch (r) {
        case CORE_UNKNOWN_POOL:
                MEET(s, events, EVENT_refused_unknown_pool);
                if (pool < s->n_pools && !s->pools[pool].config.closed)
                        sim_fail(s, "%s: pool %u is called unknown", what, pool);
                return;
        case CORE_STOPPING:
                MEET(s, events, EVENT_refused_stopping);
                if (!s->stopping)
                        sim_fail(s, "%s: refused because of a stop that is none", what);
                return;
        case CORE_QUEUE_FULL:
                MEET(s, events, EVENT_refused_queue_full);
                for (uint32_t i = 0; i < s->n_entries; i++)
                        if (!s->entries[i].n_ends && s->entries[i].pool == pool)
                                n += s->entries[i].kind == ENTRY_MAP ? s->entries[i].n_items + 1 : 1;
                if (n + MAX_WORKERS < s->pools[pool].config.queue_limit)
                        sim_fail(s, "%s: pool %u is full with %llu of %u tasks", what, pool,
                                 (unsigned long long)n, s->pools[pool].config.queue_limit);
                return;
        case CORE_QUOTA:
                MEET(s, events, EVENT_refused_quota);
                return;
        default:
                if (s->asking == NO_ENTRY)
                        sim_fail(s, "%s: refused with %d", what, r);
                task_check_refused(s, r, NULL);
        }
}

static int64_t pick_time(struct sim *s, int64_t scale)
{
        return (int64_t)random_between(&s->random, 1, (uint64_t)scale);
}

void client_pick_spec(struct sim *s, uint32_t connection, struct core_spec *spec)
{
        struct random *r = &s->random;
        uint32_t pool = (uint32_t)random_below(r, s->n_pools);

        *spec = (struct core_spec){
                .pool = random_chance(r, s->intensity.bad_client) ? s->n_pools + 3 : pool,
                .function = s->pools[pool].functions[random_below(r, s->pools[pool].n_functions)],
                .args_size_bytes = random_between(r, 10, random_chance(r, 50) ? 9000 : 500),
                .n_descriptors = random_chance(r, 30) ? (uint32_t)random_between(r, 1, 3) : 0,
                .priority = random_chance(r, 200) ? (int)random_between(r, 0, 20) - 10 : 0,
                .delay = random_chance(r, 150) ? pick_time(s, 30 * MILLISECOND) : 0,
                .expires = random_chance(r, 150) ? pick_time(s, 60 * MILLISECOND) : CORE_NEVER,
                .timeout = random_chance(r, 300) ? pick_time(s, 40 * MILLISECOND) : 0,
                .ttl = random_chance(r, 100) ? 0 : pick_time(s, 20 * CORE_SECOND),
                .label = random_chance(r, 200) ? "a label" : NULL,
                .detached = random_chance(r, 150),
                .retries = random_chance(r, 600) ? (uint32_t)random_between(r, 1, 4) : 0,
                .retry_on = (unsigned)random_below(r, 8),
                .backoff = random_chance(r, 300) ? 0 : pick_time(s, 40 * MILLISECOND),
                .pid = (pid_t)(500 + connection),
        };
}

/* One letter each. */
static const char keys[][2] = {"a", "b", "c"};

/* The task of this connection's user that the core must know by this key; NULL: none. *ret_unsure: its time
 * may be over. */
static struct entry *known_by_key(struct sim *s, uint32_t connection, unsigned key, bool *ret_unsure)
{
        *ret_unsure = false;
        for (uint32_t i = s->n_entries; i-- > 0;) {
                struct entry *e = &s->entries[i];
                if (e->key != key || e->user != s->connections[connection].user)
                        continue;
                *ret_unsure = e->n_ends && s->now >= e->ended + e->ttl;
                return *ret_unsure ? NULL : e;
        }
        return NULL;
}

static void join(struct sim *s, uint32_t connection, struct entry *e, bool calls)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        uint32_t index = ledger_index(s, e);
        bool other = random_chance(&s->random, 200), was_joined = e->joined;
        struct core_spec spec = {
                .pool = e->pool,
                .function = e->function,
                .args_size_bytes = 10,
                .expires = CORE_NEVER,
                .key = keys[e->key - 1],
                .args_hash = e->value ^ other,
        };
        uint64_t joined = 0;
        int r;

        spec.args = payloads_new(s, &(struct payload){.kind = PAYLOAD_ARGS, .entry = index});
        MEET(s, events, calls ? EVENT_join_call : EVENT_join_submit);
        TRACE(s, "join", connection, e->id, calls, other);
        e->joined |= !other;
        if (calls) {
                c->next_msgid++;
                request_open(s, connection, id.msgid, REQUEST_ATTACH, index);
                r = core_call(s->core, id, &spec, s->now);
                if (r != 0)
                        request_answer(s, id);
        } else {
                r = core_submit(s->core, connection, &spec, s->now, &joined);
        }
        if (r != 0) {
                payloads_drop(s, spec.args);
                e->joined = was_joined;
        }
        if (r == CORE_KEY_CONFLICT && other)
                MEET(s, events, EVENT_refused_key_conflict);
        else if (r != 0)
                client_check_refused(s, r, e->pool, "join");
        else if (other || (!calls && joined != e->id))
                sim_fail(s, "task %llu is joined by who is none of its", (unsigned long long)e->id);
}

/* Some tasks have a key. True: there was one of this key, and it was joined. */
static bool joins(struct sim *s, uint32_t connection, struct core_spec *spec, bool calls)
{
        uint64_t key = random_below(&s->random, sizeof(keys) / sizeof(*keys));
        bool unsure;
        struct entry *e;

        if (!random_chance(&s->random, is_of_task(connection) ? 250 : 60))
                return false;
        e = known_by_key(s, connection, (unsigned)key + 1, &unsure);
        if (e)
                join(s, connection, e, calls);
        else if (!unsure)
                spec->key = keys[key];
        return e != NULL;
}

uint32_t client_enter(struct sim *s, uint32_t connection, enum entry_kind kind, const struct core_spec *spec)
{
        struct model_connection *c = &s->connections[connection];
        int64_t timeout = spec->pool < s->n_pools ? s->pools[spec->pool].config.timeout : 0;
        struct entry e = {
                .kind = kind,
                .value = random_next(&s->random),
                .user = c->user,
                .connection = connection,
                .generation = c->generation,
                .msgid = c->next_msgid,
                .pool = spec->pool,
                .function = spec->function,
                .priority = spec->priority,
                .accepted = s->now,
                .due = s->now + spec->delay,
                .expires = spec->expires == CORE_NEVER ? CORE_NEVER : s->now + spec->expires,
                .timeout = spec->timeout ? spec->timeout : timeout,
                .ttl = kind == ENTRY_SUBMIT || spec->key ? spec->ttl : 0,
                .key = spec->key ? (unsigned)(*spec->key - *keys[0]) + 1 : 0,
                .streams = spec->streams,
                .retries = spec->retries,
                .retry_on = spec->retry_on,
                .backoff = spec->backoff,
                .detached = spec->detached && kind == ENTRY_SUBMIT,
                .end_by = CORE_NEVER,
        };

        if (is_of_task(connection)) {
                e.by_task = true;
                e.parent = c->entry;
                e.parent_item = c->item;
                e.depth = s->entries[c->entry].depth + 1;
        }
        s->accepting = ledger_add(s, &e);
        return s->accepting;
}

bool client_entered(struct sim *s, uint32_t index, payload_t args, uint32_t pool, int r, const char *what)
{
        struct entry *e = &s->entries[index];

        s->accepting = NO_ENTRY;
        if (r == 0) {
                if (counts_for_turns(e))
                        s->users[e->user].n_ready[e->pool]++;
                if (e->depth > 1)
                        s->coverage->events[EVENT_task_depth_2 + e->depth - 2]++;
                return true;
        }
        client_check_refused(s, r, pool, what);
        payloads_drop(s, args);
        s->n_entries--;
        return false;
}

void client_submit(struct sim *s, uint32_t connection)
{
        struct core_spec spec;
        uint32_t index;
        uint64_t id = 0;
        int r;

        client_pick_spec(s, connection, &spec);
        if (joins(s, connection, &spec, false))
                return;
        index = client_enter(s, connection, ENTRY_SUBMIT, &spec);
        spec.args_hash = s->entries[index].value;
        spec.args = payloads_new(
                s,
                &(struct payload){.kind = PAYLOAD_ARGS, .entry = index, .size_bytes = spec.args_size_bytes});
        MEET(s, events, EVENT_submit);
        r = core_submit(s->core, connection, &spec, s->now, &id);
        TRACE(s, "submit", connection, spec.pool, id, (uint64_t)spec.delay);
        if (client_entered(s, index, spec.args, spec.pool, r, "submit"))
                ledger_learn_id(s, &s->entries[index], id);
}

void client_call(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        struct core_spec spec;
        struct request *request;
        uint32_t index;
        int r;

        client_pick_spec(s, connection, &spec);
        if (random_chance(&s->random, 200))
                spec.streams = (unsigned)random_between(&s->random, 1, 7);
        if (joins(s, connection, &spec, true))
                return;
        index = client_enter(s, connection, ENTRY_CALL, &spec);
        spec.args_hash = s->entries[index].value;
        c->next_msgid++;
        spec.args = payloads_new(
                s,
                &(struct payload){.kind = PAYLOAD_ARGS, .entry = index, .size_bytes = spec.args_size_bytes});
        request = request_open(s, connection, id.msgid, REQUEST_CALL, index);
        request->streams = spec.streams;
        MEET(s, events, EVENT_call);
        TRACE(s, "call", connection, id.msgid, spec.pool, spec.streams);
        r = core_call(s->core, id, &spec, s->now);
        if (!client_entered(s, index, spec.args, spec.pool, r, "call"))
                request_answer(s, id);
}

void client_act(struct sim *s, uint32_t connection)
{
        static void (*const acts[])(struct sim *, uint32_t) = {
                client_submit,   client_submit,     client_submit,   client_submit,     client_call,
                client_call,     client_call,       client_call,     client_call,       client_map,
                client_map,      client_tend_map,   client_tend_map, client_ask_result, client_ask_result,
                client_ask_wait, client_ask_attach,
        };

        if (!s->connections[connection].open)
                return;
        if (core_connection_blocked(s->core, connection)) { /* nothing is read from it, but it may go */
                if (random_chance(&s->random, 10 * s->intensity.leaves))
                        client_close(s, connection);
                return;
        }
        if (random_chance(&s->random, s->intensity.shared))
                shared_act(s, connection);
        else if (random_chance(&s->random, s->intensity.cancel))
                client_cancel(s, connection);
        else if (random_chance(&s->random, s->intensity.cancel))
                client_cancel_request(s, connection);
        else if (random_chance(&s->random, s->intensity.leaves) && connection != OBSERVER)
                client_close(s, connection);
        else
                acts[random_below(&s->random, sizeof(acts) / sizeof(*acts))](s, connection);
}

void client_open(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct model_user *user = user_of(s, connection);
        int r;

        if (c->open || s->ending)
                return;
        MEET(s, events, EVENT_connection_open);
        TRACE(s, "open", connection, user->uid);
        r = core_connection_open(s->core, connection, user->uid, (pid_t)(500 + connection), user->admin);
        if (r == CORE_QUOTA) {
                MEET(s, events, EVENT_refused_quota);
                return;
        }
        if (r != 0)
                sim_fail(s, "a connection is refused with %d", r);
        c->open = true;
        c->generation++;
        c->output_bytes = c->told_bytes = 0;
        c->drain_set = false;
        c->slow = random_chance(&s->random, s->intensity.slow);
        if (c->slow)
                MEET(s, faults, FAULT_reader_slow);
}

void client_close(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];

        MEET(s, events, EVENT_connection_close);
        TRACE(s, "close", connection);
        for (uint32_t i = 0; i < s->n_entries; i++) {
                struct entry *e = &s->entries[i];
                if (e->n_ends || e->kind == ENTRY_SUBMIT || e->connection != connection ||
                    e->generation != c->generation)
                        continue;
                MEET(s, faults,
                     e->kind == ENTRY_MAP ? FAULT_client_gone_with_map : FAULT_client_gone_with_call);
                sim_meet_task(s, e, TASK_EVENT_client_gone);
                if (e->joined)
                        continue;
                e->cancel_asked = true;
                ledger_verdict(s, e);
        }
        shared_gone(s, connection);
        requests_gone(s, connection);
        c->open = false;
        core_connection_close(s->core, connection, s->now);
        if (!s->ending)
                sim_schedule(s, pick_time(s, 5 * MILLISECOND), HAPPEN_OPEN, connection, 0);
}

void client_drain(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];

        c->drain_set = false;
        c->output_bytes -= random_below(&s->random, c->output_bytes + 1);
}

/* With how much unread output nothing more is read from it: of a user who holds too much, with little. */
static uint64_t mark_of(struct sim *s, uint32_t connection)
{
        uint64_t limit = s->config.output_limit_bytes;
        struct core_account account;

        core_account(s->core, user_of(s, connection)->uid, &account);
        return account.bytes > s->config.user_memory_bytes && limit > LIMIT_FREE_BYTES ? LIMIT_FREE_BYTES
                                                                                       : limit;
}

bool clients_flush(struct sim *s)
{
        bool changed = false;

        for (uint32_t i = 0; i < s->n_connections; i++) {
                struct model_connection *c = &s->connections[i];
                if (!c->open)
                        continue;
                if (!c->slow || s->ending || c->output_bytes < 50)
                        c->output_bytes = 0;
                else if (!c->drain_set) {
                        c->drain_set = true;
                        sim_schedule(
                                s,
                                pick_time(s, random_chance(&s->random, 200) ? 80 * MILLISECOND : MILLISECOND),
                                HAPPEN_DRAIN, i, c->generation);
                }
                if (c->output_bytes == c->told_bytes)
                        continue;
                MEET(s, events, EVENT_connection_output);
                TRACE(s, "output", i, c->output_bytes);
                c->told_bytes = c->output_bytes;
                core_connection_output(s->core, i, c->output_bytes);
                if (core_connection_blocked(s->core, i) != (c->output_bytes > mark_of(s, i)))
                        sim_fail(s, "connection %u: whether it is above its mark is wrong", i);
                if (core_connection_blocked(s->core, i))
                        MEET(s, faults, FAULT_output_blocked);
                changed = true;
        }
        return changed;
}
