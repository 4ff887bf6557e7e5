/* SPDX-License-Identifier: MIT */
/*
 * The module `probe`: what a task sees of its worker, and how a module misbehaves. For the tests of the
 * worker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"

static int state_counter;

/* [] -> [[number, where it leads]...] of all open descriptors */
static int fds(struct ganger_task *task)
{
        DIR *list = opendir("/proc/self/fd");
        struct dirent *entry;
        uint32_t n = 0;

        while ((entry = readdir(list)))
                n += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(list);
        rewinddir(list);
        ganger_put_array(task, n);
        while ((entry = readdir(list))) {
                char path[300], target[300];
                ssize_t size;
                if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(list))
                        continue;
                snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
                size = readlink(path, target, sizeof(target));
                ganger_put_array(task, 2);
                ganger_put_int(task, atoi(entry->d_name));
                ganger_put_str(task, target, size > 0 ? (size_t)size : 0);
        }
        closedir(list);
        return 0;
}

/* [path or descriptor] -> its first bytes; leaves the descriptor open */
/* Every byte turned over: all that came is read, all that goes is written. */
static int turned(struct ganger_task *task)
{
        struct ganger_value value;
        int r = ganger_next(task, &value);

        if (r < 0 || value.type != GANGER_BIN)
                return r < 0 ? r : -EINVAL;
        char *to = ganger_put_buffer(task, value.size_bytes);
        if (!to)
                return ganger_fail(task, "no room");
        const char *data = value.data;
        for (size_t i = 0; i < value.size_bytes; i++)
                to[i] = (char)~data[i];
        return 0;
}

/* Fails with all that it got as the detail. */
static int fail_with(struct ganger_task *task)
{
        int r = task->api->put_value(task);
        return r < 0 ? r : ganger_fail(task, "as it was told to");
}

static int head(struct ganger_task *task)
{
        struct ganger_value value;
        char data[64];
        int r = ganger_next(task, &value);
        int fd = r < 0 ? r : ganger_open_input(task, &value);
        ssize_t n;

        if (fd < 0)
                return ganger_fail(task, "cannot open: %s", strerror(-fd));
        n = read(fd, data, sizeof(data));
        return n < 0 ? -errno : ganger_put_bin(task, data, (size_t)n);
}

static int nothing(struct ganger_task *task)
{
        return 0;
}

static int two(struct ganger_task *task)
{
        ganger_put_nil(task);
        return ganger_put_nil(task);
}

static int half(struct ganger_task *task)
{
        return ganger_put_array(task, 2);
}

/* [size] -> a bin of that many bytes 'x' */
static int big(struct ganger_task *task)
{
        int64_t size;
        int r = ganger_get_int(task, &size);
        void *data = r < 0 ? NULL : ganger_put_buffer(task, (size_t)size);

        if (r < 0)
                return r;
        if (!data)
                return -ENOMEM;
        memset(data, 'x', (size_t)size);
        return 0;
}

/* [levels] -> arrays within each other */
static int deep(struct ganger_task *task)
{
        int64_t levels;
        int r = ganger_get_int(task, &levels);

        for (; r == 0 && levels > 0; levels--)
                r = ganger_put_array(task, 1);
        return r < 0 ? r : ganger_put_nil(task);
}

static int fail(struct ganger_task *task)
{
        ganger_put_array(task, 2);
        ganger_put_int(task, 1);
        ganger_put_str(task, "two", 3);
        return ganger_fail(task, "it is %s", "broken");
}

static int silent(struct ganger_task *task)
{
        return 5;
}

static int news(struct ganger_task *task)
{
        ganger_progress(task, 0.5, "half");
        ganger_log(task, GANGER_WARNING, "number %d", 7);
        return ganger_put_nil(task);
}

/* [done] */
static int progress(struct ganger_task *task)
{
        double done;
        int r = ganger_get_double(task, &done);

        if (r < 0)
                return r;
        ganger_progress(task, done, NULL);
        return ganger_put_nil(task);
}

static void *thread_words(void *argument)
{
        fputs("words of a thread\n", stderr);
        return NULL;
}

