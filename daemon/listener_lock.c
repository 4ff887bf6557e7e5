/* SPDX-License-Identifier: MIT */
/*
 * The lock file. It is removed when its holder ends, so what was opened may have been removed in between by
 * the one who had it: only a lock on the file that the path still names counts.
 */
#include "daemon/listener_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 100 /* each lost to another daemon that ended just now */

static bool is_named(int fd, const char *name)
{
        struct stat held, named;

        return fstat(fd, &held) == 0 && lstat(name, &named) == 0 && held.st_dev == named.st_dev &&
               held.st_ino == named.st_ino;
}

static pid_t holder(int fd)
{
        char text[32] = "";
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        long pid = n > 0 ? strtol(text, NULL, 10) : 0;

        return pid > 0 ? (pid_t)pid : 0;
}

static void fill_in(int fd)
{
        char text[32];
        int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());

        /* For people only: that it is locked is what counts. */
        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)size, 0) < 0)
                return;
}

int listener_lock(const char *path, int *ret_fd, pid_t *ret_pid)
{
        char name[PATH_MAX];
        int r;

        snprintf(name, sizeof name, "%s.lock", path);
        for (unsigned i = 0; i < TRIES; i++) {
                int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
                if (fd < 0)
                        return -errno;
                if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                        r = errno == EWOULDBLOCK ? LOCK_HELD : -errno;
                        *ret_pid = holder(fd);
                        close(fd);
                        return r;
                }
                if (is_named(fd, name)) {
                        fill_in(fd);
                        *ret_fd = fd;
                        return 0;
                }
                close(fd);
        }
        return -EAGAIN;
}

void listener_unlock(const char *path, int fd)
{
        char name[PATH_MAX];

        snprintf(name, sizeof name, "%s.lock", path);
        unlink(name);
        close(fd);
}
