/* SPDX-License-Identifier: MIT */
/*
 * Reads an input of a task block by block. The descriptor belongs to ganger, which closes it when run()
 * returns; only the block buffer is ours.
 */
#include "daemon/modules/input.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A signal that comes just before a blocking read would leave us in it, so waits are cut to this length. */
enum { STREAM_WAIT_MS = 500 };

/* No file is as long, and adding a block to it does not overflow. */
#define POSITION_MAX (INT64_MAX / 2)

static int open_path(struct ganger_task *task, const struct ganger_value *value, struct input *input)
{
        char hint[HINT_SIZE], quoted[QUOTED_SIZE];

        quote(quoted, value->data, value->size_bytes);
        if (value->size_bytes == 0)
                return ganger_fail(task, "the path of the input is empty");
        if (memchr(value->data, '\0', value->size_bytes))
                return ganger_fail(task, "the path %s holds a 0 byte", quoted);
        do
                input->fd = ganger_open_input(task, value);
        while (input->fd == -EINTR && !ganger_cancelled(task));
        if (input->fd == -EINTR)
                return -ECANCELED;
        if (input->fd < 0)
                return ganger_fail(task, "cannot open %s: %s%s", quoted, strerror(-input->fd),
                                   path_hint(hint, value->data, value->size_bytes, -input->fd));
        snprintf(input->name, sizeof(input->name), "%s", quoted);
        return 0;
}

static int take_descriptor(struct ganger_task *task, const struct ganger_value *value, struct input *input)
{
        snprintf(input->name, sizeof(input->name), "the descriptor");
        input->fd = ganger_open_input(task, value);
        return input->fd < 0 ? ganger_fail(task, "cannot use the descriptor: %s", strerror(-input->fd)) : 0;
}

static int look_at(struct ganger_task *task, struct input *input)
{
        struct stat st;

        if (fstat(input->fd, &st) < 0)
                return ganger_fail(task, "cannot look at %s: %s", input->name, strerror(errno));
        if (S_ISDIR(st.st_mode))
                return ganger_fail(task, "%s is a directory; a file is wanted", input->name);
        if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
                input->position = lseek(input->fd, 0, SEEK_CUR);
        input->block = malloc(INPUT_BLOCK_BYTES);
        return input->block ? 0 : -ENOMEM;
}

int input_argument(struct ganger_task *task, struct ganger_value *ret)
{
        static const char wanted[] = "wanted is a path (string), bytes or a descriptor";
        int r = ganger_next(task, ret);

        if (r == -ENODATA)
                return ganger_fail(task, "there is no input; %s", wanted);
        if (r == 0 && ret->type != GANGER_STR && ret->type != GANGER_BIN && ret->type != GANGER_FD)
                return ganger_fail(task, "the input is %s; %s", type_name(ret->type), wanted);
        return r;
}

int input_open(struct ganger_task *task, const struct ganger_value *value, struct input *ret)
{
        *ret = (struct input){.fd = -1, .position = -1};
        if (value->type == GANGER_BIN) {
                ret->bytes = value->data;
                ret->n_bytes = value->size_bytes;
                snprintf(ret->name, sizeof(ret->name), "the bytes given");
                return 0;
        }
        int r = value->type == GANGER_STR ? open_path(task, value, ret) : take_descriptor(task, value, ret);
        return r != 0 ? r : look_at(task, ret);
}

static int wait_readable(struct ganger_task *task, int fd)
{
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        for (;;) {
                if (ganger_cancelled(task))
                        return -ECANCELED;
                int n = poll(&poll_fd, 1, STREAM_WAIT_MS);
                if (n > 0 || (n < 0 && errno != EINTR))
                        return 0; /* what is wrong, if anything, the read says */
        }
}

static int read_block(struct ganger_task *task, struct input *input, size_t *ret_size_bytes)
{
        for (;;) {
                ssize_t n;
                if (input->position >= 0)
                        n = pread(input->fd, input->block, INPUT_BLOCK_BYTES, input->position);
                else {
                        int r = wait_readable(task, input->fd);
                        if (r < 0)
                                return r;
                        n = read(input->fd, input->block, INPUT_BLOCK_BYTES);
                }
                if (n >= 0) {
                        if (input->position >= 0)
                                input->position += n;
                        *ret_size_bytes = (size_t)n;
                        return 0;
                }
                if (errno != EINTR && errno != EAGAIN)
                        return ganger_fail(task, "cannot read %s: %s", input->name, strerror(errno));
                if (ganger_cancelled(task))
                        return -ECANCELED;
        }
}

int input_next(struct ganger_task *task, struct input *input, const char **ret, size_t *ret_size_bytes)
{
        if (ganger_cancelled(task))
                return -ECANCELED;
        if (input->fd >= 0) {
                *ret = input->block;
                return read_block(task, input, ret_size_bytes);
        }
        size_t n = input->n_bytes < INPUT_BLOCK_BYTES ? input->n_bytes : INPUT_BLOCK_BYTES;
        *ret = input->bytes;
        *ret_size_bytes = n;
        if (n > 0)
                input->bytes += n;
        input->n_bytes -= n;
        return 0;
}

/* What lies before `offset` in a stream has to be read and dropped. */
static int seek_stream(struct ganger_task *task, struct input *input, uint64_t offset)
{
        while (offset > 0) {
                size_t want = offset < INPUT_BLOCK_BYTES ? (size_t)offset : INPUT_BLOCK_BYTES;
                int r = wait_readable(task, input->fd);
                if (r < 0)
                        return r;
                ssize_t n = read(input->fd, input->block, want);
                if (n == 0)
                        return 0;
                if (n > 0)
                        offset -= (uint64_t)n;
                else if (errno != EINTR && errno != EAGAIN)
                        return ganger_fail(task, "cannot read %s: %s", input->name, strerror(errno));
        }
        return 0;
}

int input_seek(struct ganger_task *task, struct input *input, uint64_t offset)
{
        if (input->fd < 0) {
                size_t n = offset < input->n_bytes ? (size_t)offset : input->n_bytes;
                if (n > 0)
                        input->bytes += n;
                input->n_bytes -= n;
                return 0;
        }
        if (input->position < 0)
                return seek_stream(task, input, offset);
        input->position = offset < (uint64_t)POSITION_MAX ? (int64_t)offset : POSITION_MAX;
        return 0;
}

void input_close(struct input *input)
{
        free(input->block);
        input->block = NULL;
}
