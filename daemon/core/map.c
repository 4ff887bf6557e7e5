/* SPDX-License-Identifier: MIT */
/*
 * A map: one task with many items. It holds its arguments once (a segment for the first message and for each
 * feed, dropped when all its items have ended), a cursor over what was never sent, and the ranges that came
 * back. A chunk of items takes one turn; then the map goes to the end of its lane.
 *
 * The invariant: an item is behind the cursor and in a range, in a chunk that stands in a run, ended, or not
 * yet reached; a spare range waits for every chunk, so that any of them can come back without memory.
 */
#include "daemon/core/core_private.h"

uint64_t map_n_ready(const struct map *map)
{
        return map->n_items - map->cursor + map->n_returned + map->n_due;
}

enum task_state map_rest_state(const struct task *task)
{
        return task->bad.cause == CAUSE_EXPIRED ? TASK_EXPIRED : TASK_CANCELLED;
}

/* -- chunks -- */

static uint64_t chunk_size(const struct core *core, const struct task *task)
{
        const struct map *map = task->map;
        const struct pool *pool = task_pool(core, task);
        int64_t mean = task_function(core, task)->mean_ns;
        if (map->chunk)
                return map->chunk;
        if (mean == 0 || mean >= CHUNK_NS)
                return 1;
        uint64_t n_workers = pool->target ? pool->target : 1;
        uint64_t share = map_n_ready(map) / (2 * n_workers);
        return min_u64((uint64_t)(CHUNK_NS / mean), share ? share : 1);
}

static struct segment *segment_of(const struct map *map, uint64_t index)
{
        struct segment *segment = TAILQ_FIRST(&map->segments);
        while (index >= segment->first + segment->n_items) {
                segment = TAILQ_NEXT(segment, link);
                assert(segment); /* an item that has not ended has one */
        }
        return segment;
}

bool map_next(const struct core *core, const struct task *task, struct map_chunk *ret)
{
        const struct map *map = task->map;
        struct again *again = map->due;
        const struct range *range = TAILQ_FIRST(&map->returned);
        uint64_t first = range ? range->first : map->cursor;
        uint64_t n = range ? range->n : map->n_items - map->cursor;
        /* A worker runs one item of its chunk at a time, so chunks at work are items that run. */
        if (task->bad.cause != CAUSE_NONE || (map->limit && map->n_chunks >= map->limit))
                return false;
        /* What would only be held for its turn is more than the user may hold already. */
        uint64_t end = map->n_delivered + (user_is_over(task->user) ? 1 : LIMIT_ORDERED_AHEAD);
        if (again && again->index <= map->failed_at && !(map->ordered && again->index >= end)) {
                *ret = (struct map_chunk){again->index, 1, segment_of(map, again->index), again};
                return true;
        }
        if (n == 0)
                return false;
        if (map->window) {
                uint64_t unconfirmed = map->cursor - map->n_returned - map->n_confirmed;
                if (unconfirmed >= map->window)
                        return false;
                n = min_u64(n, map->window - unconfirmed);
        }
        if (map->ordered) {
                if (first >= end || first > map->failed_at)
                        return false;
                n = min_u64(n, end - first);
                n = min_u64(n, map->failed_at - first);
        }
        struct segment *segment = range ? segment_of(map, first) : map->cursor_segment;
        n = min_u64(n, segment->first + segment->n_items - first);
        *ret = (struct map_chunk){first, (uint32_t)min_u64(min_u64(n, chunk_size(core, task)), UINT32_MAX),
                                  segment, NULL};
        return true;
}

int map_reserve_chunk(struct map *map)
{
        while (map->n_spare <= map->n_chunks) {
                struct range *range = calloc(1, sizeof(*range));
                if (!range)
                        return -ENOMEM;
                TAILQ_INSERT_TAIL(&map->spare, range, link);
                map->n_spare++;
        }
        return 0;
}

