/* SPDX-License-Identifier: MIT */
/*
 * Model clients: programs of several users that submit, call and map, feed and confirm, come and go, and read
 * fast or slowly. Everything that the core accepts is entered into the ledger first. A refusal is checked
 * against what the ledger knows.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

static struct model_user *user_of(struct sim *s, uint32_t connection)
{
        return &s->users[s->connections[connection].user];
}

/* Whether a task may be refused for this reason now. */
static void check_refused(struct sim *s, int r, uint32_t pool, const char *what)
{
        uint64_t n = 0;

        TRACE(s, " refused", (uint64_t)(int64_t)r);
        if (r < 0)
                sim_fail(s, "%s: the core returned %d", what, r);
        switch (r) {
        case CORE_UNKNOWN_POOL:
                MEET(s, events, EVENT_refused_unknown_pool);
                if (pool < s->n_pools)
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
                sim_fail(s, "%s: refused with %d", what, r);
        }
}

static int64_t pick_time(struct sim *s, int64_t scale)
{
        return (int64_t)random_between(&s->random, 1, (uint64_t)scale);
}

static void pick_spec(struct sim *s, uint32_t connection, struct core_spec *spec)
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
                .timeout = random_chance(r, 200) ? pick_time(s, 40 * MILLISECOND) : 0,
                .ttl = random_chance(r, 100) ? 0 : pick_time(s, 20 * CORE_SECOND),
                .label = random_chance(r, 200) ? "a label" : NULL,
                .pid = (pid_t)(500 + connection),
        };
}

static uint32_t enter(struct sim *s, uint32_t connection, enum entry_kind kind, const struct core_spec *spec)
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
                .ttl = kind == ENTRY_SUBMIT ? spec->ttl : 0,
                .streams = spec->streams,
                .end_by = CORE_NEVER,
        };

        s->accepting = ledger_add(s, &e);
        return s->accepting;
}

/* The core has answered: the entry stays, or it never was. */
static bool entered(struct sim *s, uint32_t index, payload_t args, uint32_t pool, int r, const char *what)
{
        struct entry *e = &s->entries[index];

        s->accepting = NO_ENTRY;
        if (r == 0) {
                if (e->kind != ENTRY_MAP && e->streams == 0 && e->due == e->accepted)
                        s->users[e->user].n_ready[e->pool]++;
                return true;
        }
        check_refused(s, r, pool, what);
        payloads_drop(s, args);
        s->n_entries--;
        return false;
}

static void submit(struct sim *s, uint32_t connection)
{
        struct core_spec spec;
        uint32_t index;
        uint64_t id = 0;
        int r;

        pick_spec(s, connection, &spec);
        index = enter(s, connection, ENTRY_SUBMIT, &spec);
        spec.args = payloads_new(
                s,
                &(struct payload){.kind = PAYLOAD_ARGS, .entry = index, .size_bytes = spec.args_size_bytes});
        MEET(s, events, EVENT_submit);
        r = core_submit(s->core, connection, &spec, s->now, &id);
        TRACE(s, "submit", connection, spec.pool, id, (uint64_t)spec.delay);
        if (entered(s, index, spec.args, spec.pool, r, "submit"))
                ledger_learn_id(s, &s->entries[index], id);
}

static void call(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        struct core_spec spec;
        struct request *request;
        uint32_t index;
        int r;

        pick_spec(s, connection, &spec);
        if (random_chance(&s->random, 200))
                spec.streams = (unsigned)random_between(&s->random, 1, 7);
        index = enter(s, connection, ENTRY_CALL, &spec);
        c->next_msgid++;
        spec.args = payloads_new(
                s,
                &(struct payload){.kind = PAYLOAD_ARGS, .entry = index, .size_bytes = spec.args_size_bytes});
        request = request_open(s, connection, id.msgid, REQUEST_CALL, index);
        request->streams = spec.streams;
        MEET(s, events, EVENT_call);
        TRACE(s, "call", connection, id.msgid, spec.pool, spec.streams);
        r = core_call(s->core, id, &spec, s->now);
        if (!entered(s, index, spec.args, spec.pool, r, "call"))
                request_answer(s, id);
}

static void pick_map(struct sim *s, struct core_map_spec *map)
{
        struct random *r = &s->random;

        *map = (struct core_map_spec){
                .n_items = random_chance(r, 50) ? 0 : random_between(r, 1, random_chance(r, 60) ? 400 : 25),
                .chunk = random_chance(r, 300) ? (uint32_t)random_between(r, 1, 9) : 0,
                .limit = random_chance(r, 250) ? (uint32_t)random_between(r, 1, 4) : 0,
                .window = random_chance(r, 250) ? (uint32_t)random_between(r, 1, 20) : 0,
                .ordered = random_chance(r, 300),
                .fail_fast = random_chance(r, 200),
                .feed = random_chance(r, 300),
                .collect = random_chance(r, 200),
        };
}

static void map(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        struct core_map_spec map_spec;
        struct core_spec spec;
        struct entry *e;
        uint32_t index;
        int r;

        pick_spec(s, connection, &spec);
        pick_map(s, &map_spec);
        index = enter(s, connection, ENTRY_MAP, &spec);
        c->next_msgid++;
        e = &s->entries[index];
        e->map = map_spec;
        e->last_fed = !map_spec.feed;
        ledger_feed(s, e, map_spec.n_items);
        spec.args = payloads_new(s, &(struct payload){.kind = PAYLOAD_ITEMS,
                                                      .entry = index,
                                                      .n = map_spec.n_items,
                                                      .size_bytes = spec.args_size_bytes});
        request_open(s, connection, id.msgid, REQUEST_MAP, index);
        MEET(s, events, EVENT_map);
        TRACE(s, "map", connection, id.msgid, spec.pool, map_spec.n_items, map_spec.chunk, map_spec.limit,
              map_spec.window);
        r = core_map(s->core, id, &spec, &map_spec, s->now);
        if (entered(s, index, spec.args, spec.pool, r, "map"))
                return;
        free(s->entries[s->n_entries].items);
        request_answer(s, id);
}

