/* SPDX-License-Identifier: MIT */
/*
 * Reads ahead only while somebody looks: then the message at hand keeps the old memory and the rest moves to
 * new memory, once per task at most. Descriptors are claimed in the order of messages, when a message is
 * taken, so looking ahead never disturbs them.
 */
#include "daemon/worker/inbox.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
        ROOM_BYTES = 64 << 10,     /* for a read */
        ROOM_MOST_BYTES = 4 << 20, /* for a read, when a large message is on its way */
        KEEP_BYTES = 256 << 10,    /* memory kept between messages */
};

void inbox_init(struct inbox *inbox, int fd)
{
        *inbox = (struct inbox){.fd = fd};
        scan_init(&inbox->scan, LIMIT_MESSAGE_BYTES);
}

void inbox_deinit(struct inbox *inbox)
{
        buffer_deinit(&inbox->bytes);
        buffer_deinit(&inbox->held);
        fd_queue_deinit(&inbox->arrived);
}

bool envelope_is(const struct envelope *envelope, const char *method)
{
        return envelope->method_size_bytes == strlen(method) &&
               memcmp(envelope->method, method, envelope->method_size_bytes) == 0;
}

static int inbox_receive(struct inbox *inbox)
{
        size_t room = ROOM_BYTES, n;
        int r;

        if (inbox->scan.owed_bytes > room)
                room = inbox->scan.owed_bytes < ROOM_MOST_BYTES ? (size_t)inbox->scan.owed_bytes
                                                                : ROOM_MOST_BYTES;
        r = buffer_reserve(&inbox->bytes, room);
        if (r < 0)
                return r;
        r = fds_receive(inbox->fd, &inbox->bytes, &inbox->stream_at, &inbox->arrived, &n, NULL);
        if (r == RECEIVE_TRUNCATED)
                return inbox->lost = -EMFILE;
        if (r == -ECONNRESET) /* a peer that closed with our bytes unread is no less gone */
                n = 0;
        else if (r < 0)
                return r;
        inbox->ended = n == 0;
        return 0;
}

/* Looks whether the message behind the found ones is whole; then it is a found one, and claims so many. */
static int inbox_find(struct inbox *inbox, bool *ret_found, uint32_t *ret_n_fds)
{
        size_t size_bytes = buffer_size(&inbox->bytes) - inbox->found_bytes;

        *ret_found = false;
        if (inbox->lost < 0)
                return inbox->lost;
        if (size_bytes == 0)
                return 0;
        switch (scan_feed(&inbox->scan, buffer_at(&inbox->bytes) + inbox->found_bytes, size_bytes)) {
        case SCAN_DONE:
                if (inbox->scan.n_descriptors > LIMIT_DESCRIPTORS)
                        return -EBADMSG;
                inbox->found_bytes += inbox->scan.at;
                inbox->found_fds += inbox->scan.n_descriptors;
                *ret_n_fds = inbox->scan.n_descriptors;
                scan_init(&inbox->scan, LIMIT_MESSAGE_BYTES);
                *ret_found = true;
                return 0;
        case SCAN_MORE:
                return 0;
        default:
                return -EBADMSG;
        }
}

/* Takes the first of the found messages, of so many bytes, which claims so many descriptors. */
static int inbox_take(struct inbox *inbox, size_t size_bytes, uint32_t n_fds, struct message *ret)
{
        uint64_t end = inbox->stream_at - (buffer_size(&inbox->bytes) - size_bytes);

        inbox->current_bytes = size_bytes;
        if (!fd_queue_take(&inbox->arrived, n_fds, ret->fds))
                return -EBADMSG;
        ret->n_fds = n_fds;
        inbox->found_fds -= n_fds;
        if (fd_queue_left_over(&inbox->arrived, end))
                return -EBADMSG;
        return envelope_parse(&ret->envelope, buffer_at(&inbox->bytes), size_bytes, NULL);
}

/* The same when it was found ahead of its turn: where it ends is to be found again. */
static int inbox_take_kept(struct inbox *inbox, struct message *ret)
{
        struct scan scan;

        scan_init(&scan, LIMIT_MESSAGE_BYTES);
        int r = scan_feed(&scan, buffer_at(&inbox->bytes), inbox->found_bytes);
        assert(r == SCAN_DONE);
        return inbox_take(inbox, scan.at, scan.n_descriptors, ret);
}

int inbox_next(struct inbox *inbox, struct message *ret)
{
        assert(inbox->current_bytes == 0 && inbox->held.data == NULL);
        while (inbox->found_bytes == 0) {
                uint32_t n_fds;
                bool found;
                int r = inbox_find(inbox, &found, &n_fds);
                if (r < 0)
                        return r;
                if (found)
                        return inbox_take(inbox, inbox->found_bytes, n_fds, ret);
                if (inbox->ended)
                        return INBOX_END;
                r = inbox_receive(inbox);
                if (r < 0)
                        return r;
        }
        return inbox_take_kept(inbox, ret);
}

void inbox_done(struct inbox *inbox, struct message *message)
{
        for (uint32_t i = 0; i < message->n_fds; i++)
                if (message->fds[i] >= 0)
                        close(message->fds[i]);
        message->n_fds = 0;
        if (inbox->held.data)
                buffer_deinit(&inbox->held);
        else {
                buffer_consume(&inbox->bytes, inbox->current_bytes);
                inbox->found_bytes -= inbox->current_bytes;
        }
        inbox->current_bytes = 0;
        buffer_trim(&inbox->bytes, KEEP_BYTES);
}

