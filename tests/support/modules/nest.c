/* SPDX-License-Identifier: MIT */
/*
 * The module `nest`: tasks that ask the daemon for something themselves, well and badly. For the tests.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"
#include "proto/ring.h"

enum { CHANNEL_FD = 3 };

/* The worker's own, as anybody in the process can find it. */
static struct ring *find_ring(void)
{
        char line[512];
        FILE *maps = fopen("/proc/self/maps", "re");
        unsigned long begin = 0;

        while (maps && !begin && fgets(line, sizeof(line), maps))
                if (strstr(line, "memfd:ganger-area"))
                        sscanf(line, "%lx", &begin);
        if (maps)
                fclose(maps);
        return begin ? area_ring((struct area *)begin) : NULL;
}

/* In the worker's name. */
static int speak(const void *data, size_t size_bytes)
{
        static struct ring *ring;

        if (!ring)
                ring = find_ring();
        while (ring && !ring_announce(ring, (uint32_t)size_bytes, false))
                usleep(100);
        return write(CHANNEL_FD, data, size_bytes) < 0 ? -errno : 0;
}

/* [n] -> n, one task a level */
static int deep(struct ganger_task *task)
{
        struct ganger_value below;
        int64_t n;
        int r = ganger_get_int(task, &n);

        if (r < 0 || n <= 1)
                return r < 0 ? r : ganger_put_int(task, 1);
        r = ganger_call(task, "nest.deep", "i", n - 1);
        if (r == 0)
                r = ganger_reply_next(task, &below);
        return r ? r : ganger_put_int(task, below.as.i + 1);
}

/* [n] -> [0, 1...]: what n tasks return, all submitted before the first result is taken */
static int fan(struct ganger_task *task)
{
        int64_t n = 0;
        int r = ganger_get_int(task, &n);
        uint64_t *ids = calloc((size_t)n + 1, sizeof(*ids));

        for (int64_t i = 0; r == 0 && i < n; i++)
                r = ganger_submit(task, &ids[i], "echo", "i", i);
        ganger_put_array(task, (uint32_t)n);
        for (int64_t i = 0; r == 0 && i < n; i++) {
                r = ganger_result(task, ids[i]);
                if (r == 0)
                        r = ganger_put_reply(task);
        }
        free(ids);
        return r;
}

/* [method, [param...]] -> [what request_end returned, code, reply or nil] */
static int ask(struct ganger_task *task)
{
        char method[64];
        const char *data;
        size_t size_bytes;
        uint32_t n;
        int r = ganger_get_str(task, &data, &size_bytes);

        if (r == 0)
                r = ganger_get_array(task, &n);
        if (r < 0)
                return r;
        snprintf(method, sizeof(method), "%.*s", (int)size_bytes, data);
        r = ganger_request_begin(task, method, n);
        while (r == 0 && n-- > 0)
                r = task->api->put_value(task);
        if (r == 0)
                r = ganger_request_end(task);
        if (r < 0)
                return r;
        ganger_put_array(task, 3);
        ganger_put_int(task, r);
        ganger_put_str(task, ganger_reply_code(task), strlen(ganger_reply_code(task)));
        return ganger_put_reply(task);
}

/* [step...] -> what `ask` says of each: [method, [param...]] asks; "fail", "crash", "wait" (until it is told
 * to end) and "deaf" (for ever) ask for nothing */
static int steps(struct ganger_task *task)
{
        struct ganger_value step;
        uint32_t n, n_parts;
        int r = ganger_get_array(task, &n);

        if (r == 0)
                r = ganger_put_array(task, n);
        for (; r == 0 && n > 0; n--) {
                r = ganger_peek(task, &step);
                if (r == 0 && step.type == GANGER_ARRAY) {
                        r = ganger_get_array(task, &n_parts);
                        r = r < 0 ? r : ask(task);
                        continue;
                }
                if (r < 0 || step.type != GANGER_STR)
                        return -EINVAL;
                if (*step.data == 'f')
                        return ganger_fail(task, "as it was told");
                if (*step.data == 'c')
                        abort();
                while (*step.data == 'd' || !ganger_cancelled(task))
                        usleep(1000);
                return -ECANCELED;
        }
        return r;
}

