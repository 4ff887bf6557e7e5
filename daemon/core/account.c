/* SPDX-License-Identifier: MIT */
/*
 * Users and their accounts: connections, unfinished tasks, descriptors, bytes, shared objects. Admission asks
 * whether there is room; after it everything that is held for a user is charged here and released here, and
 * nowhere else, so that a user who is gone has accounts of zero (asserted).
 */
#include "daemon/core/core_private.h"

int user_get(struct core *core, uid_t uid, struct user **ret)
{
        struct table_link *link = table_find(&core->users, uid);
        struct user *user = link ? CONTAINER_OF(link, struct user, by_uid) : NULL;
        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return -ENOMEM;
                user->core = core;
                LIST_INIT(&user->turns);
                TAILQ_INIT(&user->parked);
                TAILQ_INIT(&user->overfed);
                table_add(&core->users, &user->by_uid, uid);
        }
        user->n_refs++;
        *ret = user;
        return 0;
}

struct user *user_unref(struct user *user)
{
        assert(user->n_refs > 0);
        if (--user->n_refs == 0) {
                for (int kind = 0; kind < N_ACCOUNTS; kind++)
                        assert(user->used[kind] == 0);
                assert(LIST_EMPTY(&user->turns) && TAILQ_EMPTY(&user->parked) &&
                       TAILQ_EMPTY(&user->overfed) && user->n_fed == 0);
                table_remove(&user->core->users, &user->by_uid);
                free(user);
        }
        return NULL;
}

static int refuse(struct core *core, const char *what, uint64_t used, uint64_t limit)
{
        core->quota = (struct core_quota){.what = what, .used = used, .limit = limit};
        return CORE_QUOTA;
}

static uint64_t limit_of(const struct core_config *config, enum account_kind kind)
{
        assert(kind < N_ACCOUNTS);
        switch (kind) {
        case ACCOUNT_CONNECTIONS:
                return config->user_connections;
        case ACCOUNT_TASKS:
                return config->user_tasks;
        case ACCOUNT_DESCRIPTORS:
                return config->user_descriptors;
        case ACCOUNT_BYTES:
                return config->user_memory_bytes;
        case ACCOUNT_OBJECTS:
        case N_ACCOUNTS: /* is none */
                break;
        }
        return config->user_objects;
}

uint64_t user_room(const struct user *user, enum account_kind kind)
{
        uint64_t used = user->used[kind], limit = limit_of(&user->core->config, kind);
        return used < limit ? limit - used : 0;
}

int user_admit(struct user *user, enum account_kind kind, uint64_t amount)
{
        static const char *const names[N_ACCOUNTS] = {
                [ACCOUNT_CONNECTIONS] = "user_connections", [ACCOUNT_TASKS] = "user_tasks",
                [ACCOUNT_DESCRIPTORS] = "user_descriptors", [ACCOUNT_BYTES] = "user_memory",
                [ACCOUNT_OBJECTS] = "user_objects",
        };
        struct core *core = user->core;
        if (amount > user_room(user, kind))
                return refuse(core, names[kind], user->used[kind], limit_of(&core->config, kind));
        uint64_t limit = core->config.memory_limit_bytes;
        if (kind == ACCOUNT_BYTES && (amount > limit || core->bytes > limit - amount))
                return refuse(core, "memory_limit", core->bytes, limit);
        return 0;
}

void user_charge(struct user *user, enum account_kind kind, uint64_t amount)
{
        user->used[kind] += amount;
        if (kind == ACCOUNT_BYTES)
                user->core->bytes += amount;
}

void user_release(struct user *user, enum account_kind kind, uint64_t amount)
{
        assert(user->used[kind] >= amount);
        user->used[kind] -= amount;
        if (kind == ACCOUNT_BYTES) {
                assert(user->core->bytes >= amount);
                user->core->bytes -= amount;
        }
}

/* -- who holds too much -- */

bool user_is_over(const struct user *user)
{
        return user->used[ACCOUNT_BYTES] > user->core->config.user_memory_bytes;
}

bool user_is_behind(const struct user *user)
{
        return user->unsent_bytes > user->core->config.user_memory_bytes;
}

void user_park(struct user *user, struct task *task)
{
        assert(task->place == PLACE_NONE);
        struct core *core = user->core;
        if (TAILQ_EMPTY(&user->parked)) {
                struct core_record record;
                TAILQ_INSERT_TAIL(&core->parked_users, user, link);
                task_record(core, task, &record);
                core->ops.note(core->ctx, NOTE_USER_OVER, task->pool, UINT32_MAX, &record);
        }
        TAILQ_INSERT_TAIL(&user->parked, task, link);
        task->place = PLACE_PARKED;
}

void user_unpark(struct user *user, struct task *task)
{
        TAILQ_REMOVE(&user->parked, task, link);
        task->place = PLACE_NONE;
        if (TAILQ_EMPTY(&user->parked))
                TAILQ_REMOVE(&user->core->parked_users, user, link);
}

void task_unpark(struct task *task)
{
        user_unpark(task->user, task);
        queue_put_back(task, task->order);
}

static void resume(struct user *user)
{
        struct task *task, *last = NULL;
        for (unsigned n = 0; n < RESUMED_AT_ONCE && (task = TAILQ_FIRST(&user->parked)); n++) {
                user_unpark(user, task);
                if (task->map) {
                        map_update(user->core, task);
                        continue;
                }
                queue_put_back_behind(task, task->order, last);
                last = task;
        }
}

bool users_resume(struct core *core)
{
        struct user *user, *next;
        bool is_more = false;
        TAILQ_FOREACH_SAFE (user, &core->parked_users, link, next) {
                if (user_is_over(user))
                        continue;
                bool was_last = TAILQ_NEXT(TAILQ_FIRST(&user->parked), link) == NULL;
                resume(user);
                is_more = is_more || !was_last;
        }
        return is_more;
}

struct core_quota core_refused_quota(const struct core *core)
{
        return core->quota;
}

void core_account(const struct core *core, uid_t uid, struct core_account *ret)
{
        struct table_link *link = table_find(&core->users, uid);
        *ret = (struct core_account){0};
        if (!link)
                return;
        const struct user *user = CONTAINER_OF(link, struct user, by_uid);
        ret->connections = user->used[ACCOUNT_CONNECTIONS];
        ret->tasks = user->used[ACCOUNT_TASKS];
        ret->descriptors = user->used[ACCOUNT_DESCRIPTORS];
        ret->bytes = user->used[ACCOUNT_BYTES];
        ret->objects = user->used[ACCOUNT_OBJECTS];
}
