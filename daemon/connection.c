/* SPDX-License-Identifier: MIT */
/*
 * A connection's output, its events and its ends. There are two ends: connection_end() for a peer that is
 * told why (the core hears of it at once, its bytes may still leave for a while, at its user's cost) and
 * connection_close(), after which only the memory is left, for the sweep.
 */
#include "daemon/connection.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/configuration.h"
#include "daemon/connection_private.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/pack.h"

#define SPARE_BYTES (256u << 10) /* of an output buffer that is kept for the next one */

void connection_flush_later(struct connection *c)
{
        if (c->flush_listed || c->closed)
                return;
        c->flush_listed = true;
        TAILQ_INSERT_TAIL(&c->owner->flush, c, flush_link);
}

void connection_message_begin(struct connection *c, struct packer *p)
{
        struct buffer *bytes = &connection_output(c)->bytes;

        if (bytes->data == NULL) {
                *bytes = c->owner->spare_output;
                c->owner->spare_output = BUFFER_INIT;
        }
        pack_begin(p, bytes);
}

/* Of a task it leaves with all else that its channel is given. */
static int end_message(struct connection *c, struct packer *p, const int *fds, uint32_t n_fds,
                       uint64_t values_bytes)
{
        int r;

        if (c->channel != NULL) {
                size_t size_bytes = output_size(&c->channel->output) - p->start;
                r = channel_message_end(c->channel, p, fds, n_fds);
                c->owed_bytes += r == 0 ? size_bytes : 0;
                return r;
        }
        r = pack_end(p);
        if (r == 0 && (c->closing || c->closed || c->broken)) {
                buffer_truncate(&c->output.bytes, p->start);
                return n_fds > 0 ? -EPIPE : 0;
        }
        if (r == 0)
                r = output_mark_values(&c->output, output_size(&c->output) - p->start, fds, n_fds,
                                       values_bytes);
        if (r < 0)
                buffer_truncate(&c->output.bytes, p->start);
        return r;
}

int connection_message_end(struct connection *c, struct packer *p)
{
        return connection_message_end_with(c, p, NULL, 0, 0);
}

static int tell_fds(struct connection *c, uint32_t n)
{
        int r = n == c->unsent_fds ? 0 : core_connection_descriptors(c->owner->daemon->core, c->index, n);
        if (r == 0)
                c->unsent_fds = n;
        return r;
}

int connection_admit_descriptor(struct connection *c)
{
        return tell_fds(c, c->unsent_fds + 1);
}

/* What grows by much within a turn is told at once, or all that is admitted in it would be by what there was
 * before. */
static void tell_much(struct connection *c)
{
        if (c->channel != NULL || !c->announced ||
            output_size(&c->output) < c->told_output + LIMIT_FREE_BYTES)
                return;
        c->told_output = output_size(&c->output);
        core_connection_output(c->owner->daemon->core, c->index, c->told_output);
}

void connection_break(struct connection *c)
{
        c->broken = true;
        connection_flush_later(c);
}

int connection_message_end_with(struct connection *c, struct packer *p, const int *fds, uint32_t n_fds,
                                uint64_t values_bytes)
{
        int r = end_message(c, p, fds, n_fds, values_bytes);

        for (uint32_t i = 0; r < 0 && i < n_fds; i++)
                closer_close(fds[i]);

        if (r == -ENOMEM)
                c->broken = true; /* not closed here: the core may be in the middle of something */
        if (c->broken || c->channel == NULL)
                connection_flush_later(c);
        tell_much(c);
        return r;
}

void connection_pack_error(struct packer *p, const char *code, const char *message)
{
        pack_notification(p, "error", 1);
        pack_map(p, 2);
        pack_str(p, "code");
        pack_str(p, code);
        pack_str(p, "message");
        pack_str(p, message);
}

/* Rpc is done with it, and so is the core but for what it costs. */
static void say_left(struct connection *c)
{
        if (!c->announced || c->has_left)
                return;
        c->has_left = true;
        c->owner->callbacks->on_leave(c->owner->userdata, c);
}

static void say_closed(struct connection *c)
{
        say_left(c);
        if (!c->announced)
                return;
        c->announced = false;
        c->owner->callbacks->on_close(c->owner->userdata, c);
}

void connection_end(struct connection *c, const char *code, const char *message)
{
        struct packer p;

        assert(!c->closing && !c->closed);
        connection_message_begin(c, &p);
        connection_pack_error(&p, code, message);
        connection_message_end(c, &p);
        c->closing = true;
        c->unread = false;
        c->message_since = 0;
        c->output_since = c->owner->daemon->now; /* however slowly it reads: that is all the time it has */
        connections_expect(c->owner, c->output_since + c->owner->daemon->config->message_timeout);
        connection_update_events(c);
        say_left(c);
        connection_flush_later(c);
        daemon_turn_again(c->owner->daemon);
}

void connection_protocol_error(struct connection *c, const char *message)
{
        static struct log_limit limit;

        if (c->channel != NULL) {
                c->breach = message;
                return;
        }
        if (c->closing || c->closed)
                return;
        log_limited(&limit, LOG_LEVEL_WARNING, &(struct log_fields){.uid = &c->uid},
                    "protocol error, closing the connection of pid %ld: %s", (long)c->pid, message);
        connection_end(c, error_name(ERROR_PROTOCOL_ERROR), message);
}

