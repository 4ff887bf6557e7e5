/* SPDX-License-Identifier: MIT */
/*
 * Queues: items, first in, first out, at most `maxsize` where that is said. Who takes with `ack` has an item
 * on lease until he says that it is done; if he goes before, it is at the front again. And pipes, which wait
 * here for who takes their other end.
 */
#include "daemon/core/core_private.h"

static bool has_room(const struct object *queue)
{
        uint64_t maxsize = queue->values[PROPERTY_MAXSIZE];
        return maxsize == 0 || queue->as.queue.n_items < maxsize;
}

static void item_free(struct queue_item *item)
{
        struct object *queue = item->object;
        struct core *core = queue->core;
        core->ops.drop(core->ctx, item->item.payload);
        object_release(queue, item->item.size_bytes);
        free(item);
}

static void items_free(struct queue_items *items)
{
        struct queue_item *item;
        while ((item = TAILQ_FIRST(items))) {
                TAILQ_REMOVE(items, item, link);
                item_free(item);
        }
}

/* -- leases -- */

static void lease(struct queue_item *item, struct peer *peer)
{
        struct core *core = item->object->core;
        item->peer = peer;
        LIST_INSERT_HEAD(&peer->leases, item, of_peer);
        table_add(&core->leases, &item->by_token, item->item.token);
        item->object->as.queue.n_leased++;
}

static void unlease(struct queue_item *item)
{
        LIST_REMOVE(item, of_peer);
        table_remove(&item->object->core->leases, &item->by_token);
        item->object->as.queue.n_leased--;
        item->peer = NULL;
}

/* Where it was: before all that came after it. Looked for from `near` on: those of one consumer are mostly
 * neighbours. */
static void put_back(struct queue_item *item, struct queue_item *near)
{
        struct object *queue = item->object;
        struct queue_item *other = near ? near : TAILQ_FIRST(&queue->as.queue.items), *before;
        while (other && (before = TAILQ_PREV(other, queue_items, link)) &&
               before->item.token > item->item.token)
                other = before;
        while (other && other->item.token < item->item.token)
                other = TAILQ_NEXT(other, link);
        if (other)
                TAILQ_INSERT_BEFORE(other, item, link);
        else
                TAILQ_INSERT_TAIL(&queue->as.queue.items, item, link);
        queue->as.queue.n_items++;
}

void queue_give_back(struct queue_item *item, struct queue_item **near)
{
        unlease(item);
#ifdef SEEDED_BUG_LEASE_LOST
        (void)near;
        (void)put_back;
        item_free(item);
#else
        put_back(item, *near);
        *near = item;
#endif
}

/* -- giving -- */

/* Takes what one answer may hold off the queue's front. */
static uint32_t take(struct object *queue, uint32_t max, struct queue_items *ret)
{
        uint64_t most_bytes = queue->core->config.max_answer_bytes, bytes = 0;
        struct queue_item *item, *last = NULL;
        uint32_t n = 0;
        TAILQ_INIT(ret);
        while (n < max && (item = TAILQ_FIRST(&queue->as.queue.items))) {
                bytes += item->item.size_bytes;
                if (n > 0 && bytes > most_bytes)
                        break;
                TAILQ_REMOVE(&queue->as.queue.items, item, link);
                queue->as.queue.n_items--;
                TAILQ_INSERT_TAIL(ret, item, link);
                if (last)
                        last->item.next = &item->item;
                item->item.next = NULL;
                last = item;
                n++;
        }
        return n;
}

static void give(struct object *queue, struct peer *peer, struct core_request request, uint32_t max, bool ack)
{
        struct queue_items items;
        struct queue_item *item;
        uint32_t n = take(queue, max, &items);
        struct core_shared_answer answer = {.kind = ANSWER_ITEMS, .flag = ack, .count = n};
        assert(n > 0);
        answer.items = &TAILQ_FIRST(&items)->item;
        answer_shared(queue->core, request, &answer);
        while ((item = TAILQ_FIRST(&items))) {
                TAILQ_REMOVE(&items, item, link);
                if (ack)
                        lease(item, peer);
                else
                        item_free(item);
        }
}

static void give_waiting(struct object_wait *wait)
{
        struct waiter *waiter = wait->waiter;
        struct peer *peer = waiter->peer;
        struct core_request request = waiter_request(waiter);
        uint32_t max = wait->n;
        bool ack = wait->ack;
        struct object *queue = wait->object;
        waiter_free(peer->core, waiter);
        give(queue, peer, request, max, ack);
}

