/* SPDX-License-Identifier: MIT */
/* The name under which ps shows this process. */
#ifndef DAEMON_WORKER_TITLE_H
#define DAEMON_WORKER_TITLE_H

/* Finds the room for titles: the arguments' and the environment's own. The environment moves elsewhere. 0 or
 * -ENOMEM. To be called first in main(). */
int title_init(int argc, char **argv);
/* Shows "ganger: ROLE POOL"; `name` is the short one, of at most 15 bytes. */
void title_set(const char *name, const char *role, const char *pool);

#endif
