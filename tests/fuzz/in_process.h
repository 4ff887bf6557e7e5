/* SPDX-License-Identifier: MIT */
/*
 * A whole gangerd inside the harness: begun, run and ended as main() does it, once for each input. What makes
 * a run depend on nothing but the input is put in its place by the linker (--wrap, in_process.c): the clock,
 * randomness, who a peer is, and all processes (model_process.c). A run ends as gangerd ends: stopped, every
 * task over, every account zero (gangerd asserts it), and no descriptor left open (asserted here).
 */
#ifndef TESTS_FUZZ_IN_PROCESS_H
#define TESTS_FUZZ_IN_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon;

struct in_process {
        struct daemon *daemon;
        /* Called once in each turn of the loop. False: it is over, gangerd is to be stopped; it is called on
         * for as long as that takes, to read what comes. */
        bool (*step)(void *userdata);
        /* gangerd has ended: what the harness holds is to be closed. */
        void (*over)(void *userdata);
        void *userdata;
        bool is_stopping;
        unsigned n_turns_stopping;
        /* Allocations fail: then gangerd may not come up, and its own are told from the harness'. */
        bool has_faults, came_up;
};

/* Around what the harness does for itself; NULL: nobody wants to know. */
extern void (*in_process_enter)(void), (*in_process_leave)(void);

/* One run; the configuration is a file's text, the same in every run of the process. */
void in_process_run(struct in_process *, const char *configuration);
/* Time passes, for gangerd. */
void in_process_advance(int64_t duration);
int64_t in_process_now(void);
/* The name of a socket whose owner gangerd shall see as this user (0: itself), or as this process. */
void in_process_name_socket(int fd, uid_t uid, pid_t pid);

#endif