void map_take(struct core *core, struct task *task, struct run *run)
{
        struct map *map = task->map;
        struct range *range = TAILQ_FIRST(&map->returned);
        uint32_t n = run->n_items;
        if (run->again) {
                struct again *again = map_again_take(map);
                assert(again == run->again);
        } else if (range) {
                assert(range->first == run->first && range->n >= n);
                range->first += n;
                range->n -= n;
                map->n_returned -= n;
                if (range->n == 0) {
                        TAILQ_REMOVE(&map->returned, range, link);
                        TAILQ_INSERT_TAIL(&map->spare, range, link);
                        map->n_spare++;
                }
        } else {
                struct segment *segment = map->cursor_segment;
                map->cursor += n;
                if (map->cursor == segment->first + segment->n_items)
                        map->cursor_segment = TAILQ_NEXT(segment, link);
        }
        TAILQ_INSERT_TAIL(&map->chunks, run, of_map);
        map->n_chunks++;
        assert(map->n_spare >= map->n_chunks);
        pool_count(task_pool(core, task), TASK_READY, TASK_SENT, n);
}

static void give_back(struct map *map, uint64_t first, uint64_t n)
{
        struct range *range = TAILQ_FIRST(&map->spare), *other;
        TAILQ_REMOVE(&map->spare, range, link);
        map->n_spare--;
        range->first = first;
        range->n = n;
        map->n_returned += n;
        TAILQ_FOREACH (other, &map->returned, link) {
                if (other->first > first)
                        break;
        }
        if (other)
                TAILQ_INSERT_BEFORE(other, range, link);
        else
                TAILQ_INSERT_TAIL(&map->returned, range, link);
}

static void cancel_items(struct core *core, struct task *task, enum task_state from, uint64_t n)
{
        pool_count(task_pool(core, task), from, map_rest_state(task), n);
        map_release(core, task, n);
        task->map->n_cancelled += n;
}

void map_leave(struct core *core, struct task *task, struct run *run)
{
        struct map *map = task->map;
        uint64_t n = run->first + run->n_items - run->next;
        enum task_state from = run->state == RUN_SENT ? TASK_SENT : TASK_RUNNING;
        if (n && task->bad.cause != CAUSE_NONE) {
                cancel_items(core, task, from, n);
        } else if (n) {
                if (run->again)
                        map_again_give_back(map, run->again);
                else
                        give_back(map, run->next, n);
                run->again = NULL;
                pool_count(task_pool(core, task), from, TASK_READY, n);
        }
        free(run->again);
        run->again = NULL;
        TAILQ_REMOVE(&map->chunks, run, of_map);
        map->n_chunks--;
}

/* -- the whole -- */

static void finish(struct core *core, struct task *task)
{
        struct map *map = task->map;
        struct segment *segment;
        assert(map->n_succeeded + map->n_failed + map->n_cancelled == map->n_items);
        map_drop_held(core, task);
        while ((segment = TAILQ_FIRST(&map->segments)))
                map_drop_segment(core, task, segment);
        task_end(core, task, cause_state(task->bad.cause), PAYLOAD_NONE, 0);
}

static bool is_done(const struct task *task)
{
        const struct map *map = task->map;
        return map->n_chunks == 0 && (task->bad.cause != CAUSE_NONE ||
                                      (map->fed_all && map->n_succeeded + map->n_failed == map->n_fed));
}

/* False: the map waits for its time, or has ended just now. */
static bool is_going_on(struct core *core, struct task *task)
{
        assert(task->state < TASK_SUCCEEDED); /* and born */
        if (task->state == TASK_DELAYED)
                return false;
        if (!is_done(task))
                return true;
        finish(core, task);
        return false;
}

bool map_has_next(const struct core *core, const struct task *task)
{
        struct map_chunk chunk;
        return map_next(core, task, &chunk);
}

/* An ordered one whose user holds too much goes on when he does not, or when it is its next item's turn. */
static void park_if_over(struct task *task)
{
        if (task->place == PLACE_NONE && task->map->ordered && task->bad.cause == CAUSE_NONE &&
            user_is_over(task->user))
                user_park(task->user, task);
}

void map_update(struct core *core, struct task *task)
{
        map_find_room(core, task);
        if (!is_going_on(core, task))
                return;
        bool some = map_has_next(core, task);
        if (some && task->place == PLACE_PARKED)
                user_unpark(task->user, task);
        if (some && task->place == PLACE_NONE)
                queue_push(task);
        else if (!some && task->place == PLACE_LANE)
                queue_remove(task);
        park_if_over(task);
}

