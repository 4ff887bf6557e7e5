/* SPDX-License-Identifier: MIT */
/*
 * What a module calls: struct ganger_api over proto's reader and packer. The arguments are read where they
 * lie, in the inbox or in a memfd; the put functions are in api_put.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/api_put.h"
#include "daemon/worker/worker.h"
#include "proto/descriptors.h"

/* Progress more often than this is of no use to anybody, and a flood to gangerd. */
#define PROGRESS_PAUSE_NS INT64_C(20000000)

/* The next of the descriptors that came with it is that of a value which claims one. */
static int from_descriptor(unsigned kind, uint64_t size_bytes, int fd, struct mapped **mapped,
                           struct ganger_value *ret)
{
        const void *address = NULL;
        int r;

        if (kind != DESCRIPTOR_VALUE) {
                ret->type = GANGER_FD;
                ret->as.fd = fd;
                return 0;
        }
        r = size_bytes > 0 ? mapped_get(mapped, fd, size_bytes, &address) : 0;
        ret->type = GANGER_BIN;
        ret->data = address;
        ret->size_bytes = size_bytes;
        return r;
}

int value_from(const struct value *value, const int *fds, uint32_t n_fds, uint32_t *next_fd,
               struct mapped **mapped, struct ganger_value *ret)
{
        uint64_t size_bytes;
        unsigned kind;

        *ret = (struct ganger_value){.type = GANGER_NIL};
        switch (value->type) {
        case VALUE_NIL:
                return 0;
        case VALUE_BOOL:
                ret->type = GANGER_BOOL;
                ret->as.boolean = value->as.boolean;
                return 0;
        case VALUE_UINT:
                ret->type = value->as.u <= INT64_MAX ? GANGER_INT : GANGER_UINT;
                ret->as.u = value->as.u;
                return 0;
        case VALUE_INT:
                ret->type = GANGER_INT;
                ret->as.i = value->as.i;
                return 0;
        case VALUE_DOUBLE:
                ret->type = GANGER_DOUBLE;
                ret->as.d = value->as.d;
                return 0;
        case VALUE_ARRAY:
        case VALUE_MAP:
                ret->type = value->type == VALUE_ARRAY ? GANGER_ARRAY : GANGER_MAP;
                ret->count = value->size;
                return 0;
        case VALUE_STR:
        case VALUE_BIN:
                ret->type = value->type == VALUE_STR ? GANGER_STR : GANGER_BIN;
                break;
        case VALUE_EXT:
                ret->type = GANGER_EXT;
                ret->ext_type = value->ext_type;
                break;
        }
        ret->data = (const char *)value->as.data;
        ret->size_bytes = value->size;
        if (!value_is_descriptor(value, &kind, &size_bytes))
                return 0;
        if (*next_fd >= n_fds)
                return -EBADF;
        return from_descriptor(kind, size_bytes, fds[(*next_fd)++], mapped, ret);
}

static int api_peek(struct ganger_task *task, struct ganger_value *ret)
{
        struct run *run = run_of(task);
        struct reader args = run->args;
        uint32_t next_fd = run->next_fd;
        struct value value;
        int r = reader_next(&args, &value);

        return r < 0 ? r : value_from(&value, run->fds, run->n_fds, &next_fd, &run->mapped, ret);
}

static int api_next(struct ganger_task *task, struct ganger_value *ret)
{
        struct run *run = run_of(task);
        struct value value;
        int r = reader_next(&run->args, &value);

        return r < 0 ? r : value_from(&value, run->fds, run->n_fds, &run->next_fd, &run->mapped, ret);
}

static int api_skip(struct ganger_task *task)
{
        struct run *run = run_of(task);
        uint32_t n_fds = 0;
        int r = reader_skip(&run->args, NULL, NULL, &n_fds);

        run->next_fd += n_fds;
        return r;
}

static void api_progress(struct ganger_task *task, double done, const char *text)
{
        struct run *run = run_of(task);
        int64_t now = now_ns();
        char mended[256];

        done = done >= 1 ? 1 : done > 0 ? done : 0; /* 0 for what is no number */
        if (run->progress_at_ns != 0 && now - run->progress_at_ns < PROGRESS_PAUSE_NS && done < 1)
                return;
        run->progress_at_ns = now;
        if (text) {
                snprintf(mended, sizeof(mended), "%s", text);
                text_mend(mended);
        }
        (void)stream_send_progress(run, done, text ? mended : NULL); /* a lost channel shows at the answer */
}

__attribute__((format(printf, 5, 0))) static void api_log(struct ganger_task *task, enum ganger_level level,
                                                          const char *file, int line, const char *format,
                                                          va_list ap)
{
        char text[2048], name[256];

        vsnprintf(text, sizeof(text), format, ap);
        text_mend(text);
        snprintf(name, sizeof(name), "%s", file ? file : "");
        text_mend(name);
        (void)stream_send_log(run_of(task), (int)level, name, line, text);
}

