/* SPDX-License-Identifier: MIT */
/*
 * Bytes in and out of a handle. hello is not waited for: it leaves with the first request, and what the
 * daemon says to it (its largest message) is taken note of when it comes. A daemon that speaks another
 * protocol, or no daemon at all, fails the connection like any other bad message.
 */
#include "client/connection.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fork.h"
#include "client/reconnect.h"
#include "client/reply.h"
#include "proto/reader.h"

#define NAME_BYTES       65          /* of a program, with the 0 byte */
#define READ_BYTES       (64u << 10) /* room for one read; what an idle buffer may keep */
#define READS_A_DISPATCH 16          /* then the program's other work has its turn */
#define SEND_PAUSE_MS    10

/* ---- life ---- */

static void connection_on_hello(void *userdata, int r, struct ganger_reply *reply)
{
        struct ganger *g = userdata;
        uint64_t protocol = 0, max_message = 0;

        g->hello_open = false;
        g->n_callbacks--; /* it is none of the program's */
        if (r < 0)
                return;
        if (r > 0 || ganger_read_key(reply, "protocol", "u", &protocol) < 0 || protocol != PROTOCOL_VERSION)
                connection_fail(g, -EPROTO);
        else if (ganger_read_key(reply, "max_message", "u", &max_message) == 0 && max_message > 0)
                g->max_message = max_message < UINT32_MAX ? max_message : UINT32_MAX;
        if (g->failed == 0)
                reconnect_on_hello(g);
        if (r > 0)
                connection_keep_error(g, reply);
        else
                ganger_reply_free(reply);
}

bool connection_is_hello(const struct request *request)
{
        return request->on_reply == connection_on_hello;
}

/* The program's name for people, as it may be said: anybody may have called it anything. */
static void own_name(char ret[NAME_BYTES])
{
        snprintf(ret, NAME_BYTES, "%s", program_invocation_short_name);
        if (utf8_valid((const uint8_t *)ret, strlen(ret)))
                return;
        for (char *at = ret; *at != '\0'; at++)
                if ((unsigned char)*at >= 0x80)
                        *at = '?';
}

int connection_hello(struct ganger *g)
{
        char name[NAME_BYTES];
        int r;

        own_name(name);
        r = ganger_start_request(g, NULL, "hello", NULL, connection_on_hello, g, "[{susssb}]", "protocol",
                                 (uint64_t)PROTOCOL_VERSION, "client", name, "descriptors", 1);
        if (r == 0)
                g->hello_open = true;
        return r;
}

int connection_new(int fd, struct ganger **ret)
{
        struct ganger *g = calloc(1, sizeof *g);
        int r;

        if (g == NULL) {
                close(fd);
                return -ENOMEM;
        }
        g->fd = fd;
        g->pid = getpid();
        g->generation = fork_generation();
        g->max_message = LIMIT_MESSAGE_BYTES;
        connection_begin_input(g);
        output_init(&g->output);
        request_table_init(&g->requests);
        r = connection_hello(g);
        if (r < 0) {
                ganger_close(g);
                return r;
        }
        *ret = g;
        return 0;
}

/* Takes the descriptor over. */
static int connection_new_at(int fd, const char *path, struct ganger **ret)
{
        int r = connection_new(fd, ret);

        if (r == 0)
                memcpy((*ret)->path, path, strlen(path) + 1); /* short enough, for it was connected to */
        return r;
}

int connection_open(struct ganger **ret, enum search_scope scope)
{
        char path[LIMIT_SOCKET_PATH_BYTES + 1];
        int fd, r;

        r = search_connect(scope, path, &fd);
        return r < 0 ? r : connection_new_at(fd, path, ret);
}

int ganger_open(struct ganger **ret, const char *path)
{
        int fd, r;

        *ret = NULL; /* so that whoever closes it in any case may */
        if (path == NULL)
                return connection_open(ret, SEARCH_USUAL);
        r = search_connect_path(path, &fd);
        return r < 0 ? r : connection_new_at(fd, path, ret);
}

/* Not a copy in a child that the program forked. */
static bool is_own(const struct ganger *g)
{
        return g->generation != 0 ? fork_is_same(g->generation) : g->pid == getpid();
}

void connection_called(struct ganger *g)
{
        if (is_own(g))
                return;
        request_table_forget(&g->requests);
        connection_fail(g, -ECHILD);
}

void connection_tell(struct ganger *g, struct request *request, int error)
{
        ganger_on_reply on_reply = request->on_reply;
        void *userdata = request->userdata;

        request_free(&g->requests, request);
        if (on_reply == NULL)
                return;
        g->n_callbacks++;
        on_reply(userdata, error, NULL);
        connection_called(g);
}

