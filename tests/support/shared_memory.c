/* SPDX-License-Identifier: MIT */
/* Made, filled, sealed, in this order: a growing seal forbids what fallocate() does. */
#include "tests/support/shared_memory.h"

static int fill(int fd, enum ganger_shared_kind kind, enum ganger_shared_type type, uint64_t length)
{
        struct ganger_shared_header header = {
                .magic = GANGER_SHARED_MAGIC,
                .version = GANGER_SHARED_VERSION,
                .kind = kind,
                .type = (uint32_t)type,
                .item_bytes = ganger_shared_item_bytes(type),
                .length = length,
                .first_offset = sizeof header,
        };
        off_t size_bytes = (off_t)(sizeof header + length * header.item_bytes);

        if (fallocate(fd, 0, 0, size_bytes) < 0)
                return -errno;
        if (pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
                return -EIO;
        return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int shared_memory_new(enum ganger_shared_kind kind, enum ganger_shared_type type, uint64_t length)
{
        int fd = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r = fd < 0 ? -errno : fill(fd, kind, type, length);

        if (r < 0 && fd >= 0)
                close(fd);
        return r < 0 ? r : fd;
}

int shared_memory_read_only(int fd)
{
        char path[64];

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}
