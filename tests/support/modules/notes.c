/* SPDX-License-Identifier: MIT */
/*
 * The module `notes`: tasks that leave a mark on the disk when they are done with their work, so that a test
 * can hold what the daemon says of them against it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"

static int file = -1;

/* [path, n] -> n: adds the line n to the file, by one write, and that is the last thing it does */
static int line(struct ganger_task *task)
{
        struct ganger_value path;
        char text[4096];
        int64_t n = 0;
        int r = ganger_next(task, &path);

        if (r == 0)
                r = ganger_get_int(task, &n);
        if (r < 0 || path.size_bytes >= sizeof(text))
                return -EINVAL;
        if (file < 0) {
                snprintf(text, sizeof(text), "%.*s", (int)path.size_bytes, (const char *)path.data);
                file = open(text, O_WRONLY | O_APPEND | O_CLOEXEC);
        }
        if (file < 0)
                return -errno;
        r = ganger_put_int(task, n);
        int size = snprintf(text, sizeof(text), "%lld\n", (long long)n);
        if (write(file, text, (size_t)size) != size)
                return -EIO;
        return r;
}

static const struct ganger_function functions[] = {
        {.name = "line", .run = line, .summary = "[path, n] -> n"},
};

GANGER_MODULE(.name = "notes", .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]));
