/* SPDX-License-Identifier: MIT */
/*
 * What clients and workers do in one run, said by the input: a sequence of steps, each a byte (which step,
 * counted round) and what belongs to it. One step a turn.
 */
#ifndef TESTS_FUZZ_DIALOGUE_H
#define TESTS_FUZZ_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dialogue_step {
        STEP_SEND,    /* client, n descriptors, their kinds, size (2 bytes), bytes */
        STEP_CONNECT, /* client: (again) as one of three users */
        STEP_CLOSE,   /* client; with 128 added: only its writing side */
        STEP_DEAF,    /* client: whether it reads, turned over */
        STEP_TIME,    /* exponent: 2^n ms pass */
        STEP_RELOAD,  /* SIGHUP */
        STEP_SAY,     /* worker, size (2 bytes), bytes: what it sends */
        STEP_AREA,    /* worker, slot, task, state, index: what it writes into its area */
        STEP_DIE,     /* worker, wait status (2 bytes) */
        STEP_OBEY,    /* worker: what a good one does next */
        STEP_REST,    /* nothing */
        N_DIALOGUE_STEPS
};

/* workers_obey: always, else only in STEP_OBEY; and then a newborn's hello is the input's as well.
 * has_faults: as in request.h. */
void dialogue_run(const uint8_t *data, size_t size_bytes, bool workers_obey, bool has_faults);

#endif
