/* SPDX-License-Identifier: MIT */
/* The fake daemon: the step-by-step half. */
#include "tests/unit/client/fake_daemon.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 5000

void fake_init(struct fake *f, int fd)
{
        *f = (struct fake){.fd = fd};
        scan_init(&f->scan, LIMIT_MESSAGE_BYTES);
}

void fake_open(struct fake *f, struct ganger **ret)
{
        int fds[2];
        int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);

        assert(r == 0);
        r = connection_new(fds[0], ret);
        assert(r == 0);
        fake_init(f, fds[1]);
}

static void fake_drop_fds(struct fake *f)
{
        while (f->n_message_fds > 0)
                close(f->message_fds[--f->n_message_fds]);
}

void fake_close(struct fake *f)
{
        fake_drop_fds(f);
        fd_queue_deinit(&f->fds);
        buffer_deinit(&f->input);
        if (f->fd >= 0)
                close(f->fd);
        f->fd = -1;
}

static bool fake_read(struct fake *f)
{
        struct pollfd poller = {.fd = f->fd, .events = POLLIN};
        size_t size_bytes = 0;

        if (buffer_reserve(&f->input, 1 << 16) < 0 || poll(&poller, 1, PATIENCE_MS) <= 0)
                return false;
        return fds_receive(f->fd, &f->input, &f->stream_at, &f->fds, &size_bytes, NULL) == 0 &&
               size_bytes > 0;
}

bool fake_take(struct fake *f, struct envelope *ret)
{
        int r = SCAN_MORE;

        fake_drop_fds(f);
        buffer_consume(&f->input, f->taken_bytes);
        f->taken_bytes = 0;
        for (;;) {
                if (buffer_size(&f->input) > 0)
                        r = scan_feed(&f->scan, buffer_at(&f->input), buffer_size(&f->input));
                if (r != SCAN_MORE)
                        break;
                if (!fake_read(f))
                        return false;
        }
        if (r != SCAN_DONE || f->scan.n_descriptors > LIMIT_DESCRIPTORS)
                return false;
        f->taken_bytes = f->scan.at;
        f->n_message_fds = f->scan.n_descriptors;
        if (!fd_queue_take(&f->fds, f->n_message_fds, f->message_fds)) {
                f->n_message_fds = 0;
                return false;
        }
        scan_init(&f->scan, LIMIT_MESSAGE_BYTES);
        if (fd_queue_left_over(&f->fds, f->stream_at - (buffer_size(&f->input) - f->taken_bytes)))
                return false;
        return envelope_parse(ret, buffer_at(&f->input), f->taken_bytes, NULL) == 0;
}

/* `w` has its descriptors. */
static void fake_pack_v(struct ganger_writer *w, struct buffer *buffer, const char *format, va_list list)
{
        int r;

        writer_begin(w, buffer);
        writer_format(w, format, list);
        r = writer_end(w);
        assert(r == 0);
}

void fake_pack(struct buffer *buffer, const char *format, ...)
{
        struct ganger_writer w;
        va_list list;

        va_start(list, format);
        fake_pack_v(&w, buffer, format, list);
        va_end(list);
        assert(w.n_fds == 0);
}

bool fake_send_bytes(struct fake *f, const void *data, size_t size_bytes)
{
        const char *at = data;

        while (size_bytes > 0) {
                struct pollfd poller = {.fd = f->fd, .events = POLLOUT};
                ssize_t n;

                if (poll(&poller, 1, PATIENCE_MS) <= 0)
                        return false;
                n = send(f->fd, at, size_bytes, MSG_NOSIGNAL);
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return false;
                at += n > 0 ? n : 0;
                size_bytes -= n > 0 ? (size_t)n : 0;
        }
        return true;
}

/* A short message, in one piece. */
static bool fake_send_with_fds(struct fake *f, struct buffer *message, struct ganger_writer *w)
{
        struct output output;
        bool sent;

        output_init(&output);
        sent = buffer_append(&output.bytes, buffer_at(message), buffer_size(message)) == 0 &&
               output_mark(&output, buffer_size(message), w->fds, w->n_fds) == 0 &&
               output_flush(&output, f->fd) == 0;
        output_deinit(&output);
        return sent;
}

bool fake_send(struct fake *f, const char *format, ...)
{
        struct buffer buffer = BUFFER_INIT;
        struct ganger_writer w;
        va_list list;
        bool sent;

        va_start(list, format);
        fake_pack_v(&w, &buffer, format, list);
        va_end(list);
        sent = w.n_fds > 0 ? fake_send_with_fds(f, &buffer, &w)
                           : fake_send_bytes(f, buffer_at(&buffer), buffer_size(&buffer));
        buffer_deinit(&buffer);
        return sent;
}
