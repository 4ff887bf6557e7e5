/* SPDX-License-Identifier: MIT */
/*
 * The processes below a process, as the kernel lists them: how gangerd and a worker end what a task started,
 * whatever group or session it is in. Who is below is known by parentage alone; a number is signalled only
 * through a pidfd whose process was seen to have that parent, so that a reused number hits nobody.
 */
#ifndef PROTO_PROCESS_TREE_H
#define PROTO_PROCESS_TREE_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether a child of the tree's root, and what is below it, is left alone. */
typedef bool (*process_tree_spares)(void *userdata, pid_t child);

/* Stops everything below `root` until nothing new appears, then kills it, the deepest first; `root` itself is
 * not touched. `spares` may be NULL. Reaps nobody. Returns how many there were, the dead that nobody has
 * reaped included; bounded in depth, number and rounds, so call it again until there are none. */
unsigned process_tree_kill(pid_t root, process_tree_spares spares, void *userdata);

#endif
