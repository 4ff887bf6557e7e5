/* SPDX-License-Identifier: MIT */
/*
 * The module `locks`: tasks that hold locks. For the tests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"

static int get_name(struct ganger_task *task, char ret[256])
{
        const char *data;
        size_t size_bytes;
        int r = ganger_get_str(task, &data, &size_bytes);

        if (r == 0 && size_bytes >= 256)
                r = -ENAMETOOLONG;
        if (r == 0)
                snprintf(ret, 256, "%.*s", (int)size_bytes, data);
        return r;
}

static int ask_lock(struct ganger_task *task, const char *method, const char *name)
{
        int r = ganger_request_begin(task, method, 1);

        if (r < 0)
                return r;
        ganger_put_str(task, name, strlen(name));
        return ganger_request_end(task);
}

/* [lock, what] -> nil: acquires it, and then: "end", "crash", "wait" (until it is told to end), "deaf" */
static int hold(struct ganger_task *task)
{
        const struct timespec pause = {.tv_nsec = 1000000};
        char name[256], what[256];
        int r = get_name(task, name);

        if (r == 0)
                r = get_name(task, what);
        if (r == 0)
                r = ask_lock(task, "lock.acquire", name);
        if (r)
                return r;
        ganger_progress(task, 0, "held");
        if (*what == 'c')
                abort();
        while (*what == 'd' || (*what == 'w' && !ganger_cancelled(task)))
                nanosleep(&pause, NULL);
        return ganger_put_nil(task);
}

static int put_text(struct ganger_task *task, const char *text)
{
        return ganger_put_str(task, text, strlen(text));
}

/* [first, second] -> "both", or the code that it was refused with: acquires the first, meets another task
 * that does the same the other way round, and acquires the second */
static int cross(struct ganger_task *task)
{
        char first[256], second[256];
        int r = get_name(task, first);

        if (r == 0)
                r = get_name(task, second);
        if (r == 0)
                r = ask_lock(task, "lock.acquire", first);
        if (r == 0)
                r = ganger_request_begin(task, "barrier.wait", 2);
        if (r)
                return r;
        put_text(task, "cross");
        ganger_put_map(task, 1);
        put_text(task, "parties");
        ganger_put_int(task, 2);
        r = ganger_request_end(task);
        if (r)
                return r;
        r = ask_lock(task, "lock.acquire", second);
        return r < 0 ? r : put_text(task, r == 0 ? "both" : ganger_reply_code(task));
}

static const struct ganger_function functions[] = {
        {"cross", cross, "[first, second] -> text: acquires two locks"},
        {"hold", hold, "[lock, what] -> nil: holds a lock"},
};

GANGER_MODULE(.name = "locks", .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]));
