/* SPDX-License-Identifier: MIT */
/*
 * A channel: gangerd's end of a socketpair to a zygote or a worker, and the MessagePack-RPC on it. Embedded
 * in its owner. Whole messages go up through the callbacks, messages for the peer are packed into `output`
 * and leave at the loop's end (channels_flush). The peer's bytes are untrusted: what is no message, what is
 * too large and what carries a descriptor is news by on_bad, after which nothing more is read.
 *
 * A callback may doom its peer but never deinit the channel: that waits for the owner's graveyard.
 */
#ifndef DAEMON_CHANNEL_H
#define DAEMON_CHANNEL_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proto/descriptors.h"
#include "proto/envelope.h"
#include "proto/ring.h"
#include "proto/scan.h"

struct channel;
struct packer;

struct channel_callbacks {
        /* NULL: fine; else why the peer is bad (then nothing more is read). */
        const char *(*on_message)(struct channel *, const struct envelope *);
        void (*on_bad)(struct channel *, const char *why);
        void (*on_end)(struct channel *);     /* end of file, or the connection is lost */
        void (*on_flushed)(struct channel *); /* less output waits, perhaps none; may be NULL */
        void (*on_woken)(struct channel *);   /* something came by the socket; may be NULL */
};

TAILQ_HEAD(channel_list, channel);

struct channel {
        const struct channel_callbacks *callbacks;
        struct daemon *daemon;
        struct channel_list *flush; /* where it is listed while output waits */
        int fd;                     /* -1: closed */
        bool ended;                 /* nothing more is read: end of file, or bad */
        bool lost;                  /* nothing more is written either */
        int error; /* > 0: what on_bad tells is no fault of the peer's, but this; on_message may say so */
        bool flush_listed;
        bool rests;   /* enough for this turn: what has come is dealt with in the next one; on_message may say
                         so */
        pid_t sender; /* of the last bytes, by SCM_CREDENTIALS; 0: not known */
        struct event read_event, write_event;
        struct ring_reader ring; /* once the peer said that it uses one */
        struct buffer input;
        struct scan scan;
        uint64_t stream_at; /* bytes received in all */
        struct fd_queue fds;
        bool takes_descriptors;             /* false: who sends one is bad */
        int message_fds[LIMIT_DESCRIPTORS]; /* of the message at hand; who takes one puts -1 in its place */
        uint32_t n_message_fds;
        struct output output;
        TAILQ_ENTRY(channel) link; /* *flush */
};

struct daemon;
/* Takes the non-blocking socket over on success. */
int channel_init(struct channel *, struct daemon *, int fd, struct channel_list *flush,
                 const struct channel_callbacks *);
/* Nothing more is read, nor is anything news. */
void channel_stop(struct channel *);
/* It cannot go on, by no fault of the peer's: nothing more is read, and on_bad tells why. */
void channel_fail(struct channel *, const char *why, int error);
/* Closes it; may be called again. */
void channel_deinit(struct channel *);
/* Reads: once, or until nothing is left (`all`). Never blocks. */
void channel_read(struct channel *, bool all);
/* Reads what is in the ring, without looking at the socket. False: nothing was there. */
bool channel_poll(struct channel *);
/* A message for the peer: begin, pack, end with the descriptors that ride with it (the channel's on success).
 */
void channel_message_begin(struct channel *, struct packer *);
int channel_message_end(struct channel *, struct packer *, const int *fds, uint32_t n_fds);
/* Sends what can be sent now and waits for the rest. */
void channel_flush(struct channel *);
void channels_flush(struct channel_list *);

#endif
