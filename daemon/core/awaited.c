/* SPDX-License-Identifier: MIT */
/*
 * What tasks wait for and could begin: a waiting task's ready children, and other ready tasks that it
 * watches, in whatever pool they are. The place of who waits is lent to these, the deepest first: were one of
 * them passed over, all the places that there may be could go to tasks that wait in turn.
 *
 * One group for each waiting task and each pool. The invariant: a group is in its pool's list exactly while
 * its task waits and the group is not empty; in it is what stands in a lane. A task's group is made before
 * the first child or watch that could come into it.
 */
#include "daemon/core/core_private.h"

static struct awaited *find(const struct peer *peer, uint32_t pool)
{
        struct awaited *group;
        SLIST_FOREACH (group, &peer->awaited, of_peer) {
                if (group->pool->index == pool)
                        return group;
        }
        return NULL;
}

int awaited_reserve(struct peer *peer, uint32_t pool)
{
        struct awaited *group;
        if (!peer->run || find(peer, pool))
                return 0;
        group = calloc(1, sizeof(*group));
        if (!group)
                return -ENOMEM;
        group->peer = peer;
        group->pool = pool_at(peer->core, pool);
        TAILQ_INIT(&group->children);
        TAILQ_INIT(&group->watched);
        SLIST_INSERT_HEAD(&peer->awaited, group, of_peer);
        return 0;
}

void awaited_free_all(struct peer *peer)
{
        struct awaited *group;
        while ((group = SLIST_FIRST(&peer->awaited))) {
                assert(!group->is_listed && TAILQ_EMPTY(&group->children) && TAILQ_EMPTY(&group->watched));
                SLIST_REMOVE_HEAD(&peer->awaited, of_peer);
                free(group);
        }
}

static void list(struct awaited *group)
{
        struct pool *pool = group->pool;
        struct awaited *other;
        TAILQ_FOREACH (other, &pool->awaited, link) {
                if (other->peer->depth <= group->peer->depth)
                        break;
        }
        if (other)
                TAILQ_INSERT_BEFORE(other, group, link);
        else
                TAILQ_INSERT_TAIL(&pool->awaited, group, link);
        pool->is_dirty = true;
}

static void update(struct awaited *group)
{
        bool is_awaited =
                group->peer->is_waiting && (!TAILQ_EMPTY(&group->children) || !TAILQ_EMPTY(&group->watched));
        if (is_awaited == group->is_listed)
                return;
        group->is_listed = is_awaited;
        if (is_awaited)
                list(group);
        else
                TAILQ_REMOVE(&group->pool->awaited, group, link);
}

void awaited_update(struct peer *peer)
{
        struct awaited *group;
        SLIST_FOREACH (group, &peer->awaited, of_peer) {
                update(group);
        }
}

/* -- children -- */

static void child_enter(struct task_extra *extra, bool at_head)
{
        struct awaited *group = find(extra->parent, extra->task->pool);
        extra->is_ready = true;
        if (at_head)
                TAILQ_INSERT_HEAD(&group->children, extra, of_ready);
        else
                TAILQ_INSERT_TAIL(&group->children, extra, of_ready);
        update(group);
}

void child_leave(struct task_extra *extra)
{
        if (!extra->is_ready)
                return;
        struct awaited *group = find(extra->parent, extra->task->pool);
        extra->is_ready = false;
        TAILQ_REMOVE(&group->children, extra, of_ready);
        update(group);
}

/* -- others -- */

static void watch_enter(struct watch *watch)
{
        struct peer *peer = watch->waiter->peer;
        struct task *task = watch->task;
        if (!peer->run || (task->extra && task->extra->parent == peer))
                return;
        watch->awaited = find(peer, task->pool);
        TAILQ_INSERT_TAIL(&watch->awaited->watched, watch, of_awaited);
        update(watch->awaited);
}

static void watch_leave(struct watch *watch)
{
        struct awaited *group = watch->awaited;
        if (!group)
                return;
        watch->awaited = NULL;
        TAILQ_REMOVE(&group->watched, watch, of_awaited);
        update(group);
}

/* -- tasks -- */

void watch_begin(struct watch *watch, struct task *task)
{
        watch->task = task;
        watch->awaited = NULL;
        LIST_INSERT_HEAD(&task->watches, watch, link);
        if (task->place == PLACE_LANE)
                watch_enter(watch);
}

void watch_end(struct watch *watch)
{
        watch_leave(watch);
        LIST_REMOVE(watch, link);
        watch->task = NULL;
}

void awaited_enter(struct task *task, bool at_head)
{
        struct watch *watch;
        if (task->extra && task->extra->parent)
                child_enter(task->extra, at_head);
        LIST_FOREACH (watch, &task->watches, link) {
                watch_enter(watch);
        }
}

void awaited_leave(struct task *task)
{
        struct watch *watch;
        if (task->extra)
                child_leave(task->extra);
        LIST_FOREACH (watch, &task->watches, link) {
                watch_leave(watch);
        }
}

bool task_is_watched_by_task(const struct task *task)
{
        const struct watch *watch;
        LIST_FOREACH (watch, &task->watches, link) {
                if (watch->waiter->peer->run)
                        return true;
        }
        return false;
}

struct task *pool_first_awaited(const struct pool *pool)
{
        const struct awaited *group = TAILQ_FIRST(&pool->awaited);
        if (!group)
                return NULL;
        const struct task_extra *child = TAILQ_FIRST(&group->children);
        return child ? child->task : TAILQ_FIRST(&group->watched)->task;
}
