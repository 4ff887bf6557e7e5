/* SPDX-License-Identifier: MIT */
/*
 * Circles: who would wait for himself. What waits is an owner on a connection; it waits for the holders of a
 * lock (also in a condition: without the lock it does not go on), or, if it is a task's, for other tasks. Of
 * a client it is known only for which locks it waits, for it may deal with all else at the same time. Looked
 * for once, when somebody is about to wait: the newest closes the circle.
 */
#include <stdarg.h>
#include <stdio.h>

#include "daemon/core/core_private.h"

#define STEPS_MAX 100000 /* owners, tasks and what they wait for, that are looked at */
#define SHOWN_MAX 6      /* steps of the circle that are named */

struct step {
        const struct object *lock; /* NULL: the task is waited for */
        const struct task *task;
        const struct peer *peer; /* who holds the lock */
};
/* The owner that would wait, what would be met again; the steps between, the last one first. */
struct circle {
        const struct peer *peer;
        bool any_owner;
        uint64_t owner;
        unsigned n_looked_at, n_steps;
        struct step steps[SHOWN_MAX];
};

static bool task_reaches(const struct task *from, struct circle *);
static bool lock_reaches(const struct object *, struct circle *);

static bool is_too_long(struct circle *circle)
{
        return ++circle->n_looked_at > STEPS_MAX;
}

static bool is_met(struct circle *circle, struct step step)
{
        if (circle->n_steps < SHOWN_MAX)
                circle->steps[circle->n_steps] = step;
        circle->n_steps++;
        return true;
}

/* Of several ways, all of which lead there or have to, one is named. */
struct way {
        unsigned n_steps;
        bool is_found;
};

static bool keep_first(struct circle *circle, struct way *way, bool reaches)
{
        if (reaches && !way->is_found) {
                way->is_found = true;
                way->n_steps = circle->n_steps;
        }
        circle->n_steps = way->n_steps;
        return reaches;
}

/* Whether so many of what it watches cannot end before that one that the others are too few. */
static bool wait_reaches(const struct wait *wait, struct circle *circle)
{
        size_t n_enough = wait->n_ended;
        struct way way = {.n_steps = circle->n_steps};
        for (size_t i = 0; n_enough < wait->count && i < wait->n; i++) {
                const struct task *task = wait->watches[i].task;
                n_enough += task && !keep_first(circle, &way, task_reaches(task, circle));
        }
        return n_enough < wait->count;
}

static bool object_wait_reaches(struct object_wait *wait, struct circle *circle)
{
        if (wait->kind != WAIT_ACQUIRE && wait->kind != WAIT_CONDITION) /* which ends with the lock, too */
                return false;
#ifdef SEEDED_BUG_CIRCLE_NOT_SEEN
        return false;
#endif
        if (wait->is_looked_at) /* a circle that was met before on this way: it cannot end by itself */
                return true;
        wait->is_looked_at = true;
        bool reaches = lock_reaches(wait->object, circle);
        wait->is_looked_at = false;
        return reaches;
}

static bool waiter_reaches(const struct waiter *waiter, struct circle *circle)
{
        if (waiter->wait)
                return wait_reaches(waiter->wait, circle);
        if (waiter->object_wait)
                return object_wait_reaches(waiter->object_wait, circle);
        return waiter->watch.task && task_reaches(waiter->watch.task, circle);
}

/* All that a task waits for, whichever of its owners. */
static bool run_reaches(const struct run *run, struct circle *circle)
{
        struct peer *peer = run->hand->peer;
        const struct waiter *waiter;
        bool reaches = false;
        if (!peer || peer->run != run)
                return false;
        if (peer->is_looked_at)
                return true;
        peer->is_looked_at = true;
        TAILQ_FOREACH (waiter, &peer->waiters, link) {
                reaches = reaches || (!is_too_long(circle) && waiter_reaches(waiter, circle));
        }
        peer->is_looked_at = false;
        return reaches;
}

static bool runs_reach(const struct task *from, struct circle *circle)
{
        const struct run *run;
        if (!from->map)
                return from->run && run_reaches(from->run, circle);
        TAILQ_FOREACH (run, &from->map->chunks, of_map) {
                if (run_reaches(run, circle))
                        return true;
        }
        return false;
}

