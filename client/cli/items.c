/* SPDX-License-Identifier: MIT */
/* Where map's items come from. */
#include "client/cli/items.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "proto/limits.h"

#define READ_BYTES (64u << 10)

int items_init(struct items *items, char **words, const char *path, char separator)
{
        *items = (struct items){.words = words && *words ? words : NULL, .fd = -1, .separator = separator};
        if (items->words)
                return 0;
        items->fd =
                !path || strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        return items->fd < 0 ? -errno : 0;
}

void items_deinit(struct items *items)
{
        if (items->fd > STDERR_FILENO)
                close(items->fd);
        buffer_deinit(&items->input);
}

int items_fd(const struct items *items)
{
        return items->fd;
}

/* Reads once if there is something to be read. -EAGAIN: there is not. */
static int fill(struct items *items)
{
        struct pollfd p = {.fd = items->fd, .events = POLLIN};

        if (poll(&p, 1, 0) <= 0)
                return -EAGAIN;
        if (buffer_reserve(&items->input, READ_BYTES) < 0)
                return -ENOMEM;
        ssize_t n = read(items->fd, items->input.data + items->input.end, READ_BYTES);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (n == 0)
                items->ended = true;
        items->input.end += (size_t)n;
        return 0;
}

static int take(struct items *items, size_t size_bytes, size_t separator_bytes, const char **ret,
                size_t *ret_size_bytes)
{
        *ret = (const char *)buffer_at(&items->input);
        *ret_size_bytes = size_bytes;
        /* The bytes stay where they are until the next fill. */
        items->input.begin += size_bytes + separator_bytes;
        items->looked_bytes = 0;
        items->n_taken++;
        return 1;
}

int items_next(struct items *items, const char **ret, size_t *ret_size_bytes)
{
        if (items->words) {
                if (!*items->words)
                        return 0;
                *ret = *items->words++;
                *ret_size_bytes = strlen(*ret);
                items->n_taken++;
                return 1;
        }
        for (;;) {
                size_t size_bytes = buffer_size(&items->input);
                const char *begin = size_bytes > 0 ? (const char *)buffer_at(&items->input) : "";
                const char *end = size_bytes > items->looked_bytes
                                          ? memchr(begin + items->looked_bytes, items->separator,
                                                   size_bytes - items->looked_bytes)
                                          : NULL;
                if (end)
                        return take(items, (size_t)(end - begin), 1, ret, ret_size_bytes);
                items->looked_bytes = size_bytes;
                if (items->ended && size_bytes > 0) /* the last line has no newline */
                        return take(items, size_bytes, 0, ret, ret_size_bytes);
                if (items->ended)
                        return 0;
                if (size_bytes > LIMIT_MESSAGE_BYTES)
                        return -EMSGSIZE;
                int r = fill(items);
                if (r < 0)
                        return r;
        }
}
