/* SPDX-License-Identifier: MIT */
/*
 * Sending: by the ring, and on a blocking stream socket. The peer is gangerd, which never stops reading a
 * worker or a zygote, so that waiting here is short; signals that tell a task to end do not cut a message in
 * two.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "daemon/worker/crash.h"
#include "daemon/worker/worker.h"
#include "proto/limits.h"

enum { PAUSE_NS = 100000, N_PAUSES = 16 };

static void rest(void)
{
        const struct timespec pause = {.tv_nsec = PAUSE_NS};

        nanosleep(&pause, NULL);
}

/* There is always room but after hundreds of announcements that gangerd has not come to read. */
static void announce(struct ring *ring, uint32_t size_bytes, bool is_wake)
{
        while (!ring_announce(ring, size_bytes, is_wake))
                rest();
}

/* While the ring is full gangerd is at it, and behind: to wait for room costs both less than a system call
 * for each message. If it takes long, the socket wakes the worker better. */
static bool put(struct worker *worker, const struct iovec *iov, size_t n, size_t size_bytes)
{
        for (int n_rests = 0; !ring_put(worker->ring, iov, n, size_bytes); n_rests++) {
                if (size_bytes > RING_INLINE_BYTES || n_rests == N_PAUSES)
                        return false;
                worker->latest_ns = 0;
                rest();
        }
        return true;
}

/* A crash in here must not write into the channel. */
static int ring_send(struct worker *worker, struct iovec *iov, size_t n, size_t size_bytes, const int *fds,
                     uint32_t n_fds)
{
        struct iovec wake = {(char[]){0}, 1};
        bool is_put = n_fds == 0 && put(worker, iov, n, size_bytes);

        if (is_put && !ring_must_wake(worker->ring))
                return 0;
        worker->latest_ns = 0;
        if (!is_put) {
                announce(worker->ring, (uint32_t)size_bytes, false);
                return send_all(worker->channel, iov, n, fds, n_fds);
        }
        announce(worker->ring, 1, true);
        return send_all(worker->channel, &wake, 1, NULL, 0);
}

int message_send(struct worker *worker, struct iovec *iov, size_t n, const int *fds, uint32_t n_fds)
{
        size_t size_bytes = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                size_bytes += iov[i].iov_len;
        crash_hold_channel(true);
        if (!worker->ring)
                worker->latest_ns = 0;
        r = worker->ring ? ring_send(worker, iov, n, size_bytes, fds, n_fds)
                         : send_all(worker->channel, iov, n, fds, n_fds);
        crash_hold_channel(false);
        return r;
}

int send_all(int fd, struct iovec *iov, size_t n, const int *fds, uint32_t n_fds)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(LIMIT_DESCRIPTORS * sizeof(int))];
        } control;
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n};

        if (n_fds > 0) {
                memset(&control, 0, sizeof(control));
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                                 .cmsg_type = SCM_RIGHTS,
                                                 .cmsg_len = CMSG_LEN(n_fds * sizeof(int))};
                memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
        }

        while (message.msg_iovlen > 0) {
                ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
                if (sent < 0 && errno == EAGAIN) {
                        struct pollfd writable = {.fd = fd, .events = POLLOUT};
                        if (poll(&writable, 1, -1) < 0 && errno != EINTR)
                                return -errno;
                        continue;
                }
                if (sent < 0 && errno == EINTR)
                        continue;
                if (sent < 0)
                        return -errno;
                message.msg_control = NULL; /* they are gone with the first byte */
                message.msg_controllen = 0;
                while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
                        sent -= (ssize_t)message.msg_iov->iov_len;
                        message.msg_iov++;
                        message.msg_iovlen--;
                }
                if (message.msg_iovlen > 0) {
                        message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
                        message.msg_iov->iov_len -= (size_t)sent;
                }
        }
        return 0;
}
