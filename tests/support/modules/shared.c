/* SPDX-License-Identifier: MIT */
/*
 * The module `shared`: tasks that use shared memory and hold locks. For the tests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/ganger_shared.h"

#include "daemon/worker/ganger_module.h"

enum { LOCK_MS = 5000 };

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

static int open_i64(struct ganger_task *task, struct ganger_shared *ret, uint64_t length)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        char name[256];
        int r = get_name(task, name);

        options.kind = length ? GANGER_SHARED_ARRAY : GANGER_SHARED_VALUE;
        options.type = GANGER_SHARED_I64;
        options.length = length;
        return r < 0 ? r : ganger_shared_open(task, ret, name, &options);
}

static int ask_lock(struct ganger_task *task, const char *method, const char *name)
{
        int r = ganger_request_begin(task, method, 1);

        if (r < 0)
                return r;
        ganger_put_str(task, name, strlen(name));
        return ganger_request_end(task);
}

/* Not atomic on purpose: it is the lock that makes it so. */
static int add_plainly(const struct ganger_shared *value)
{
        int64_t n;
        int r = ganger_shared_get_i64(value, 0, &n);

        return r < 0 ? r : ganger_shared_set_i64(value, 0, n + 1);
}

static int add_locked(const struct ganger_shared *value)
{
        int r = ganger_shared_lock(value, LOCK_MS);

        if (r < 0)
                return r;
        r = add_plainly(value);
        return r < 0 ? r : ganger_shared_unlock(value);
}

static int add_under(struct ganger_task *task, const struct ganger_shared *value, const char *lock)
{
        int r = ask_lock(task, "lock.acquire", lock);

        if (r == 0)
                r = add_plainly(value);
        return r ? r : ask_lock(task, "lock.release", lock);
}

/* [value, n, how] -> n: adds 1 n times, "atomic", "own" (its own lock), or under the lock of that name */
static int add(struct ganger_task *task)
{
        struct ganger_shared value;
        char how[256];
        int64_t n = 0, sum;
        int r = open_i64(task, &value, 0);

        if (r)
                return r;
        r = ganger_get_int(task, &n);
        if (r == 0)
                r = get_name(task, how);
        for (int64_t i = 0; r == 0 && i < n; i++) {
                if (strcmp(how, "atomic") == 0)
                        r = ganger_shared_add_i64(&value, 0, 1, &sum);
                else
                        r = strcmp(how, "own") == 0 ? add_locked(&value) : add_under(task, &value, how);
        }
        ganger_shared_unmap(&value);
        return r ? r : ganger_put_int(task, n);
}

/* [array, first, n] -> nil: its elements from first on are their places times 3 */
static int fill(struct ganger_task *task)
{
        struct ganger_shared array;
        int64_t first = 0, n = 0;
        int r = open_i64(task, &array, 100000);

        if (r)
                return r;
        r = ganger_get_int(task, &first);
        if (r == 0)
                r = ganger_get_int(task, &n);
        for (int64_t i = first; r == 0 && i < first + n; i++)
                r = ganger_shared_set_i64(&array, (uint64_t)i, i * 3);
        ganger_shared_unmap(&array);
        return r ? r : ganger_put_nil(task);
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
        {"add", add, "[value, n, how] -> n: adds 1 to a shared value n times"},
        {"fill", fill, "[array, first, n] -> nil: fills a part of a shared array"},
        {"cross", cross, "[first, second] -> text: acquires two locks"},
        {"hold", hold, "[lock, what] -> nil: holds a lock"},
};

GANGER_MODULE(.name = "shared", .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]));
