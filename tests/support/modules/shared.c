/* SPDX-License-Identifier: MIT */
/* The module `shared`: tasks that use values and arrays of i64 in shared memory. For the tests. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"
#include "tests/support/shared_work.h"

/* The next argument is the name of a value, or of an array that is there. */
static int open_next(struct ganger_task *task, enum ganger_shared_kind kind, struct ganger_shared *ret)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        char name[64] = "";
        const char *data;
        size_t size_bytes;
        int r = ganger_get_str(task, &data, &size_bytes);

        if (r < 0 || size_bytes >= sizeof name)
                return r < 0 ? r : -EINVAL;
        memcpy(name, data, size_bytes);
        options.kind = kind;
        options.create = kind == GANGER_SHARED_VALUE;
        return ganger_shared_open(task, ret, name, &options);
}

static int put_sum(struct ganger_task *task, struct ganger_shared *s, int64_t r)
{
        int64_t sum = 0;

        if (r >= 0)
                r = ganger_shared_get_i64(s, 0, &sum);
        ganger_shared_unmap(s);
        return r < 0 ? (int)r : ganger_put_int(task, sum);
}

/* [value, n] -> what the number is then */
static int add_locked(struct ganger_task *task)
{
        struct ganger_shared s = {0};
        int64_t n;
        int r = open_next(task, GANGER_SHARED_VALUE, &s);

        if (r == 0)
                r = ganger_get_int(task, &n);
        return r ? r : put_sum(task, &s, shared_add_locked(&s, n));
}

/* [value, n] -> what the number is then */
static int add_atomically(struct ganger_task *task)
{
        struct ganger_shared s = {0};
        int64_t n;
        int r = open_next(task, GANGER_SHARED_VALUE, &s);

        if (r == 0)
                r = ganger_get_int(task, &n);
        return r ? r : put_sum(task, &s, shared_add_atomically(&s, n));
}

static int ask_of_lock(struct ganger_task *task, const char *method, const char *lock, size_t size_bytes)
{
        int r = ganger_request_begin(task, method, 1);

        if (r < 0)
                return r;
        ganger_put_str(task, lock, size_bytes);
        return ganger_request_end(task);
}

/* [value, n, lock] -> what the number is then; each time under that lock of the daemon's */
static int add_acquired(struct ganger_task *task)
{
        struct ganger_shared s = {0};
        const char *lock;
        size_t size_bytes;
        int64_t n;
        int r = open_next(task, GANGER_SHARED_VALUE, &s);

        if (r == 0)
                r = ganger_get_int(task, &n);
        if (r == 0)
                r = ganger_get_str(task, &lock, &size_bytes);
        for (; r == 0 && n > 0; n--) {
                r = ask_of_lock(task, "lock.acquire", lock, size_bytes);
                if (r == 0)
                        r = shared_add_apart(&s);
                if (r == 0)
                        r = ask_of_lock(task, "lock.release", lock, size_bytes);
        }
        return r ? r : put_sum(task, &s, 0);
}

/* [array, first, n, number] -> nil: n numbers, from that one on */
static int fill(struct ganger_task *task)
{
        struct ganger_shared s = {0};
        int64_t first, n, number, *numbers;
        int r = open_next(task, GANGER_SHARED_ARRAY, &s);

        if (r != 0)
                return r;
        r = ganger_get_int(task, &first);
        if (r == 0)
                r = ganger_get_int(task, &n);
        if (r == 0)
                r = ganger_get_int(task, &number);
        if (r < 0)
                return r;
        numbers = calloc((size_t)n + 1, sizeof *numbers);
        for (int64_t i = 0; numbers != NULL && i < n; i++)
                numbers[i] = number + i;
        r = numbers != NULL ? ganger_shared_write(&s, (uint64_t)first, (uint64_t)n, numbers) : -ENOMEM;
        free(numbers);
        ganger_shared_unmap(&s);
        return r < 0 ? r : ganger_put_nil(task);
}

/* [value, "wait" | "crash"] -> nil: takes the object's own lock, then waits until it is told to end, or
 * crashes */
