/* SPDX-License-Identifier: MIT */
/*
 * What the screen shows, made of the daemon's answers to `status` and `tasks`: two lines about the whole and
 * a table for each pane. No screen, no clock, no connection. Its texts are the answers': these live longer.
 */
#ifndef CLI_TOP_MODEL_H
#define CLI_TOP_MODEL_H

#include "client/cli/top/rates.h"
#include "client/cli/top/table.h"
#include "client/cli/top/users.h"
#include "proto/reader.h"

enum model_pane {
        PANE_POOLS,
        PANE_FUNCTIONS,
        PANE_WORKERS,
        N_PANES,
};

/* Those columns that something is done with. */
enum {
        POOL_NAME = 0,
        POOL_STATE = 1,
        FUNCTION_RATE = 2,
        WORKER_TASK = 3,
        WORKER_FUNCTION = 4,
        WORKER_USER = 5,
        WORKER_TIME = 6,
};

#define MODEL_LINE_BYTES 240

struct model {
        char daemon[MODEL_LINE_BYTES]; /* version, pid, uptime, … */
        char work[MODEL_LINE_BYTES];   /* tasks and how fast they go */
        struct table tables[N_PANES];
};

extern const struct column pool_columns[], function_columns[], worker_columns[];

/* `tasks` may be an empty reader: then no users are known. `now`: Unix seconds. 0 or -ENOMEM; then there is
 * nothing to deinit. */
int model_init(struct model *, struct reader status, struct reader tasks, struct rates *, struct users *,
               double now);
void model_deinit(struct model *);

#endif
