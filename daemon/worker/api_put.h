/* SPDX-License-Identifier: MIT */
/* The parts of api.c that put values; see ganger_module.h for what each is. */
#ifndef DAEMON_WORKER_API_PUT_H
#define DAEMON_WORKER_API_PUT_H

#include "daemon/worker/worker.h"

/* What is read, and the descriptors that its values claim. */
struct source {
        struct reader *reader;
        const int *fds;
        uint32_t n_fds, *next_fd;
        struct mapped **mapped;
};
/* One value as the module sees it; one that claims a descriptor takes the next, and is mapped if it is bytes.
 */
int value_from(const struct value *, const int *fds, uint32_t n_fds, uint32_t *next_fd, struct mapped **,
               struct ganger_value *ret);
/* Puts the next whole value of it. 0 or -errno. */
int put_next(struct run *, const struct source *);

int api_put_nil(struct ganger_task *task);
int api_put_bool(struct ganger_task *task, int value);
int api_put_int(struct ganger_task *task, int64_t value);
int api_put_uint(struct ganger_task *task, uint64_t value);
int api_put_double(struct ganger_task *task, double value);
int api_put_str(struct ganger_task *task, const char *data, size_t size_bytes);
int api_put_bin(struct ganger_task *task, const void *data, size_t size_bytes);
int api_put_array(struct ganger_task *task, uint32_t n);
int api_put_map(struct ganger_task *task, uint32_t n);
int api_put_value(struct ganger_task *task);
void *api_put_buffer(struct ganger_task *task, size_t size_bytes);

#endif