static int hold(struct ganger_task *task)
{
        struct ganger_shared s = {0};
        const char *how;
        size_t size_bytes;
        int r = open_next(task, GANGER_SHARED_VALUE, &s);

        if (r == 0)
                r = ganger_get_str(task, &how, &size_bytes);
        if (r != 0)
                return r;
        r = ganger_shared_lock(&s, SHARED_PATIENCE_MS);
        if (r < 0)
                return r;
        if (size_bytes == 5 && memcmp(how, "crash", 5) == 0)
                abort();
        while (!ganger_cancelled(task))
                usleep(5000);
        r = ganger_shared_unlock(&s);
        ganger_shared_unmap(&s);
        return r < 0 ? r : -ECANCELED;
}

/* [value, timeout_ms] -> [what ganger_shared_lock() returned, how long it took in ms] */
static int take(struct ganger_task *task)
{
        struct ganger_shared s = {0};
        struct shared_take take;
        int64_t timeout_ms;
        int r = open_next(task, GANGER_SHARED_VALUE, &s);

        if (r == 0)
                r = ganger_get_int(task, &timeout_ms);
        if (r != 0)
                return r;
        take = shared_take(&s, timeout_ms);
        ganger_shared_unmap(&s);
        ganger_put_array(task, 2);
        ganger_put_int(task, take.r);
        return ganger_put_int(task, take.took_ms);
}

/* [array, which, duration_ms] -> [wrong, n, longest_ms]: see shared_work.h */
static int use(struct ganger_task *task)
{
        struct ganger_shared s = {0};
        struct shared_use use;
        int64_t which, duration_ms;
        int r = open_next(task, GANGER_SHARED_ARRAY, &s);

        if (r == 0)
                r = ganger_get_int(task, &which);
        if (r == 0)
                r = ganger_get_int(task, &duration_ms);
        if (r != 0)
                return r;
        use = shared_use(&s, (int)which, duration_ms);
        ganger_shared_unmap(&s);
        ganger_put_array(task, 3);
        ganger_put_int(task, use.wrong);
        ganger_put_int(task, use.n);
        return ganger_put_int(task, use.longest_ms);
}

/* [pipe, bytes] -> bytes: opens one end of a pipe, says them there, returns what the other end says */
static int talk(struct ganger_task *task)
{
        struct ganger_value value;
        const char *name, *bytes;
        size_t name_size_bytes, size_bytes;
        char heard[256];
        ssize_t n;
        int r = ganger_get_str(task, &name, &name_size_bytes);

        if (r == 0)
                r = ganger_get_str(task, &bytes, &size_bytes);
        if (r == 0)
                r = ask_of_lock(task, "pipe.open", name, name_size_bytes);
        if (r == 0)
                r = ganger_reply_next(task, &value);
        for (uint32_t left = r == 0 && value.type == GANGER_MAP ? 2 * value.count : 0; r == 0 && left > 0;
             left--) {
                r = ganger_reply_peek(task, &value);
                if (r == 0 && value.type == GANGER_FD)
                        break;
                r = ganger_reply_skip(task);
        }
        if (r == 0)
                r = ganger_reply_next(task, &value);
        if (r != 0)
                return r;
        if (value.type != GANGER_FD)
                return ganger_fail(task, "pipe.open brought no descriptor");
        if (write(value.as.fd, bytes, size_bytes) < 0)
                return -errno;
        n = read(value.as.fd, heard, sizeof heard);
        return n < 0 ? -errno : ganger_put_str(task, heard, (size_t)n);
}

static const struct ganger_function functions[] = {
        {.name = "add_locked", .run = add_locked, .summary = "[value, n] -> sum"},
        {.name = "add_atomically", .run = add_atomically, .summary = "[value, n] -> sum"},
        {.name = "add_acquired", .run = add_acquired, .summary = "[value, n, lock] -> sum"},
        {.name = "fill", .run = fill, .summary = "[array, first, n, number] -> nil"},
        {.name = "hold", .run = hold, .summary = "[value, \"wait\" | \"crash\"] -> nil"},
        {.name = "take", .run = take, .summary = "[value, timeout_ms] -> [r, ms]"},
        {.name = "use", .run = use, .summary = "[array, which, duration_ms] -> [wrong, n, longest_ms]"},
        {.name = "talk", .run = talk, .summary = "[pipe, bytes] -> bytes"},
};
GANGER_MODULE(.name = "shared", .functions = functions, .n_functions = sizeof functions / sizeof *functions);
