/* SPDX-License-Identifier: MIT */
/*
 * A connection's input: bytes become whole messages. Before anything more is read, all whole messages are
 * gone up, or reading rests; so what is held is one unfinished message and what came in one read, and the
 * descriptors that wait are those of one unfinished message.
 *
 * What is held of an unfinished message is charged to its user. Without room for it the message is passed
 * over as it comes, and its request answered with quota_exceeded (if it is one); a small one is always taken,
 * or a user at his bound could not even ask for the results that fill it.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>

#include "daemon/closer.h"
#include "daemon/configuration.h"
#include "daemon/connection_private.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "proto/errors.h"
#include "proto/pack.h"
#include "proto/reader.h"

#define READ_BYTES      (16u << 10)
#define READ_MOST_BYTES (256u << 10)
#define READS_A_TURN    16
#define MESSAGES_A_TURN 256
#define SHARE_OF_A_TURN (CORE_SECOND / 200) /* of one user, over all of his connections */
#define BRIEF_BYTES     1024
#define BRIEF_AT_ONCE   8

static void charge(struct connection *c, uint64_t held_bytes)
{
        if (held_bytes == c->charged_input)
                return;
        if (core_connection_input(c->owner->daemon->core, c->index, held_bytes) == 0)
                c->charged_input = held_bytes;
}

/* The message was used up (or passed over) to its end. */
static void message_done(struct connection *c)
{
        buffer_consume(&c->input, c->scan.at);
        scan_init(&c->scan, c->owner->daemon->config->max_message_bytes);
        c->message_since = 0;
        c->skipping = c->skip_answer = false;
}

static void close_all(const int *fds, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++)
                closer_close(fds[i]);
}

/* The descriptors that the message at the input's beginning claims; -EBADMSG: the rule is broken, said so. */
static int claim(struct connection *c, int *fds)
{
        uint32_t n = c->scan.n_descriptors;
        uint64_t end = c->stream_at - buffer_size(&c->input) + c->scan.at;
        const char *why;

        if (n > LIMIT_DESCRIPTORS)
                why = "more than 16 descriptors in a message";
        else if (n > 0 && !c->takes_descriptors)
                why = "descriptors on a connection whose hello did not say so";
        else if (!fd_queue_take(&c->fds, n, fds))
                why = "fewer descriptors came than the message claims";
        else if (!fd_queue_left_over(&c->fds, end))
                return 0;
        else {
                why = "more descriptors came than the message claims";
                close_all(fds, n);
        }
        connection_protocol_error(c, why);
        return -EBADMSG;
}

/* A request whose head has arrived: [0, msgid, … */
static bool request_head(const struct connection *c, uint32_t *ret_msgid)
{
        struct reader r = reader_over(buffer_at(&c->input), c->scan.at);
        uint64_t type, msgid;
        uint32_t n;

        if (reader_array(&r, &n) < 0 || n != 4 || reader_uint(&r, &type) < 0 || type != 0 ||
            reader_uint(&r, &msgid) < 0 || msgid > UINT32_MAX)
                return false;
        *ret_msgid = (uint32_t)msgid;
        return true;
}

static void answer_quota(struct connection *c)
{
        const struct core_quota quota = c->skip_quota;
        struct packer p;

        connection_message_begin(c, &p);
        pack_error_response(&p, c->skip_msgid);
        pack_map(&p, 5);
        pack_str(&p, "code");
        pack_str(&p, error_name(ERROR_QUOTA_EXCEEDED));
        pack_str(&p, "message");
        pack_str(&p,
                 "there is no room for this request: unfinished input, arguments, results and unread output "
                 "fill the user's memory");
        pack_str(&p, "what");
        pack_str(&p, quota.what != NULL ? quota.what : "user_memory");
        pack_str(&p, "used");
        pack_uint(&p, quota.used);
        pack_str(&p, "limit");
        pack_uint(&p, quota.limit);
        pack_nil(&p);
        connection_message_end(c, &p);
}

static void skipped(struct connection *c, int *fds)
{
        close_all(fds, c->scan.n_descriptors);
        if (c->skip_answer)
                answer_quota(c);
        message_done(c);
}

