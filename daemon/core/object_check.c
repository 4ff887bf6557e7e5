/* SPDX-License-Identifier: MIT */
/* The invariants of shared objects: who waits is in the list that his kind says, and could not be served. */
#include "daemon/core/core_private.h"

static uint32_t check_waits(const struct object *object, const struct object_waits *waits)
{
        const struct object_wait *wait;
        uint32_t n = 0;
        TAILQ_FOREACH (wait, waits, link) {
                assert(wait->object == object && wait->waiter->object_wait == wait);
                assert((wait->kind == WAIT_ACQUIRE || wait->kind == WAIT_CONDITION) == (wait->hold != NULL));
                n++;
        }
        return n;
}

static void check_lock(const struct object *lock)
{
        const struct hold *hold;
        uint64_t n = 0, token = 0;
        TAILQ_FOREACH (hold, &lock->as.lock.holds, of_object) {
                assert(hold->object == lock && hold->n > 0 && hold->token > token);
                token = hold->token;
                n++;
        }
        assert(n == lock->as.lock.n_holds && n <= lock->values[PROPERTY_LIMIT]);
        assert(n == lock->values[PROPERTY_LIMIT] || TAILQ_EMPTY(&lock->waits));
}

static void check_shared_queue(const struct object *queue)
{
        const struct queue_item *item;
        uint64_t n = 0, number = 0;
        TAILQ_FOREACH (item, &queue->as.queue.items, link) {
                assert(item->object == queue && !item->peer && item->item.token > number);
                number = item->item.token;
                n++;
        }
        assert(n == queue->as.queue.n_items && (n == 0 || TAILQ_EMPTY(&queue->waits)));
        assert(n + queue->as.queue.n_leased > 0 || !TAILQ_EMPTY(&queue->others) ||
               TAILQ_EMPTY(&queue->joins));
}

static void check_dict(const struct object *dict)
{
        const struct entry *entry;
        uint64_t n = 0, version = 0;
        TAILQ_FOREACH (entry, &dict->as.dict.by_version, by_version) {
                assert(entry->object == dict && entry->entry.version >= version && entry->entry.version > 0);
                version = entry->entry.version;
                n += entry->entry.value != PAYLOAD_NONE;
        }
        assert(n == dict->as.dict.n_keys && version <= dict->as.dict.version);
        assert(n + dict->as.dict.n_deleted == dict->as.dict.by_key.n);
}

uint64_t objects_check(const struct core *core)
{
        uint64_t bytes = 0;
        for (size_t i = 0; i < (size_t)1 << core->objects.bits; i++) {
                for (const struct table_link *link = core->objects.buckets[i]; link; link = link->next) {
                        const struct object *object = CONTAINER_OF(link, struct object, by_name);
                        uint32_t n = check_waits(object, &object->waits) +
                                     check_waits(object, &object->others) +
                                     check_waits(object, &object->joins);
                        assert(n == object->n_waiting && !object->is_going);
                        bytes += object->cost_bytes;
                        if (object->kind == OBJECT_LOCK)
                                check_lock(object);
                        else if (object->kind == OBJECT_QUEUE)
                                check_shared_queue(object);
                        else if (object->kind == OBJECT_DICT)
                                check_dict(object);
                }
        }
        return bytes;
}
