/* SPDX-License-Identifier: MIT */
/*
 * A peer: a client's connection as the core knows it. Owned by the core from core_connection_open() to
 * core_connection_close(). It holds the requests that are open on it, the lanes of its tasks, and the ready
 * tasks that may not begin while its output is above the mark. All bytes that wait in it are its user's.
 */
#include "daemon/core/core_private.h"
#include "proto/limits.h"

struct peer *peer_at(const struct core *core, uint32_t connection)
{
        return connection < core->n_peers ? core->peers[connection] : NULL;
}

bool peer_sees(const struct peer *peer, uid_t uid)
{
        return peer && (peer->admin || user_uid(peer->user) == uid);
}

int peer_new(struct core *core, uint32_t index, struct user *user, pid_t pid, struct peer **ret)
{
        int r = pointers_reserve(&core->peers, &core->n_peers, index);
        if (r < 0)
                return r;
        assert(!core->peers[index]);
        struct peer *peer = calloc(1, sizeof(*peer));
        if (!peer)
                return -ENOMEM;
        peer->core = core;
        peer->index = index;
        peer->user = user;
        peer->user->n_refs++;
        peer->pid = pid;
        TAILQ_INIT(&peer->waiters);
        LIST_INIT(&peer->lanes);
        TAILQ_INIT(&peer->held);
        LIST_INIT(&peer->holds);
        LIST_INIT(&peer->leases);
        TAILQ_INIT(&peer->children);
        SLIST_INIT(&peer->awaited);
        core->peers[index] = peer;
        *ret = peer;
        return 0;
}

int core_connection_open(struct core *core, uint32_t connection, uid_t uid, pid_t pid, bool admin)
{
        struct user *user = NULL;
        struct peer *peer;
        int r = user_get(core, uid, &user);
        if (r < 0)
                return r;
        r = user_admit(user, ACCOUNT_CONNECTIONS, 1);
        if (!r)
                r = peer_new(core, connection, user, pid, &peer);
        if (!r) {
                peer->admin = admin;
                user_charge(user, ACCOUNT_CONNECTIONS, 1);
        }
        user_unref(user);
        return r;
}

static void release_held(struct peer *peer)
{
        struct task *task, *next, *last = NULL;
        TAILQ_FOREACH_SAFE (task, &peer->held, link, next) {
                task_unhold(peer->core, task, last);
                last = task->map ? last : task;
        }
}

static bool is_own(const struct waiter *waiter)
{
        return waiter->kind == WAITER_CALL || waiter->kind == WAITER_MAP;
}

void peer_end_waiting(struct peer *peer, void (*end)(struct core *, struct waiter *))
{
        struct waiter *waiter, *next;
        TAILQ_FOREACH_SAFE (waiter, &peer->waiters, link, next) {
                uint32_t n = peer->n_waiters;
                if (is_own(waiter))
                        continue;
                end(peer->core, waiter);
                if (peer->n_waiters + 1 != n) /* others of its requests went too, as all at one barrier do */
                        next = TAILQ_FIRST(&peer->waiters);
        }
}

/* First what only waits: the end of the peer's own tasks may take with it what others of its requests wait
 * for, and nobody is there any more to be told. */
static void give_up_requests(struct peer *peer)
{
        struct core *core = peer->core;
        struct bad_end gone = {.cause = CAUSE_CLIENT,
                               .exit_status = -1,
                               .by_uid = user_uid(peer->user),
                               .by_pid = peer->pid};
        struct waiter *waiter;
        peer_end_waiting(peer, waiter_free);
        while ((waiter = TAILQ_FIRST(&peer->waiters))) {
                struct task *task = waiter->watch.task;
                if (waiter->kind == WAITER_MAP && task)
                        task->map->waiter = NULL;
                waiter_free(core, waiter);
                if (task && task_is_of_caller(task) && !TASK_IS_END(task->state))
                        task_verdict(core, task, &gone);
        }
}

/* All that were leased from one queue are back before others get them. */
static void give_back(struct peer *peer, struct object *queue)
{
        struct queue_item *item, *next, *near = NULL;
        LIST_FOREACH_SAFE (item, &peer->leases, of_peer, next) {
                if (item->object == queue)
                        queue_give_back(item, &near);
        }
        queue_settle(queue);
}

static void release_objects(struct peer *peer)
{
        while (!LIST_EMPTY(&peer->holds)) {
                hold_abandon(LIST_FIRST(&peer->holds));
#ifdef SEEDED_BUG_SECOND_LOCK_NOT_GIVEN
                if (!LIST_EMPTY(&peer->holds))
                        hold_free(LIST_FIRST(&peer->holds));
#endif
        }
        while (!LIST_EMPTY(&peer->leases))
                give_back(peer, LIST_FIRST(&peer->leases)->object);
}

