/* SPDX-License-Identifier: MIT */
/*
 * Sending: by the ring, and on a blocking stream socket. The peer is gangerd, which never stops reading a
 * worker or a zygote, so that waiting here is short; signals that tell a task to end do not cut a message in
 * two.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "daemon/worker/crash.h"
#include "daemon/worker/worker.h"

enum { PAUSE_NS = 100000 };

/* There is always room but after hundreds of announcements that gangerd has not come to read. */
static void announce(struct ring *ring, uint32_t size_bytes, bool is_wake)
{
        const struct timespec pause = {.tv_nsec = PAUSE_NS};

        while (!ring_announce(ring, size_bytes, is_wake))
                nanosleep(&pause, NULL);
}

/* A crash in here must not write into the channel. */
static int ring_send(struct worker *worker, struct iovec *iov, size_t n, size_t size_bytes)
{
        struct iovec wake = {(char[]){0}, 1};

        if (!ring_put(worker->ring, iov, n, size_bytes)) {
                announce(worker->ring, (uint32_t)size_bytes, false);
                return send_all(worker->channel, iov, n);
        }
        if (!ring_must_wake(worker->ring))
                return 0;
        announce(worker->ring, 1, true);
        return send_all(worker->channel, &wake, 1);
}

int message_send(struct worker *worker, struct iovec *iov, size_t n)
{
        size_t size_bytes = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                size_bytes += iov[i].iov_len;
        crash_hold_channel(true);
        r = worker->ring ? ring_send(worker, iov, n, size_bytes) : send_all(worker->channel, iov, n);
        crash_hold_channel(false);
        return r;
}

int send_all(int fd, struct iovec *iov, size_t n)
{
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n};

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
