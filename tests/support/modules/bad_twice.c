/* SPDX-License-Identifier: MIT */
/* A module with two functions of one name. */
#include "daemon/worker/ganger_module.h"

static int run(struct ganger_task *task)
{
        return ganger_put_nil(task);
}

static const struct ganger_function functions[] = {{.name = "same", .run = run},
                                                   {.name = "same", .run = run}};

GANGER_MODULE(.name = "bad_twice", .functions = functions, .n_functions = 2);