/* [n] -> n items mapped, their results collected */
static int map(struct ganger_task *task)
{
        int64_t n;
        int r = ganger_get_int(task, &n);

        if (r < 0)
                return r;
        r = ganger_request_begin(task, "map", 3);
        if (r < 0)
                return r;
        ganger_put_str(task, "echo", 4);
        ganger_put_array(task, (uint32_t)n);
        for (int64_t i = 0; i < n; i++) {
                ganger_put_array(task, 1);
                ganger_put_int(task, i);
        }
        ganger_put_map(task, 1);
        ganger_put_str(task, "collect", 7);
        ganger_put_bool(task, 1);
        r = ganger_request_end(task);
        return r ? r : ganger_put_reply(task);
}

static int submit_sleep(struct ganger_task *task, int detached, uint64_t *ret_id)
{
        struct ganger_value id;
        int r = ganger_request_begin(task, "submit", 3);

        if (r < 0)
                return r;
        ganger_put_str(task, "sleep", 5);
        ganger_put_array(task, 1);
        ganger_put_int(task, 600);
        ganger_put_map(task, 2);
        ganger_put_str(task, "label", 5);
        ganger_put_str(task, "child", 5);
        ganger_put_str(task, "detached", 8);
        ganger_put_bool(task, detached);
        r = ganger_request_end(task);
        if (r == 0)
                r = ganger_reply_next(task, &id);
        if (r == 0)
                *ret_id = id.as.u;
        return r;
}

/* [n, detached, what]: submits n tasks that sleep, and then: "wait" for the first, "end", "crash", or be
 * "deaf" */
static int hold(struct ganger_task *task)
{
        const char *what;
        size_t size_bytes;
        uint64_t first = 0, id;
        int64_t n;
        int detached, r = ganger_get_int(task, &n);

        if (r == 0)
                r = ganger_get_bool(task, &detached);
        if (r == 0)
                r = ganger_get_str(task, &what, &size_bytes);
        for (; r == 0 && n > 0; n--) {
                r = submit_sleep(task, detached, &id);
                first = first ? first : id;
        }
        if (r)
                return r;
        switch (*what) {
        case 'w':
                r = ganger_result(task, first);
                return r ? r : ganger_put_reply(task);
        case 'c':
                abort();
        case 'd':
                for (;;)
                        pause();
        }
        return ganger_put_int(task, (int64_t)first);
}

/* [] waits for itself */
static int self(struct ganger_task *task)
{
        int r = ganger_result(task, task->api->id(task));
        return r ? r : ganger_put_reply(task);
}

/* [id]: waits for the end of that task; without an argument: has a child do so with this one */
static int ancestor(struct ganger_task *task)
{
        int64_t id;
        int r = ganger_get_int(task, &id) < 0
                        ? ganger_call(task, "nest.ancestor", "i", (int64_t)task->api->id(task))
                        : ganger_result(task, (uint64_t)id);
        return r ? r : ganger_put_reply(task);
}

/* [descriptor]: reads an id there, and waits for the end of that task */
static int cross(struct ganger_task *task)
{
        struct ganger_value value;
        char text[32] = "";
        int r = ganger_next(task, &value);
        int fd = r < 0 ? r : ganger_open_input(task, &value);

        if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
                return -EIO;
        r = ganger_result(task, strtoull(text, NULL, 10));
        return r ? r : ganger_put_reply(task);
}

/* [bin, repeat]: writes it to the channel, n times, or for ever (0) */
static int raw(struct ganger_task *task)
{
        struct ganger_value bytes;
        int64_t n = 1;

        if (ganger_next(task, &bytes) < 0 || ganger_get_int(task, &n) < 0)
                return -EINVAL;
        for (int64_t i = 0; n == 0 || i < n; i++) {
                int r = speak(bytes.data, bytes.size_bytes);
                if (r < 0)
                        return r;
        }
        return ganger_put_nil(task);
}

/* [bin]: writes it to the channel, past the ring, and stays */
static int past_ring(struct ganger_task *task)
{
        struct ganger_value bytes;

        if (ganger_next(task, &bytes) < 0)
                return -EINVAL;
        (void)!write(CHANNEL_FD, bytes.data, bytes.size_bytes);
        pause();
        return 0;
}

