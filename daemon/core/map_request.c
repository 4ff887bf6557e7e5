/* SPDX-License-Identifier: MIT */
/*
 * What a client asks of maps: a new one, further items, leave to begin more. All memory is had and all
 * limits are asked before anything changes.
 */
#include "daemon/core/core_private.h"

static struct segment *segment_new(payload_t payload, uint64_t first, uint64_t n_items, uint64_t size_bytes,
                                   uint32_t n_descriptors)
{
        struct segment *segment = calloc(1, sizeof(*segment));
        if (!segment)
                return NULL;
        segment->payload = payload;
        segment->first = first;
        segment->n_items = segment->n_left = n_items;
        segment->size_bytes = size_bytes;
        segment->n_descriptors = n_descriptors;
        return segment;
}

static void append(struct map *map, struct segment *segment)
{
        TAILQ_INSERT_TAIL(&map->segments, segment, link);
        map->n_fed += segment->n_items;
        if (!map->cursor_segment)
                map->cursor_segment = segment;
}

static int map_new(const struct core_map_spec *spec, bool may_wait, struct map **ret)
{
        struct map *map = calloc(1, sizeof(*map));
        if (!map)
                return -ENOMEM;
        TAILQ_INIT(&map->segments);
        TAILQ_INIT(&map->returned);
        TAILQ_INIT(&map->spare);
        TAILQ_INIT(&map->chunks);
        map->chunk = spec->chunk;
        map->limit = spec->limit;
        map->window = spec->window;
        map->ordered = spec->ordered;
        map->fail_fast = spec->fail_fast;
        map->failed_at = UINT64_MAX;
        map->fed_all = !spec->feed;
        map->collect = spec->collect;
        map->may_wait = may_wait;
        /* No count of tasks bounds those that wait. */
        map->cost_bytes = sizeof(*map) + sizeof(struct task);
        if (spec->ordered) {
                bool is_small = !spec->feed && spec->n_items < LIMIT_ORDERED_AHEAD;
                map->n_held_max = is_small ? spec->n_items + 1 : LIMIT_ORDERED_AHEAD;
                map->cost_bytes += map->n_held_max * sizeof(*map->held);
                map->held = calloc(map->n_held_max, sizeof(*map->held));
        }
        if (spec->ordered && !map->held) {
                free(map);
                return -ENOMEM;
        }
        *ret = map;
        return 0;
}

static void map_dealloc(struct map *map)
{
        struct range *range;
        map_drop_again(map);
        while ((range = TAILQ_FIRST(&map->spare))) {
                TAILQ_REMOVE(&map->spare, range, link);
                free(range);
        }
        free(map->held);
        free(map);
}

void map_free(struct core *core, struct task *task)
{
        struct map *map = task->map;
        struct segment *segment;
        if (!map)
                return;
        assert(map->n_chunks == 0);
        map_leave_line(core, task);
        map_drop_held(core, task);
        while ((segment = TAILQ_FIRST(&map->segments)))
                map_drop_segment(core, task, segment);
        if (map->collect)
                core->ops.collect_drop(core->ctx, task_id(task));
        user_release(task->user, ACCOUNT_BYTES, map->collected_bytes + map->cost_bytes);
        struct range *range;
        while ((range = TAILQ_FIRST(&map->returned))) {
                TAILQ_REMOVE(&map->returned, range, link);
                free(range);
        }
        map_dealloc(map);
        task->map = NULL;
}

/* The first segment; without items there is none, and their payload is dropped. */
static int first_segment(struct map *map, const struct core_spec *spec, const struct core_map_spec *map_spec)
{
        struct segment *segment =
                segment_new(spec->args, 0, map_spec->n_items, spec->args_size_bytes, spec->n_descriptors);
        if (!segment)
                return -ENOMEM;
        append(map, segment);
        if (!map->may_wait)
                map->n_items = map->n_fed;
        return 0;
}

