/* SPDX-License-Identifier: MIT */
/* How many descriptors this process has open: before and after what must leave none behind. */
#ifndef TESTS_SUPPORT_OPEN_FDS_H
#define TESTS_SUPPORT_OPEN_FDS_H

#include <fcntl.h>

static inline int open_fds(void)
{
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

#endif
