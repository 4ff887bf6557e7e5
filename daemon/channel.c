/* SPDX-License-Identifier: MIT */
/* The channel to a zygote or a worker. The scan's place and the bytes' place move together: the input begins
 * with the first byte of the message that the scan is in. */
#include "daemon/channel.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/daemon.h"
#include "proto/pack.h"

#define READ_BYTES      RING_BYTES /* what is in a ring has room, too */
#define READ_MOST_BYTES (1u << 20) /* of a value that is known to be long */
#define CANNOT_RECEIVE  "what it sends cannot be received"
#define RECORDS_A_READ  64 /* announcements of a ring that are followed in one read */

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
        struct channel *channel = userdata;
        daemon_update_now(channel->daemon);
        if (channel->callbacks->on_woken)
                channel->callbacks->on_woken(channel);
        channel_read(channel, false);
}

static void on_writable(evutil_socket_t fd, short what, void *userdata)
{
        struct channel *channel = userdata;
        daemon_update_now(channel->daemon);
        channel_flush(channel);
}

int channel_init(struct channel *channel, struct daemon *daemon, int fd, struct channel_list *flush,
                 const struct channel_callbacks *callbacks)
{
        *channel = (struct channel){.callbacks = callbacks,
                                    .daemon = daemon,
                                    .flush = flush,
                                    .fd = -1,
                                    .ended = true,
                                    .lost = true};
        channel->fds.close_fd = closer_close;
        scan_init(&channel->scan, LIMIT_MESSAGE_BYTES);
        output_init(&channel->output);
        channel->output.close_fd = closer_close;
        if (event_assign(&channel->read_event, daemon->base, fd, EV_READ | EV_PERSIST, on_readable, channel) <
                    0 ||
            event_assign(&channel->write_event, daemon->base, fd, EV_WRITE, on_writable, channel) < 0)
                return -EINVAL;
        int r = daemon_event_add(&channel->read_event);
        if (r < 0)
                return r; /* and nothing is ever read from it */
        channel->fd = fd;
        channel->ended = channel->lost = false;
        return 0;
}

void channel_deinit(struct channel *channel)
{
        if (channel->flush_listed)
                TAILQ_REMOVE(channel->flush, channel, link);
        channel->flush_listed = false;
        if (channel->fd < 0)
                return;
        event_del(&channel->read_event);
        event_del(&channel->write_event);
        close(channel->fd);
        channel->fd = -1;
        channel->ended = channel->lost = true;
        buffer_deinit(&channel->input);
        fd_queue_deinit(&channel->fds);
        output_deinit(&channel->output);
}

void channel_stop(struct channel *channel)
{
        channel->ended = true;
        event_del(&channel->read_event);
}

static void bad(struct channel *channel, const char *why)
{
        channel_stop(channel);
        channel->callbacks->on_bad(channel, why);
}

void channel_fail(struct channel *channel, const char *why, int error)
{
        if (channel->ended)
                return;
        channel->error = error;
        bad(channel, why);
}

static void end(struct channel *channel)
{
        channel_stop(channel);
        channel->lost = true;
        event_del(&channel->write_event);
        channel->callbacks->on_end(channel);
}

/* Those that the message claims are at hand. */
static bool claim_descriptors(struct channel *channel, size_t size_bytes)
{
        uint32_t n = channel->scan.n_descriptors;
        uint64_t message_end = channel->stream_at - (buffer_size(&channel->input) - size_bytes);

        if (n == 0 && (channel->fds.n == 0 || channel->ring.ring))
                return true;
        if (!channel->takes_descriptors || n > LIMIT_DESCRIPTORS ||
            !fd_queue_take(&channel->fds, n, channel->message_fds))
                return false;
        channel->n_message_fds = n;
        /* With a ring the bytes of the socket are not all that come: where one ends is not known. */
        return channel->ring.ring || !fd_queue_left_over(&channel->fds, message_end);
}

