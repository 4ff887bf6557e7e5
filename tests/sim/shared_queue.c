/* SPDX-License-Identifier: MIT */
/*
 * Queues: what model clients do with them, and the ledger's page: every item is with a put that waits,
 * queued, leased, or done, and nowhere twice; what comes out is the front, and leases of who is gone are
 * there again. And pipes, for two.
 */
#include "tests/sim/shared.h"

#include <stdlib.h>

#define MAX_PUT 4

/* -- items -- */

unsigned shared_count_items(const struct sim *s, uint32_t name, int state)
{
        const struct shared_item *item;
        unsigned n = 0;

        TAILQ_FOREACH (item, &s->shared->items, link)
                n += item->name == name && (int)item->state == state;
        return n;
}

static struct shared_item *front(struct sim *s, uint32_t name)
{
        struct shared_item *item;

        TAILQ_FOREACH (item, &s->shared->items, link)
                if (item->name == name && item->state == ITEM_QUEUED)
                        return item;
        return NULL;
}

static void drop(struct sim *s, struct shared_item *item)
{
        TAILQ_REMOVE(&s->shared->items, item, link);
        free(item);
}

/* By its number among those that are queued: the last ones are not, and have none. */
static void enqueue(struct sim *s, struct shared_item *item)
{
        struct shared_item *other;

        TAILQ_REMOVE(&s->shared->items, item, link);
        item->state = ITEM_QUEUED;
        TAILQ_FOREACH (other, &s->shared->items, link)
                if (other->order == 0 || other->order > item->order)
                        break;
        if (other)
                TAILQ_INSERT_BEFORE(other, item, link);
        else
                TAILQ_INSERT_TAIL(&s->shared->items, item, link);
}

static struct shared_item *first_of(struct sim *s, const struct shared_wait *put)
{
        struct shared_item *item;

        TAILQ_FOREACH (item, &s->shared->items, link)
                if (item->state == ITEM_WITH_PUT && item->connection == put->connection &&
                    item->msgid == put->msgid)
                        return item;
        return NULL;
}

void shared_fill(struct sim *s, uint32_t name)
{
        uint64_t maxsize = shared_at(s, name)->values[PROPERTY_MAXSIZE];
        uint64_t n = shared_count_items(s, name, ITEM_QUEUED);
        struct shared_wait *w;
        struct shared_item *item;

        TAILQ_FOREACH (w, &s->shared->waits, link) {
                if (w->kind != SHARED_PUT || w->name != name)
                        continue;
                while ((maxsize == 0 || n < maxsize) && (item = first_of(s, w))) {
                        item->order = ++s->shared->last_order;
                        enqueue(s, item);
                        w->n_done++;
                        n++;
                }
        }
}

void shared_forget_put(struct sim *s, const struct shared_wait *put)
{
        struct shared_item *item;

        while ((item = first_of(s, put)))
                drop(s, item);
}

void shared_drop_items(struct sim *s, uint32_t name)
{
        struct shared_item *item, *next;

        for (item = TAILQ_FIRST(&s->shared->items); item; item = next) {
                next = TAILQ_NEXT(item, link);
                if (item->name == name)
                        drop(s, item);
        }
}

bool shared_give_back(struct sim *s, uint32_t connection)
{
        struct shared_item *item, *next;
        bool some = false;

        for (item = TAILQ_FIRST(&s->shared->items); item; item = next) {
                next = TAILQ_NEXT(item, link);
                if (item->state != ITEM_LEASED || item->connection != connection)
                        continue;
                enqueue(s, item);
                some = true;
        }
        return some;
}

bool shared_is_idle(struct sim *s, uint32_t name)
{
        return shared_count_items(s, name, ITEM_QUEUED) == 0 &&
               shared_count_items(s, name, ITEM_LEASED) == 0 && !shared_first(s, name, SHARED_PUT);
}

/* -- put -- */

static void add_items(struct sim *s, const struct shared_call *call, struct core_value *values, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                struct shared_item *item = calloc(1, sizeof(*item));
                if (!item)
                        abort();
                item->name = call->name;
                item->connection = call->connection;
                item->msgid = call->id.msgid;
                values[i] = shared_value(s, &item->value);
                TAILQ_INSERT_TAIL(&s->shared->items, item, link);
        }
}

/* Refused: what was in by the ledger's reckoning, the last ones of the queue, was not. */
static void take_back(struct sim *s, const struct shared_call *call, uint64_t first_order)
{
        struct shared_item *item, *next;

        for (item = TAILQ_FIRST(&s->shared->items); item; item = next) {
                next = TAILQ_NEXT(item, link);
                if (item->name == call->name && item->connection == call->connection &&
                    item->msgid == call->id.msgid && item->state != ITEM_LEASED &&
                    (item->order == 0 || item->order > first_order))
                        drop(s, item);
        }
}