bool peer_gives_up(const struct peer *peer)
{
        return peer->is_over || (peer->run && peer->run->state == RUN_STOPPING);
}

static uint64_t recharge(struct user *user, uint64_t before, uint64_t after)
{
        if (after > before)
                user_charge(user, ACCOUNT_BYTES, after - before);
        else
                user_release(user, ACCOUNT_BYTES, before - after);
        return after;
}

static void set_unsent(struct peer *peer, uint64_t unsent_bytes)
{
        peer->user->unsent_bytes += unsent_bytes - peer->unsent_bytes;
        peer->unsent_bytes = recharge(peer->user, peer->unsent_bytes, unsent_bytes);
}

/* Beyond it nothing more is read from the peer. Who holds too much has little room in each connection,
 * however many he has. */
static uint64_t mark(const struct peer *peer)
{
        uint64_t limit = peer->core->config.output_limit_bytes;
        return limit > LIMIT_FREE_BYTES && user_is_over(peer->user) ? LIMIT_FREE_BYTES : limit;
}

static void leave(struct peer *peer)
{
        struct task_extra *extra;
        peer->has_left = true;
        peer->is_over = true;
        peer->blocked = false;
        release_held(peer);
        give_up_requests(peer);
        release_objects(peer);
        while ((extra = TAILQ_FIRST(&peer->children)))
                child_remove(extra->task);
        awaited_free_all(peer);
        lanes_orphan(peer);
        assert(TAILQ_EMPTY(&peer->held));
        user_release(peer->user, ACCOUNT_BYTES, peer->input_bytes);
        peer->input_bytes = 0;
}

void peer_close(struct peer *peer)
{
        if (!peer->has_left)
                leave(peer);
        set_unsent(peer, 0);
        user_release(peer->user, ACCOUNT_DESCRIPTORS, peer->n_unsent_fds);
        user_unref(peer->user);
        peer->core->peers[peer->index] = NULL;
        free(peer);
}

void core_connection_leave(struct core *core, uint32_t connection, int64_t now)
{
        struct peer *peer = peer_at(core, connection);
        assert(peer && !peer->run && !peer->has_left);
        core_update_now(core, now);
        leave(peer);
}

void core_connection_close(struct core *core, uint32_t connection, int64_t now)
{
        struct peer *peer = peer_at(core, connection);
        assert(peer && !peer->run);
        core_update_now(core, now);
        user_release(peer->user, ACCOUNT_CONNECTIONS, 1);
        peer_close(peer);
}

void core_connection_output(struct core *core, uint32_t connection, uint64_t unsent_bytes)
{
        struct peer *peer = peer_at(core, connection);
        assert(peer);
        set_unsent(peer, unsent_bytes);
        if (peer->has_left)
                return;
        bool was_blocked = peer->blocked;
        peer->blocked = unsent_bytes > mark(peer);
        if (was_blocked && !peer->blocked) {
                release_held(peer);
                streams_resume(peer);
        }
}

int core_connection_admit_output(const struct core *core, uint32_t connection, uint64_t size_bytes)
{
        struct peer *peer = peer_at(core, connection);
        assert(peer);
        return size_bytes > LIMIT_FREE_BYTES && !peer->run ? user_admit(peer->user, ACCOUNT_BYTES, size_bytes)
                                                           : 0;
}

int core_connection_descriptors(struct core *core, uint32_t connection, uint32_t n)
{
        struct peer *peer = peer_at(core, connection);
        assert(peer);
        if (n > peer->n_unsent_fds) {
                int r = user_admit(peer->user, ACCOUNT_DESCRIPTORS, n - peer->n_unsent_fds);
                if (r)
                        return r;
                user_charge(peer->user, ACCOUNT_DESCRIPTORS, n - peer->n_unsent_fds);
        } else {
                user_release(peer->user, ACCOUNT_DESCRIPTORS, peer->n_unsent_fds - n);
        }
        peer->n_unsent_fds = n;
        return 0;
}

bool core_connection_blocked(const struct core *core, uint32_t connection)
{
        const struct peer *peer = peer_at(core, connection);
        return peer && peer->blocked;
}

int core_connection_input(struct core *core, uint32_t connection, uint64_t held_bytes)
{
        struct peer *peer = peer_at(core, connection);
        assert(peer);
        if (held_bytes > peer->input_bytes) {
                int r = user_admit(peer->user, ACCOUNT_BYTES, held_bytes - peer->input_bytes);
                if (r)
                        return r;
        }
        peer->input_bytes = recharge(peer->user, peer->input_bytes, held_bytes);
        return 0;
}

uint32_t core_connection_requests(const struct core *core, uint32_t connection)
{
        const struct peer *peer = peer_at(core, connection);
        return peer ? peer->n_waiters : 0;
}
