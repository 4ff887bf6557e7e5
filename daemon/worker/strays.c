/* SPDX-License-Identifier: MIT */
/*
 * What stands below the worker is stopped, killed, and reaped as it becomes the worker's own child; round
 * after round until there is none, for a stray that was just forking may have got away once.
 */
#include "daemon/worker/strays.h"

#include <errno.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/worker.h"
#include "proto/process_tree.h"

#define STRAYS_BOUND_NS INT64_C(1000000000)

enum { PAUSE_FIRST_NS = 100000, PAUSE_MOST_NS = 10000000 };

/* Reaps what is dead; true: there is no child at all. */
static bool reap_all(void)
{
        for (;;) {
                siginfo_t info = {.si_pid = 0};
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0) {
                        if (errno == EINTR)
                                continue;
                        return true; /* ECHILD */
                }
                if (info.si_pid == 0)
                        return false;
        }
}

bool strays_end(void)
{
        struct timespec pause = {.tv_nsec = PAUSE_FIRST_NS};
        int64_t deadline;

        if (reap_all())
                return true;
        deadline = now_ns() + STRAYS_BOUND_NS;
        do {
                process_tree_kill(getpid(), NULL, NULL);
                nanosleep(&pause, NULL);
                if (pause.tv_nsec < PAUSE_MOST_NS)
                        pause.tv_nsec *= 2;
                if (reap_all())
                        return true;
        } while (now_ns() < deadline);
        return false;
}
