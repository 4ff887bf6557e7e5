/* SPDX-License-Identifier: MIT */
/*
 * Locks: at most `limit` holders, who waits gets it in turn. A holder is an owner on a connection; if that
 * goes, the lock is free for the next, who is told so. A condition is a lock to those who wait while they
 * hold it.
 */
#include "daemon/core/core_private.h"

static uint64_t limit_of(const struct object *lock)
{
        return lock->values[PROPERTY_LIMIT];
}

static bool is_free(const struct object *lock)
{
        return lock->as.lock.n_holds < limit_of(lock);
}

/* What the owner got last; by token, whoever of the peer's it is. */
static struct hold *find_hold(const struct object *lock, const struct peer *peer, uint64_t owner,
                              uint64_t token)
{
        struct hold *hold, *found = NULL;
        TAILQ_FOREACH (hold, &lock->as.lock.holds, of_object) {
                if (hold->peer == peer && (token ? hold->token == token : hold->owner == owner))
                        found = hold;
        }
        return found;
}

static void take(struct hold *hold, struct object *lock, struct peer *peer, uint64_t owner, uint32_t n)
{
        *hold = (struct hold){
                .object = lock, .peer = peer, .owner = owner, .n = n, .token = ++lock->core->last_token};
        TAILQ_INSERT_TAIL(&lock->as.lock.holds, hold, of_object);
        LIST_INSERT_HEAD(&peer->holds, hold, of_peer);
        lock->as.lock.n_holds++;
        object_charge(lock, sizeof(*hold));
}

static struct core_shared_answer holding(const struct hold *hold)
{
        struct object *lock = hold->object;
        struct core_shared_answer answer = {
                .kind = ANSWER_HOLD, .token = hold->token, .abandoned = lock->as.lock.abandoned};
        lock->as.lock.abandoned = false;
        return answer;
}

void hold_free(struct hold *hold)
{
        struct object *lock = hold->object;
        TAILQ_REMOVE(&lock->as.lock.holds, hold, of_object);
        LIST_REMOVE(hold, of_peer);
        lock->as.lock.n_holds--;
        object_release(lock, sizeof(*hold));
        free(hold);
}

/* The next in turn has it. */
static void give(struct object *lock, struct object_wait *wait)
{
        struct hold *hold = wait->hold;
        wait->hold = NULL;
        take(hold, lock, wait->waiter->peer, wait->owner, wait->n);
        struct core_shared_answer answer = {.kind = ANSWER_FLAG, .flag = wait->notified};
        if (wait->kind == WAIT_ACQUIRE)
                answer = holding(hold);
        object_wait_answer(wait, &answer);
}

void lock_serve(struct object *lock)
{
        struct object_wait *wait;
        while (is_free(lock) && (wait = TAILQ_FIRST(&lock->waits)))
                give(lock, wait);
}

void hold_abandon(struct hold *hold)
{
        struct object *lock = hold->object;
        lock->as.lock.abandoned = true;
        hold_free(hold);
        lock_serve(lock);
}

/* One who holds it, and it is no semaphore. */
static int acquire_again(struct core *core, struct core_request request, struct hold *hold, int64_t timeout)
{
        const struct object *lock = hold->object;
        if (lock->values[PROPERTY_REENTRANT] && hold->n < UINT32_MAX) {
                hold->n++;
                answer_shared(core, request,
                              &(struct core_shared_answer){.kind = ANSWER_HOLD, .token = hold->token});
                return 0;
        }
        if (timeout <= 0)
                return CORE_NOT_READY;
        bool is_circle = circle_by_lock(hold->peer, hold->owner, lock);
        assert(is_circle);
        return CORE_DEADLOCK;
}

static int wait_for_lock(struct peer *peer, uint32_t msgid, struct object *lock, uint64_t owner,
                         int64_t timeout, struct hold *hold)
{
        struct object_wait *wait;
        if (timeout <= 0)
                return CORE_NOT_READY;
        if (circle_by_lock(peer, owner, lock))
                return CORE_DEADLOCK;
        int r = object_wait_new(peer, msgid, lock, WAIT_ACQUIRE, timeout, &wait);
        if (r)
                return r;
        wait->hold = hold;
        wait->owner = owner;
        wait->n = 1;
        return 0;
}

