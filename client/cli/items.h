/* SPDX-License-Identifier: MIT */
/*
 * Where map's items come from: the words of the command line, a file, or standard input, one a line (or ended
 * by 0 bytes). Reading never blocks: who waits for the next item polls items_fd().
 */
#ifndef CLI_ITEMS_H
#define CLI_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

struct items {
        char **words; /* the rest of the command line; NULL: from fd */
        int fd;
        char separator;
        bool ended; /* of the input */
        struct buffer input;
        size_t looked_bytes; /* of the input, without a separator */
        uint64_t n_taken;
};

/* From the words, if there are any; else from the file, NULL or "-" being standard input. -errno of opening
 * it. */
int items_init(struct items *, char **words, const char *path, char separator);
void items_deinit(struct items *);
/* The next item: 1, valid until the next call; 0: there are no more; -EAGAIN: none yet; -EMSGSIZE: it is
 * larger than any that can be sent; another -errno. */
int items_next(struct items *, const char **ret, size_t *ret_size_bytes);
/* What to poll for reading after -EAGAIN. */
int items_fd(const struct items *);

#endif
