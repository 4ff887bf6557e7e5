/* SPDX-License-Identifier: MIT */
/* Forking workers: the zygote's part and the birth of a worker. */
#ifndef DAEMON_WORKER_FORK_H
#define DAEMON_WORKER_FORK_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/worker/load.h"

/* Forks a worker by way of a middle process, which reports [2, "spawned", [id, pid]] on `control`. Where that
 * fails [2, "spawn_failed", [id, errno]] is reported. The descriptors stay the caller's. 0, or -errno if the
 * control socket is lost. */
int fork_worker(const struct pool *pool, int control, pid_t gangerd, uint64_t id, int channel, int area);

#endif