static void close_claimed(struct channel *channel)
{
        while (channel->n_message_fds > 0) {
                int fd = channel->message_fds[--channel->n_message_fds];
                if (fd >= 0)
                        channel->fds.close_fd(fd);
        }
}

/* One whole message of `size_bytes` at the input's beginning. */
static const char *take_message(struct channel *channel, size_t size_bytes)
{
        struct envelope envelope;
        const char *why = "it sent a descriptor that belongs to no message";

        if (claim_descriptors(channel, size_bytes) &&
            envelope_parse(&envelope, buffer_at(&channel->input), size_bytes, &why) == 0)
                why = channel->callbacks->on_message(channel, &envelope);
        close_claimed(channel);
        /* cppcheck-suppress returnDanglingLifetime ; what comes back is a literal */
        return why;
}

static void flush_later(struct channel *channel)
{
        if (channel->flush_listed)
                return;
        channel->flush_listed = true;
        TAILQ_INSERT_TAIL(channel->flush, channel, link);
}

/* Takes all whole messages that are there, until it rests. False: the peer is bad, or gone through what a
 * message did. */
static bool take_messages(struct channel *channel)
{
        while (buffer_size(&channel->input) > 0 && !channel->rests) {
                int result =
                        scan_feed(&channel->scan, buffer_at(&channel->input), buffer_size(&channel->input));
                if (result == SCAN_MORE)
                        break;
                const char *why =
                        result == SCAN_DONE ? take_message(channel, channel->scan.at) : scan_message(result);
                if (why) {
                        bad(channel, why);
                        return false;
                }
                if (channel->ended)
                        return false;
                buffer_consume(&channel->input, channel->scan.at);
                scan_init(&channel->scan, LIMIT_MESSAGE_BYTES);
        }
        buffer_trim(&channel->input, READ_BYTES);
        return true;
}

static bool make_room(struct channel *channel)
{
        uint64_t owed = channel->scan.owed_bytes;
        size_t room = owed < READ_BYTES        ? READ_BYTES
                      : owed > READ_MOST_BYTES ? READ_MOST_BYTES
                                               : (size_t)owed;

        if (buffer_reserve(&channel->input, room) == 0)
                return true;
        channel_fail(channel, CANNOT_RECEIVE, ENOMEM);
        return false;
}

enum received { NOTHING, SOME, END };

/* Reads the socket once, at most so many bytes. */
static enum received receive(struct channel *channel, size_t most_bytes, size_t *ret)
{
        struct ucred ucred = {0};

        *ret = 0;
        if (!make_room(channel))
                return NOTHING;
        int r = fds_receive_most(channel->fd, &channel->input, most_bytes, &channel->stream_at, &channel->fds,
                                 ret, &ucred);
        if (r == -EAGAIN)
                return NOTHING;
        if (r == RECEIVE_TRUNCATED) {
                bad(channel, "it sent descriptors");
                return NOTHING;
        }
        if (r < 0 && r != -ECONNRESET) {
                channel_fail(channel, CANNOT_RECEIVE, -r);
                return NOTHING;
        }
        if (r < 0 || *ret == 0)
                return END;
        if (ucred.pid > 0)
                channel->sender = ucred.pid;
        return SOME;
}

/* One read of what the ring says that comes by the socket now. False: it has not all come. */
static bool receive_owed(struct channel *channel, bool *some)
{
        struct ring_reader *ring = &channel->ring;
        size_t n;

        if (ring->owed_bytes == 0)
                return true;
        if (receive(channel, ring->owed_bytes, &n) != SOME)
                return false;
        ring->owed_bytes -= (uint32_t)n;
        if (ring->owed_is_wake)
                buffer_truncate(&channel->input, buffer_size(&channel->input) - n);
        *some = true;
        return ring->owed_bytes == 0;
}

