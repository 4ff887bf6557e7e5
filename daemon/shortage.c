/* SPDX-License-Identifier: MIT */
#include "daemon/shortage.h"

#include <errno.h>
#include <stddef.h>

const char *shortage_remedy(int error)
{
        switch (error) {
        case EMFILE:
                return "raise LimitNOFILE= of the service, or `ulimit -n`";
        case ENFILE:
                return "the whole machine has too many: raise the sysctl fs.file-max";
        case ENOMEM:
        case ENOBUFS:
                return "free memory on the machine, or raise MemoryMax= of the service";
        case EAGAIN:
                return "raise TasksMax= of the service, or `ulimit -u`";
        case ENOSPC:
                return "make room in the file system, or raise the sysctl fs.epoll.max_user_watches";
        default:
                return NULL;
        }
}
