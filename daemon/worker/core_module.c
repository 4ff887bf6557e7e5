/* SPDX-License-Identifier: MIT */
/*
 * The module `core`: what every pool has. It is a module like any other but for exec, which knows the
 * worker.
 */
#include "daemon/worker/core_module.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "proto/limits.h"

static int core_echo(struct ganger_task *task)
{
        struct ganger_value value;
        int r = task->api->put_value(task);

        if (r == -EBADF)
                return ganger_fail(task, "echo: a descriptor cannot be a result");
        if (r < 0)
                return r;
        if (ganger_next(task, &value) != -ENODATA)
                return ganger_fail(task, "echo: one argument too many; it takes one value");
        return 0;
}

static int core_sleep(struct ganger_task *task)
{
        struct timespec begin, now, left;
        struct ganger_value value;
        sigset_t told, before;
        double seconds;
        int r = ganger_get_double(task, &seconds);

        if (r < 0)
                return r;
        if (!(seconds >= 0 && seconds <= LIMIT_SECONDS)) /* so that it catches a NaN */
                return ganger_fail(task, "sleep: %g is no time; wanted are seconds from 0 to %g", seconds,
                                   LIMIT_SECONDS);
        if (ganger_next(task, &value) != -ENODATA)
                return ganger_fail(task, "sleep: one argument too many; it takes seconds");
        clock_gettime(CLOCK_MONOTONIC, &begin);
        /* Let in by ppoll() alone: else a signal between the look and the wait would be lost. */
        sigemptyset(&told);
        sigaddset(&told, SIGTERM);
        sigprocmask(SIG_BLOCK, &told, &before);
        for (r = 0; r == 0;) {
                clock_gettime(CLOCK_MONOTONIC, &now);
                double rest = seconds - (double)(now.tv_sec - begin.tv_sec) -
                              (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
                if (rest <= 0)
                        break;
                if (ganger_cancelled(task)) {
                        r = -ECANCELED;
                        break;
                }
                left.tv_sec = (time_t)rest;
                left.tv_nsec = (long)((rest - (double)left.tv_sec) * 1e9);
                ppoll(NULL, 0, &left, &before);
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r < 0 ? r : ganger_put_nil(task);
}

static const struct ganger_function functions[] = {
        {.name = "echo", .run = core_echo, .summary = "[value] -> value"},
        {.name = "sleep", .run = core_sleep, .summary = "[seconds] -> nil"},
        {.name = "exec",
         .run = core_exec,
         .summary = "[argv, {env, cwd, stdin, stdout, stderr, check, output_limit, umask}] -> "
                    "{status, signal, stdout, stderr, wall, user, system, max_rss}"},
};

const struct ganger_module core_module = {
        .abi = GANGER_MODULE_ABI,
        .size_bytes = sizeof(struct ganger_module),
        .name = "core",
        .functions = functions,
        .n_functions = sizeof(functions) / sizeof(functions[0]),
};
