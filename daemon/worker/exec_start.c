/* SPDX-License-Identifier: MIT */
/*
 * Starts a program: vfork, everything it is to find set up in the child, exec. Until then the child lives in
 * our memory and we stand still: nothing is copied, however much the worker holds, and what failed it leaves
 * where we find it, so that "not found" and "not executable" are told apart. The child dies with its worker:
 * nobody else would know of it.
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

__attribute__((noreturn)) static void child_fails(struct exec_failure *ret, int stage)
{
        *ret = (struct exec_failure){.stage = stage, .error = errno};
        _exit(127);
}

/* In the child: `fds` become 0, 1, 2. All of them are above 2, as the worker has those open. */
__attribute__((noreturn)) static void child(const struct exec *x, const int fds[3], pid_t parent,
                                            struct exec_failure *ret)
{
        struct sigaction by_default = {.sa_handler = SIG_DFL};
        sigset_t none;

        setpgid(0, 0);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                child_fails(ret, EXEC_FAILED_SETUP);
        if (getppid() != parent)
                _exit(127);
        for (int i = 1; i <= PROGRAM_SIGNALS; i++)
                sigaction(i, &by_default, NULL);
        for (int i = 0; i < 3; i++)
                if (dup2(fds[i], i) < 0)
                        child_fails(ret, EXEC_FAILED_SETUP);
        fds_cloexec_from(3);
        if (x->umask >= 0)
                umask((mode_t)x->umask);
        if (x->cwd && chdir(x->cwd) < 0)
                child_fails(ret, EXEC_FAILED_CWD);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        confine_program(&x->run->worker->pool->confinement);
        execvp(x->argv[0], x->argv);
        child_fails(ret, EXEC_FAILED_PROGRAM);
}

/* All signals are held until the child has none of our handlers any more, which would run in our memory. */
static pid_t vfork_child(const struct exec *x, const int fds[3], struct exec_failure *ret)
{
        pid_t self = getpid(), pid;
        sigset_t all, before;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
        if (pid == 0)
                child(x, fds, self, ret);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return pid < 0 ? -errno : pid;
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

/* The program is looked for in the PATH that it will have. */
static int start_child(struct exec *x, char **env, const int fds[3], struct exec_failure *ret)
{
        char **own = environ;

        *ret = (struct exec_failure){0};
        x->started_ns = now_ns();
        environ = env;
        x->pid = vfork_child(x, fds, ret);
        environ = own;
        if (x->pid < 0)
                return x->pid;
        return ret->error != 0 ? EXEC_NOT_STARTED : 0;
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
