/* SPDX-License-Identifier: MIT */
/*
 * The operations on workers, as ops_worker.c has them, for the table in ops.c, and what begins every one.
 */
#ifndef SIM_OPS_H
#define SIM_OPS_H

#include "tests/sim/sim.h"

/* Counts the operation, lets model workers take some steps, and checks that the worker can be. */
struct model_worker *op_begin(struct sim *, enum operation, uint32_t worker);
/* Whether chance lets memory run out now. */
bool op_no_memory(struct sim *, enum fault);

int op_spawn(void *ctx, uint32_t pool, uint32_t worker);
void op_kill_zygote(void *ctx, uint32_t pool);
int op_send(void *ctx, uint32_t worker, const struct core_dispatch *);
bool op_take_back(void *ctx, uint32_t worker, uint32_t slot, uint64_t task);
void op_read_slot(void *ctx, uint32_t worker, uint32_t slot, struct core_slot *ret);
void op_tell(void *ctx, uint32_t worker, uint64_t task);
void op_kill(void *ctx, uint32_t worker);
void op_stop(void *ctx, uint32_t worker);
void op_credit(void *ctx, uint32_t worker, uint64_t task, uint32_t bytes);

#endif
