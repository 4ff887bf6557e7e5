/* SPDX-License-Identifier: MIT */
/*
 * Circles of owners that wait for each other: who can go on if all who can did. An owner of a client waits
 * for locks only; one of a task also for all that its task waits for. A lock comes free when one of its
 * holders can go on, a task ends when all that its connection waits for can come.
 */
#include "tests/sim/shared.h"

#define PATH_MAX 200

struct path { /* what is being asked about: met again, it cannot help itself */
        uint64_t steps[PATH_MAX];
        unsigned n;
        uint32_t asking; /* the task's connection that would wait, whichever of its owners; NOBODY: an owner
                            would */
};
#define LOCK_STEP(name)  ((uint64_t)(name))
#define TASK_STEP(entry) ((uint64_t)(entry) + N_NAMES)

static bool owner_can(struct sim *, uint32_t connection, uint64_t owner, struct path *);
static bool connection_can(struct sim *, uint32_t connection, struct path *);

static bool is_on(const struct path *path, uint64_t step)
{
        for (unsigned i = 0; i < path->n; i++)
                if (path->steps[i] == step)
                        return true;
        return false;
}

static void push(struct sim *s, struct path *path, uint64_t step)
{
        if (path->n == PATH_MAX)
                sim_fail(s, "a longer way of waiting than the simulator can follow");
        path->steps[path->n++] = step;
}

static bool lock_can(struct sim *s, uint32_t name, struct path *path)
{
        const struct shared_hold *hold;
        bool can = shared_n_holds(s, name) < shared_at(s, name)->values[PROPERTY_LIMIT];

        if (is_on(path, LOCK_STEP(name)))
                return false;
        push(s, path, LOCK_STEP(name));
        TAILQ_FOREACH (hold, &s->shared->holds, link)
                can = can || (hold->name == name && owner_can(s, hold->connection, hold->owner, path));
        path->n--;
        return can;
}

static bool task_can(struct sim *s, uint32_t entry, struct path *path)
{
        bool can = true;

        if (s->entries[entry].n_ends)
                return true;
        if (is_on(path, TASK_STEP(entry)))
                return false;
        push(s, path, TASK_STEP(entry));
        for (uint32_t i = MAX_CLIENTS; can && i < MAX_CONNECTIONS; i++)
                if (s->connections[i].open && s->connections[i].entry == entry)
                        can = connection_can(s, i, path);
        path->n--;
        return can;
}

/* Whether all tasks that the connection waits for can end, or of each wait as many as it wants. */
static bool tasks_can(struct sim *s, uint32_t connection, struct path *path)
{
        for (uint32_t i = 0; i < s->n_requests; i++) {
                const struct request *r = &s->requests[i];
                uint32_t n = 0;
                if (!r->open || r->connection != connection)
                        continue;
                if (r->entry != NO_ENTRY && !task_can(s, r->entry, path))
                        return false;
                for (uint32_t j = 0; j < r->n_ids && n < r->count; j++)
                        n += r->entries[j] == NO_ENTRY || task_can(s, r->entries[j], path);
                if (n < r->count)
                        return false;
        }
        return true;
}

static bool is_for_lock(const struct shared_wait *w)
{
        return w->kind == SHARED_ACQUIRE || w->kind == SHARED_CONDITION;
}

static bool connection_can(struct sim *s, uint32_t connection, struct path *path)
{
        const struct shared_wait *w;

        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->connection == connection && is_for_lock(w) && !lock_can(s, w->name, path))
                        return false;
        return tasks_can(s, connection, path);
}

static bool owner_can(struct sim *s, uint32_t connection, uint64_t owner, struct path *path)
{
        const struct shared_wait *w;

        if (connection == path->asking)
                return false;
        TAILQ_FOREACH (w, &s->shared->waits, link)
                if (w->connection == connection && w->owner == owner && is_for_lock(w) &&
                    !lock_can(s, w->name, path))
                        return false;
        return !is_of_task(connection) || tasks_can(s, connection, path);
}

bool shared_can_go_on(struct sim *s, uint32_t connection, uint64_t owner)
{
        struct path path = {.asking = NOBODY};

        return owner_can(s, connection, owner, &path);
}

bool shared_task_can_end(struct sim *s, uint32_t entry, uint32_t asking_connection)
{
        struct path path = {.asking = asking_connection};

        push(s, &path, TASK_STEP(s->connections[asking_connection].entry));
        return task_can(s, entry, &path);
}
