/* SPDX-License-Identifier: MIT */
#include "daemon/worker/mapped.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/sealed.h"

struct mapped {
        struct mapped *next;
        int fd;
        size_t size_bytes;
        const void *address;
};

int mapped_get(struct mapped **list, int fd, size_t size_bytes, const void **ret)
{
        struct mapped *mapped = *list;
        int r;

        while (mapped && mapped->fd != fd)
                mapped = mapped->next;
        if (mapped) {
                *ret = mapped->address;
                return 0;
        }
        mapped = malloc(sizeof(*mapped));
        if (!mapped)
                return -ENOMEM;
        *mapped = (struct mapped){.next = *list, .fd = fd, .size_bytes = size_bytes};
        r = sealed_map(fd, size_bytes, &mapped->address);
        if (r < 0) {
                free(mapped);
                return r;
        }
        *list = mapped;
        *ret = mapped->address;
        return 0;
}

void mapped_free(struct mapped **list)
{
        while (*list) {
                struct mapped *mapped = *list;
                *list = mapped->next;
                sealed_unmap(mapped->address, mapped->size_bytes);
                free(mapped);
        }
}
