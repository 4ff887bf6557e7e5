/* SPDX-License-Identifier: MIT */
/*
 * The task module `counter`: adds to a number in memory that it shares with other tasks and with programs,
 * such as counter.py. All of them read and write it under one lock of gangerd's, which holds in every
 * language; among tasks and programs in C alone ganger_shared_add_i64() would do without any.
 */
#include <ganger_module.h>
#include <ganger_shared.h>

static int ask(struct ganger_task *task, const char *method)
{
        static const char lock[] = "hits.lock";
        int r = ganger_request_begin(task, method, 1);

        if (r < 0)
                return r;
        ganger_put_str(task, lock, sizeof lock - 1);
        return ganger_request_end(task);
}

static int add_one(struct ganger_task *task, const struct ganger_shared *hits)
{
        int64_t n;
        int r = ask(task, "lock.acquire"); /* if we die with it, the next one is told so */

        if (r != 0)
                return r;
        r = ganger_shared_get_i64(hits, 0, &n);
        if (r == 0)
                r = ganger_shared_set_i64(hits, 0, n + 1);
        return r < 0 ? r : ask(task, "lock.release");
}

static int add(struct ganger_task *task)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        struct ganger_shared hits;
        int64_t n;
        int r = ganger_get_int(task, &n);

        options.kind = GANGER_SHARED_VALUE;
        if (r == 0)
                r = ganger_shared_open(task, &hits, "hits", &options);
        if (r != 0)
                return r;
        for (; n > 0 && r == 0; n--)
                r = add_one(task, &hits);
        ganger_shared_unmap(&hits);
        return r != 0 ? r : ganger_put_nil(task);
}

static const struct ganger_function functions[] = {
        {.name = "add", .run = add, .summary = "[n] -> nil: adds 1 to the value hits, n times"},
};
GANGER_MODULE(.name = "counter", .functions = functions, .n_functions = 1);
