/* SPDX-License-Identifier: MIT */
#include "proto/sealed.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/descriptors.h"
#include "proto/reader.h"

#define ZEROS_BYTES ((size_t)64 << 10)
#define SEALS       (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static int new_memfd(size_t size_bytes)
{
        int fd = memfd_create("ganger value", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert(size_bytes > 0);
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, (off_t)size_bytes) < 0) {
                int r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

static int seal(int fd)
{
        return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

static int write_at(int fd, const char *data, size_t size_bytes, size_t offset)
{
        size_t n = 0;

        while (n < size_bytes) {
                ssize_t written = pwrite(fd, data + n, size_bytes - n, (off_t)(offset + n));
                if (written > 0)
                        n += (size_t)written;
                else if (written == 0 || errno != EINTR)
                        return written == 0 ? -ENOSPC : -errno;
        }
        return 0;
}

/* The pages are made by writing: a mapping that makes them, a fault for each, takes a third more CPU. */
static int make_pages(int fd, size_t size_bytes)
{
        static const char zeros[ZEROS_BYTES];
        int r = 0;

        for (size_t at = 0; r == 0 && at < size_bytes; at += sizeof(zeros)) {
                size_t left = size_bytes - at;
                r = write_at(fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros), at);
        }
        return r;
}

/* Pages are mapped all at once: a fault for each of them costs more than what is done with it. */
static int map_all(int fd, size_t size_bytes, int protection, void **ret)
{
        void *address = mmap(NULL, size_bytes, protection, MAP_SHARED | MAP_POPULATE, fd, 0);

        if (address == MAP_FAILED)
                return -errno;
        *ret = address;
        return 0;
}

int sealed_new(size_t size_bytes, int *ret_fd, void **ret_address)
{
        int fd = new_memfd(size_bytes), r;

        if (fd < 0)
                return fd;
        r = make_pages(fd, size_bytes);
        if (r == 0)
                r = map_all(fd, size_bytes, PROT_READ | PROT_WRITE, ret_address);
        if (r < 0)
                close(fd);
        else
                *ret_fd = fd;
        return r;
}

int sealed_finish(int fd, void *address, size_t size_bytes)
{
        munmap(address, size_bytes);
        return seal(fd);
}

int sealed_copy(const void *data, size_t size_bytes, int *ret_fd)
{
        int fd = new_memfd(size_bytes), r;

        if (fd < 0)
                return fd;
        r = write_at(fd, data, size_bytes, 0);
        if (r == 0)
                r = seal(fd);
        if (r < 0)
                close(fd);
        else
                *ret_fd = fd;
        return r;
}

bool sealed_is(int fd, uint64_t size_bytes)
{
        struct stat status;
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &status) == 0 && status.st_size >= 0 &&
               (uint64_t)status.st_size == size_bytes;
}

int sealed_map(int fd, size_t size_bytes, const void **ret)
{
        void *address = NULL;
        int r = map_all(fd, size_bytes, PROT_READ, &address);

        *ret = address;
        return r;
}

void sealed_unmap(const void *address, size_t size_bytes)
{
        munmap((void *)(uintptr_t)address, size_bytes);
}

const char *sealed_check(const void *data, size_t size_bytes, const int *fds, uint32_t n_fds,
                         unsigned allowed, uint64_t *ret_sealed_bytes)
{
        struct reader reader = reader_over(data, size_bytes);
        uint64_t size, sum = 0;
        struct value value;
        uint32_t n = 0;
        unsigned kind;

        while (n < n_fds && reader_next(&reader, &value) == 0) {
                if (!value_is_descriptor(&value, &kind, &size))
                        continue;
                if (kind > DESCRIPTOR_OPEN || !(allowed >> kind & 1))
                        return "a descriptor of a kind that cannot be here";
                if (kind == DESCRIPTOR_VALUE && !sealed_is(fds[n], size))
                        return "a value in a memfd that is not sealed (SHRINK, GROW, WRITE, SEAL), or has "
                               "another size";
                if (kind == DESCRIPTOR_VALUE)
                        sum = size > UINT64_MAX - sum ? UINT64_MAX : sum + size;
                n++;
        }
        *ret_sealed_bytes = sum;
        return NULL;
}