/* Takes what is in the ring and what that announces. False: nothing was there. */
static bool receive_ring(struct channel *channel)
{
        bool some = false;
        int r = 1;

        for (unsigned n = 0; r > 0 && n < RECORDS_A_READ && receive_owed(channel, &some); n++) {
                if (!make_room(channel))
                        return false;
                r = ring_take(&channel->ring, &channel->input);
                some = some || r > 0;
        }
        if (r < 0)
                bad(channel, "what stands in its ring makes no sense");
        return some && !channel->ended;
}

/* The ring was empty: what can be read from the socket is its end, or was announced just now. */
static bool receive_last(struct channel *channel)
{
        uint8_t byte;
        ssize_t n = recv(channel->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
        int error = n < 0 ? errno : 0;

        if (error == EAGAIN || error == EINTR)
                return false;
        if (receive_ring(channel))
                return true;
        if (error != 0 && error != ECONNRESET)
                channel_fail(channel, CANNOT_RECEIVE, error);
        else if (n <= 0 && !channel->ended)
                end(channel);
        else if (channel->ring.owed_bytes == 0 && !channel->ended)
                bad(channel, "it sends what its ring does not announce");
        return false;
}

static bool receive_some(struct channel *channel)
{
        size_t n;

        if (channel->ring.ring)
                return receive_ring(channel) || (!channel->ended && receive_last(channel));
        enum received received = receive(channel, SIZE_MAX, &n);
        if (received == END)
                end(channel);
        return received == SOME;
}

void channel_read(struct channel *channel, bool all)
{
        do {
                bool rested = channel->rests;
                channel->rests = false;
                if (channel->ended || (!rested && !receive_some(channel)) || !take_messages(channel))
                        return;
        } while (all);
        if (channel->rests)
                flush_later(channel);
}

bool channel_poll(struct channel *channel)
{
        if (channel->ended || channel->rests || !ring_has_more(&channel->ring))
                return false;
        if (receive_ring(channel) && take_messages(channel) && channel->rests)
                flush_later(channel);
        return true;
}

void channel_message_begin(struct channel *channel, struct packer *packer)
{
        pack_begin(packer, &channel->output.bytes);
}

int channel_message_end(struct channel *channel, struct packer *packer, const int *fds, uint32_t n_fds)
{
        size_t before = packer->start;
        int r = pack_end(packer);
        if (r < 0)
                return r;
        r = output_mark(&channel->output, output_size(&channel->output) - before, fds, n_fds);
        if (r < 0) {
                buffer_truncate(&channel->output.bytes, before);
                return r;
        }
        flush_later(channel);
        return 0;
}

/* Of one that is gone the end of file, or the death, comes by itself. One that lives, and to which the kernel
 * has no memory to send, would wait for ever for what it missed. */
static void cannot_write(struct channel *channel, int error)
{
        channel->lost = true;
        if (error == EPIPE || error == ECONNRESET || channel->ended)
                return;
        channel_fail(channel, "what it is to get cannot be sent", error);
        daemon_turn_again(channel->daemon);
}

void channel_flush(struct channel *channel)
{
        if (channel->flush_listed)
                TAILQ_REMOVE(channel->flush, channel, link);
        channel->flush_listed = false;
        if (channel->rests && !channel->ended)
                event_active(&channel->read_event, EV_READ, 0);
        if (channel->lost)
                return;
        int r = output_flush(&channel->output, channel->fd);
        if (r > 0)
                r = daemon_event_add(&channel->write_event) < 0 ? -ENOMEM : r;
        if (r == 0)
                buffer_trim(&channel->output.bytes, READ_BYTES);
        else if (r < 0)
                cannot_write(channel, -r);
        if (channel->callbacks->on_flushed)
                channel->callbacks->on_flushed(channel);
}

void channels_flush(struct channel_list *list)
{
        while (!TAILQ_EMPTY(list))
                channel_flush(TAILQ_FIRST(list));
}
