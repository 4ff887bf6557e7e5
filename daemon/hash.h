/* SPDX-License-Identifier: MIT */
/*
 * uthash, which ends the process when memory runs out unless it is told not to: here an element that could
 * not be added has no table. Elements come zeroed.
 */
#ifndef DAEMON_HASH_H
#define DAEMON_HASH_H

#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) ((void)(element))

#include <uthash.h>

/* Whether the last HASH_ADD of this element succeeded. */
#define HASH_ADDED(element) ((element)->hh.tbl != NULL)

#endif
