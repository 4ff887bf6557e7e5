/* SPDX-License-Identifier: MIT */
/* Reading is fds_receive() and the scanner, as in the library. */
#include "tests/fuzz/client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "proto/envelope.h"
#include "tests/fuzz/in_process.h"
#include "tests/fuzz/must.h"

#define READ_BYTES  65536
#define MEMFD_BYTES 100

void client_connect(struct client *c, struct daemon *daemon, uid_t uid)
{
        int pair[2];

        client_close(c);
        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        in_process_name_socket(pair[1], uid, getpid());
        c->fd = pair[1];
        c->is_shut = c->was_told_error = false;
        c->stream_at = 0;
        scan_init(&c->scan, LIMIT_MESSAGE_BYTES);
        MUST(connection_accept(daemon->connections, pair[0]) == 0);
}

static int descriptor_new(const struct client *c, enum client_descriptor kind)
{
        int pair[2], fd;

        switch (kind) {
        case CLIENT_SEALED_MEMFD:
        case CLIENT_MEMFD:
                fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                MUST(fd >= 0 && ftruncate(fd, MEMFD_BYTES) == 0);
                if (kind == CLIENT_SEALED_MEMFD)
                        MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
                return fd;
        case CLIENT_PIPE:
        case CLIENT_SOCKET:
                MUST((kind == CLIENT_PIPE ? pipe2(pair, O_CLOEXEC)
                                          : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) == 0);
                close(pair[1]);
                return pair[0];
        case CLIENT_EVENTFD:
                return eventfd(0, EFD_CLOEXEC);
        case CLIENT_DIRECTORY:
                return open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
        case CLIENT_NULL:
                return open("/dev/null", O_RDWR | O_CLOEXEC);
        case CLIENT_ITSELF:
                return fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
        case N_CLIENT_DESCRIPTORS:
                break;
        }
        MUST(!"a kind of descriptor");
        return -1;
}

bool client_send(struct client *c, const void *data, size_t size_bytes, const uint8_t *kinds, uint32_t n_fds)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(LIMIT_RECV_DESCRIPTORS * sizeof(int))];
        } control = {0};
        struct iovec iov = {(void *)(uintptr_t)data, size_bytes};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        int fds[LIMIT_RECV_DESCRIPTORS];
        ssize_t n;

        if (c->fd < 0 || c->is_shut || size_bytes == 0)
                return false;
        MUST(n_fds <= LIMIT_RECV_DESCRIPTORS);
        for (uint32_t i = 0; i < n_fds; i++) {
                fds[i] = descriptor_new(c, kinds[i] % N_CLIENT_DESCRIPTORS);
                MUST(fds[i] >= 0);
        }
        if (n_fds > 0) {
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
        }
        n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        for (uint32_t i = 0; i < n_fds; i++)
                close(fds[i]);
        return n == (ssize_t)size_bytes;
}

static void hear(struct client *c, const struct envelope *e)
{
        MUST(e->type != ENVELOPE_REQUEST);
        if (e->type == ENVELOPE_RESPONSE && c->on_response != NULL)
                c->on_response(c->userdata, e->msgid);
        if (e->type == ENVELOPE_NOTIFICATION && e->method_size_bytes == 5 &&
            memcmp(e->method, "error", 5) == 0)
                c->was_told_error = true;
}

static void hear_all(struct client *c)
{
        int fds[LIMIT_RECV_DESCRIPTORS];
        struct envelope e;

        while (buffer_size(&c->input) > 0) {
                int r = scan_feed(&c->scan, buffer_at(&c->input), buffer_size(&c->input));
                if (r == SCAN_MORE)
                        return;
                MUST(r == SCAN_DONE);
                MUST(envelope_parse(&e, buffer_at(&c->input), c->scan.at, NULL) == 0);
                MUST(c->scan.n_descriptors <= LIMIT_DESCRIPTORS);
                MUST(fd_queue_take(&c->fds, c->scan.n_descriptors, fds));
                for (uint32_t i = 0; i < c->scan.n_descriptors; i++)
                        close(fds[i]);
                hear(c, &e);
                buffer_consume(&c->input, c->scan.at);
                scan_init(&c->scan, LIMIT_MESSAGE_BYTES);
        }
}

void client_read(struct client *c)
{
        size_t n;

        while (c->fd >= 0) {
                int r;
                MUST(buffer_reserve(&c->input, READ_BYTES) == 0);
                r = fds_receive(c->fd, &c->input, &c->stream_at, &c->fds, &n, NULL);
                if (r == -EAGAIN)
                        return;
                MUST(r <= 0);
                if (r < 0 || n == 0)
                        client_close(c);
                else
                        hear_all(c);
        }
}

void client_close(struct client *c)
{
        if (c->fd < 0)
                return;
        close(c->fd);
        c->fd = -1;
        buffer_deinit(&c->input);
        fd_queue_deinit(&c->fds);
}
