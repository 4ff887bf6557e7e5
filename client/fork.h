/* SPDX-License-Identifier: MIT */
/*
 * Whether this process is still the one in which a handle was made, asked at every call and so without asking
 * the kernel: a page that the kernel empties in a forked child holds the number of this process's generation.
 */
#ifndef CLIENT_FORK_H
#define CLIENT_FORK_H

#include <stdbool.h>
#include <stdint.h>

/* The number of this process's generation; 0: the kernel cannot help. */
uint64_t fork_generation(void);
/* Whether that is still so; not to be asked of 0. */
bool fork_is_same(uint64_t generation);

#endif
