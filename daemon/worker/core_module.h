/* SPDX-License-Identifier: MIT */
/* The module `core`, built in: echo, sleep, and (where the pool allows it) exec. */
#ifndef DAEMON_WORKER_CORE_MODULE_H
#define DAEMON_WORKER_CORE_MODULE_H

#include "daemon/worker/ganger_module.h"

extern const struct ganger_module core_module;

/* exec; exec.c. */
int core_exec(struct ganger_task *task);

#endif
