/* SPDX-License-Identifier: MIT */
/*
 * What a module puts: into the result, where large bytes go beside the message, or into a request. Nothing is
 * copied but what the module copies.
 */
#include "daemon/worker/api_put.h"

#include <errno.h>
#include <string.h>

#include "proto/descriptors.h"

enum { HEAD_BYTES = 9 /* the most that any value but a str or bin takes, and their heads */ };

/* Whether that much more may be put. */
static int put_begin(struct run *run, size_t size_bytes)
{
        if (run->failed)
                return -EPERM;
        return run->put == &run->packer ? answer_reserve(run, size_bytes + HEAD_BYTES)
                                        : request_reserve(run, size_bytes + HEAD_BYTES);
}

int api_put_nil(struct ganger_task *task)
{
        struct run *run = run_of(task);
        int r = put_begin(run, 0);

        if (r < 0)
                return r;
        pack_nil(run->put);
        return run->put->error;
}

int api_put_bool(struct ganger_task *task, int value)
{
        struct run *run = run_of(task);
        int r = put_begin(run, 0);

        if (r < 0)
                return r;
        pack_bool(run->put, value != 0);
        return run->put->error;
}

int api_put_int(struct ganger_task *task, int64_t value)
{
        struct run *run = run_of(task);
        int r = put_begin(run, 0);

        if (r < 0)
                return r;
        pack_int(run->put, value);
        return run->put->error;
}

int api_put_uint(struct ganger_task *task, uint64_t value)
{
        struct run *run = run_of(task);
        int r = put_begin(run, 0);

        if (r < 0)
                return r;
        pack_uint(run->put, value);
        return run->put->error;
}

int api_put_double(struct ganger_task *task, double value)
{
        struct run *run = run_of(task);
        int r = put_begin(run, 0);

        if (r < 0)
                return r;
        pack_double(run->put, value);
        return run->put->error;
}

int api_put_str(struct ganger_task *task, const char *data, size_t size_bytes)
{
        struct run *run = run_of(task);
        int r = put_begin(run, size_bytes);

        if (r < 0)
                return r;
        pack_str_n(run->put, data, size_bytes);
        return run->put->error;
}

/* Beside the message, if that is worth it and can be. */
static void *put_part(struct run *run, size_t size_bytes)
{
        if (run->failed || run->put != &run->packer || put_begin(run, 0) < 0)
                return NULL;
        return answer_put_part(run, size_bytes);
}

static int put_bin(struct run *run, const void *data, size_t size_bytes)
{
        void *part = put_part(run, size_bytes);
        int r = part ? 0 : put_begin(run, size_bytes);

        if (r < 0)
                return r;
        if (part)
                memcpy(part, data, size_bytes);
        else
                pack_bin(run->put, data, size_bytes);
        return run->put->error;
}

int api_put_bin(struct ganger_task *task, const void *data, size_t size_bytes)
{
        return put_bin(run_of(task), data, size_bytes);
}

int api_put_array(struct ganger_task *task, uint32_t n)
{
        struct run *run = run_of(task);
        int r = put_begin(run, 0);

        if (r < 0)
                return r;
        pack_array(run->put, n);
        return run->put->error;
}

int api_put_map(struct ganger_task *task, uint32_t n)
{
        struct run *run = run_of(task);
        int r = put_begin(run, 0);

        if (r < 0)
                return r;
        pack_map(run->put, n);
        return run->put->error;
}

static int put_raw(struct run *run, const void *data, size_t size_bytes)
{
        int r = put_begin(run, size_bytes);

        if (r < 0)
                return r;
        pack_raw(run->put, data, size_bytes);
        return run->put->error;
}

/* A value in a memfd is handed on as it is where that can be. */
static int put_claimed(struct run *run, const struct source *source, const struct value *value)
{
        struct ganger_value large;
        uint32_t at = *source->next_fd;
        int r = value_from(value, source->fds, source->n_fds, source->next_fd, source->mapped, &large);

        if (r < 0)
                return r;
        if (large.type != GANGER_BIN) /* neither a result nor a request carries an open file */
                return -EBADF;
        if (!run->failed && run->put == &run->packer &&
            answer_put_sealed(run, source->fds[at], large.size_bytes))
                return run->put->error;
        return put_bin(run, large.data, large.size_bytes);
}

int put_next(struct run *run, const struct source *source)
{
        struct reader *reader = source->reader, behind = *reader;
        const uint8_t *data;
        size_t size_bytes;
        uint32_t n_fds;
        int r = reader_skip(&behind, &data, &size_bytes, &n_fds);

        if (r == 0 && n_fds == 0) {
                reader->at = behind.at;
                return put_raw(run, data, size_bytes);
        }
        while (r == 0 && reader->at < behind.at) {
                const uint8_t *at = reader->at;
                struct value value;
                r = reader_next(reader, &value);
                if (r == 0 && value.type == VALUE_EXT && value.ext_type == EXT_DESCRIPTOR)
                        r = put_claimed(run, source, &value);
                else if (r == 0)
                        r = put_raw(run, at, (size_t)(reader->at - at));
        }
        return r;
}

int api_put_value(struct ganger_task *task)
{
        struct run *run = run_of(task);
        return put_next(run, &(struct source){&run->args, run->fds, run->n_fds, &run->next_fd, &run->mapped});
}

void *api_put_buffer(struct ganger_task *task, size_t size_bytes)
{
        struct run *run = run_of(task);
        struct buffer *bytes = run->put->buffer;
        void *part = put_part(run, size_bytes);

        if (part)
                return part;
        if (put_begin(run, size_bytes) < 0)
                return NULL;
        msgpack_pack_bin(&run->put->pk, size_bytes);
        if (run->put->error == 0)
                run->put->error = buffer_reserve(bytes, size_bytes);
        if (run->put->error < 0)
                return NULL;
        bytes->end += size_bytes;
        return bytes->data + bytes->end - size_bytes;
}
