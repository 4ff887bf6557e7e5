/* SPDX-License-Identifier: MIT */
/* Queues: each item is in one place, the oldest goes first, and comes back when its taker is gone. */
#include "tests/sim/shared.h"

#include <string.h>

static void put(struct sim *s, uint32_t connection, unsigned which)
{
        const struct core_open open = shared_open_of(which);
        struct model_object *queue = &s->shared->objects[which];
        struct core_value values[MAX_PUT];
        struct core_request id;
        size_t n = random_between(&s->random, 1, MAX_PUT);
        int r;

        if (queue->n_items + n > MAX_QUEUED)
                return;
        struct request *request = shared_begin(s, connection, which, REQUEST_PUT, &id);
        request->count = (uint32_t)n;
        for (size_t i = 0; i < n; i++) {
                uint64_t value = ++s->shared->last_value;
                values[i].size_bytes = random_between(&s->random, 10, 300);
                values[i].payload = payloads_new(s, &(struct payload){.kind = PAYLOAD_VALUE,
                                                                      .value = value,
                                                                      .size_bytes = values[i].size_bytes});
                queue->items[queue->n_items + i] = (struct queued){.value = value};
        }
        queue->n_items += (uint32_t)n;
        MEET(s, events, EVENT_queue_put);
        TRACE(s, "put", connection, id.msgid, which, n);
        r = core_queue_put(s->core, id, shared_name(which), &open, values, n, CORE_NEVER, s->now);
        if (r != 0) {
                queue->n_items -= (uint32_t)n;
                for (size_t i = 0; i < n; i++)
                        payloads_drop(s, values[i].payload);
        }
        shared_began(s, id, r, 0);
}

static void get(struct sim *s, uint32_t connection, unsigned which)
{
        const struct core_open open = shared_open_of(which);
        struct core_request id;
        struct request *request = shared_begin(s, connection, which, REQUEST_GET, &id);
        int64_t timeout = shared_timeout(s, request);
        int r;

        request->count = (uint32_t)random_between(&s->random, 1, 3);
        request->keep = random_chance(&s->random, 700); /* with ack */
        MEET(s, events, EVENT_queue_get);
        TRACE(s, "get", connection, id.msgid, which, request->count, request->keep, (uint64_t)timeout);
        r = core_queue_get(s->core, id, shared_name(which), &open, request->count, request->keep, timeout,
                           s->now);
        shared_began(s, id, r, 0);
}

/* One that the connection has, or, seldom, one of another's. */
static void done(struct sim *s, uint32_t connection, unsigned which)
{
        struct model_object *queue = &s->shared->objects[which];
        bool wrong = random_chance(&s->random, 50);

        for (uint32_t i = 0; i < queue->n_items; i++) {
                struct queued *item = &queue->items[i];
                bool own = item->connection == connection;
                uint64_t token = item->token;
                size_t n = 0;
                if (!item->leased || own == wrong)
                        continue;
                if (own)
                        memmove(item, item + 1, (--queue->n_items - i) * sizeof(*item));
                MEET(s, events, EVENT_queue_done);
                TRACE(s, "done", connection, which, token);
                int r = core_queue_done(s->core, connection, shared_name(which), &token, 1, s->now, &n);
                if (r != 0 || n != own)
                        sim_fail(s, "%s: task_done of %s returns %d, %zu", shared_name(which),
                                 own ? "one's own" : "another's", r, n);
                return;
        }
}

static void join(struct sim *s, uint32_t connection, unsigned which)
{
        const struct core_open open = shared_open_of(which);
        struct core_request id;
        struct request *request = shared_begin(s, connection, which, REQUEST_JOIN, &id);
        int64_t timeout = shared_timeout(s, request);

        MEET(s, events, EVENT_queue_join);
        TRACE(s, "join_queue", connection, id.msgid, which, (uint64_t)timeout);
        shared_began(s, id, core_queue_join(s->core, id, shared_name(which), &open, timeout, s->now), 0);
}

void queues_act(struct sim *s, uint32_t connection, unsigned which)
{
        static void (*const acts[])(struct sim *, uint32_t, unsigned) = {put, put,  put,  get, get,
                                                                         get, done, done, join};

        acts[random_below(&s->random, sizeof(acts) / sizeof(*acts))](s, connection, which);
}

/* -- answers -- */

/* The oldest that is nobody's; one that a task has may be free just now. */
static void give(struct sim *s, const struct request *r, const struct core_item *item)
{
        struct model_object *queue = &s->shared->objects[r->object];
        uint64_t value = payloads_get(s, item->payload)->value;

        for (uint32_t i = 0; i < queue->n_items; i++) {
                struct queued *known = &queue->items[i];
                if (known->value == value) {
                        if (known->leased && !is_of_task(known->connection))
                                sim_fail(s, "%s: an item is given twice", shared_name(r->object));
                        if (r->keep)
                                *known = (struct queued){value, item->token, r->connection, true};
                        else
                                memmove(known, known + 1, (--queue->n_items - i) * sizeof(*known));
                        return;
                }
                if (!known->leased)
                        sim_fail(s, "%s: an item is given before an older one", shared_name(r->object));
        }
        sim_fail(s, "%s: an item comes that nobody put in, or that was done", shared_name(r->object));
}

void queue_answered(struct sim *s, const struct request *r, const struct core_shared_answer *answer)
{
        const struct model_object *queue = &s->shared->objects[r->object];
        uint32_t n = 0;

        if (r->kind == REQUEST_PUT && (answer->kind != ANSWER_COUNT || answer->count != r->count))
                sim_fail(s, "%s: of %u items %llu are put", shared_name(r->object), r->count,
                         (unsigned long long)answer->count);
        if (r->kind == REQUEST_JOIN)
                for (uint32_t i = 0; i < queue->n_items; i++)
                        if (!queue->items[i].leased || !is_of_task(queue->items[i].connection))
                                sim_fail(s, "%s: joined, and an item is left", shared_name(r->object));
        if (r->kind != REQUEST_GET)
                return;
        if (answer->kind != ANSWER_ITEMS || answer->count == 0 || answer->count > r->count ||
            answer->flag != r->keep)
                sim_fail(s, "%s: connection %u gets %llu items", shared_name(r->object), r->connection,
                         (unsigned long long)answer->count);
        for (const struct core_item *item = answer->items; n < answer->count; item = item->next, n++)
                give(s, r, item);
}
