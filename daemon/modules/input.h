/* SPDX-License-Identifier: MIT */
/*
 * An input of a task: a str is the path of a file, a bin is the bytes themselves, a descriptor is read from
 * where it stands to its end. The same in every module that takes data.
 *
 * Files are read at positions of our own, never with the descriptor's: a descriptor that several tasks share,
 * or that a second attempt gets again, yields the same bytes each time. Pipes and the like can only be read
 * once.
 *
 * Where a function here fails, it has already ended the task with a message that names the input: what it
 * returns (not 0) is what run() is to return.
 */
#ifndef DAEMON_MODULES_INPUT_H
#define DAEMON_MODULES_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/modules/text_form.h"
#include "daemon/worker/ganger_module.h"

enum { INPUT_BLOCK_BYTES = 256 * 1024 };

struct input {
        int fd;           /* -1: the bytes themselves; closed by ganger, not here */
        int64_t position; /* of the next block; -1: a stream */
        const char *bytes;
        size_t n_bytes;
        char *block;
        char name[QUOTED_SIZE + 16]; /* for messages: a quoted path, "the descriptor" */
};

/* Takes the next argument, which has to be an input. */
int input_argument(struct ganger_task *task, struct ganger_value *ret);

/* Opens what `value`, an input argument, means; `ret` needs an input_close() in any case. */
int input_open(struct ganger_task *task, const struct ganger_value *value, struct input *ret);

/* Goes to `offset`: from the beginning of a file or of bytes, from here in a stream. Beyond the end is the
 * end. */
int input_seek(struct ganger_task *task, struct input *input, uint64_t offset);

/* The next bytes, at most INPUT_BLOCK_BYTES, valid until the next call; none: the end. Looks for a
 * cancellation. */
int input_next(struct ganger_task *task, struct input *input, const char **ret, size_t *ret_size_bytes);

/* Frees the block buffer. */
void input_close(struct input *input);

#endif