/* Moves in what there is room for. True: all of it. */
static bool fill(struct object_wait *put)
{
        struct object *queue = put->object;
        struct queue_item *item;
        while (has_room(queue) && (item = TAILQ_FIRST(&put->items))) {
                TAILQ_REMOVE(&put->items, item, link);
                item->item.token = ++queue->core->last_token;
                TAILQ_INSERT_TAIL(&queue->as.queue.items, item, link);
                queue->as.queue.n_items++;
                put->n_done++;
        }
        return TAILQ_EMPTY(&put->items);
}

static bool is_done(const struct object *queue)
{
        return queue->as.queue.n_items == 0 && queue->as.queue.n_leased == 0 && TAILQ_EMPTY(&queue->others);
}

void queue_settle(struct object *queue)
{
        struct object_wait *wait;
        bool moved = true;
        while (moved) {
                moved = false;
                while (has_room(queue) && (wait = TAILQ_FIRST(&queue->others)) && fill(wait)) {
                        wait->notified = true;
                        object_wait_answer(wait, &(struct core_shared_answer){.kind = ANSWER_COUNT,
                                                                              .count = wait->n_done});
                        moved = true;
                }
                while (queue->as.queue.n_items > 0 && (wait = TAILQ_FIRST(&queue->waits))) {
                        give_waiting(wait);
                        moved = true;
                }
        }
        while (is_done(queue) && (wait = TAILQ_FIRST(&queue->joins)))
                object_wait_answer(wait, &(struct core_shared_answer){.kind = ANSWER_NIL});
}

/* -- going -- */

void queue_put_free(struct object_wait *put)
{
        items_free(&put->items);
}

void queue_free(struct object *queue)
{
        struct core *core = queue->core;
        items_free(&queue->as.queue.items);
        for (size_t i = 0; queue->as.queue.n_leased && i < (size_t)1 << core->leases.bits; i++) {
                struct table_link *next;
                for (struct table_link *link = core->leases.buckets[i]; link; link = next) {
                        struct queue_item *item = CONTAINER_OF(link, struct queue_item, by_token);
                        next = link->next;
                        if (item->object != queue)
                                continue;
                        unlease(item);
                        item_free(item);
                }
        }
}

/* -- the border -- */

/* Items of all values, or none. The payloads stay the caller's if it fails. */
static int items_new(struct object *queue, const struct core_value *values, size_t n, struct queue_items *ret)
{
        struct queue_item *item;
        uint64_t bytes = 0;
        TAILQ_INIT(ret);
        for (size_t i = 0; i < n; i++)
                bytes += values[i].size_bytes + sizeof(*item);
        int r = object_admit(queue, bytes);
        for (size_t i = 0; !r && i < n; i++) {
                item = calloc(1, sizeof(*item));
                if (!item) {
                        r = -ENOMEM;
                        break;
                }
                item->object = queue;
                item->item.payload = values[i].payload;
                item->item.size_bytes = values[i].size_bytes + sizeof(*item);
                TAILQ_INSERT_TAIL(ret, item, link);
        }
        if (!r) {
                object_charge(queue, bytes);
                return 0;
        }
        while ((item = TAILQ_FIRST(ret))) {
                TAILQ_REMOVE(ret, item, link);
                free(item);
        }
        return r;
}

/* The items that the caller may keep: it was refused. */
static void items_forget(struct object *queue, struct queue_items *items)
{
        struct queue_item *item;
        while ((item = TAILQ_FIRST(items))) {
                TAILQ_REMOVE(items, item, link);
                object_release(queue, item->item.size_bytes);
                free(item);
        }
}

/* What finds no room waits, behind those that wait already. */
static int put(struct object *queue, struct peer *peer, struct core_request request,
               struct queue_items *items, size_t n, int64_t timeout)
{
        struct object_wait now = {.object = queue, .items = TAILQ_HEAD_INITIALIZER(now.items)}, *wait = &now;
        bool waits = !TAILQ_EMPTY(&queue->others) ||
                     (queue->values[PROPERTY_MAXSIZE] &&
                      queue->as.queue.n_items + n > queue->values[PROPERTY_MAXSIZE]);
        if (waits && timeout > 0) {
                int r = object_wait_new(peer, request.msgid, queue, WAIT_PUT, timeout, &wait);
                if (r)
                        return r;
        }
        TAILQ_CONCAT(&wait->items, items, link);
        if (wait != &now) {
                queue_settle(queue);
                return 0;
        }
        bool is_all = TAILQ_EMPTY(&queue->others) && fill(&now);
        if (!is_all && now.n_done == 0) {
                TAILQ_CONCAT(items, &now.items, link);
                return CORE_NOT_READY;
        }
        items_free(&now.items);
        answer_shared(queue->core, request,
                      &(struct core_shared_answer){.kind = ANSWER_COUNT, .count = now.n_done});
        queue_settle(queue);
        return 0;
}