int core_map(struct core *core, struct core_request request, const struct core_spec *spec,
             const struct core_map_spec *map_spec, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct waiter *waiter;
        struct task *task = NULL;
        struct map *map = NULL;
        assert(peer);
        core_update_now(core, now);
        int r = waiter_new(peer, request.msgid, WAITER_MAP, &waiter);
        if (r)
                return r;
        /* A map of a task must find its room: it may be its own task that leaves none. */
        bool may_wait = map_spec->feed && !peer->run;
        r = task_new(peer, spec, may_wait ? 0 : map_spec->n_items, now, &task);
        if (r)
                goto no_task;
        r = map_new(map_spec, may_wait, &map);
        if (r < 0)
                goto no_map;
        r = user_admit(peer->user, ACCOUNT_BYTES,
                       map->cost_bytes + segment_cost_bytes(spec->args_size_bytes));
        if (!r)
                r = first_segment(map, spec, map_spec);
        if (r) {
                map_dealloc(map);
                goto no_map;
        }
        if (map_spec->n_items == 0)
                map->cursor_segment = NULL;
        user_charge(peer->user, ACCOUNT_BYTES,
                    map->cost_bytes + segment_cost_bytes(0)); /* the arguments are */
        map->waiter = waiter;
        task->map = map;
        task->args = PAYLOAD_NONE;
        task->is_call = true;
        waiter_watch(waiter, &waiter->watch, task, 0);
        task_accept(core, task);
        pool_count(task_pool(core, task), TASK_UNBORN, task->state, map->n_items);
        map_update(core, task);
        return 0;
no_map:
        task_discard(core, task);
no_task:
        waiter_free(core, waiter);
        return r;
}

static int admit_feed(struct core *core, const struct task *task, uint64_t size_bytes, uint64_t n_items,
                      uint32_t n_descriptors)
{
        bool may_wait = task->map->may_wait;
        int r = may_wait ? 0 : pool_admit(task_pool(core, task), n_items);
        if (!r && !may_wait)
                r = user_admit(task->user, ACCOUNT_TASKS, n_items);
        if (!r)
                r = user_admit(task->user, ACCOUNT_DESCRIPTORS, n_descriptors);
        if (!r)
                r = user_admit(task->user, ACCOUNT_BYTES, segment_cost_bytes(size_bytes));
        return r;
}

static struct task *open_map(const struct core *core, struct core_request request)
{
        struct waiter *waiter = waiter_find(core, request);
        return waiter && waiter->kind == WAITER_MAP ? waiter->watch.task : NULL;
}

bool core_map_is_open(const struct core *core, struct core_request request)
{
        return open_map(core, request) != NULL;
}

int core_feed(struct core *core, struct core_request request, payload_t payload, uint64_t size_bytes,
              uint64_t n_items, uint32_t n_descriptors, bool last, int64_t now)
{
        struct task *task = open_map(core, request);
        core_update_now(core, now);
        if (!task)
                return CORE_NOT_OPEN;
        struct map *map = task->map;
        if (map->fed_all)
                return CORE_MISUSE;
        if (task->bad.cause != CAUSE_NONE) { /* it ends already: nothing more is wanted */
                if (payload != PAYLOAD_NONE)
                        core->ops.drop(core->ctx, payload);
                map->fed_all = last;
                return 0;
        }
        if (n_items) {
                int r = admit_feed(core, task, size_bytes, n_items, n_descriptors);
                struct segment *segment =
                        r ? NULL : segment_new(payload, map->n_fed, n_items, size_bytes, n_descriptors);
                if (!segment)
                        return r ? r : -ENOMEM;
                append(map, segment);
                task->args_size_bytes += size_bytes;
                user_charge(task->user, ACCOUNT_BYTES, segment_cost_bytes(size_bytes));
                user_charge(task->user, ACCOUNT_DESCRIPTORS, n_descriptors);
        } else if (payload != PAYLOAD_NONE) {
                core->ops.drop(core->ctx, payload);
        }
        map->fed_all = last;
        map_update(core, task);
        return 0;
}

int core_more(struct core *core, struct core_request request, uint64_t n, int64_t now)
{
        struct task *task = open_map(core, request);
        core_update_now(core, now);
        if (!task)
                return CORE_NOT_OPEN;
        struct map *map = task->map;
        if (!map->window || n > map->n_delivered - map->n_confirmed)
                return CORE_MISUSE;
        map->n_confirmed += n;
        map_update(core, task);
        return 0;
}
