/* SPDX-License-Identifier: MIT */
/* uthash, told what it may not do: end the program for want of memory (then .hh.tbl is NULL after HASH_ADD),
 * and use its usual hash, which falls through the cases of a switch without saying so. */
#ifndef CLI_HASH_H
#define CLI_HASH_H

#define HASH_FUNCTION(key, size_bytes, hash) HASH_OAT(key, size_bytes, hash)
#define HASH_NONFATAL_OOM                    1
#include <uthash.h>

#endif
