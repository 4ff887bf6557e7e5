/* SPDX-License-Identifier: MIT */
/*
 * Receiving descriptors, and the queue in which they wait. Whatever goes wrong, a descriptor that the kernel
 * has put into our table is either in the queue or closed when fds_receive() returns.
 */
#include "proto/descriptors.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fd_queue_close(const struct fd_queue *q, int fd)
{
        if (q->close_fd != NULL)
                q->close_fd(fd);
        else
                close(fd);
}

static int fd_queue_reserve(struct fd_queue *q, uint32_t n)
{
        struct fd_arrival *items;
        uint32_t capacity = q->capacity * 2;

        if (q->n + n <= q->capacity)
                return 0;
        if (capacity < q->n + n)
                capacity = q->n + n;
        items = realloc(q->items, capacity * sizeof *items);
        if (items == NULL)
                return -ENOMEM;
        q->items = items;
        q->capacity = capacity;
        return 0;
}

/* Takes all of what came in one read, or closes all of it. */
static int fd_queue_arrive(struct fd_queue *q, const int *fds, uint32_t n, uint64_t read_end, bool truncated)
{
        int r = 0;

        if (truncated || q->n + n > LIMIT_RECV_DESCRIPTORS)
                r = RECEIVE_TRUNCATED;
        else if (n > 0)
                r = fd_queue_reserve(q, n);
        for (uint32_t i = 0; i < n; i++) {
                if (r == 0)
                        q->items[q->n++] = (struct fd_arrival){.fd = fds[i], .read_end = read_end};
                else
                        fd_queue_close(q, fds[i]);
        }
        return r;
}

/* What the control messages hold: descriptors into fds[LIMIT_RECV_DESCRIPTORS], their number returned. */
static uint32_t control_parse(struct msghdr *message, int *fds, struct ucred *ret_ucred)
{
        uint32_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level != SOL_SOCKET)
                        continue;
                if (c->cmsg_type == SCM_RIGHTS) {
                        uint32_t n_here = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                        assert(n + n_here <= LIMIT_RECV_DESCRIPTORS);
                        memcpy(fds + n, CMSG_DATA(c), n_here * sizeof(int));
                        n += n_here;
                } else if (c->cmsg_type == SCM_CREDENTIALS && ret_ucred != NULL) {
                        memcpy(ret_ucred, CMSG_DATA(c), sizeof *ret_ucred);
                }
        }
        return n;
}

int fds_receive(int fd, struct buffer *b, uint64_t *stream_at, struct fd_queue *queue, size_t *ret,
                struct ucred *ret_ucred)
{
        return fds_receive_most(fd, b, SIZE_MAX, stream_at, queue, ret, ret_ucred);
}

int fds_receive_most(int fd, struct buffer *b, size_t most_bytes, uint64_t *stream_at, struct fd_queue *queue,
                     size_t *ret, struct ucred *ret_ucred)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(LIMIT_RECV_DESCRIPTORS * sizeof(int)) +
                           CMSG_SPACE(sizeof(struct ucred))];
        } control;
        size_t free_bytes = b->capacity_bytes - b->end;
        struct iovec room = {b->data + b->end, free_bytes < most_bytes ? free_bytes : most_bytes};
        struct msghdr message = {.msg_iov = &room,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof control.bytes};
        int fds[LIMIT_RECV_DESCRIPTORS];
        uint32_t n_fds = 0;
        ssize_t size_bytes;

        assert(room.iov_len > 0);
        if (ret_ucred != NULL)
                *ret_ucred = (struct ucred){0};
        do
                size_bytes = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        while (size_bytes < 0 && errno == EINTR);
        if (size_bytes < 0)
                return -errno;
        b->end += (size_t)size_bytes;
        *stream_at += (uint64_t)size_bytes;
        *ret = (size_t)size_bytes;
        if (message.msg_controllen > 0)
                n_fds = control_parse(&message, fds, ret_ucred);
        return fd_queue_arrive(queue, fds, n_fds, *stream_at, (message.msg_flags & MSG_CTRUNC) != 0);
}

bool fd_queue_take(struct fd_queue *q, uint32_t n, int *ret)
{
        return fd_queue_take_behind(q, 0, n, ret);
}

bool fd_queue_take_behind(struct fd_queue *q, uint32_t n_before, uint32_t n, int *ret)
{
        if (n_before > q->n || n > q->n - n_before)
                return false;
        if (n == 0)
                return true;
        for (uint32_t i = 0; i < n; i++)
                ret[i] = q->items[n_before + i].fd;
        q->n -= n;
        memmove(q->items + n_before, q->items + n_before + n, (q->n - n_before) * sizeof *q->items);
        return true;
}

bool fd_queue_left_over(const struct fd_queue *q, uint64_t message_end)
{
        return q->n > 0 && q->items[0].read_end <= message_end;
}

void fd_queue_deinit(struct fd_queue *q)
{
        for (uint32_t i = 0; i < q->n; i++)
                fd_queue_close(q, q->items[i].fd);
        free(q->items);
        q->items = NULL;
        q->n = q->capacity = 0;
}

int fds_duplicate(const int *fds, uint32_t n, int *ret)
{
        for (uint32_t i = 0; i < n; i++) {
                ret[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
                if (ret[i] < 0) {
                        int r = -errno;
                        while (i-- > 0)
                                close(ret[i]);
                        return r;
                }
        }
        return 0;
}
