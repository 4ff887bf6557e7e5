/* SPDX-License-Identifier: MIT */
/*
 * The life of lanes, and of the levels and turns above them: made when a task is admitted, referenced by
 * every unfinished task (so that a task can always go back), freed with the last. A peer keeps the lane that
 * it used last. When a peer goes, its lane becomes the user's lane of closed connections, or its tasks join
 * that; who still stands elsewhere finds it through merged_into.
 */
#include "daemon/core/core_private.h"

static uint64_t lane_key(const struct peer *peer, const struct pool *pool, int priority)
{
        return (uint64_t)peer->index << 32 | (uint64_t)pool->index << 16 | (uint8_t)priority;
}

static void turn_unused(struct turn *turn)
{
        if (!TAILQ_EMPTY(&turn->levels))
                return;
        assert(!turn->in_ring);
        LIST_REMOVE(turn, of_user);
        user_unref(turn->user);
        free(turn);
}

static void level_unused(struct level *level)
{
        struct turn *turn = level->turn;
        if (level->n_lanes)
                return;
        assert(!level->is_active && !level->closed);
        TAILQ_REMOVE(&turn->levels, level, link);
        free(level);
        turn_unused(turn);
}

static void lane_free(struct core *core, struct lane *lane)
{
        struct level *level = lane->level;
        assert(!lane->in_ring && TAILQ_EMPTY(&lane->tasks));
        if (lane->peer) {
                table_remove(&core->lanes, &lane->by_key);
                LIST_REMOVE(lane, of_peer);
        }
        if (level->closed == lane)
                level->closed = NULL;
        if (lane->merged_into)
                lane_unref(core, lane->merged_into);
        free(lane);
        level->n_lanes--;
        level_unused(level);
}

void lane_unref(struct core *core, struct lane *lane)
{
        assert(lane->n_refs > 0);
        if (--lane->n_refs == 0 && !(lane->peer && lane->peer->last_lane == lane))
                lane_free(core, lane);
}

static int turn_get(struct user *user, struct pool *pool, int rank, struct turn **ret)
{
        struct turn *turn;
        LIST_FOREACH (turn, &user->turns, of_user) {
                if (turn->pool == pool && turn->rank == rank) {
                        *ret = turn;
                        return 0;
                }
        }
        turn = calloc(1, sizeof(*turn));
        if (!turn)
                return -ENOMEM;
        turn->user = user;
        turn->pool = pool;
        turn->rank = rank;
        TAILQ_INIT(&turn->levels);
        TAILQ_INIT(&turn->active);
        LIST_INSERT_HEAD(&user->turns, turn, of_user);
        user->n_refs++;
        *ret = turn;
        return 0;
}

static int level_get(struct turn *turn, int priority, struct level **ret)
{
        struct level *level;
        TAILQ_FOREACH (level, &turn->levels, link) {
                if (level->priority == priority) {
                        *ret = level;
                        return 0;
                }
        }
        level = calloc(1, sizeof(*level));
        if (!level)
                return -ENOMEM;
        level->turn = turn;
        level->priority = priority;
        TAILQ_INIT(&level->lanes);
        TAILQ_INSERT_TAIL(&turn->levels, level, link);
        *ret = level;
        return 0;
}

static int lane_new(struct peer *peer, struct pool *pool, int priority, struct lane **ret)
{
        struct turn *turn;
        struct level *level;
        int r = turn_get(peer->user, pool, peer->admin ? priority : 0, &turn);
        if (r < 0)
                return r;
        r = level_get(turn, priority, &level);
        if (r < 0) {
                turn_unused(turn);
                return r;
        }
        struct lane *lane = calloc(1, sizeof(*lane));
        if (!lane) {
                level_unused(level);
                return -ENOMEM;
        }
        lane->peer = peer;
        lane->level = level;
        level->n_lanes++;
        TAILQ_INIT(&lane->tasks);
        LIST_INSERT_HEAD(&peer->lanes, lane, of_peer);
        table_add(&peer->core->lanes, &lane->by_key, lane_key(peer, pool, priority));
        *ret = lane;
        return 0;
}

int lane_get(struct peer *peer, struct pool *pool, int priority, struct lane **ret)
{
        struct lane *last = peer->last_lane;
        uint64_t key = lane_key(peer, pool, priority);
        if (last && last->by_key.key == key) {
                last->n_refs++;
                *ret = last;
                return 0;
        }
        struct table_link *link = table_find(&peer->core->lanes, key);
        struct lane *lane = link ? CONTAINER_OF(link, struct lane, by_key) : NULL;
        if (!lane) {
                int r = lane_new(peer, pool, priority, &lane);
                if (r < 0)
                        return r;
        }
        lane->n_refs++;
        peer->last_lane = lane;
        if (last && last->n_refs == 0)
                lane_free(peer->core, last);
        *ret = lane;
        return 0;
}

static void merge(struct lane *lane, struct lane *into)
{
        struct task *task;
        into->n_refs++; /* lane->merged_into's */
        while ((task = TAILQ_FIRST(&lane->tasks))) {
                queue_remove(task);
                lane->n_refs--;
                task->lane = into;
                into->n_refs++;
                queue_push(task);
        }
        lane->merged_into = into;
}

void lanes_orphan(struct peer *peer)
{
        struct core *core = peer->core;
        struct lane *lane;
        peer->last_lane = NULL;
        while ((lane = LIST_FIRST(&peer->lanes))) {
                struct level *level = lane->level;
                lane->n_refs++; /* until the end of this turn of the loop */
                LIST_REMOVE(lane, of_peer);
                table_remove(&core->lanes, &lane->by_key);
                lane->peer = NULL;
                if (level->closed)
                        merge(lane, level->closed);
                else if (lane->n_refs > 1)
                        level->closed = lane;
                lane_unref(core, lane);
        }
}
