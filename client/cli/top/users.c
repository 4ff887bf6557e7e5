/* SPDX-License-Identifier: MIT */
#include "client/cli/top/users.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/hash.h"

struct user {
        uint64_t uid;
        UT_hash_handle hh;
        char name[64];
};

void users_deinit(struct users *users)
{
        struct user *user, *next;

        HASH_ITER (hh, users->table, user, next) {
                HASH_DEL(users->table, user);
                free(user);
        }
}

static struct user *users_add(struct users *users, uint64_t uid)
{
        struct user *user = calloc(1, sizeof *user);
        const struct passwd *entry = uid < UINT32_MAX ? getpwuid((uid_t)uid) : NULL;

        if (!user)
                return NULL;
        user->uid = uid;
        if (entry)
                snprintf(user->name, sizeof user->name, "%s", entry->pw_name);
        else
                snprintf(user->name, sizeof user->name, "%" PRIu64, uid);
        HASH_ADD(hh, users->table, uid, sizeof user->uid, user);
        if (!user->hh.tbl) {
                free(user);
                return NULL;
        }
        return user;
}

struct look_text users_name(struct users *users, uint64_t uid)
{
        struct user *user;

        HASH_FIND(hh, users->table, &uid, sizeof uid, user);
        if (!user)
                user = users_add(users, uid);
        return user ? (struct look_text){user->name, strlen(user->name)} : (struct look_text){"", 0};
}