/* An open map of this connection; NULL if chance finds none. */
static struct request *open_map(struct sim *s, uint32_t connection)
{
        for (unsigned tries = 0; s->n_requests > 0 && tries < 8; tries++) {
                struct request *r = &s->requests[random_below(&s->random, s->n_requests)];
                if (r->open && r->connection == connection && r->kind == REQUEST_MAP)
                        return r;
        }
        return NULL;
}

static void feed(struct sim *s, const struct request *r, uint64_t n, bool last)
{
        struct core_request id = {.connection = r->connection, .msgid = r->msgid};
        uint32_t index = r->entry;
        struct entry *e = &s->entries[index];
        payload_t items = PAYLOAD_NONE;
        bool misuse = !e->map.feed || e->last_fed;
        int result;

        if (n > 0)
                items = payloads_new(s, &(struct payload){.kind = PAYLOAD_ITEMS,
                                                          .entry = index,
                                                          .index = e->n_items,
                                                          .n = n,
                                                          .size_bytes = 10 * n});
        ledger_feed(s, e, n);
        MEET(s, events, EVENT_feed);
        TRACE(s, "feed", id.connection, id.msgid, n, last);
        result = core_feed(s->core, id, items, n ? 10 * n : 0, n, 0, last, s->now);
        e = &s->entries[index];
        if (result == 0 && misuse)
                sim_fail(s, "map %llu takes items that it must not", (unsigned long long)e->id);
        if (result == 0) {
                e->last_fed = last;
                return;
        }
        e->n_items -= n;
        if (items != PAYLOAD_NONE)
                payloads_drop(s, items);
        if (result == CORE_MISUSE)
                MEET(s, events, EVENT_refused_misuse);
        if (result != CORE_MISUSE || !misuse)
                check_refused(s, result, e->pool, "feed");
}

static void more(struct sim *s, const struct request *r, uint64_t n)
{
        struct core_request id = {.connection = r->connection, .msgid = r->msgid};
        struct entry *e = &s->entries[r->entry];
        bool windowed = e->map.window != 0;
        int result;

        e->n_confirmed += n;
        MEET(s, events, EVENT_more);
        TRACE(s, "more", id.connection, id.msgid, n);
        result = core_more(s->core, id, n, s->now);
        if (result == CORE_MISUSE)
                MEET(s, events, EVENT_refused_misuse);
        if (result != (windowed ? 0 : CORE_MISUSE))
                sim_fail(s, "more on a map with window %u returns %d", e->map.window, result);
}

static uint64_t unconfirmed(const struct entry *e)
{
        uint64_t n = e->n_told;

        if (e->map.collect)
                for (uint64_t i = 0; i < e->n_items; i++)
                        n += e->items[i].n_collected && !e->items[i].n_told;
        return n > e->n_confirmed ? n - e->n_confirmed : 0;
}

/* Something for a map that is open, or by mistake for one that is not. */
static void tend_map(struct sim *s, uint32_t connection)
{
        struct request *r = open_map(s, connection);
        struct entry *e;

        if (!r) {
                struct core_request none = {.connection = connection, .msgid = UINT32_MAX};
                if (random_chance(&s->random, 50)) {
                        MEET(s, events, EVENT_refused_not_open);
                        if (core_more(s->core, none, 1, s->now) != CORE_NOT_OPEN)
                                sim_fail(s, "more is taken for a request that is not open");
                }
                return;
        }
        e = &s->entries[r->entry];
        if (e->map.window && unconfirmed(e) > 0)
                more(s, r, random_between(&s->random, 1, unconfirmed(e)));
        else if (!e->map.window && random_chance(&s->random, 50))
                more(s, r, 1);
        else if ((e->map.feed && !e->last_fed) || random_chance(&s->random, 50))
                feed(s, r, random_below(&s->random, 20), random_chance(&s->random, 200));
}

void client_act(struct sim *s, uint32_t connection)
{
        static void (*const acts[])(struct sim *, uint32_t) = {
                submit,
                submit,
                submit,
                submit,
                call,
                call,
                call,
                call,
                call,
                map,
                map,
                tend_map,
                tend_map,
                client_ask_result,
                client_ask_result,
                client_ask_wait,
                client_ask_attach,
        };

        if (!s->connections[connection].open)
                return;
        if (core_connection_blocked(s->core, connection)) { /* nothing is read from it, but it may go */
                if (random_chance(&s->random, 10 * s->intensity.leaves))
                        client_close(s, connection);
                return;
        }
        if (random_chance(&s->random, s->intensity.cancel))
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
                e->cancel_asked = true;
                ledger_verdict(s, e);
        }
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
                if (core_connection_blocked(s->core, i) != (c->output_bytes > s->config.output_limit_bytes))
                        sim_fail(s, "connection %u: whether it is above its mark is wrong", i);
                if (core_connection_blocked(s->core, i))
                        MEET(s, faults, FAULT_output_blocked);
                changed = true;
        }
        return changed;
}

void clients_finish(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_requests; i++) {
                const struct request *r = &s->requests[i];
                struct entry *e;
                if (!r->open || r->kind != REQUEST_MAP)
                        continue;
                e = &s->entries[r->entry];
                if (e->map.feed && !e->last_fed)
                        feed(s, r, 0, true);
                else if (e->map.window && unconfirmed(e) > 0)
                        more(s, r, unconfirmed(e));
        }
}
