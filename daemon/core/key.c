/* SPDX-License-Identifier: MIT */
/*
 * Keys: a task that its user gave a name is found by it for as long as it is known, and who asks for the same
 * again joins it. One table over all users; its numbers are hashes of user and key under a secret, so that no
 * client can choose them. Two keys of the same number, which no run will ever see, are told as a conflict.
 */
#include "daemon/core/core_private.h"

uint64_t core_hash(const struct core *core, uint64_t seed, const char *text)
{
        uint64_t hash = (core->key_secret ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
        for (; *text; text++)
                hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        hash ^= hash >> 32;
        hash *= core->key_secret;
        return hash ^ hash >> 29;
}

int key_find(const struct peer *peer, const struct core_spec *spec, struct task **ret)
{
        const struct core *core = peer->core;
        *ret = NULL;
        if (!spec->key)
                return 0;
        struct table_link *link = table_find(&core->keys, core_hash(core, user_uid(peer->user), spec->key));
        if (!link)
                return 0;
        const struct task_extra *extra = CONTAINER_OF(link, struct task_extra, by_key);
        struct task *task = extra->task;
        if (task->user != peer->user || strcmp(extra->key, spec->key) != 0 || task->pool != spec->pool ||
            task->function != spec->function || extra->args_hash != spec->args_hash)
                return CORE_KEY_CONFLICT;
        *ret = task;
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
