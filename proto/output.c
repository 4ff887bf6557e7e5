/* SPDX-License-Identifier: MIT */
/*
 * Output with descriptors. A mark stands at the first byte of its message; the send that begins there stops
 * at the message's end and takes the descriptors along. Once any byte of it is gone the mark is gone too, so
 * that the rest can never take them along a second time.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/descriptors.h"

void output_init(struct output *o)
{
        o->bytes = BUFFER_INIT;
        o->sent = 0;
        o->close_fd = NULL;
        STAILQ_INIT(&o->marks);
}

static void output_drop_mark(struct output *o)
{
        struct output_mark *mark = STAILQ_FIRST(&o->marks);

        STAILQ_REMOVE_HEAD(&o->marks, link);
        for (uint32_t i = 0; i < mark->n_fds; i++) {
                if (o->close_fd != NULL)
                        o->close_fd(mark->fds[i]);
                else
                        close(mark->fds[i]);
        }
        free(mark);
}

void output_deinit(struct output *o)
{
        while (!STAILQ_EMPTY(&o->marks))
                output_drop_mark(o);
        buffer_deinit(&o->bytes);
}

uint32_t output_fds(const struct output *o)
{
        const struct output_mark *mark;
        uint32_t n = 0;

        STAILQ_FOREACH (mark, &o->marks, link)
                n += mark->n_fds;
        return n;
}

int output_mark(struct output *o, size_t message_bytes, const int *fds, uint32_t n_fds)
{
        struct output_mark *mark;

        if (n_fds == 0)
                return 0;
        assert(n_fds <= LIMIT_DESCRIPTORS);
        assert(message_bytes > 0 && message_bytes <= output_size(o));
        mark = malloc(sizeof *mark + n_fds * sizeof *fds);
        if (mark == NULL)
                return -ENOMEM;
        mark->end = o->sent + output_size(o);
        mark->at = mark->end - message_bytes;
        mark->n_fds = n_fds;
        memcpy(mark->fds, fds, n_fds * sizeof *fds);
        STAILQ_INSERT_TAIL(&o->marks, mark, link);
        return 0;
}

static ssize_t send_with_descriptors(int fd, const void *data, size_t size_bytes,
                                     const struct output_mark *mark)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(LIMIT_DESCRIPTORS * sizeof(int))];
        } control = {0};
        struct iovec bytes = {(void *)(uintptr_t)data, size_bytes};
        struct msghdr message = {.msg_iov = &bytes,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = CMSG_SPACE(mark->n_fds * sizeof(int))};

        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(mark->n_fds * sizeof(int));
        memcpy(CMSG_DATA(&control.align), mark->fds, mark->n_fds * sizeof(int));
        return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int output_flush(struct output *o, int fd)
{
        while (output_size(o) > 0) {
                const struct output_mark *mark = STAILQ_FIRST(&o->marks);
                bool with_descriptors = mark != NULL && mark->at == o->sent;
                size_t size_bytes = output_size(o);
                ssize_t sent;

                assert(mark == NULL || mark->at >= o->sent);
                if (mark != NULL)
                        size_bytes = (size_t)((with_descriptors ? mark->end : mark->at) - o->sent);
                if (with_descriptors)
                        sent = send_with_descriptors(fd, buffer_at(&o->bytes), size_bytes, mark);
                else
                        sent = send(fd, buffer_at(&o->bytes), size_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (sent < 0 && errno == EINTR)
                        continue;
                if (sent < 0)
                        return errno == EAGAIN ? 1 : -errno;
                buffer_consume(&o->bytes, (size_t)sent);
                o->sent += (uint64_t)sent;
                if (with_descriptors)
                        output_drop_mark(o);
                if ((size_t)sent < size_bytes)
                        return 1;
        }
        return 0;
}
