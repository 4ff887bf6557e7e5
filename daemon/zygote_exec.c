/* SPDX-License-Identifier: MIT */
/*
 * The process of a zygote: what it gets of gangerd, which is a channel as descriptor 3, an environment made
 * from an allow list, signals as if nobody had touched them and the descriptor limit from before gangerd
 * raised it. gangerd has threads by now, so between fork and exec only what is async-signal-safe happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/zygote_private.h"

#define DEFAULT_PROGRAM GANGER_LIBEXECDIR "/ganger-zygote"
#define DEFAULT_PATH    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CHANNEL_FD      3
#define EXIT_NO_EXEC    126

extern char **environ;

/* NOTIFY_SOCKET, LISTEN_… and what else is gangerd's own business stays here. */
static const char *const allowed[] = {"PATH", "HOME",     "USER", "LOGNAME", "SHELL",
                                      "LANG", "LANGUAGE", "TZ",   "TMPDIR"};

static bool is_allowed(const char *variable)
{
        size_t size_bytes = strcspn(variable, "=");

        if (strncmp(variable, "LC_", 3) == 0)
                return true;
        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
                if (strlen(allowed[i]) == size_bytes && strncmp(allowed[i], variable, size_bytes) == 0)
                        return true;
        return false;
}

static bool is_said(char *const *list, const char *variable)
{
        size_t size_bytes = strcspn(variable, "=") + 1;
        for (; list && *list; list++)
                if (strncmp(*list, variable, size_bytes) == 0)
                        return true;
        return false;
}

/* The strings stay their owners'. */
static char **environment_new(const struct pool_configuration *pool)
{
        static char default_path[] = DEFAULT_PATH;
        size_t n = 2, n_used = 0;

        for (char **e = environ; *e; e++)
                n++;
        for (char **e = pool->env; e && *e; e++)
                n++;
        char **environment = calloc(n, sizeof(*environment));
        if (!environment)
                return NULL;
        for (char **e = environ; *e; e++)
                if (is_allowed(*e) && !is_said(pool->env, *e))
                        environment[n_used++] = *e;
        for (char **e = pool->env; e && *e; e++)
                environment[n_used++] = *e;
        if (!is_said(environment, DEFAULT_PATH))
                environment[n_used++] = default_path;
        return environment;
}

const char *zygote_program(const struct pool_configuration *pool)
{
        const char *built = getenv("GANGER_ZYGOTE");
        return built && strcmp(pool->zygote, DEFAULT_PROGRAM) == 0 ? built : pool->zygote;
}

_Noreturn static void become(const char *path, char *const *arguments, char *const *environment,
                             const char *directory, const struct rlimit *nofile, int channel)
{
        const struct sigaction as_default = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                sigaction(i, &as_default, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (channel == CHANNEL_FD)
                fcntl(channel, F_SETFD, 0);
        else
                dup2(channel, CHANNEL_FD);
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null >= 0 && setrlimit(RLIMIT_NOFILE, nofile) == 0 && dup2(null, STDIN_FILENO) == STDIN_FILENO &&
            (!directory || chdir(directory) == 0))
                execve(path, arguments, environment);
        _exit(EXIT_NO_EXEC);
}

/* What exec would fail for, said with its reason while there is somebody to say it. */
static int check(struct zygote *zygote, const char *path)
{
        const char *directory = zygote->pool_configuration->directory;

        if (access(path, X_OK) < 0)
                zygote_fail(zygote, errno, "the zygote's program %s cannot be executed", path);
        else if (directory && access(directory, X_OK) < 0)
                zygote_fail(zygote, errno, "directory %s", directory);
        return zygote->unfit;
}

int zygote_execute(struct zygote *zygote, pid_t *ret_pid, int *ret_fd)
{
        const struct pool_configuration *pool = zygote->pool_configuration;
        const char *path = zygote_program(pool);
        char name[] = "ganger-zygote";
        char *arguments[] = {name, pool->name, NULL};
        int pair[2];
        int r = check(zygote, path);
        if (r != 0)
                return r;
        char **environment = environment_new(pool);
        if (!environment)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
                r = -errno;
                free(environment);
                return r;
        }
        pid_t pid = fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? -1 : fork();
        if (pid == 0)
                become(path, arguments, environment, pool->directory, &zygote->owner->daemon->worker_nofile,
                       pair[1]);
        r = pid < 0 ? -errno : 0;
        free(environment);
        close(pair[1]);
        if (r < 0) {
                close(pair[0]);
                return r;
        }
        *ret_pid = pid;
        *ret_fd = pair[0];
        return 0;
}