int core_queue_put(struct core *core, struct core_request request, const char *name,
                   const struct core_open *open, const struct core_value *values, size_t n, int64_t timeout,
                   int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct queue_items items;
        struct object *queue;
        core_update_now(core, now);
        int r = object_use(peer, name, open, &queue);
        if (!r)
                r = items_new(queue, values, n, &items);
        if (r)
                return r;
        if (n == 0) {
                answer_shared(core, request, &(struct core_shared_answer){.kind = ANSWER_COUNT});
                return 0;
        }
        r = put(queue, peer, request, &items, n, timeout);
        if (r)
                items_forget(queue, &items);
        return r;
}

int core_queue_get(struct core *core, struct core_request request, const char *name,
                   const struct core_open *open, uint32_t max, bool ack, int64_t timeout, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct object *queue;
        struct object_wait *wait;
        core_update_now(core, now);
        int r = object_use(peer, name, open, &queue);
        if (r)
                return r;
        if (queue->as.queue.n_items > 0) {
                give(queue, peer, request, max, ack);
                queue_settle(queue);
                return 0;
        }
        if (timeout <= 0)
                return CORE_NOT_READY;
        r = object_wait_new(peer, request.msgid, queue, WAIT_GET, timeout, &wait);
        if (r)
                return r;
        wait->n = max;
        wait->ack = ack;
        return 0;
}

int core_queue_done(struct core *core, uint32_t connection, const char *name, const uint64_t *tokens,
                    size_t n, int64_t now, size_t *ret_n)
{
        struct peer *peer = peer_at(core, connection);
        struct object *queue;
        core_update_now(core, now);
        *ret_n = 0;
        int r = object_find(peer, name, OBJECT_QUEUE, ACCESS_WRITE, &queue);
        if (r)
                return r;
        if (!queue)
                return CORE_UNKNOWN_OBJECT;
        for (size_t i = 0; i < n; i++) {
                struct table_link *link = table_find(&core->leases, tokens[i]);
                struct queue_item *item = link ? CONTAINER_OF(link, struct queue_item, by_token) : NULL;
                if (!item || item->object != queue || item->peer != peer)
                        continue;
                unlease(item);
                item_free(item);
                ++*ret_n;
        }
        queue_settle(queue);
        return 0;
}

int core_queue_join(struct core *core, struct core_request request, const char *name,
                    const struct core_open *open, int64_t timeout, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct object *queue;
        struct object_wait *wait;
        core_update_now(core, now);
        int r = object_use(peer, name, open, &queue);
        if (r)
                return r;
        if (is_done(queue)) {
                answer_shared(core, request, &(struct core_shared_answer){.kind = ANSWER_NIL});
                return 0;
        }
        if (timeout <= 0)
                return CORE_NOT_READY;
        return object_wait_new(peer, request.msgid, queue, WAIT_JOIN, timeout, &wait);
}

/* -- pipes -- */

int core_pipe_take(struct core *core, uint32_t connection, const char *name, payload_t *ret)
{
        struct object *pipe;
        int r = object_find(peer_at(core, connection), name, OBJECT_PIPE, ACCESS_WRITE, &pipe);
        if (r)
                return r;
        if (!pipe)
                return CORE_UNKNOWN_OBJECT;
        *ret = pipe->as.memory.payload;
        pipe->as.memory.payload = PAYLOAD_NONE;
        object_free(pipe);
        return 0;
}

int core_pipe_leave(struct core *core, uint32_t connection, const char *name, const struct core_open *open,
                    payload_t payload, int64_t now)
{
        struct object *pipe;
        core_update_now(core, now);
        int r = object_use(peer_at(core, connection), name, open, &pipe);
        if (!r)
                pipe->as.memory.payload = payload;
        return r;
}
