/* SPDX-License-Identifier: MIT */
/* What model_process.c and model_worker.c share: the worker's part of the protocol. */
#ifndef TESTS_FUZZ_MODEL_WORKER_H
#define TESTS_FUZZ_MODEL_WORKER_H

#include "proto/envelope.h"
#include "tests/fuzz/model_process.h"

void model_worker_say_hello(struct model_process *);
/* A message of gangerd's. */
void model_worker_hear(struct model_process *, const struct envelope *, uint32_t n_descriptors);
void model_run_free(struct model_process *, struct model_run *);

#endif
