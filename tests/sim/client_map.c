/* SPDX-License-Identifier: MIT */
/*
 * Model clients with maps: they begin them with every mixture of options, feed them, confirm what they got,
 * and now and then do what a map does not allow.
 */
#include "tests/sim/client.h"
#include "tests/sim/objects.h"

#include <stdlib.h>

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

static uint64_t n_submitted(const struct sim *s, uint32_t pool)
{
        struct core_pool_status status = {0};

        if (pool < s->n_pools)
                core_pool_status(s->core, pool, &status);
        return status.totals.submitted;
}

void client_map(struct sim *s, uint32_t connection)
{
        struct model_connection *c = &s->connections[connection];
        struct core_request id = {.connection = connection, .msgid = c->next_msgid};
        struct core_map_spec map_spec;
        struct core_spec spec;
        struct entry *e;
        uint64_t n;
        uint32_t index;
        int r;

        client_pick_spec(s, connection, &spec);
        pick_map(s, &map_spec);
        if (is_of_task(connection)) { /* nobody would tend it */
                map_spec.feed = false;
                map_spec.window = 0;
        }
        index = client_enter(s, connection, ENTRY_MAP, &spec);
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
        n = n_submitted(s, spec.pool);
        r = core_map(s->core, id, &spec, &map_spec, s->now);
        if (r == 0 && n_submitted(s, spec.pool) - n < map_spec.n_items) {
                MEET(s, events, EVENT_map_waits);
                if (!map_spec.feed)
                        sim_fail(s, "a map that is not fed waits for room");
        }
        if (client_entered(s, index, spec.args, spec.pool, r, "map"))
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
        uint64_t before;
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
        before = n_submitted(s, e->pool);
        result = core_feed(s->core, id, items, n ? 10 * n : 0, n, 0, last, s->now);
        e = &s->entries[index];
        if (result == 0 && misuse)
                sim_fail(s, "map %llu takes items that it must not", (unsigned long long)e->id);
        if (result == 0) {
                if (n_submitted(s, e->pool) - before < n)
                        MEET(s, events, EVENT_feed_waits);
                e->last_fed = last;
                return;
        }
        if (result == CORE_QUEUE_FULL)
                sim_fail(s, "map %llu is refused what could wait for room", (unsigned long long)e->id);
        e->n_items -= n;
        if (items != PAYLOAD_NONE)
                payloads_drop(s, items);
        if (result == CORE_MISUSE)
                MEET(s, events, EVENT_refused_misuse);
        if (result != CORE_MISUSE || !misuse)
                client_check_refused(s, result, e->pool, "feed");
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

void client_tend_map(struct sim *s, uint32_t connection)
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

void clients_finish(struct sim *s)
{
        admin_finish(s);
        shared_finish(s, false);
        for (uint32_t i = 0; i < s->n_requests; i++) {
                const struct request *r = &s->requests[i];
                struct entry *e;
                if (!r->open || r->kind != REQUEST_MAP || is_of_task(r->connection))
                        continue;
                e = &s->entries[r->entry];
                if (e->map.feed && !e->last_fed)
                        feed(s, r, 0, true);
                else if (e->map.window && unconfirmed(e) > 0)
                        more(s, r, unconfirmed(e));
        }
}
