/* SPDX-License-Identifier: MIT */
/* A module that needs a function that nobody has. */
#include "daemon/worker/ganger_module.h"

int nobody_has_this(struct ganger_task *);

static const struct ganger_function functions[] = {{.name = "call", .run = nobody_has_this}};

GANGER_MODULE(.name = "bad_symbol", .functions = functions, .n_functions = 1);