int core_lock_acquire(struct core *core, struct core_request request, const char *name,
                      const struct core_open *open, uint64_t owner, int64_t timeout, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct object *lock;
        core_update_now(core, now);
        int r = object_use(peer, name, open, &lock);
        if (r)
                return r;
        struct hold *hold = limit_of(lock) == 1 ? find_hold(lock, peer, owner, 0) : NULL;
        if (hold)
                return acquire_again(core, request, hold, timeout);
        r = object_admit(lock, sizeof(*hold));
        if (r)
                return r;
        hold = malloc(sizeof(*hold));
        if (!hold)
                return -ENOMEM;
        if (is_free(lock)) {
                take(hold, lock, peer, owner, 1);
                struct core_shared_answer answer = holding(hold);
                answer_shared(core, request, &answer);
                return 0;
        }
        r = wait_for_lock(peer, request.msgid, lock, owner, timeout, hold);
        if (r)
                free(hold);
        return r;
}

/* The lock of this name, and what the caller holds of it. */
static int find_held(const struct peer *peer, const char *name, uint64_t token, uint64_t owner,
                     struct hold **ret)
{
        struct object *lock;
        int r = object_find(peer, name, OBJECT_LOCK, ACCESS_WRITE, &lock);
        if (r)
                return r;
        if (!lock)
                return CORE_UNKNOWN_OBJECT;
        *ret = find_hold(lock, peer, owner, token);
        return *ret ? 0 : CORE_NOT_HELD;
}

int core_lock_release(struct core *core, uint32_t connection, const char *name, uint64_t token,
                      uint64_t owner, int64_t now)
{
        struct hold *hold;
        core_update_now(core, now);
        int r = find_held(peer_at(core, connection), name, token, owner, &hold);
        if (r)
                return r;
        if (--hold->n > 0)
                return 0;
        struct object *lock = hold->object;
        hold_free(hold);
        lock_serve(lock);
        return 0;
}

/* -- conditions -- */

void condition_return(struct object_wait *wait)
{
        struct object *lock = wait->object;
        TAILQ_REMOVE(&lock->others, wait, link);
        timer_clear(lock->core, &wait->waiter->timer);
        wait->wants_lock = true;
        TAILQ_INSERT_TAIL(&lock->waits, wait, link);
        lock_serve(lock);
}

void condition_pass_on(struct object *lock)
{
        struct object_wait *wait;
        TAILQ_FOREACH (wait, &lock->others, link) {
                if (peer_gives_up(wait->waiter->peer))
                        continue;
                wait->notified = true;
                condition_return(wait);
                return;
        }
}

int core_condition_wait(struct core *core, struct core_request request, const char *name, uint64_t owner,
                        int64_t timeout, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct object_wait *wait;
        struct hold *hold;
        core_update_now(core, now);
        int r = find_held(peer, name, 0, owner, &hold);
        if (r)
                return r;
        struct object *lock = hold->object;
        if (limit_of(lock) != 1)
                return object_clash(lock, PROPERTY_LIMIT);
        struct hold *again = malloc(sizeof(*again));
        if (!again)
                return -ENOMEM;
        r = object_wait_new(peer, request.msgid, lock, WAIT_CONDITION, timeout, &wait);
        if (r) {
                free(again);
                return r;
        }
        wait->hold = again;
        wait->owner = owner;
        wait->n = hold->n;
        hold_free(hold);
        lock_serve(lock);
        return 0;
}

int core_condition_notify(struct core *core, uint32_t connection, const char *name, uint64_t owner,
                          uint64_t n, int64_t now, uint64_t *ret_n)
{
        struct object_wait *wait;
        struct hold *hold;
        core_update_now(core, now);
        *ret_n = 0;
        int r = find_held(peer_at(core, connection), name, 0, owner, &hold);
        if (r)
                return r;
        struct object *lock = hold->object;
        for (; *ret_n < n && (wait = TAILQ_FIRST(&lock->others)); ++*ret_n) {
                wait->notified = true;
                condition_return(wait);
        }
        return 0;
}

/* -- looking -- */

const struct hold *core_holder_next(const struct hold *hold, struct core_holder *ret)
{
        const struct peer *peer = hold->peer;
        *ret = (struct core_holder){.pid = peer->pid,
                                    .task = peer->run ? task_id(peer->run->task) : 0,
                                    .owner = hold->owner,
                                    .token = hold->token};
        return TAILQ_NEXT(hold, of_object);
}
