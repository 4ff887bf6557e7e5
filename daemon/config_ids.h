/* SPDX-License-Identifier: MIT */
/*
 * Lists of users or groups in the configuration, by name or id. They decide who may do what, so they fail
 * closed: an unknown name refuses the configuration, a list that is said and empty is nobody.
 */
#ifndef DAEMON_CONFIG_IDS_H
#define DAEMON_CONFIG_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_ids {
        bool all;
        bool are_groups;
        uint32_t n;
        uint32_t ids[];
};

/* "all", "none", or names and ids separated by blanks. 0, -ENOMEM, or 1: `why` says what is wrong. */
int config_ids_read(const char *text, bool are_groups, struct config_ids **ret, char *why, size_t why_bytes);
/* As config_ids_read() would read it. */
void config_ids_print(const struct config_ids *, FILE *);
/* Whether the list names this id. */
bool config_ids_has(const struct config_ids *, uint32_t id);

#endif