/* From now on the message at hand has memory of its own. */
static int inbox_hold(struct inbox *inbox)
{
        struct buffer rest = BUFFER_INIT;
        int r;

        if (inbox->current_bytes == 0)
                return 0;
        r = buffer_append(&rest, buffer_at(&inbox->bytes) + inbox->current_bytes,
                          buffer_size(&inbox->bytes) - inbox->current_bytes);
        if (r < 0)
                return r;
        inbox->held = inbox->bytes;
        inbox->bytes = rest;
        inbox->found_bytes -= inbox->current_bytes;
        inbox->current_bytes = 0;
        return 0;
}

int inbox_look(struct inbox *inbox, void (*on_message)(void *userdata, const struct envelope *),
               void *userdata)
{
        struct pollfd readable = {.fd = inbox->fd, .events = POLLIN};
        int r = inbox_hold(inbox);

        while (r == 0 && !inbox->ended) {
                size_t before = inbox->found_bytes;
                struct envelope envelope;
                uint32_t n_fds;
                bool found;

                r = inbox_find(inbox, &found, &n_fds);
                if (r < 0)
                        break;
                if (!found) {
                        if (poll(&readable, 1, 0) <= 0)
                                break;
                        r = inbox_receive(inbox);
                        continue;
                }
                r = envelope_parse(&envelope, buffer_at(&inbox->bytes) + before, inbox->found_bytes - before,
                                   NULL);
                if (r == 0)
                        on_message(userdata, &envelope);
        }
        return r;
}

void taken_reset(struct taken *taken)
{
        buffer_truncate(&taken->bytes, 0);
        while (taken->n_fds > 0)
                close(taken->fds[--taken->n_fds]);
}

/* Takes the descriptors of the found message that came last. */
static int inbox_claim(struct inbox *inbox, uint32_t n, struct taken *ret)
{
        if (!fd_queue_take_behind(&inbox->arrived, inbox->found_fds - n, n, ret->fds))
                return -EBADMSG;
        ret->n_fds = n;
        inbox->found_fds -= n;
        return 0;
}

/* Takes the found message that came last out, at the end of those that are kept, as if it had never been in
 * the stream: positions there are reckoned from the end. */
static void inbox_cut(struct inbox *inbox, size_t at, size_t size_bytes)
{
        struct buffer *bytes = &inbox->bytes;
        struct fd_queue *arrived = &inbox->arrived;
        uint64_t begin = inbox->stream_at - (buffer_size(bytes) - at);

        inbox->found_bytes -= size_bytes;
        if (at == 0) {
                buffer_consume(bytes, size_bytes);
                return;
        }
        memmove(buffer_at(bytes) + at, buffer_at(bytes) + at + size_bytes,
                buffer_size(bytes) - at - size_bytes);
        buffer_truncate(bytes, buffer_size(bytes) - size_bytes);
        inbox->stream_at -= size_bytes;
        for (uint32_t i = 0; i < arrived->n; i++)
                if (arrived->items[i].read_end > begin)
                        arrived->items[i].read_end -= size_bytes;
}

/* Deals with the message that was just found, from `at` on. INBOX_TAKE: it is in *ret. */
static int inbox_sort(struct inbox *inbox, size_t at, uint32_t n_fds,
                      enum inbox_fate (*on_message)(void *userdata, const struct envelope *), void *userdata,
                      struct taken *ret)
{
        const uint8_t *data = buffer_at(&inbox->bytes) + at;
        size_t size_bytes = inbox->found_bytes - at;
        struct envelope envelope;
        enum inbox_fate fate;
        int r = envelope_parse(&envelope, data, size_bytes, NULL);

        if (r < 0)
                return r;
        fate = on_message(userdata, &envelope);
        if (fate == INBOX_KEEP)
                return INBOX_KEEP;
        r = inbox_claim(inbox, n_fds, ret);
        if (r == 0 && fate == INBOX_TAKE)
                r = buffer_append(&ret->bytes, data, size_bytes);
        if (r < 0 || fate == INBOX_DROP)
                taken_reset(ret);
        inbox_cut(inbox, at, size_bytes);
        return r < 0 ? r : (int)fate;
}

int inbox_await(struct inbox *inbox, const sigset_t *mask,
                enum inbox_fate (*on_message)(void *userdata, const struct envelope *), void *userdata,
                struct taken *ret)
{
        struct pollfd readable = {.fd = inbox->fd, .events = POLLIN};
        int r = inbox_hold(inbox);

        while (r == 0) {
                size_t before = inbox->found_bytes;
                uint32_t n_fds;
                bool found;

                r = inbox_find(inbox, &found, &n_fds);
                if (r == 0 && found) {
                        r = inbox_sort(inbox, before, n_fds, on_message, userdata, ret);
                        if (r == INBOX_TAKE)
                                return 0;
                        r = r < 0 ? r : 0;
                } else if (r == 0 && inbox->ended) {
                        return INBOX_END;
                } else if (r == 0 && ppoll(&readable, 1, NULL, mask) < 0) {
                        return -errno;
                } else if (r == 0) {
                        r = inbox_receive(inbox);
                }
        }
        return r;
}