/* Tells every open request that there will be no answer. */
static void connection_tell_all(struct ganger *g, int error)
{
        struct request *request;

        while ((request = TAILQ_FIRST(&g->requests.open)) != NULL)
                connection_tell(g, request, error);
}

struct ganger *ganger_close(struct ganger *g)
{
        if (g == NULL)
                return NULL;
        if (g->calling)
                return g;
        if (g->lost == 0)
                g->lost = -ECANCELED;
        if (!is_own(g))
                request_table_forget(&g->requests);
        g->calling = true;
        connection_tell_all(g, -ECANCELED);
        reconnect_free(g->reconnect);
        request_table_deinit(&g->requests);
        sent_unref(g->answered);
        output_deinit(&g->output);
        fd_queue_deinit(&g->fds);
        buffer_deinit(&g->input);
        ganger_reply_free(g->error);
        if (g->fd >= 0)
                close(g->fd);
        free(g);
        return NULL;
}

int connection_check(const struct ganger *g)
{
        if (!is_own(g))
                return -ECHILD;
        return g->lost;
}

void connection_fail(struct ganger *g, int error)
{
        assert(error < 0);
        if (g->failed == 0)
                g->failed = error;
}

void connection_keep_error(struct ganger *g, struct ganger_reply *reply)
{
        ganger_reply_free(g->error);
        g->error = reply;
}

const struct ganger_reply *ganger_error(const struct ganger *g)
{
        return g->error;
}

/* ---- bytes ---- */

/* One read: 1 if there may be more, 0 if not for now. */
static int connection_read(struct ganger *g)
{
        size_t room_bytes, size_bytes;
        int r = buffer_reserve(&g->input, READ_BYTES);

        if (r < 0)
                return r;
        room_bytes = g->input.capacity_bytes - g->input.end;
        r = fds_receive(g->fd, &g->input, &g->stream_at, &g->fds, &size_bytes, NULL);
        if (r == -EAGAIN)
                return 0;
        if (r != 0)
                return r < 0 ? r : -EMFILE;
        if (size_bytes == 0)
                return -ECONNRESET;
        return size_bytes == room_bytes || g->send_error < 0;
}

static void connection_receive(struct ganger *g)
{
        for (int i = 0; i < READS_A_DISPATCH && g->failed == 0; i++) {
                int r = connection_read(g);

                if (r < 0)
                        connection_fail(g, r);
                else
                        connection_deliver(g);
                if (r == 0) {
                        if (g->send_error < 0)
                                connection_fail(g, g->send_error);
                        return;
                }
        }
}

int ganger_flush(struct ganger *g)
{
        int r = connection_check(g);

        if (r < 0 || g->send_error < 0)
                return r < 0 ? r : g->send_error;
        if (g->fd < 0)
                return g->requests.n > 0;
        r = output_flush(&g->output, g->fd);
        g->send_pause = r == -ETOOMANYREFS;
        if (g->send_pause)
                return 1; /* this user has too many descriptors on their way: some will arrive */
        if (r < 0)
                g->send_error = r;
        if (r == 0)
                buffer_trim(&g->output.bytes, READ_BYTES);
        return r;
}

int ganger_dispatch(struct ganger *g)
{
        int r = connection_check(g);

        if (r < 0)
                return r;
        if (g->calling)
                return -EBUSY;
        g->calling = true;
        g->n_callbacks = 0;
        reconnect_turn(g);
        if (g->fd >= 0) {
                ganger_flush(g);
                connection_receive(g);
        }
        if (g->failed < 0 && is_own(g) && !reconnect_begin(g)) {
                g->lost = g->failed;
                connection_tell_all(g, g->lost);
        } else {
                ganger_flush(g); /* what the callbacks started */
        }
        buffer_trim(&g->input, READ_BYTES);
        g->calling = false;
        r = connection_check(g);
        if (r < 0)
                return r;
        return g->n_callbacks < INT_MAX ? (int)g->n_callbacks : INT_MAX;
}

int ganger_fd(const struct ganger *g)
{
        return g->reconnect != NULL ? reconnect_fd(g) : g->fd;
}

int connection_events(const struct ganger *g)
{
        return output_size(&g->output) > 0 && !g->send_pause ? POLLIN | POLLOUT : POLLIN;
}

int ganger_events(const struct ganger *g)
{
        if (g->lost < 0)
                return 0;
        return g->reconnect != NULL ? reconnect_events(g) : connection_events(g);
}

int64_t ganger_timeout_ms(const struct ganger *g)
{
        int64_t timeout_ms = g->send_pause ? SEND_PAUSE_MS : -1;

        if (g->lost < 0)
                return -1;
        if (g->failed < 0 || g->send_error < 0)
                return 0;
        return reconnect_timeout_ms(g, timeout_ms);
}

size_t ganger_pending(const struct ganger *g)
{
        return g->requests.n - (g->hello_open ? 1 : 0);
}
