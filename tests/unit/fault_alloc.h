/* SPDX-License-Identifier: MIT */
/*
 * Makes allocations fail on purpose, in a test linked with --wrap=malloc,calloc,realloc,reallocarray,strdup,
 * strndup. A fault loop fails the 1st, the 2nd, … allocation of a scenario until it runs clean.
 */
#ifndef TESTS_UNIT_FAULT_ALLOC_H
#define TESTS_UNIT_FAULT_ALLOC_H

/* The n-th allocation from now on fails (1: the next one), once; 0: none. */
void fault_alloc_arm(unsigned n);
/* The same, and all that follow. */
void fault_alloc_arm_for_ever(unsigned n);
/* Whether it has failed; disarms. */
int fault_alloc_disarm(void);
/* What is allocated until fault_alloc_resume() is the test's own: neither counted nor failed. They nest. */
void fault_alloc_suspend(void);
void fault_alloc_resume(void);

#endif
