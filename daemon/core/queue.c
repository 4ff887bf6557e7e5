/* SPDX-License-Identifier: MIT */
/*
 * Who is next in a pool. Tasks of one connection and one priority stand in a lane, in their order; the lanes
 * of a user's priority take turns, higher priorities go first, the users take turns. Only admins' priorities
 * count across users: such tasks stand in a ring of their own rank, above or below the ring of all others
 * (rank 0). The tasks of a user's closed connections are one more lane.
 *
 * The invariant: a lane is in its level's ring exactly while it has tasks, a level is active exactly while
 * its ring has lanes, a turn is in its rank's ring exactly while it has active levels. Taking is O(1).
 */
#include "daemon/core/core_private.h"

void queue_init(struct queue *queue)
{
        for (int i = 0; i < N_RANKS; i++)
                TAILQ_INIT(&queue->ranks[i]);
}

/* -- activity: one step up for each level of the house -- */

static void turn_enter(struct turn *turn, bool at_head)
{
        struct queue *queue = &turn->pool->queue;
        unsigned i = (unsigned)(turn->rank + PRIORITY_MAX);
        if (at_head)
                TAILQ_INSERT_HEAD(&queue->ranks[i], turn, ring);
        else
                TAILQ_INSERT_TAIL(&queue->ranks[i], turn, ring);
        turn->in_ring = true;
        queue->active[i / 64] |= UINT64_C(1) << (i % 64);
}

static void turn_leave(struct turn *turn)
{
        struct queue *queue = &turn->pool->queue;
        unsigned i = (unsigned)(turn->rank + PRIORITY_MAX);
        TAILQ_REMOVE(&queue->ranks[i], turn, ring);
        turn->in_ring = false;
        if (TAILQ_EMPTY(&queue->ranks[i]))
                queue->active[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static void level_enter(struct level *level)
{
        struct turn *turn = level->turn;
        struct level *other;
        TAILQ_FOREACH (other, &turn->active, active) {
                if (other->priority < level->priority)
                        break;
        }
        if (other)
                TAILQ_INSERT_BEFORE(other, level, active);
        else
                TAILQ_INSERT_TAIL(&turn->active, level, active);
        level->is_active = true;
}

static void lane_enter(struct lane *lane, bool at_head)
{
        struct level *level = lane->level;
        struct turn *turn = level->turn;
        if (lane->in_ring) {
                assert(at_head); /* its place at the end it has already */
                TAILQ_REMOVE(&level->lanes, lane, ring);
        }
        if (at_head)
                TAILQ_INSERT_HEAD(&level->lanes, lane, ring);
        else
                TAILQ_INSERT_TAIL(&level->lanes, lane, ring);
        lane->in_ring = true;
        if (!level->is_active)
                level_enter(level);
        if (turn->in_ring && at_head)
                turn_leave(turn);
        if (!turn->in_ring)
                turn_enter(turn, at_head);
}

static void lane_leave(struct lane *lane)
{
        struct level *level = lane->level;
        struct turn *turn = level->turn;
        assert(lane->in_ring);
        TAILQ_REMOVE(&level->lanes, lane, ring);
        lane->in_ring = false;
        if (!TAILQ_EMPTY(&level->lanes))
                return;
        TAILQ_REMOVE(&turn->active, level, active);
        level->is_active = false;
        if (TAILQ_EMPTY(&turn->active))
                turn_leave(turn);
}

/* -- tasks -- */

static struct lane *lane_of(struct core *core, struct task *task)
{
        struct lane *lane = task->lane;
        if (lane->merged_into) {
                task->lane = lane->merged_into;
                task->lane->n_refs++;
                lane_unref(core, lane);
        }
        return task->lane;
}

void queue_push(struct task *task)
{
        struct core *core = task->user->core;
        struct lane *lane = lane_of(core, task);
        assert(task->place == PLACE_NONE);
        task->order = ++core->next_order;
        task->used_turn = false;
        task->place = PLACE_LANE;
        TAILQ_INSERT_TAIL(&lane->tasks, task, link);
        awaited_enter(task, false);
        if (!lane->in_ring)
                lane_enter(lane, false);
        lane->level->turn->pool->is_dirty = true;
}

void queue_put_back(struct task *task, uint64_t order)
{
        queue_put_back_behind(task, order, NULL);
}

/* What stands before it was taken back as well, so this is a short walk. */
void queue_put_back_behind(struct task *task, uint64_t order, struct task *before)
{
        struct lane *lane = lane_of(task->user->core, task);
        bool is_near = before && before->lane == lane && before->order < order;
        struct task *other = is_near ? TAILQ_NEXT(before, link) : TAILQ_FIRST(&lane->tasks);
        assert(task->place == PLACE_NONE);
        task->order = order;
        task->place = PLACE_LANE;
        while (other && other->order <= order)
                other = TAILQ_NEXT(other, link);
        if (other)
                TAILQ_INSERT_BEFORE(other, task, link);
        else
                TAILQ_INSERT_TAIL(&lane->tasks, task, link);
        awaited_enter(task, true);
        lane->level->turn->pool->is_dirty = true;
#ifndef SEEDED_BUG_TURN_LOST
        if (task->used_turn || !lane->in_ring)
                lane_enter(lane, task->used_turn);
#endif
        task->used_turn = false;
}

void queue_remove(struct task *task)
{
        struct lane *lane = task->lane;
        assert(task->place == PLACE_LANE && !lane->merged_into);
        TAILQ_REMOVE(&lane->tasks, task, link);
        task->place = PLACE_NONE;
        awaited_leave(task);
        if (TAILQ_EMPTY(&lane->tasks))
                lane_leave(lane);
}

static struct turn *first_turn(const struct pool *pool)
{
        const struct queue *queue = &pool->queue;
        for (unsigned i = sizeof(queue->active) / sizeof(queue->active[0]); i-- > 0;)
                if (queue->active[i])
                        return TAILQ_FIRST(
                                &queue->ranks[i * 64 + 63 - (unsigned)__builtin_clzll(queue->active[i])]);
        return NULL;
}

struct task *queue_first(const struct pool *pool)
{
        const struct turn *turn = first_turn(pool);
        return turn ? TAILQ_FIRST(&TAILQ_FIRST(&TAILQ_FIRST(&turn->active)->lanes)->tasks) : NULL;
}

struct task *queue_take(struct pool *pool)
{
        struct turn *turn = first_turn(pool);
        struct level *level = TAILQ_FIRST(&turn->active);
        struct lane *lane = TAILQ_FIRST(&level->lanes);
        struct task *task = TAILQ_FIRST(&lane->tasks);
        queue_remove(task);
        task->used_turn = true;
        if (lane->in_ring) {
                TAILQ_REMOVE(&level->lanes, lane, ring);
                TAILQ_INSERT_TAIL(&level->lanes, lane, ring);
        }
        /* Who is alone is next again. */
        if (turn->in_ring && TAILQ_NEXT(turn, ring)) {
                turn_leave(turn);
                turn_enter(turn, false);
        }
        return task;
}
