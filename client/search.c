/* SPDX-License-Identifier: MIT */
/*
 * The search follows the daemon's own choice of a socket: root's daemon is the system's, everybody else's
 * lives in his XDG_RUNTIME_DIR.
 */
#include "client/search.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client/clock.h"

#define SYSTEM_DIRECTORY     "/run"
#define SOCKET_NAME          "/ganger/ganger.sock"
#define CONNECT_PATIENCE_MS  5000 /* with a daemon whose queue of connections is full */
#define CONNECT_PAUSE_MIN_MS 1
#define CONNECT_PAUSE_MAX_MS 64

static int search_put(char (*ret)[LIMIT_SOCKET_PATH_BYTES + 1], int n, const char *directory,
                      const char *name)
{
        int size = snprintf(ret[n], sizeof ret[n], "%s%s", directory, name);

        return size < 0 || (size_t)size >= sizeof ret[n] ? -ENAMETOOLONG : n + 1;
}

static int search_put_user(char (*ret)[LIMIT_SOCKET_PATH_BYTES + 1], int n)
{
        const char *directory = getenv("XDG_RUNTIME_DIR");

        if (geteuid() == 0)
                return search_put(ret, n, SYSTEM_DIRECTORY, SOCKET_NAME);
        if (directory == NULL || directory[0] != '/')
                return n;
        return search_put(ret, n, directory, SOCKET_NAME);
}

int search_candidates(enum search_scope scope, char (*ret)[LIMIT_SOCKET_PATH_BYTES + 1])
{
        const char *chosen = getenv("GANGER_SOCKET");
        int n;

        switch (scope) {
        case SEARCH_USER:
                return search_put_user(ret, 0);
        case SEARCH_SYSTEM:
                return search_put(ret, 0, SYSTEM_DIRECTORY, SOCKET_NAME);
        case SEARCH_USUAL:
                break;
        }
        if (chosen != NULL && chosen[0] != '\0')
                return search_put(ret, 0, chosen, "");
        n = search_put_user(ret, 0);
        if (n < 0 || geteuid() == 0)
                return n;
        return search_put(ret, n, SYSTEM_DIRECTORY, SOCKET_NAME);
}

/* A Unix socket's connect never is in progress: it succeeds, fails, or says EAGAIN for a full queue, which no
 * poll() announces the end of. */
static int connect_patiently(int fd, const struct sockaddr_un *address, int64_t patience_ms)
{
        int64_t deadline_ms = clock_ms() + patience_ms;
        long pause_ms = CONNECT_PAUSE_MIN_MS;

        while (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
                struct timespec pause = {.tv_nsec = pause_ms * 1000000};

                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN || clock_ms() >= deadline_ms)
                        return -errno;
                nanosleep(&pause, NULL);
                if (pause_ms < CONNECT_PAUSE_MAX_MS)
                        pause_ms *= 2;
        }
        return 0;
}

static int connect_path(const char *path, int64_t patience_ms, int *ret_fd)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        size_t size_bytes = strlen(path);
        int fd, r;

        if (size_bytes == 0)
                return -EINVAL;
        if (size_bytes > LIMIT_SOCKET_PATH_BYTES)
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, size_bytes);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        r = connect_patiently(fd, &address, patience_ms);
        if (r < 0) {
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int search_connect_path(const char *path, int *ret_fd)
{
        return connect_path(path, CONNECT_PATIENCE_MS, ret_fd);
}

int search_try_path(const char *path, int *ret_fd)
{
        return connect_path(path, 0, ret_fd);
}

static int connect_first(enum search_scope scope, int64_t patience_ms, char *ret_path, int *ret_fd)
{
        char paths[SEARCH_CANDIDATES][LIMIT_SOCKET_PATH_BYTES + 1];
        int reason = -ENOENT;
        int n = search_candidates(scope, paths);

        if (n < 0)
                return n;
        for (int i = 0; i < n && reason != -EAGAIN; i++) { /* -EAGAIN: somebody does listen there */
                int r = connect_path(paths[i], patience_ms, ret_fd);
                if (r == 0) {
                        memcpy(ret_path, paths[i], strlen(paths[i]) + 1);
                        return 0;
                }
                if (reason == -ENOENT || r == -EAGAIN)
                        reason = r;
        }
        return reason;
}

int search_connect(enum search_scope scope, char *ret_path, int *ret_fd)
{
        return connect_first(scope, CONNECT_PATIENCE_MS, ret_path, ret_fd);
}

int search_try(enum search_scope scope, char *ret_path, int *ret_fd)
{
        return connect_first(scope, 0, ret_path, ret_fd);
}
