/* SPDX-License-Identifier: MIT */
/*
 * Makes allocations fail on purpose, in a test linked with --wrap=malloc,calloc,realloc. A fault loop fails
 * the 1st, the 2nd, … allocation of a scenario until it runs clean.
 */
#ifndef TESTS_UNIT_FAULT_ALLOC_H
#define TESTS_UNIT_FAULT_ALLOC_H

/* The n-th allocation from now on fails (1: the next one), once; 0: none. */
void fault_alloc_arm(unsigned n);
/* Whether it has failed; disarms. */
int fault_alloc_disarm(void);

#endif
