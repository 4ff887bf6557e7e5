/* SPDX-License-Identifier: MIT */
/*
 * Shared objects, as the rest of the simulator knows them; shared.h is their ledger.
 */
#ifndef SIM_OBJECTS_H
#define SIM_OBJECTS_H

#include "daemon/core/core_shared.h"
#include "tests/sim/sim.h"

void shared_init(struct sim *);
void shared_deinit(struct sim *);
/* Something with a shared object. */
void shared_act(struct sim *, uint32_t connection);
void shared_answered(struct sim *, const struct request *, const struct core_shared_answer *);
void shared_refused(struct sim *, const struct request *, enum core_refusal);
/* The connection is gone, or the task's is over. */
void shared_gone(struct sim *, uint32_t connection);
/* From here on a worker's message is at hand, or its loss; then that is over. */
void shared_hear(struct sim *, uint32_t worker, bool is_loss);
void shared_heard(struct sim *);
/* The core's turn comes: times are over. */
void shared_time(struct sim *);
/* Whatever can be given has been given; no owner waits for itself; the core says the same. */
void shared_check(struct sim *);
void shared_memory(struct sim *, uint32_t id);
/* Nobody is left waiting for an object: some, or all, are unlinked. */
void shared_finish(struct sim *, bool all);
/* Its task waits for a lock, and does nothing else. */
bool shared_is_barred(struct sim *, uint32_t connection);
bool shared_is_in_group(uint32_t connection, gid_t);

#endif
