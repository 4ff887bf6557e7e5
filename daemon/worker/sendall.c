/* SPDX-License-Identifier: MIT */
/*
 * Sending on a blocking stream socket. The peer is gangerd, which never stops reading a worker or a zygote,
 * so that waiting here is short; signals that tell a task to end do not cut a message in two.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "daemon/worker/worker.h"

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
