/* SPDX-License-Identifier: MIT */
/*
 * An output of a task: a str is the path of a file, a descriptor is written to, nil means that what was
 * written becomes the task's result, as a bin. A file appears whole or not at all: it is written under
 * another name beside its place, synced and renamed.
 *
 * Functions that take the task end it with a message where they fail: not 0 is what run() is to return.
 */
#ifndef DAEMON_MODULES_OUTPUT_H
#define DAEMON_MODULES_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/modules/text_form.h"
#include "daemon/worker/ganger_module.h"

struct output {
        int fd;
        bool is_result;  /* a memfd, to be put as bin */
        char *path;      /* a file; NULL: not one */
        char *temporary; /* its name until it is whole; NULL: none is there */
        char name[QUOTED_SIZE + 16];
};

/* Takes the next argument, which has to be an output. */
int output_argument(struct ganger_task *task, struct ganger_value *ret);

/* Opens what `value`, an output argument, means; `ret` needs an output_close() in any case. */
int output_open(struct ganger_task *task, const struct ganger_value *value, struct output *ret);

/* Writes it all: 0, -ECANCELED or another -errno, of which the caller tells by output_fail(). */
int output_write(struct ganger_task *task, struct output *output, const void *data, size_t size_bytes);
int output_fail(struct ganger_task *task, const struct output *output, int error_number);

/* Puts a file in its place, or the bytes as the task's result. */
int output_commit(struct ganger_task *task, struct output *output);

/* Removes what was not committed. */
void output_close(struct output *output);

#endif
