/* SPDX-License-Identifier: MIT */
/*
 * exec: runs a program as a task. The result, or the detail of the failure, is one map of what became of
 * it; a program that could not be started is a failure whose detail has the status that a shell would give
 * (127 not found, 126 not executable).
 */
#include "daemon/worker/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon/worker/core_module.h"

enum { STATUS_NOT_FOUND = 127, STATUS_NOT_EXECUTABLE = 126 };

static void on_child(int number)
{
}

/* While a program runs, its end interrupts a wait; both signals are let in there alone. */
static void signals_hold(struct exec *x)
{
        struct sigaction noted = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
        sigset_t held;

        sigaction(SIGCHLD, &noted, NULL);
        sigemptyset(&held);
        sigaddset(&held, SIGTERM);
        sigaddset(&held, SIGCHLD);
        sigprocmask(SIG_BLOCK, &held, &x->mask);
}

static void signals_release(struct exec *x)
{
        struct sigaction by_default = {.sa_handler = SIG_DFL};

        sigaction(SIGCHLD, &by_default, NULL);
        sigprocmask(SIG_SETMASK, &x->mask, NULL);
}

static double seconds(const struct timeval *time)
{
        return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void put_output(struct packer *p, const struct exec_output *output)
{
        pack_str(p, output->name);
        if (output->given_fd >= 0)
                pack_nil(p);
        else
                pack_bin(p, buffer_size(&output->kept) ? buffer_at(&output->kept) : (const uint8_t *)"",
                         buffer_size(&output->kept));
        if (output->truncated) {
                pack_str(p, output->truncated_key);
                pack_bool(p, true);
        }
}

/* {status, signal, stdout, stderr, wall, user, system, max_rss} and, where they are true, stdout_truncated,
 * stderr_truncated. */
static void put_record(struct exec *x)
{
        struct packer *p = &x->run->packer;
        bool signalled = WIFSIGNALED(x->wait_status);

        pack_map(p, 8 + (size_t)x->output[0].truncated + (size_t)x->output[1].truncated);
        pack_str(p, "status");
        if (signalled)
                pack_nil(p);
        else
                pack_int(p, WEXITSTATUS(x->wait_status));
        pack_str(p, "signal");
        if (signalled)
                pack_int(p, WTERMSIG(x->wait_status));
        else
                pack_nil(p);
        put_output(p, &x->output[0]);
        put_output(p, &x->output[1]);
        pack_str(p, "wall");
        pack_double(p, (double)(x->ended_ns - x->started_ns) / 1e9);
        pack_str(p, "user");
        pack_double(p, seconds(&x->usage.ru_utime));
        pack_str(p, "system");
        pack_double(p, seconds(&x->usage.ru_stime));
        pack_str(p, "max_rss");
        pack_uint(p, (uint64_t)x->usage.ru_maxrss * 1024);
}

/* Whether that was why is the program's own knowledge. */
static const char *memory_note(const struct exec *x, char *ret, size_t size_bytes)
{
        char note[CONFINE_NOTE_BYTES];

        *ret = 0;
        if (*confine_note(&x->run->worker->pool->confinement, note))
                snprintf(ret, size_bytes, "%s (its max_rss was %.1fM)", note,
                         (double)x->usage.ru_maxrss / 1024);
        return ret;
}

/* It ran; what is the verdict? */
static int judge(struct exec *x)
{
        int status = x->wait_status;
        char note[2 * CONFINE_NOTE_BYTES];

        put_record(x);
        if (x->kill_at_ns != 0)
                return run_failf(x->run, "cancelled", "%s was told to end%s", x->argv[0],
                                 x->killed ? ", did not within kill_grace, and was killed" : "");
        if (!x->check || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
                return x->run->packer.error;
        if (WIFSIGNALED(status)) {
                const char *name = sigabbrev_np(WTERMSIG(status));
                return run_failf(x->run, NULL, "%s was ended by signal %d (%s)%s%s", x->argv[0],
                                 WTERMSIG(status), name ? name : "real-time",
                                 WCOREDUMP(status) ? ", core dumped" : "",
                                 memory_note(x, note, sizeof(note)));
        }
        return run_failf(x->run, NULL, "%s ended with status %d%s", x->argv[0], WEXITSTATUS(status),
                         memory_note(x, note, sizeof(note)));
}

static int judge_not_started(struct exec *x, const struct exec_failure *failure)
{
        struct packer *p = &x->run->packer;
        const char *name = strerrorname_np(failure->error), *why = strerror(failure->error);
        bool not_found = failure->error == ENOENT || failure->error == ENOTDIR;

        waitpid(x->pid, NULL, 0);
        pack_map(p, 3);
        pack_str(p, "status");
        if (failure->stage == EXEC_FAILED_PROGRAM)
                pack_int(p, not_found ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
        else
                pack_nil(p);
        pack_str(p, "signal");
        pack_nil(p);
        pack_str(p, "errno");
        pack_str(p, name);
        switch (failure->stage) {
        case EXEC_FAILED_CWD:
                return run_failf(x->run, NULL, "exec: cannot enter the directory %s: %s", x->cwd, why);
        case EXEC_FAILED_PROGRAM:
                return run_failf(x->run, NULL, "exec: cannot run %s: %s%s", x->argv[0], why,
                                 failure->error != ENOENT  ? ""
                                 : strchr(x->argv[0], '/') ? " (or its interpreter is missing)"
                                                           : " in PATH");
        case EXEC_FAILED_SETUP:
                break;
        }
        return run_failf(x->run, NULL, "exec: %s could not be set up: %s", x->argv[0], why);
}

int core_exec(struct ganger_task *task)
{
        struct exec_failure failure = {.stage = EXEC_FAILED_SETUP};
        struct exec x = {
                .run = run_of(task),
                .stdin_fd = -1,
                .check = true,
                .umask = -1,
                .output_limit_bytes = EXEC_OUTPUT_LIMIT_BYTES,
                .output = {{.name = "stdout", .truncated_key = "stdout_truncated", .given_fd = -1, .fd = -1},
                           {.name = "stderr", .truncated_key = "stderr_truncated", .given_fd = -1, .fd = -1}},
        };
        int r = exec_options_read(&x);

        if (r == 0) {
                signals_hold(&x);
                r = exec_start(&x, &failure);
                if (r == 0) {
                        r = exec_watch(&x);
                        r = r < 0 ? r : judge(&x);
                } else if (r == EXEC_NOT_STARTED)
                        r = judge_not_started(&x, &failure);
                signals_release(&x);
        }
        exec_output_deinit(&x.output[0]);
        exec_output_deinit(&x.output[1]);
        exec_options_deinit(&x);
        return r;
}