void shared_put(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_QUEUE), n = (uint32_t)random_between(&s->random, 1, MAX_PUT);
        int64_t timeout = shared_timeout(s);
        const struct shared_wait wait = {.kind = SHARED_PUT, .n = n, .timeout_at = timeout};
        uint64_t first_order = s->shared->last_order;
        struct core_value values[MAX_PUT];
        struct shared_call call;
        int r;

        if (shared_count_items(s, name, ITEM_QUEUED) > MAX_QUEUED)
                return;
        call = shared_begin_wait(s, connection, name, OBJECT_QUEUE, ABSENT_MADE, ACCESS_WRITE, &wait);
        TRACE(s, "put", connection, call.id.msgid, name, n, (uint64_t)timeout);
        add_items(s, &call, values, n);
        if (!call.expected)
                shared_fill(s, name);
        r = core_queue_put(s->core, call.id, shared_names[name], &call.open, values, n, timeout, s->now);
        if (r == CORE_NOT_READY)
                MEET(s, shared, DID_put_not_now);
        for (uint32_t i = 0; r != 0 && i < n; i++)
                payloads_drop(s, values[i].payload);
        if (r != 0)
                take_back(s, &call, first_order);
        shared_done(s, &call, r);
}

void shared_was_put(struct sim *s, struct shared_wait *w, const struct core_shared_answer *answer)
{
        bool may_end = s->now >= w->timeout_at || w->given_up || is_of_task(w->connection) || s->drained;

        shared_fill(s, w->name);
        if (answer->count != w->n_done || !shared_is_first(s, w))
                shared_wrong(s, w, "is told wrong how many are in, or out of turn");
        if (w->n_done < w->n && (w->n_done == 0 || !may_end))
                shared_wrong(s, w, "is told before all are in");
        if (w->n_done < w->n)
                MEET(s, shared, DID_put_in_part);
        else
                MEET(s, shared, shared_is_at_once(s, w) ? DID_put_at_once : DID_put_in_turn);
        shared_end_wait(s, w);
}

/* -- get -- */

void shared_get(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_QUEUE);
        int64_t timeout = shared_timeout(s);
        const struct shared_wait wait = {.kind = SHARED_GET,
                                         .n = (uint32_t)random_between(&s->random, 1, 5),
                                         .ack = random_chance(&s->random, 700),
                                         .timeout_at = timeout};
        struct shared_call call =
                shared_begin_wait(s, connection, name, OBJECT_QUEUE, ABSENT_MADE, ACCESS_WRITE, &wait);
        int r;

        TRACE(s, "get", connection, call.id.msgid, name, wait.n, wait.ack, (uint64_t)timeout);
        r = core_queue_get(s->core, call.id, shared_names[name], &call.open, wait.n, wait.ack, timeout,
                           s->now);
        if (r == CORE_NOT_READY)
                MEET(s, shared, DID_got_not_now);
        shared_done(s, &call, r);
}

static bool is_front(struct sim *s, uint32_t name, const struct core_item *item)
{
        const struct shared_item *expected = front(s, name);

        return expected && shared_is_value(s, item->payload, &expected->value);
}

static void take(struct sim *s, const struct shared_wait *w, const struct core_item *given)
{
        struct shared_item *item = front(s, w->name);

        if (!is_front(s, w->name, given))
                shared_wrong(s, w, "gets another item than the first one");
        if (!w->ack) {
                drop(s, item);
                return;
        }
        if (item->token && item->token != given->token)
                shared_wrong(s, w, "gets an item by another token than before");
        MEET(s, shared, item->token ? DID_lease_again : DID_leased);
        item->token = given->token;
        item->state = ITEM_LEASED;
        item->connection = w->connection;
}

/* Whether the next one would have made the answer too large; what an item costs beside its value is the
 * core's matter. */
static bool is_full(struct sim *s, const struct shared_wait *w, uint64_t bytes, uint64_t overhead_bytes)
{
        const struct shared_item *next = front(s, w->name);

        if (!next || bytes + next->value.size_bytes + overhead_bytes <= s->config.max_answer_bytes)
                return false;
        MEET(s, shared, DID_got_by_size);
        return true;
}

