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

#define READ_BYTES      (64u << 10)
#define READ_MOST_BYTES (1u << 20) /* of a value that is known to be long */

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
        struct channel *channel = userdata;
        daemon_update_now(channel->daemon);
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
        *channel = (struct channel){.callbacks = callbacks, .daemon = daemon, .flush = flush, .fd = -1};
        channel->fds.close_fd = closer_close;
        scan_init(&channel->scan, LIMIT_MESSAGE_BYTES);
        output_init(&channel->output);
        channel->output.close_fd = closer_close;
        if (event_assign(&channel->read_event, daemon->base, fd, EV_READ | EV_PERSIST, on_readable, channel) <
                    0 ||
            event_assign(&channel->write_event, daemon->base, fd, EV_WRITE, on_writable, channel) < 0)
                return -EINVAL;
        if (event_add(&channel->read_event, NULL) < 0)
                return -ENOMEM;
        channel->fd = fd;
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

static void stop_reading(struct channel *channel)
{
        channel->ended = true;
        event_del(&channel->read_event);
}

static void bad(struct channel *channel, const char *why)
{
        stop_reading(channel);
        channel->callbacks->on_bad(channel, why);
}

static void end(struct channel *channel)
{
        stop_reading(channel);
        channel->lost = true;
        event_del(&channel->write_event);
        channel->callbacks->on_end(channel);
}

/* One whole message of `size_bytes` at the input's beginning. */
static const char *take_message(struct channel *channel, size_t size_bytes)
{
        struct envelope envelope;
        const char *why;

        if (channel->scan.n_descriptors > 0 || channel->fds.n > 0)
                return "it sent a descriptor";
        if (envelope_parse(&envelope, buffer_at(&channel->input), size_bytes, &why) < 0)
                return why;
        /* cppcheck-suppress returnDanglingLifetime ; what comes back is a literal */
        return channel->callbacks->on_message(channel, &envelope);
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

/* Reads once. False: nothing came. */
static bool receive(struct channel *channel)
{
        struct ucred ucred = {0};
        uint64_t owed = channel->scan.owed_bytes;
        size_t n, room = owed < READ_BYTES        ? READ_BYTES
                         : owed > READ_MOST_BYTES ? READ_MOST_BYTES
                                                  : (size_t)owed;
        int r = buffer_reserve(&channel->input, room);

        if (r < 0) {
                bad(channel, "there is no memory for what it sends");
                return false;
        }
        r = fds_receive(channel->fd, &channel->input, &channel->stream_at, &channel->fds, &n, &ucred);
        if (r == -EAGAIN)
                return false;
        if (r == RECEIVE_TRUNCATED)
                bad(channel, "it sent descriptors");
        else if (r < 0 || n == 0)
                end(channel);
        if (channel->ended)
                return false;
        if (ucred.pid > 0)
                channel->sender = ucred.pid;
        return true;
}

void channel_read(struct channel *channel, bool all)
{
        do {
                bool rested = channel->rests;
                channel->rests = false;
                if (channel->ended || (!rested && !receive(channel)) || !take_messages(channel))
                        return;
        } while (all);
        if (channel->rests)
                flush_later(channel);
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
        bad(channel, "the kernel cannot send what it is to get");
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
                event_add(&channel->write_event, NULL);
        else if (r == 0)
                buffer_trim(&channel->output.bytes, READ_BYTES);
        else
                cannot_write(channel, -r);
        if (channel->callbacks->on_flushed)
                channel->callbacks->on_flushed(channel);
}

void channels_flush(struct channel_list *list)
{
        while (!TAILQ_EMPTY(list))
                channel_flush(TAILQ_FIRST(list));
}