void map_put_back(struct core *core, struct task *task, uint64_t order)
{
        map_find_room(core, task);
        if (!is_going_on(core, task) || task->place == PLACE_HELD || task->place == PLACE_ASIDE)
                return;
        bool some = map_has_next(core, task);
        if (some && task->place == PLACE_PARKED)
                user_unpark(task->user, task);
        bool is_in_place = some && task->place == PLACE_LANE && task->order <= order;
        if (task->place == PLACE_LANE && !is_in_place)
                queue_remove(task);
        if (some && !is_in_place)
                queue_put_back(task, order);
        park_if_over(task);
}

/* What is in no chunk is cancelled, and so is what the chunks have not begun. */
static void cancel_unbegun(struct core *core, struct task *task, const struct bad_end *bad)
{
        struct map *map = task->map;
        struct range *range;
        struct run *run, *next;
        if (task->bad.cause == CAUSE_NONE)
                task->bad = *bad;
        cancel_items(core, task, task->state == TASK_DELAYED ? TASK_DELAYED : TASK_READY, map_n_ready(map));
        cancel_items(core, task, TASK_DELAYED, map->n_waiting);
        map_leave_line(core, task);
        map_drop_again(map);
        timer_clear(core, &task->timer);
        while ((range = TAILQ_FIRST(&map->returned))) {
                TAILQ_REMOVE(&map->returned, range, link);
                TAILQ_INSERT_TAIL(&map->spare, range, link);
                map->n_spare++;
        }
        map->n_returned = 0;
        map->cursor = map->n_items;
        map->cursor_segment = NULL;
        TAILQ_FOREACH_SAFE (run, &map->chunks, of_map, next) {
                struct hand *hand = run->hand;
                if (run->state == RUN_SENT) {
                        run_take_back(run);
                        hand_settle(hand);
                }
        }
}

void map_cancel_rest(struct core *core, struct task *task, const struct bad_end *bad)
{
        cancel_unbegun(core, task, bad);
        if (is_done(task) && task->state == TASK_DELAYED)
                finish(core, task);
        else
                map_update(core, task);
}

void map_verdict(struct core *core, struct task *task, const struct bad_end *bad)
{
        struct map *map = task->map;
        struct run *run, *next;
        cancel_unbegun(core, task, bad);
        TAILQ_FOREACH_SAFE (run, &map->chunks, of_map, next) {
                struct hand *hand = run->hand;
                if (run->state == RUN_STOPPING)
                        run->verdict_index = UINT64_MAX;
                else if (!run_take_back(run))
                        run_verdict(run, bad);
                hand_settle(hand);
        }
        if (map->n_chunks)
                task_set_state(core, task, TASK_STOPPING);
        else
                finish(core, task);
}

void map_drop_segment(struct core *core, struct task *task, struct segment *segment)
{
        struct map *map = task->map;
        TAILQ_REMOVE(&map->segments, segment, link);
        core->ops.drop(core->ctx, segment->payload);
        user_release(task->user, ACCOUNT_BYTES, segment_cost_bytes(segment->size_bytes));
        user_release(task->user, ACCOUNT_DESCRIPTORS, segment->n_descriptors);
        free(segment);
}

void map_answer(struct core *core, const struct task *task, struct core_request request)
{
        const struct map *map = task->map;
        struct core_map_sum sum = {.task = task_id(task),
                                   .count = map->n_fed,
                                   .succeeded = map->n_delivered - map->n_delivered_failed,
                                   .failed = map->n_delivered_failed,
                                   .collect = map->collect};
        struct core_record record;
        if (map->refusal) {
                if (map->refusal == CORE_QUOTA)
                        user_admit(task->user, ACCOUNT_BYTES, UINT64_MAX); /* names the limit */
                core->ops.answer_refusal(core->ctx, request, map->refusal);
        } else if (task->bad.cause == CAUSE_NONE || task->bad.cause == CAUSE_FUNCTION) {
                core->ops.answer_map(core->ctx, request, &sum);
        } else {
                task_record(core, task, &record);
                core->ops.answer_record(core->ctx, request, &record);
        }
}