void connection_close(struct connection *c)
{
        struct connections *cs = c->owner;

        if (c->closed)
                return;
        c->closed = true;
        TAILQ_REMOVE(&cs->open, c, link);
        TAILQ_INSERT_TAIL(&cs->graveyard, c, link);
        if (c->flush_listed)
                TAILQ_REMOVE(&cs->flush, c, flush_link);
        c->flush_listed = false;
        connection_forget_unread(c);
        event_del(&c->read_event);
        event_del(&c->write_event);
        say_closed(c);
        fd_queue_deinit(&c->fds);
        output_deinit(&c->output);
        output_init(&c->output); /* whoever still packs into it finds an empty one */
        closer_close_socket(c->fd, c->uid);
        c->fd = -1;
        if (cs->daemon->listener != NULL)
                listener_wake(cs->daemon->listener);
        daemon_turn_again(cs->daemon);
}

/* False: it cannot be waited for. */
static bool set_event(struct event *event, bool wanted)
{
        bool pending = event_pending(event, EV_READ | EV_WRITE, NULL) != 0;

        if (wanted && !pending)
                return event_add(event, NULL) == 0;
        if (!wanted && pending)
                event_del(event);
        return true;
}

/* A half-closed peer's hang-up shows as an edge of the write event, which is edge-triggered from then on: as
 * a level, readable (end of file) and writable would both be true for ever. */
void connection_update_events(struct connection *c)
{
        bool blocked;

        if (c->closed)
                return;
        blocked = !c->closing && core_connection_blocked(c->owner->daemon->core, c->index);
        if (!set_event(&c->read_event, !c->closing && !c->half_closed && !c->unread && !blocked) ||
            !set_event(&c->write_event, c->half_closed || output_waiting(&c->output) > 0))
                connection_break(c); /* nothing of it would be noticed any more */
}

static bool hung_up(const struct connection *c)
{
        struct pollfd p = {.fd = c->fd};

        return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

void connection_on_writable(int fd, short events, void *arg)
{
        struct connection *c = arg;

        daemon_update_now(c->owner->daemon);
        if (c->half_closed && hung_up(c))
                connection_close(c);
        else
                connection_flush_later(c);
}

void connection_tell_output(struct connection *c, uint64_t left)
{
        struct daemon *daemon = c->owner->daemon;
        bool blocked = core_connection_blocked(daemon->core, c->index);

        if (c->channel == NULL || left == 0)
                tell_fds(c, output_fds(connection_output(c)));
        if (left != c->told_output) {
                c->told_output = left;
                core_connection_output(daemon->core, c->index, left);
        }
        if (blocked && !core_connection_blocked(daemon->core, c->index)) {
                if (c->message_since != 0) {
                        c->message_since = daemon->now;
                        connections_expect(c->owner, daemon->now + daemon->config->message_timeout);
                }
                daemon_turn_again(daemon);
        }
}

/* Notes since when its output stands still. */
static void note_progress(struct connection *c, bool moved, uint64_t left)
{
        struct daemon *daemon = c->owner->daemon;

        if (left == 0) {
                c->output_since = 0;
        } else if ((moved && !c->closing) || c->output_since == 0) {
                c->output_since = daemon->now;
                connections_expect(c->owner, daemon->now + (c->closing ? daemon->config->message_timeout
                                                                       : daemon->config->client_timeout));
        }
}

/* Nothing more can come of it: all is said, and all answers are out. */
static bool is_done(const struct connection *c)
{
        if (output_waiting(&c->output) > 0)
                return false;
        if (c->closing)
                return true;
        return c->half_closed && !c->unread &&
               core_connection_requests(c->owner->daemon->core, c->index) == 0;
}

/* A connection without output owns no buffer; the next one that answers need not have it grow anew. */
static void give_output_back(struct connection *c)
{
        struct buffer *bytes = &c->output.bytes;

        if (buffer_size(bytes) > 0)
                return;
        if (c->owner->spare_output.data == NULL && bytes->capacity_bytes <= SPARE_BYTES) {
                c->owner->spare_output = *bytes;
                *bytes = BUFFER_INIT;
        }
        buffer_trim(bytes, 0);
}

void connection_lost(struct connection *c, int error)
{
        static struct log_limit limit;

        if (error != EPIPE && error != ECONNRESET) /* that the peer is gone is no news */
                log_limited(&limit, LOG_LEVEL_ERROR, &(struct log_fields){.uid = &c->uid},
                            "closing the connection of pid %ld, which does not work any more: %s",
                            (long)c->pid, strerror(error));
        connection_close(c);
}

static void flush_one(struct connection *c)
{
        static struct log_limit limit;
        uint64_t before = output_waiting(&c->output), left;

        if (c->channel != NULL) {
                channel_fail(c->channel, "an answer to it cannot be kept", ENOMEM);
                return;
        }
        if (c->broken) {
                log_limited(&limit, LOG_LEVEL_ERROR, &(struct log_fields){.uid = &c->uid},
                            "closing the connection of pid %ld: no memory for an answer, or to wait for it",
                            (long)c->pid);
                connection_close(c);
                return;
        }
        int r = before > 0 ? output_flush(&c->output, c->fd) : 0;
        if (r < 0) {
                connection_lost(c, -r);
                return;
        }
        left = output_waiting(&c->output);
        note_progress(c, left < before, left);
        give_output_back(c);
        if (c->announced)
                connection_tell_output(c, connection_pending_bytes(c));
        if (is_done(c)) {
                connection_close(c);
                return;
        }
        connection_update_events(c);
        if (c->unread && !core_connection_blocked(c->owner->daemon->core, c->index))
                event_active(&c->read_event, EV_READ, 1);
}

void connections_flush(struct connections *cs)
{
        struct connection *c;

        while ((c = TAILQ_FIRST(&cs->flush)) != NULL) {
                TAILQ_REMOVE(&cs->flush, c, flush_link);
                c->flush_listed = false;
                flush_one(c);
        }
}