static int api_cancelled(struct ganger_task *task)
{
        return run_is_cancelled(run_of(task));
}

static uint64_t api_id(struct ganger_task *task)
{
        return run_of(task)->id;
}

static uint32_t api_attempt(struct ganger_task *task)
{
        return run_of(task)->attempt;
}

__attribute__((format(printf, 3, 0))) static int api_fail(struct ganger_task *task, const char *code,
                                                          const char *format, va_list ap)
{
        return run_fail(run_of(task), code, format, ap);
}

/* Opens a file for the run; what is opened is closed when the run ends. */
static int open_path(struct run *run, const char *data, size_t size_bytes)
{
        int *opened = realloc(run->opened, (run->n_opened + 1) * sizeof(*opened));
        char *path;
        int fd, r;

        if (!opened)
                return -ENOMEM;
        run->opened = opened;
        if (memchr(data, '\0', size_bytes))
                return -EINVAL;
        path = strndup(data, size_bytes);
        if (!path)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        r = fd < 0 ? -errno : fd;
        free(path);
        if (fd >= 0)
                run->opened[run->n_opened++] = fd;
        return r;
}

static int api_open_input(struct ganger_task *task, const struct ganger_value *value)
{
        if (value->type == GANGER_FD)
                return value->as.fd;
        if (value->type == GANGER_STR || value->type == GANGER_BIN)
                return open_path(run_of(task), value->data, value->size_bytes);
        return -EINVAL;
}

/* -- requests -- */

static int api_request_begin(struct ganger_task *task, const char *method, uint32_t n_params)
{
        return request_begin(run_of(task), method, n_params);
}

static int api_request_end(struct ganger_task *task)
{
        return request_end(run_of(task));
}

static int reply_read(struct run *run, struct reader *reply, uint32_t *next_fd, struct ganger_value *ret)
{
        const struct taken *message = &run->worker->reply;
        struct value value;
        int r = reader_next(reply, &value);

        return r < 0 ? r : value_from(&value, message->fds, message->n_fds, next_fd, &run->reply_mapped, ret);
}

static int api_reply_next(struct ganger_task *task, struct ganger_value *ret)
{
        struct run *run = run_of(task);
        return reply_read(run, &run->reply, &run->next_reply_fd, ret);
}

static int api_reply_peek(struct ganger_task *task, struct ganger_value *ret)
{
        struct run *run = run_of(task);
        struct reader reply = run->reply;
        uint32_t next_fd = run->next_reply_fd;
        return reply_read(run, &reply, &next_fd, ret);
}

static int api_reply_skip(struct ganger_task *task)
{
        struct run *run = run_of(task);
        uint32_t n_fds = 0;
        int r = reader_skip(&run->reply, NULL, NULL, &n_fds);

        run->next_reply_fd += n_fds;
        return r;
}

static int api_put_reply(struct ganger_task *task)
{
        struct run *run = run_of(task);
        const struct taken *reply = &run->worker->reply;
        return put_next(run, &(struct source){&run->reply, reply->fds, reply->n_fds, &run->next_reply_fd,
                                              &run->reply_mapped});
}

static const char *api_reply_code(struct ganger_task *task)
{
        const struct run *run = run_of(task);
        return run->was_refused ? run->worker->refusal.code : "";
}

static const char *api_reply_message(struct ganger_task *task)
{
        const struct run *run = run_of(task);
        return run->was_refused ? run->worker->refusal.message : "";
}

static int api_shared_open(struct ganger_task *task, struct ganger_shared *ret, const char *name,
                           const struct ganger_shared_options *options)
{
        return shared_open(run_of(task), ret, name, options);
}

const struct ganger_api worker_api = {
        .abi = GANGER_MODULE_ABI,
        .size_bytes = sizeof(struct ganger_api),
        .next = api_next,
        .peek = api_peek,
        .skip = api_skip,
        .put_nil = api_put_nil,
        .put_bool = api_put_bool,
        .put_int = api_put_int,
        .put_uint = api_put_uint,
        .put_double = api_put_double,
        .put_str = api_put_str,
        .put_bin = api_put_bin,
        .put_array = api_put_array,
        .put_map = api_put_map,
        .put_value = api_put_value,
        .put_buffer = api_put_buffer,
        .fail = api_fail,
        .progress = api_progress,
        .log = api_log,
        .cancelled = api_cancelled,
        .id = api_id,
        .attempt = api_attempt,
        .open_input = api_open_input,
        .request_begin = api_request_begin,
        .request_end = api_request_end,
        .reply_next = api_reply_next,
        .reply_peek = api_reply_peek,
        .reply_skip = api_reply_skip,
        .put_reply = api_put_reply,
        .reply_code = api_reply_code,
        .reply_message = api_reply_message,
        .shared_open = api_shared_open,
};
