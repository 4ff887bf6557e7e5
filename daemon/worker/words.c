/* SPDX-License-Identifier: MIT */
/* The stream has no buffer, as that which it replaces: what was said before a crash is out. */
#include "daemon/worker/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/worker/worker.h"

static struct {
        struct run *run;
        pid_t pid;
        bool speaks; /* a fault on the way out is not told by the same way */
} words;

/* The channel is the loop's: no thread of a module's and no child may write to it. */
static bool may_stream(size_t size_bytes)
{
        const struct run *run = words.run;

        return run && !words.speaks && gettid() == words.pid && size_bytes <= LIMIT_STREAM_CREDIT_BYTES &&
               run->flags & (RUN_FLAG_STREAMS | RUN_FLAG_STDERR) && !run->worker->inbox.ended;
}

static bool stream(const char *data, size_t size_bytes)
{
        struct run *run = words.run;
        bool sent = false;

        words.speaks = true;
        if (run->credit_bytes >= (int64_t)size_bytes || run_take_credit(run) == 0)
                sent = run->credit_bytes >= (int64_t)size_bytes &&
                       stream_send_bin(run, "stderr", data, size_bytes) == 0;
        if (sent)
                run->credit_bytes -= (int64_t)size_bytes;
        words.speaks = false;
        return sent;
}

static ssize_t on_write(void *cookie, const char *data, size_t size_bytes)
{
        int saved = errno;

        if (!may_stream(size_bytes) || !stream(data, size_bytes))
                return write(STDERR_FILENO, data, size_bytes);
        errno = saved;
        return (ssize_t)size_bytes;
}

void words_init(void)
{
        FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_write});

        if (!f)
                return;
        setvbuf(f, NULL, _IONBF, 0);
        words.pid = getpid();
        stderr = f;
}

void words_at(struct run *run)
{
        words.run = run;
}