static bool task_reaches(const struct task *from, struct circle *circle)
{
        bool is_it = circle->peer->run && circle->peer->run->task == from;
        if (is_it || (!is_too_long(circle) && runs_reach(from, circle)))
                return is_met(circle, (struct step){.task = from});
        return false;
}

static bool is_asking(const struct peer *peer, uint64_t owner, const struct circle *circle)
{
        return peer == circle->peer && (circle->any_owner || owner == circle->owner);
}

static bool owner_reaches(const struct peer *peer, uint64_t owner, struct circle *circle)
{
        const struct waiter *waiter;
        if (is_asking(peer, owner, circle))
                return true;
        if (is_too_long(circle))
                return false;
        TAILQ_FOREACH (waiter, &peer->waiters, link) {
                if (is_too_long(circle))
                        return false;
                bool is_owners =
                        waiter->object_wait ? waiter->object_wait->owner == owner : peer->run != NULL;
                if (is_owners && waiter_reaches(waiter, circle))
                        return true;
        }
        return false;
}

/* None of its holders could go on. */
static bool lock_reaches(const struct object *lock, struct circle *circle)
{
        const struct hold *hold, *named = TAILQ_FIRST(&lock->as.lock.holds);
        struct way way = {.n_steps = circle->n_steps};
        unsigned n_steps = circle->n_steps;
        TAILQ_FOREACH (hold, &lock->as.lock.holds, of_object) {
                if (!keep_first(circle, &way, owner_reaches(hold->peer, hold->owner, circle)))
                        return false;
                if (is_asking(hold->peer, hold->owner, circle)) {
                        named = hold;
                        circle->n_steps = way.n_steps = n_steps;
                }
        }
        return named && is_met(circle, (struct step){.lock = lock, .peer = named->peer});
}

/* -- saying it -- */

struct text {
        char *at;
        size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        int n = vsnprintf(text->at, text->left, format, ap);
        va_end(ap);
        size_t done = n < 0 ? 0 : (size_t)n < text->left ? (size_t)n : text->left - 1;
        text->at += done;
        text->left -= done;
}

static void add_peer(struct text *text, const struct peer *peer)
{
        if (peer->run)
                add(text, "task %llu (process %d)", (unsigned long long)task_id(peer->run->task),
                    (int)peer->pid);
        else
                add(text, "process %d", (int)peer->pid);
}

static void say(struct core *core, const struct circle *circle)
{
        struct text text = {core->circle, sizeof(core->circle)};
        add_peer(&text, circle->peer);
        for (unsigned i = circle->n_steps; i > 0; i--) {
                add(&text, "%s for ", i == circle->n_steps ? " would wait" : ", which waits");
                if (i > SHOWN_MAX) {
                        add(&text, "others");
                        i = SHOWN_MAX + 1;
                        continue;
                }
                const struct step *step = &circle->steps[i - 1];
                if (step->task) {
                        add(&text, "task %llu", (unsigned long long)task_id(step->task));
                        continue;
                }
                add(&text, "the lock \"%s\" of ", step->lock->name);
                add_peer(&text, step->peer);
        }
}

const char *core_refused_circle(const struct core *core)
{
        return core->circle;
}

/* -- the questions -- */

bool peer_would_deadlock(const struct peer *peer, const struct task *task)
{
        struct circle circle = {.peer = peer, .any_owner = true};
        if (!peer->run || TASK_IS_END(task->state) || !task_reaches(task, &circle))
                return false;
        say(peer->core, &circle);
        return true;
}

bool peer_wait_would_deadlock(const struct waiter *waiter)
{
        struct circle circle = {.peer = waiter->peer, .any_owner = true};
        if (!waiter->peer->run || !wait_reaches(waiter->wait, &circle))
                return false;
        say(waiter->peer->core, &circle);
        return true;
}

bool circle_by_lock(const struct peer *peer, uint64_t owner, const struct object *lock)
{
        struct circle circle = {.peer = peer, .owner = owner};
        if (!lock_reaches(lock, &circle))
                return false;
        say(peer->core, &circle);
        return true;
}
