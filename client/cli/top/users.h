/* SPDX-License-Identifier: MIT */
/* Users' names by their numbers, each looked up once: that can take its time. */
#ifndef CLI_TOP_USERS_H
#define CLI_TOP_USERS_H

#include <stdint.h>

#include "proto/look.h"

struct user;

struct users {
        struct user *table;
};

void users_deinit(struct users *);
/* The name, or the number where he has none; it lives as long as the table. */
struct look_text users_name(struct users *, uint64_t uid);

#endif
