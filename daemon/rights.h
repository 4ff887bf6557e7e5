/* SPDX-License-Identifier: MIT */
/*
 * What a caller may use beside what his uid says. They go with the arguments that he brought, so that a task
 * which asks for something may use what the connection that submitted it might, and no more than that: not
 * what other connections of its user may, whose groups can be others. Counted references.
 */
#ifndef DAEMON_RIGHTS_H
#define DAEMON_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rights {
        uint32_t n_refs;
        bool all_pools; /* an admin's */
        uint32_t n_groups;
        gid_t *groups;
};

/* NULL stays NULL: whoever has these may use what his uid may. */
struct rights *rights_ref(struct rights *);
struct rights *rights_unref(struct rights *);

#endif