/* A whole message lies at the input's beginning. True: it took next to no time. */
static bool deliver(struct connection *c)
{
        const struct connections *cs = c->owner;
        bool is_brief = c->scan.at <= BRIEF_BYTES;
        int fds[LIMIT_DESCRIPTORS];

        if (claim(c, fds) < 0)
                return false;
        if (c->skipping) {
                skipped(c, fds);
                return false;
        }
        charge(c, 0);
        is_brief &= cs->callbacks->on_message(cs->userdata, c, buffer_at(&c->input), c->scan.at, fds,
                                              c->scan.n_descriptors);
        if (!c->closed)
                message_done(c);
        return is_brief;
}

static bool may_go_on(const struct connection *c)
{
        const struct daemon *daemon = c->owner->daemon;

        return !c->closing && !c->closed && !core_connection_blocked(daemon->core, c->index) &&
               output_waiting(&c->output) <= daemon->config->output_limit_bytes;
}

/* What there is of an unfinished message is charged; without room the rest is passed over. */
static void hold(struct connection *c)
{
        struct daemon *daemon = c->owner->daemon;
        size_t held = buffer_size(&c->input);

        if (held > 0 && c->message_since == 0) {
                c->message_since = daemon->now;
                connections_expect(c->owner, daemon->now + daemon->config->message_timeout);
        }
        if (c->fds.n > LIMIT_DESCRIPTORS) {
                connection_protocol_error(c, "more than 16 descriptors in a message");
                return;
        }
        if (!c->skipping) {
                charge(c, held);
                c->skipping = held > c->charged_input && held > LIMIT_FREE_BYTES;
                if (c->skipping) {
                        c->skip_quota = core_refused_quota(daemon->core);
                        c->skip_answer = request_head(c, &c->skip_msgid);
                        if (!c->skip_answer)
                                c->owner->callbacks->on_skipped(c->owner->userdata, c, buffer_at(&c->input),
                                                                c->scan.at);
                }
        }
        if (c->skipping) {
                buffer_consume(&c->input, c->scan.at);
                scan_forget(&c->scan);
                charge(c, 0);
        }
}

static struct turn_share *share_of(const struct connection *c)
{
        struct turn_share *share = &c->owner->shares[c->uid % TURN_SHARES];

        if (share->turn != c->owner->turn)
                *share = (struct turn_share){.turn = c->owner->turn};
        return share;
}

/* Then others are served first: what a request costs has no other bound, and he may ask by many connections.
 */
static bool has_had_its_share(const struct connection *c)
{
        return share_of(c)->spent >= SHARE_OF_A_TURN;
}

static void go_on_next_turn(struct connection *c)
{
        connection_flush_later(c); /* it goes on from there */
        c->unread = true;
}

/* What has passed since the clock was last read was spent on this user. */
static void spend(const struct connection *c)
{
        struct daemon *daemon = c->owner->daemon;
        int64_t before = daemon->now;

        daemon_update_now(daemon);
        share_of(c)->spent += daemon->now - before;
}

/* Whole messages go up, until one is not whole or it is enough for this turn. To read the clock costs as much
 * as a good part of a brief message: it is read for some of them together; how many are left over at the end
 * is in *ret_n_brief. */
static void process_messages(struct connection *c, unsigned *ret_n_brief)
{
        for (unsigned n = 0; may_go_on(c); n++) {
                int r = SCAN_MORE;

                if (n == MESSAGES_A_TURN || has_had_its_share(c)) {
                        go_on_next_turn(c);
                        return;
                }
                if (buffer_size(&c->input) > 0)
                        r = scan_feed(&c->scan, buffer_at(&c->input), buffer_size(&c->input));
                if (r == SCAN_MORE) {
                        c->unread = false;
                        hold(c);
                        return;
                }
                if (r != SCAN_DONE) {
                        connection_protocol_error(c, scan_message(r));
                        return;
                }
                if (deliver(c) && ++*ret_n_brief < BRIEF_AT_ONCE)
                        continue;
                spend(c);
                *ret_n_brief = 0;
        }
        c->unread = !c->closing && !c->closed && buffer_size(&c->input) > 0;
        if (!c->closed)
                connection_flush_later(c);
}

static void process(struct connection *c)
{
        unsigned n_brief = 0;

        process_messages(c, &n_brief);
        if (n_brief > 0) /* many connections with a few each are no way around his share */
                spend(c);
}

