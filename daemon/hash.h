/* SPDX-License-Identifier: MIT */
/*
 * uthash, which ends the process when memory runs out unless it is told not to: here an element that could
 * not be added has no table. Elements come zeroed. Its hash of one byte after another is no worse for numbers
 * than its usual one, which falls through the cases of a switch without saying so.
 */
#ifndef DAEMON_HASH_H
#define DAEMON_HASH_H

#define HASH_NONFATAL_OOM                    1
#define HASH_FUNCTION(key, size_bytes, hash) HASH_OAT(key, size_bytes, hash)
#define uthash_nonfatal_oom(element)         ((void)(element))

#include <uthash.h>

/* Whether the last HASH_ADD of this element succeeded. */
#define HASH_ADDED(element) ((element)->hh.tbl != NULL)

#endif
