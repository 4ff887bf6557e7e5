/* SPDX-License-Identifier: MIT */
/*
 * The module `stray`: tasks that leave processes behind which will not go. Each takes a descriptor that all
 * of them hold, so that a test sees the end of file on it when, and only when, nobody is left.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"

static int take_descriptor(struct ganger_task *task)
{
        struct ganger_value value;
        int r = ganger_next(task, &value);

        return r < 0 ? r : ganger_open_input(task, &value);
}

/* Each hands over to its child and exits, for ever: whoever signals the one that was listed hits a dead one.
 */
__attribute__((noreturn)) static void hand_on(void)
{
        for (;;) {
                if (fork() != 0) {
                        usleep(1000);
                        _exit(0);
                }
        }
}

/* A session of its own that nobody started, deaf to SIGTERM; it forks one chain after another. */
__attribute__((noreturn)) static void daemonised(void)
{
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGCHLD, SIG_IGN);
        setsid();
        if (fork() != 0)
                _exit(0);
        for (int i = 0; i < 3; i++)
                if (fork() == 0)
                        hand_on();
        for (;;) {
                if (fork() == 0) {
                        pause();
                        _exit(0);
                }
                usleep(20000);
        }
}

/* [descriptor] -> nil, at once, with the daemonised ones left behind */
static int leave(struct ganger_task *task)
{
        int fd = take_descriptor(task);

        if (fd < 0)
                return fd;
        if (fork() == 0)
                daemonised();
        usleep(50000); /* they are many by then */
        return ganger_put_nil(task);
}

/* [descriptor] -> never, whatever it is told */
static int deaf(struct ganger_task *task)
{
        int fd = take_descriptor(task);

        if (fd < 0)
                return fd;
        if (fork() == 0)
                daemonised();
        for (;;)
                pause();
}

/* [descriptor] -> ends when it is told, with the daemonised ones left behind */
static int polite(struct ganger_task *task)
{
        int fd = take_descriptor(task);

        if (fd < 0)
                return fd;
        if (fork() == 0)
                daemonised();
        while (!ganger_cancelled(task))
                usleep(1000000);
        return -ECANCELED;
}

/* [descriptor, signal] -> dies of the signal; a child that never executed anything holds all that its worker
 * held, the channel too */
static int outlive(struct ganger_task *task)
{
        int fd = take_descriptor(task);
        int64_t number;
        int r = fd < 0 ? fd : ganger_get_int(task, &number);

        if (r < 0)
                return r;
        if (fork() == 0) {
                signal(SIGTERM, SIG_IGN);
                sleep(60);
                _exit(0);
        }
        raise((int)number);
        return -EINVAL;
}

/* [descriptor, seconds] -> the byte that its daemonised helper answered with after so long */
static int helper(struct ganger_task *task)
{
        double seconds;
        int ends[2], fd = take_descriptor(task);
        int r = fd < 0 ? fd : ganger_get_double(task, &seconds);
        char byte = 0;

        if (r < 0)
                return r;
        if (pipe(ends) < 0)
                return -errno;
        if (fork() == 0) {
                setsid();
                if (fork() == 0) {
                        usleep((useconds_t)(seconds * 1e6));
                        _exit(write(ends[1], "h", 1) != 1);
                }
                _exit(0);
        }
        close(ends[1]);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
                ;
        close(ends[0]);
        return ganger_put_int(task, byte);
}

/* The name that a backtrace must show. */
__attribute__((noinline)) static int fall_into_the_hole(volatile int64_t how)
{
        static int *volatile nowhere;
        volatile char room[1024];

        room[0] = 0;
        if (how == SIGSEGV)
                return *nowhere;
        if (how == SIGABRT)
                abort();
        return fall_into_the_hole(how) + room[0]; /* until the stack is used up */
}

/* [signal, or 0 for an endless recursion] -> crashes */
static int crash(struct ganger_task *task)
{
        int64_t how;
        int r = ganger_get_int(task, &how);

        return r < 0 ? r : fall_into_the_hole(how);
}

/* [] -> the signal that ended a forked child, which crashed */
static int crashing_child(struct ganger_task *task)
{
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(fall_into_the_hole(SIGSEGV));
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return -errno;
        return ganger_put_int(task, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* Shares all that it can with who made it, so that it is made as fast as can be; nothing but waits. */
__attribute__((noreturn)) static int wait_for_ever(void *unused)
{
        (void)unused;
        for (;;)
                syscall(SYS_pause);
}

/* [] -> nil, at once: nothing leaves a process behind in less time */
static int fastest(struct ganger_task *task)
{
        static char stack[4096] __attribute__((aligned(16)));
        int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD;

        if (clone(wait_for_ever, stack + sizeof(stack), flags, NULL) < 0)
                return -errno;
        return ganger_put_nil(task);
}

/* [] -> how many children its worker has */
static int children(struct ganger_task *task)
{
        char path[64];
        int n = 0, pid;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
        FILE *f = fopen(path, "re");
        if (!f)
                return -errno;
        while (fscanf(f, "%d", &pid) == 1)
                n++;
        fclose(f);
        return ganger_put_int(task, n);
}

static const struct ganger_function functions[] = {
        {.name = "leave", .run = leave},
        {.name = "deaf", .run = deaf},
        {.name = "polite", .run = polite},
        {.name = "outlive", .run = outlive},
        {.name = "helper", .run = helper},
        {.name = "fastest", .run = fastest},
        {.name = "children", .run = children},
        {.name = "crash", .run = crash},
        {.name = "crashing_child", .run = crashing_child},
};

GANGER_MODULE(.name = "stray", .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]));
