/* SPDX-License-Identifier: MIT */
/*
 * A client's connection: its socket, the message that is coming in, the output that waits. Owned by the
 * connection table; a closed connection goes to the graveyard list and is freed at the loop's end, so a
 * pointer stays good within one turn. An idle connection owns no buffer. It knows nothing of methods: whole,
 * checked messages go up through the callbacks, bytes come down into `output`.
 *
 * A task that asks for something has a connection, too, from its first request to its end
 * (connection_task.c): no socket, but the channel of its worker, which reads for it and takes its output.
 *
 * One function computes the event mask: reading unless blocked (core_connection_blocked) or half-closed,
 * writing only with output waiting.
 */
#ifndef DAEMON_CONNECTION_H
#define DAEMON_CONNECTION_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/channel.h"
#include "daemon/core/core.h"
#include "proto/descriptors.h"
#include "proto/scan.h"

struct connections;
struct daemon;
struct rights;

/* What a peer that takes descriptors has not read yet pins memory as output that waits does: it is charged
 * until the socket holds nothing unread; connection_unread.c. */
struct pinned {
        uint64_t bytes; /* in memfds, given to it since all that was sent had been read */
        int64_t look_at, pause;
        bool listed;
        TAILQ_ENTRY(connection) link; /* connections.pinned */
};

struct connection {
        struct connections *owner;
        uint32_t index;          /* the core's number for it */
        int fd;                  /* -1: closed, or a task's */
        struct channel *channel; /* of the worker that runs the task; NULL: a client's */
        uint64_t task;           /* which; 0: a client's */
        const char *breach;      /* a task's: how it broke the protocol; its worker pays for that */
        uid_t uid;
        gid_t gid;
        pid_t pid; /* for logs only */
        bool admin;
        struct rights *rights;  /* what he may use beside that, once permission.c has asked; NULL */
        bool takes_descriptors; /* its hello said so */
        bool said_hello;
        bool announced;    /* on_open took it; on_close is owed */
        bool has_left;     /* on_leave was called */
        bool half_closed;  /* its writing side is shut: answered, then closed */
        bool closing;      /* its output is sent, then it is closed; nothing is read any more */
        bool broken;       /* an answer was lost for want of memory: closed at the loop's end */
        bool closed;       /* in the graveyard */
        bool flush_listed; /* in connections.flush */
        bool unread;       /* whole messages may wait in `input` */
        bool skipping;     /* the message that comes in is not kept: its user has no room for it */
        bool skip_answer;  /* … and it is the request skip_msgid */
        uint32_t skip_msgid;
        struct core_quota skip_quota; /* what there was no room in */
        struct event read_event, write_event;
        struct buffer input;
        struct scan scan;
        uint64_t stream_at; /* bytes received in all */
        struct fd_queue fds;
        struct output output;                /* a client's */
        struct pinned pinned;                /* values in memfds that it was sent */
        uint32_t unsent_fds;                 /* of answers to it, as the core was told */
        uint64_t owed_bytes;                 /* a task's: at most so much of its channel's output is for it */
        uint64_t charged_input, told_output; /* what the core was last told */
        int64_t message_since;               /* when the unfinished message's first byte came; 0: none */
        int64_t output_since;                /* when output last moved while some waited; 0: none waits */
        TAILQ_ENTRY(connection) link;        /* connections.open, or .graveyard */
        TAILQ_ENTRY(connection) flush_link;  /* connections.flush */
};

/* Upward news. `data` is one whole message that the scanner passed, `fds` the descriptors that it claims (the
 * handler owns them). */
struct connection_callbacks {
        /* To be told to the core (core_connection_open). < 0, > 0: refused; what was packed for it is sent,
         * then it is closed, without on_close. */
        int (*on_open)(void *userdata, struct connection *);
        /* True: it cost no more than a message of its size may, which need not be measured. */
        bool (*on_message)(void *userdata, struct connection *, const uint8_t *data, size_t size_bytes,
                           int *fds, uint32_t n_fds);
        /* A message that is not kept, for core_refused_quota() says there is no room, and that is no request:
         * `head` is what came of it. */
        void (*on_skipped)(void *userdata, struct connection *, const uint8_t *head, size_t size_bytes);
        /* To be told to the core (core_connection_leave), before on_close and maybe long before: what waits
         * in it may still be sent. connection_by_index() does not find it any more. */
        void (*on_leave)(void *userdata, struct connection *);
        /* The same (core_connection_close). */
        void (*on_close)(void *userdata, struct connection *);
        /* The same of a task's, after the core has said so. */
        void (*on_over)(void *userdata, struct connection *);
};

int connections_new(struct daemon *, const struct connection_callbacks *, void *userdata,
                    struct connections **ret);
/* A new configuration is in force: deadlines, and who is an admin, of those that connect from now on. */
void connections_configure(struct connections *);
struct connections *connections_free(struct connections *);
/* Takes over an accepted socket. Identity (SO_PEERCRED, SO_PEERGROUPS) is read here. */
int connection_accept(struct connections *, int fd);
/* NULL if there is none (any more). */
struct connection *connection_by_index(struct connections *, uint32_t index);
/* Clients' ones. */
uint32_t connections_count(const struct connections *);
/* Whether output waits at any of them. */
bool connections_have_output(const struct connections *);

/* Where a message for the peer is packed: begin, pack into the packer, end. Nothing is sent before the loop's
 * end. On -ENOMEM the connection is closed (it would miss an answer). */
struct packer;
void connection_message_begin(struct connection *, struct packer *);
int connection_message_end(struct connection *, struct packer *);
/* Whether one more descriptor may be on its way to the peer: 0, or CORE_QUOTA. */
int connection_admit_descriptor(struct connection *);
/* The same as connection_message_end(), with descriptors that ride with it, the output's from here on; those
 * that are values in memfds have so many bytes in all, which wait as the message does. */
int connection_message_end_with(struct connection *, struct packer *, const int *fds, uint32_t n_fds,
                                uint64_t values_bytes);
/* The answer cannot be given whole: the connection is closed at the loop's end, for it would miss it. */
void connection_break(struct connection *);

/* Where it is packed. */
static inline struct output *connection_output(struct connection *c)
{
        return c->channel ? &c->channel->output : &c->output;
}

/* Ends the connection because its peer broke the protocol: notification `error`, one log line, close; of a
 * task's only the breach is noted. May be called from within on_message. */
void connection_protocol_error(struct connection *, const char *message);
/* Closes it now. */
void connection_close(struct connection *);

/* -- a task's -- */

/* Opens the connection of the task that the worker runs; whoever opens it knows its rights. CORE_NOT_OPEN: it
 * runs none. */
int connection_open_task(struct connections *, struct channel *, uint32_t worker, pid_t pid,
                         struct connection **ret);
/* The core says that the task has ended. */
void connection_task_over(struct connection *);
/* Its channel was flushed: the core is told how much is left. */
void connection_task_flushed(struct connection *);

/* The loop's end: sends what waits, tells the core how much is left, sets events, closes what is done. */
void connections_flush(struct connections *);
/* The loop's very end: frees the graveyard. */
void connections_sweep(struct connections *);
/* All is quiet: frees the buffers that are kept for whoever needs one next. */
void connections_trim(struct connections *);
/* Closes those whose unfinished message is older than message_timeout, or that took no byte for
 * client_timeout; returns when it wants to be called again (CORE_NEVER). */
int64_t connections_expire(struct connections *, int64_t now);

#endif