/* [text, n]: says it by stderr, n times; then a child and a thread say something, and it fails */
static int words(struct ganger_task *task)
{
        const char *text;
        size_t size_bytes;
        pthread_t thread;
        int64_t n;
        int r = ganger_get_str(task, &text, &size_bytes);

        if (r == 0)
                r = ganger_get_int(task, &n);
        for (; r == 0 && n > 0; n--)
                fprintf(stderr, "%.*s", (int)size_bytes, text);
        if (r < 0)
                return r;
        pid_t pid = fork();
        if (pid == 0) {
                fputs("words of a child\n", stderr);
                _exit(0);
        }
        waitpid(pid, NULL, 0);
        pthread_create(&thread, NULL, thread_words, NULL);
        pthread_join(thread, NULL);
        errno = ENOENT;
        perror("the last words");
        return ganger_fail(task, "it failed");
}

/* Leaves a child, and one that is nobody's, behind. -> their pids */
static int strays(struct ganger_task *task)
{
        int ends[2];
        pid_t pids[2];

        if (pipe(ends) < 0)
                return -errno;
        pids[0] = fork();
        if (pids[0] == 0) {
                pid_t grandchild = fork();
                if (grandchild == 0) {
                        setsid();
                        pause();
                        _exit(0);
                }
                (void)!write(ends[1], &grandchild, sizeof(grandchild));
                pause();
                _exit(0);
        }
        (void)!read(ends[0], &pids[1], sizeof(pids[1]));
        close(ends[0]);
        close(ends[1]);
        ganger_put_array(task, 2);
        ganger_put_int(task, pids[0]);
        return ganger_put_int(task, pids[1]);
}

/* Busy until it is told to end, which interrupts it. */
static int loop(struct ganger_task *task)
{
        while (!ganger_cancelled(task))
                usleep(1000000);
        return -ECANCELED;
}

/* [item] -> item. Each run appends a line with it to $PROBE_COUNTED; "ABRT", "KILL", "SEGV" end the worker
 * then. */
static int counted(struct ganger_task *task)
{
        struct ganger_value item;
        char line[32];
        int fd, r = ganger_next(task, &item);

        if (r < 0 || item.type != GANGER_STR || item.size_bytes >= sizeof(line))
                return r < 0 ? r : -EINVAL;
        memcpy(line, item.data, item.size_bytes);
        line[item.size_bytes] = '\n';
        fd = open(getenv("PROBE_COUNTED"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, line, item.size_bytes + 1) < 0)
                return ganger_fail(task, "cannot count: %s", strerror(errno));
        close(fd);
        if (strncmp(line, "ABRT\n", 5) == 0)
                abort();
        if (strncmp(line, "KILL\n", 5) == 0)
                kill(getpid(), SIGKILL);
        if (strncmp(line, "SEGV\n", 5) == 0)
                raise(SIGSEGV);
        return ganger_put_str(task, line, item.size_bytes);
}

static int state(struct ganger_task *task)
{
        return ganger_put_int(task, *(int *)task->state);
}

static int load(void **ret_state, const struct ganger_setting *settings, size_t n_settings, char *error,
                size_t error_size_bytes)
{
        for (size_t i = 0; i < n_settings; i++) {
                if (strcmp(settings[i].key, "start_at") != 0) {
                        snprintf(error, error_size_bytes, "unknown setting %s", settings[i].key);
                        return -EINVAL;
                }
                state_counter = atoi(settings[i].value);
        }
        *ret_state = &state_counter;
        return 0;
}

static int start(void *its_state)
{
        ++*(int *)its_state;
        return state_counter == 1000 ? -EIO : 0;
}

static void stop(void *its_state)
{
        const char *path = getenv("PROBE_STOPPED");
        FILE *file = path ? fopen(path, "w") : NULL;

        if (file)
                fclose(file);
}

static const struct ganger_function functions[] = {
        {.name = "fds", .run = fds},           {.name = "head", .run = head},
        {.name = "nothing", .run = nothing},   {.name = "two", .run = two},
        {.name = "half", .run = half},         {.name = "big", .run = big, .summary = "[size] -> bin"},
        {.name = "deep", .run = deep},         {.name = "fail", .run = fail},
        {.name = "silent", .run = silent},     {.name = "news", .run = news},
        {.name = "progress", .run = progress}, {.name = "strays", .run = strays},
        {.name = "loop", .run = loop},         {.name = "words", .run = words},
        {.name = "state", .run = state},       {.name = "counted", .run = counted},
        {.name = "turned", .run = turned},     {.name = "fail_with", .run = fail_with},
};

GANGER_MODULE(.name = "probe", .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]), .load = load, .start = start,
              .stop = stop);
