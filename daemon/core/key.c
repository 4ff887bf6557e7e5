/* SPDX-License-Identifier: MIT */
/*
 * Keys: a task that its user gave a name is found by it for as long as it is known, and who asks for the same
 * again joins it. One table over all users, by hashes of user and key.
 */
#include "daemon/core/core_private.h"
#include "daemon/core/siphash.h"

uint64_t core_hash(const struct core *core, uint64_t seed, const char *text)
{
        const uint64_t key[2] = {core->hash_key[0], core->hash_key[1] ^ seed};
        return siphash(key, text, strlen(text));
}

static const struct task_extra *find(const struct user *user, const char *key)
{
        const struct table *keys = &user->core->keys;
        struct table_link *link = table_find(keys, core_hash(user->core, user_uid(user), key));
        for (; link; link = table_next(link)) {
                const struct task_extra *extra = CONTAINER_OF(link, struct task_extra, by_key);
                if (extra->task->user == user && strcmp(extra->key, key) == 0)
                        return extra;
        }
        return NULL;
}

int key_find(const struct peer *peer, const struct core_spec *spec, struct task **ret)
{
        *ret = NULL;
        if (!spec->key)
                return 0;
        const struct task_extra *extra = find(peer->user, spec->key);
        if (!extra)
                return 0;
        if (extra->task->pool != spec->pool || extra->task->function != spec->function ||
            extra->args_hash != spec->args_hash)
                return CORE_KEY_CONFLICT;
        *ret = extra->task;
        return 0;
}

void key_add(struct core *core, struct task *task)
{
        struct task_extra *extra = task->extra;
        table_add(&core->keys, &extra->by_key, core_hash(core, user_uid(task->user), extra->key));
}

void key_remove(struct core *core, struct task *task)
{
        table_remove(&core->keys, &task->extra->by_key);
}

void key_join(struct core *core, struct task *task, const struct core_spec *spec)
{
        task->extra->joined = true;
        core->ops.drop(core->ctx, spec->args);
}
