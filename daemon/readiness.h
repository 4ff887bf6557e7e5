/* SPDX-License-Identifier: MIT */
/*
 * When gangerd is ready, and the one line that says how it is: `systemctl status` shows it. Ready is when a
 * worker of every pool has said hello; a pool whose workers die at start is waited for no longer than
 * start_timeout, and the line says so. Owned by struct daemon.
 */
#ifndef DAEMON_READINESS_H
#define DAEMON_READINESS_H

#include <stdint.h>

struct daemon;
struct readiness;

int readiness_new(struct daemon *, struct readiness **ret);
/* Takes NULL; returns NULL. */
struct readiness *readiness_free(struct readiness *);
/* A worker of the pool has said hello. */
void readiness_hello(struct readiness *, uint32_t pool);
/* At the end of the loop's turn; returns when it wants to be called again at the latest. */
int64_t readiness_turn(struct readiness *);
/* Stopping begins: how long it may take, at the most, is said. */
void readiness_stop(struct readiness *);

#endif
