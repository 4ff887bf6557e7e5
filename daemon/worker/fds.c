/* SPDX-License-Identifier: MIT */
/*
 * close_range(), and where an old kernel or a container's filter refuses it, /proc/self/fd; where that cannot
 * be read either, every number up to the limit.
 */
#include "daemon/worker/fds.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static void close_one(int fd)
{
        close(fd);
}

static void cloexec_one(int fd)
{
        int flags = fcntl(fd, F_GETFD);

        if (flags >= 0)
                fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static void by_limit(int first, void (*each)(int fd))
{
        struct rlimit limit = {.rlim_cur = 1 << 16};

        getrlimit(RLIMIT_NOFILE, &limit);
        for (int fd = first; (rlim_t)fd < limit.rlim_cur && fd < 1 << 20; fd++)
                each(fd);
}

static void by_list(int first, void (*each)(int fd))
{
        DIR *list = opendir("/proc/self/fd");
        struct dirent *entry;

        if (!list) {
                by_limit(first, each);
                return;
        }
        while ((entry = readdir(list))) {
                char *end;
                long fd = strtol(entry->d_name, &end, 10);
                if (end != entry->d_name && *end == '\0' && fd >= first && fd != dirfd(list))
                        each((int)fd);
        }
        closedir(list);
}

void fds_close_from(int first)
{
        if (close_range((unsigned)first, UINT_MAX, 0) < 0)
                by_list(first, close_one);
}

void fds_cloexec_from(int first)
{
        if (close_range((unsigned)first, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
                by_list(first, cloexec_one);
}