void shared_got(struct sim *s, struct shared_wait *w, const struct core_shared_answer *answer)
{
        uint64_t n = 0, bytes = 0, overhead_bytes = 0;
        const struct shared_item *first;

        if (!is_front(s, w->name, answer->items))
                shared_presume(s, w->name);
        first = front(s, w->name);
        if (!shared_is_first(s, w) || answer->flag != w->ack || !first)
                shared_wrong(s, w, "gets something out of turn");
        overhead_bytes = answer->items->size_bytes - first->value.size_bytes;
        for (const struct core_item *item = answer->items; item; item = item->next, n++) {
                bytes += item->size_bytes;
                take(s, w, item);
        }
        if (n != answer->count || n == 0 || n > w->n ||
            (n < w->n && front(s, w->name) && !is_full(s, w, bytes, overhead_bytes)))
                shared_wrong(s, w, "does not get as many as there are");
        MEET(s, shared, shared_is_at_once(s, w) ? DID_got_at_once : DID_got_in_turn);
        if (!front(s, w->name))
                shared_fill(s, w->name);
        shared_end_wait(s, w);
}

/* -- done -- */

/* Some that are leased, to this one or by mistake to others. Returns how many are done. */
static size_t pick_leases(struct sim *s, const struct shared_call *call, uint64_t *tokens, size_t *ret_n)
{
        struct shared_item *item, *next;
        size_t n_done = 0;

        *ret_n = 0;
        for (item = TAILQ_FIRST(&s->shared->items); item && *ret_n < MAX_PUT; item = next) {
                bool is_own = item->connection == call->connection && item->name == call->name;
                next = TAILQ_NEXT(item, link);
                if (item->state != ITEM_LEASED || !random_chance(&s->random, is_own ? 700 : 30))
                        continue;
                tokens[(*ret_n)++] = item->token;
                if (!is_own)
                        MEET(s, shared, DID_lease_not_ones_own);
                if (!is_own || call->expected)
                        continue;
                MEET(s, shared, DID_lease_done);
                drop(s, item);
                n_done++;
        }
        return n_done;
}

void shared_task_done(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_QUEUE);
        struct shared_call call =
                shared_begin(s, connection, name, OBJECT_QUEUE, ABSENT_UNKNOWN, ACCESS_WRITE);
        uint64_t tokens[MAX_PUT];
        size_t n, n_done = 0, n_expected = pick_leases(s, &call, tokens, &n);
        int r;

        TRACE(s, "task_done", connection, name, n, n_expected);
        r = core_queue_done(s->core, connection, shared_names[name], tokens, n, s->now, &n_done);
        if (shared_done(s, &call, r) && n_done != n_expected)
                sim_fail(s, "%s: %zu items are done instead of %zu", shared_names[name], n_done, n_expected);
}

void shared_join(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_QUEUE);
        int64_t timeout = shared_timeout(s);
        const struct shared_wait wait = {.kind = SHARED_JOIN, .timeout_at = timeout};
        struct shared_call call =
                shared_begin_wait(s, connection, name, OBJECT_QUEUE, ABSENT_MADE, ACCESS_WRITE, &wait);
        int r;

        TRACE(s, "join", connection, call.id.msgid, name, (uint64_t)timeout);
        r = core_queue_join(s->core, call.id, shared_names[name], &call.open, timeout, s->now);
        if (r == CORE_NOT_READY)
                MEET(s, shared, DID_join_not_now);
        shared_done(s, &call, r);
}

void shared_joined(struct sim *s, struct shared_wait *w)
{
        if (!shared_is_first(s, w) || !shared_is_idle(s, w->name))
                shared_wrong(s, w, "goes on while there is something to do");
        MEET(s, shared, shared_is_at_once(s, w) ? DID_joined_at_once : DID_joined_in_turn);
        shared_end_wait(s, w);
}

/* -- pipes -- */

void shared_pipe(struct sim *s, uint32_t connection)
{
        uint32_t name = shared_pick(s, OBJECT_PIPE);
        struct shared_call call =
                shared_begin(s, connection, name, OBJECT_PIPE, ABSENT_UNKNOWN, ACCESS_WRITE);
        payload_t payload;
        int r;

        TRACE(s, "pipe", connection, name);
        r = core_pipe_take(s->core, connection, shared_names[name], &payload);
        if (shared_done(s, &call, r)) {
                MEET(s, shared, DID_pipe_taken);
                payloads_drop(s, payload);
                *shared_at(s, name) = (struct shared_object){0};
        }
        if (r != CORE_UNKNOWN_OBJECT)
                return;
        call = shared_begin(s, connection, name, OBJECT_PIPE, ABSENT_MADE, ACCESS_WRITE);
        payload = shared_value(s, &(struct shared_value){0}).payload;
        shared_at(s, name)->is_made = false;
        r = core_pipe_leave(s->core, connection, shared_names[name], &call.open, payload, s->now);
        if (shared_done(s, &call, r))
                MEET(s, shared, DID_pipe_left);
        else
                payloads_drop(s, payload);
}
