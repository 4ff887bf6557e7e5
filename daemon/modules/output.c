/* SPDX-License-Identifier: MIT */
/*
 * Writes an output of a task. A file of ours exists under its temporary name from output_open() until
 * output_commit() or output_close(); only a worker that is killed in between leaves one behind
 * (".ganger-*.tmp").
 */
#include "daemon/modules/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 16, STREAM_WAIT_MS = 500 };

static int fail_at_path(struct ganger_task *task, const struct output *output, const char *what,
                        int error_number)
{
        char hint[HINT_SIZE];

        return ganger_fail(task, "cannot %s %s: %s%s", what, output->name, strerror(error_number),
                           path_hint(hint, output->path, strlen(output->path), error_number));
}

/* Follows a link to the file that it means, and keeps a rename from taking the place of a device or a pipe.
 */
static int look_at_target(struct ganger_task *task, struct output *output)
{
        struct stat st;

        if (stat(output->path, &st) < 0)
                return errno == ENOENT ? 0 : fail_at_path(task, output, "look at", errno);
        if (S_ISDIR(st.st_mode))
                return ganger_fail(task, "%s is a directory; the path of a file is wanted", output->name);
        if (!S_ISREG(st.st_mode))
                return ganger_fail(task, "%s is no regular file; open it and pass the descriptor",
                                   output->name);
        char *real = realpath(output->path, NULL);
        if (!real)
                return fail_at_path(task, output, "look at", errno);
        free(output->path);
        output->path = real;
        return 0;
}

static int open_temporary(struct ganger_task *task, struct output *output)
{
        const char *slash = strrchr(output->path, '/');
        int directory = slash ? (int)(slash - output->path) + 1 : 0;
        uint64_t random;
        char *name;

        for (int i = 0; i < NAME_TRIES; i++) {
                if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                        return -errno;
                if (asprintf(&name, "%.*s.ganger-%016llx.tmp", directory, output->path,
                             (unsigned long long)random) < 0)
                        return -ENOMEM;
                output->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
                if (output->fd >= 0) {
                        output->temporary = name;
                        return 0;
                }
                free(name);
                if (errno != EEXIST && errno != EINTR)
                        break;
        }
        return fail_at_path(task, output, "create a file beside", errno);
}

static int open_file(struct ganger_task *task, const struct ganger_value *value, struct output *output)
{
        quote(output->name, value->data, value->size_bytes);
        if (value->size_bytes == 0)
                return ganger_fail(task, "the path of the output is empty");
        if (memchr(value->data, '\0', value->size_bytes))
                return ganger_fail(task, "the path %s holds a 0 byte", output->name);
        output->path = strndup(value->data, value->size_bytes);
        if (!output->path)
                return -ENOMEM;
        int r = look_at_target(task, output);
        return r != 0 ? r : open_temporary(task, output);
}

int output_argument(struct ganger_task *task, struct ganger_value *ret)
{
        static const char wanted[] = "wanted is a path (string), a descriptor or nil";
        int r = ganger_next(task, ret);

        if (r == -ENODATA)
                return ganger_fail(task, "there is no output; %s", wanted);
        if (r == 0 && ret->type != GANGER_STR && ret->type != GANGER_FD && ret->type != GANGER_NIL)
                return ganger_fail(task, "the output is %s; %s", type_name(ret->type), wanted);
        return r;
}

int output_open(struct ganger_task *task, const struct ganger_value *value, struct output *ret)
{
        *ret = (struct output){.fd = -1, .is_result = value->type == GANGER_NIL};
        if (value->type == GANGER_STR)
                return open_file(task, value, ret);
        snprintf(ret->name, sizeof(ret->name), ret->is_result ? "the result" : "the descriptor");
        ret->fd = ret->is_result ? memfd_create("ganger-output", MFD_CLOEXEC)
                                 : fcntl(value->as.fd, F_DUPFD_CLOEXEC, 0);
        return ret->fd < 0 ? -errno : 0;
}

/* A pipe whose reader has gone must cost the task, not the worker: SIGPIPE is held back and taken. */
static ssize_t write_without_sigpipe(int fd, const void *data, size_t size_bytes)
{
        const struct timespec at_once = {0};
        sigset_t pipe_signal, pending, before;

        sigemptyset(&pipe_signal);
        sigaddset(&pipe_signal, SIGPIPE);
        sigpending(&pending);
        sigprocmask(SIG_BLOCK, &pipe_signal, &before);
        ssize_t n = write(fd, data, size_bytes);
        int error_number = errno;
        if (n < 0 && error_number == EPIPE && !sigismember(&pending, SIGPIPE))
                sigtimedwait(&pipe_signal, NULL, &at_once);
        sigprocmask(SIG_SETMASK, &before, NULL);
        errno = error_number;
        return n;
}

int output_write(struct ganger_task *task, struct output *output, const void *data, size_t size_bytes)
{
        const char *from = data;

        while (size_bytes > 0) {
                struct pollfd poll_fd = {.fd = output->fd, .events = POLLOUT};
                if (ganger_cancelled(task))
                        return -ECANCELED;
                if (poll(&poll_fd, 1, STREAM_WAIT_MS) == 0)
                        continue;
                ssize_t n = write_without_sigpipe(output->fd, from, size_bytes);
                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (n > 0) {
                        from += n;
                        size_bytes -= (size_t)n;
                }
        }
        return 0;
}

int output_fail(struct ganger_task *task, const struct output *output, int error_number)
{
        return ganger_fail(task, "cannot write to %s: %s", output->name, strerror(error_number));
}

static int commit_file(struct ganger_task *task, struct output *output)
{
        int r;

        do
                r = fdatasync(output->fd);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return output_fail(task, output, errno);
        if (rename(output->temporary, output->path) < 0)
                return fail_at_path(task, output, "put the file in the place of", errno);
        free(output->temporary);
        output->temporary = NULL;
        return 0;
}

static int commit_result(struct ganger_task *task, struct output *output)
{
        off_t size_bytes = lseek(output->fd, 0, SEEK_END);

        if (size_bytes < 0)
                return -errno;
        char *room = ganger_put_buffer(task, (size_t)size_bytes);
        if (!room)
                return -ENOMEM;
        for (off_t at = 0; at < size_bytes;) {
                ssize_t n = pread(output->fd, room + at, (size_t)(size_bytes - at), at);
                if (n == 0)
                        return -EIO;
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        at += n;
        }
        return 0;
}

int output_commit(struct ganger_task *task, struct output *output)
{
        if (output->is_result)
                return commit_result(task, output);
        return output->temporary ? commit_file(task, output) : 0;
}

void output_close(struct output *output)
{
        if (output->fd >= 0)
                close(output->fd);
        if (output->temporary)
                unlink(output->temporary);
        free(output->temporary);
        free(output->path);
        *output = (struct output){.fd = -1};
}
