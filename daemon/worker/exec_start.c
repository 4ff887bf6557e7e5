/* SPDX-License-Identifier: MIT */
/*
 * Starts a program: vfork, everything it is to find set up in the child, exec. To copy a worker's page tables
 * costs more than all the rest, so the child borrows the worker's memory until it has become the program. In
 * it the child notes whether and why it failed, so that "not found" and "not executable" are told apart. It
 * dies with its worker: nobody else would know of it.
 *
 * What the child may change is what the kernel keeps for each process (descriptors, directory, mask, what
 * signals do, limits), errno, and environ where it names a PATH. No signal is let in before it has none of
 * the worker's handlers left.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/worker/exec.h"
#include "daemon/worker/fds.h"

#define PROGRAM_SIGNALS 64

/* The worker's environment with the option's names set; only the array is to be freed. */
static char **merge_env(const struct exec *x)
{
        size_t n = 0, n_environ = 0;
        char **merged;

        while (environ[n_environ])
                n_environ++;
        merged = calloc(x->n_env + n_environ + 1, sizeof(*merged));
        if (!merged)
                return NULL;
        for (size_t i = 0; i < x->n_env; i++)
                merged[n++] = x->env[i];
        for (size_t i = 0; i < n_environ; i++) {
                size_t name_size = strcspn(environ[i], "=") + 1;
                bool replaced = false;
                for (size_t k = 0; k < x->n_env && !replaced; k++)
                        replaced = strncmp(environ[i], x->env[k], name_size) == 0;
                if (!replaced)
                        merged[n++] = environ[i];
        }
        return merged;
}

static bool names_path(const struct exec *x)
{
        for (size_t i = 0; i < x->n_env; i++)
                if (strncmp(x->env[i], "PATH=", 5) == 0)
                        return true;
        return false;
}

/* A file that holds the bytes for standard input: no pipe has to be fed. */
static int stdin_from_bytes(const char *data, size_t size_bytes)
{
        int fd = memfd_create("stdin", MFD_CLOEXEC);

        if (fd < 0)
                return -errno;
        while (size_bytes > 0) {
                ssize_t n = write(fd, data, size_bytes);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        int r = -errno;
                        close(fd);
                        return r;
                }
                data += n;
                size_bytes -= (size_t)n;
        }
        lseek(fd, 0, SEEK_SET);
        return fd;
}

struct child {
        struct exec *x;
        char **env;
        const int *fds; /* become 0, 1, 2; all of them are above 2, as the worker has those open */
        pid_t parent;
        /* Read by another process than the one that writes it and ends. */
        volatile struct exec_failure failure;
        volatile bool failed;
};

__attribute__((noreturn)) static void child_fails(struct child *c, int stage)
{
        c->failure.stage = stage;
        c->failure.error = errno;
        c->failed = true;
        _exit(127);
}

/* In the child, as far as the exec. */
__attribute__((noreturn, noinline)) static void child_run(struct child *c)
{
        struct sigaction by_default = {.sa_handler = SIG_DFL};
        const struct exec *x = c->x;
        sigset_t none;

        setpgid(0, 0);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                child_fails(c, EXEC_FAILED_SETUP);
        if (getppid() != c->parent)
                _exit(127);
        for (int i = 1; i <= PROGRAM_SIGNALS; i++)
                sigaction(i, &by_default, NULL);
        for (int i = 0; i < 3; i++)
                if (dup2(c->fds[i], i) < 0)
                        child_fails(c, EXEC_FAILED_SETUP);
        fds_cloexec_from(3);
        if (x->umask >= 0)
                umask((mode_t)x->umask);
        if (x->cwd && chdir(x->cwd) < 0)
                child_fails(c, EXEC_FAILED_CWD);
        if (names_path(x)) /* the worker's own, to be put back, so not without need */
                environ = c->env;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        confine_program(&x->run->worker->pool->confinement);
        execvpe(x->argv[0], x->argv, c->env); /* looks in the PATH of environ */
        child_fails(c, EXEC_FAILED_PROGRAM);
}

/* The descriptors that the child gets; those that were made here are to be closed here: own[i]. */
static int child_fds(struct exec *x, int fds[3], int own[3])
{
        if (x->stdin_fd >= 0)
                fds[0] = x->stdin_fd;
        else {
                fds[0] = own[0] = x->has_stdin_bytes ? stdin_from_bytes(x->stdin_bytes, x->stdin_size_bytes)
                                                     : open("/dev/null", O_RDONLY | O_CLOEXEC);
                if (fds[0] < 0)
                        return x->has_stdin_bytes ? fds[0] : -errno;
        }
        for (int i = 0; i < 2; i++) {
                struct exec_output *output = &x->output[i];
                int ends[2];
                fds[i + 1] = output->given_fd;
                if (output->given_fd >= 0)
                        continue;
                if (pipe2(ends, O_CLOEXEC) < 0)
                        return -errno;
                output->fd = ends[0];
                fds[i + 1] = own[i + 1] = ends[1];
                /* Only our end: that the program's blocks is what holds it up. */
                if (fcntl(output->fd, F_SETFL, O_NONBLOCK) < 0)
                        return -errno;
        }
        return 0;
}

/* In a function of its own, whose variables nobody needs afterwards: the child runs on this very stack. */
__attribute__((noinline)) static pid_t child_begin(struct child *c)
{
        pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

        if (pid == 0)
                child_run(c); /* NOLINT(clang-analyzer-unix.Vfork) */
        return pid;
}

static int start_child(struct exec *x, char **env, const int fds[3], struct exec_failure *ret)
{
        struct child c = {.x = x, .env = env, .fds = fds, .parent = getpid()};
        char **environ_before = environ;
        sigset_t all, before;
        int r = 0;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        x->started_ns = now_ns();
        x->pid = child_begin(&c);
        if (x->pid < 0)
                r = -errno;
        if (names_path(x))
                environ = environ_before;
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (!c.failed)
                return r;
        ret->stage = c.failure.stage;
        ret->error = c.failure.error;
        return EXEC_NOT_STARTED;
}

int exec_start(struct exec *x, struct exec_failure *ret)
{
        int fds[3] = {-1, -1, -1}, own[3] = {-1, -1, -1};
        char **env = merge_env(x);
        int r = env ? child_fds(x, fds, own) : -ENOMEM;

        if (r == 0)
                r = start_child(x, env, fds, ret);
        for (int i = 0; i < 3; i++)
                if (own[i] >= 0)
                        close(own[i]);
        free(env);
        return r;
}