/* An idle connection keeps no buffer, and one that held a large message gives its memory back. */
static void give_buffer_back(struct connection *c)
{
        struct connections *cs = c->owner;
        struct buffer small = BUFFER_INIT;

        if (c->input.capacity_bytes <= READ_MOST_BYTES && buffer_size(&c->input) > 0)
                return;
        if (buffer_size(&c->input) > 0) {
                if (buffer_size(&c->input) > c->input.capacity_bytes / 4 ||
                    buffer_append(&small, buffer_at(&c->input), buffer_size(&c->input)) < 0)
                        return;
                buffer_deinit(&c->input);
                c->input = small;
                return;
        }
        if (cs->spare.data == NULL && c->input.capacity_bytes <= READ_MOST_BYTES)
                cs->spare = c->input;
        else
                buffer_deinit(&c->input);
        c->input = BUFFER_INIT;
}

static int take_buffer(struct connection *c)
{
        struct connections *cs = c->owner;
        uint64_t room = c->scan.owed_bytes;

        if (c->input.data == NULL) {
                c->input = cs->spare;
                cs->spare = BUFFER_INIT;
        }
        if (room < READ_BYTES)
                room = READ_BYTES;
        return buffer_reserve(&c->input, room < READ_MOST_BYTES ? room : READ_MOST_BYTES);
}

static void end_over_limit(struct connection *c)
{
        connection_end(c, error_name(ERROR_QUOTA_EXCEEDED),
                       "more descriptors than the user may have (user_descriptors), those that are being "
                       "closed included");
}

/* The descriptors that came just now are their sender's until they are closed. */
static int adopt(struct connection *c, uint32_t n_before)
{
        int r = 0;

        for (uint32_t i = n_before; i < c->fds.n; i++) {
                int adopted = closer_adopt(c->fds.items[i].fd, c->uid);
                if (adopted != 0)
                        r = adopted;
        }
        if (r == CLOSER_LIMIT)
                end_over_limit(c);
        else if (r != 0)
                connection_close(c);
        return r;
}

static void half_close(struct connection *c)
{
        c->half_closed = true;
        c->message_since = 0;
        charge(c, 0);
        event_del(&c->read_event);
        event_del(&c->write_event);
        event_assign(&c->write_event, c->owner->daemon->base, c->fd, EV_WRITE | EV_PERSIST | EV_ET,
                     connection_on_writable, c);
        buffer_deinit(&c->input); /* at most the beginning of a message that will never be whole */
        connection_flush_later(c);
}

/* Its place in a message is lost, and with it the connection; what was read makes room to say so. */
static void out_of_memory(struct connection *c)
{
        static struct log_limit limit;

        log_limited(&limit, LOG_LEVEL_ERROR, &(struct log_fields){.uid = &c->uid},
                    "closing the connection of pid %ld: no memory for its input", (long)c->pid);
        buffer_deinit(&c->input);
        connection_end(c, error_name(ERROR_OUT_OF_MEMORY), "there is no memory for what comes in here");
}

/* One read. False: there is no more at the moment, or no more to be read. */
static bool read_once(struct connection *c)
{
        uint32_t n_before = c->fds.n;
        size_t n = 0, room;
        int r;

        if (closer_is_over(c->uid)) { /* even what is received to be closed would be more */
                end_over_limit(c);
                return false;
        }
        r = take_buffer(c);
        room = c->input.capacity_bytes - c->input.end;
        if (r == 0)
                r = fds_receive(c->fd, &c->input, &c->stream_at, &c->fds, &n, NULL);
        if (r == -EAGAIN)
                return false;
        if (r == RECEIVE_TRUNCATED) {
                connection_protocol_error(c, "more descriptors than can be taken");
                return false;
        }
        if (r < 0) {
                if (r == -ENOMEM)
                        out_of_memory(c);
                else
                        connection_lost(c, -r);
                return false;
        }
        if (n == 0) {
                half_close(c);
                return false;
        }
        if (c->fds.n > n_before && adopt(c, n_before) != 0)
                return false;
        process(c);
        /* A read that ended with descriptors may have ended before the bytes did. */
        return (n == room || c->fds.n > n_before) && may_go_on(c) && !c->unread;
}

void connection_on_readable(int fd, short events, void *arg)
{
        struct connection *c = arg;

        daemon_update_now(c->owner->daemon);
        if (c->closing || c->closed)
                return;
        if (has_had_its_share(c)) {
                go_on_next_turn(c);
        } else if (c->unread) {
                process(c);
        } else {
                for (unsigned n = 0; n < READS_A_TURN && read_once(c); n++)
                        continue;
        }
        if (c->closed)
                return;
        if (!c->half_closed)
                give_buffer_back(c);
        connection_update_events(c);
}
