/* SPDX-License-Identifier: MIT */
/*
 * What a task's function says by C's `stderr` (fprintf, perror, assert): it goes to gangerd as the task's
 * stream, which puts it into log and failure record with the task's name on it. What goes around that stream
 * (write(2), threads, processes that the function started) goes to the descriptor, as it is.
 */
#ifndef WORKER_WORDS_H
#define WORKER_WORDS_H

struct run;

/* Once, in a worker. Without memory `stderr` stays as it is. */
void words_init(void);
/* Whose words they are from now on; NULL: nobody's. */
void words_at(struct run *);

#endif