/* [n]: writes n, as 8 bytes, to where the ring says how much is in it, and wakes gangerd */
static int bad_head(struct ganger_task *task)
{
        struct ring *ring = find_ring();
        int64_t n;

        if (ganger_get_int(task, &n) < 0 || !ring)
                return -EINVAL;
        ring->head = (uint64_t)n;
        (void)!write(CHANNEL_FD, "", 1);
        pause();
        return 0;
}

/* Wakes gangerd, which sleeps, and says nothing until it sleeps again: as one that is held up between putting
 * something into the ring, which gangerd finds by itself, and looking whether gangerd sleeps */
static int woken_in_vain(struct ganger_task *task)
{
        struct ring *ring = find_ring();

        usleep(20000);
        if (!ring || !ring_must_wake(ring) || !ring_announce(ring, 1, true) || write(CHANNEL_FD, "", 1) != 1)
                return ganger_fail(task, "gangerd did not sleep");
        usleep(20000);
        return ganger_put_nil(task);
}

static struct {
        char bytes[256];
        size_t size_bytes;
} late_words;

static void *speak_late(void *unused)
{
        usleep(100000);
        speak(late_words.bytes, late_words.size_bytes);
        return unused;
}

/* [bin]: a thread writes it to the channel, 0.1 s later, when the task has long ended */
static int late(struct ganger_task *task)
{
        struct ganger_value bytes;
        pthread_t thread;

        if (ganger_next(task, &bytes) < 0 || bytes.size_bytes > sizeof(late_words.bytes))
                return -EINVAL;
        memcpy(late_words.bytes, bytes.data, bytes.size_bytes);
        late_words.size_bytes = bytes.size_bytes;
        if (pthread_create(&thread, NULL, speak_late, NULL) != 0)
                return -EAGAIN;
        pthread_detach(thread);
        return ganger_put_nil(task);
}

/* Misuse of the requests: each step's result */
static int misuse(struct ganger_task *task)
{
        struct ganger_value value;
        int status = 0;

        ganger_put_array(task, 5);
        ganger_put_int(task, ganger_request_end(task)); /* none was begun */
        ganger_request_begin(task, "call", 2);
        ganger_put_str(task, "echo", 4);
        ganger_put_int(task, ganger_request_end(task)); /* a parameter is missing */
        ganger_put_int(task, ganger_call(task, "echo", "?", 1));
        ganger_put_int(task, ganger_reply_next(task, &value)); /* there is none */
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
                _exit(-ganger_call(task, "echo", "i", (int64_t)1)); /* who forked it has the channel */
        waitpid(child, &status, 0);
        return ganger_put_int(task, -WEXITSTATUS(status));
}

/* [] -> [a, b]: a reply lives until the next one, and arguments and what was put before outlive all of it */
static int keep(struct ganger_task *task)
{
        struct ganger_value argument, reply;
        int r = ganger_next(task, &argument);

        if (r < 0)
                return r;
        ganger_put_array(task, 3);
        r = ganger_call(task, "digest.sha256", "s", "/dev/null");
        if (r == 0)
                r = ganger_reply_next(task, &reply);
        if (r != 0)
                return r;
        ganger_request_begin(task, "call", 2);
        ganger_put_str(task, "echo", 4);
        ganger_put_array(task, 1);
        ganger_put_str(task, reply.data, reply.size_bytes);
        r = ganger_request_end(task);
        if (r == 0)
                r = ganger_put_reply(task);
        ganger_put_str(task, argument.data, argument.size_bytes);
        return r ? r : task->api->put_value(task);
}

static const struct ganger_function functions[] = {
        {.name = "deep", .run = deep, .summary = "[n] -> n"},
        {.name = "fan", .run = fan},
        {.name = "ask", .run = ask},
        {.name = "steps", .run = steps},
        {.name = "map", .run = map},
        {.name = "hold", .run = hold},
        {.name = "self", .run = self},
        {.name = "ancestor", .run = ancestor},
        {.name = "cross", .run = cross},
        {.name = "raw", .run = raw},
        {.name = "past_ring", .run = past_ring},
        {.name = "woken_in_vain", .run = woken_in_vain},
        {.name = "bad_head", .run = bad_head},
        {.name = "late", .run = late},
        {.name = "misuse", .run = misuse},
        {.name = "keep", .run = keep},
};

GANGER_MODULE(.name = "nest", .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]));
