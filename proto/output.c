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
        o->beside_bytes = 0;
        o->close_fd = NULL;
        STAILQ_INIT(&o->marks);
}

#define PIECE_BYTES (64u << 10)

static void output_drop_mark(struct output *o)
{
        struct output_mark *mark = STAILQ_FIRST(&o->marks);

        STAILQ_REMOVE_HEAD(&o->marks, link);
        o->beside_bytes -= mark->beside_bytes;
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

static int output_add_mark(struct output *o, const struct output_mark *its, const int *fds)
{
        struct output_mark *mark = malloc(sizeof *mark + its->n_fds * sizeof *fds);

        if (mark == NULL)
                return -ENOMEM;
        *mark = *its;
        memcpy(mark->fds, fds, its->n_fds * sizeof *fds);
        o->beside_bytes += mark->beside_bytes;
        STAILQ_INSERT_TAIL(&o->marks, mark, link);
        return 0;
}

int output_mark_values(struct output *o, size_t message_bytes, const int *fds, uint32_t n_fds,
                       uint64_t values_bytes)
{
        struct output_mark mark = {
                .end = o->sent + output_size(o), .beside_bytes = values_bytes, .n_fds = n_fds};

        if (n_fds == 0)
                return 0;
        assert(n_fds <= LIMIT_DESCRIPTORS);
        assert(message_bytes > 0 && message_bytes <= output_size(o));
        mark.at = mark.end - message_bytes;
        return output_add_mark(o, &mark, fds);
}

int output_mark(struct output *o, size_t message_bytes, const int *fds, uint32_t n_fds)
{
        return output_mark_values(o, message_bytes, fds, n_fds, 0);
}

int output_file(struct output *o, int fd, uint64_t size_bytes)
{
        uint64_t at = o->sent + output_size(o);
        const struct output_mark mark = {
                .at = at, .end = at, .beside_bytes = size_bytes, .is_file = true, .n_fds = 1};

        assert(size_bytes > 0);
        return output_add_mark(o, &mark, &fd);
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

/* One piece of the file's content. As output_flush(). */
static int output_send_file(struct output *o, struct output_mark *mark, int fd)
{
        char piece[PIECE_BYTES];
        ssize_t n = pread(mark->fds[0], piece, sizeof piece, (off_t)mark->file_sent), sent;

        if (n <= 0)
                return n < 0 ? -errno : -EIO;
        sent = send(fd, piece, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
                return 0;
        if (sent < 0)
                return errno == EAGAIN ? 1 : -errno;
        mark->file_sent += (uint64_t)sent;
        mark->beside_bytes -= (uint64_t)sent;
        o->beside_bytes -= (uint64_t)sent;
        if (mark->beside_bytes == 0)
                output_drop_mark(o);
        return sent < n;
}

int output_flush(struct output *o, int fd)
{
        while (output_waiting(o) > 0) {
                struct output_mark *mark = STAILQ_FIRST(&o->marks);
                if (mark != NULL && mark->is_file && mark->at == o->sent) {
                        int r = output_send_file(o, mark, fd);
                        if (r != 0)
                                return r;
                        continue;
                }
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
