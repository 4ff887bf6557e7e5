/* SPDX-License-Identifier: MIT */
/*
 * What the files about connections share: connections.c (the table: accept, find, expire, free), connection.c
 * (output, ends), connection_input.c (bytes to messages) and connection_task.c (those of tasks).
 */
#ifndef DAEMON_CONNECTION_PRIVATE_H
#define DAEMON_CONNECTION_PRIVATE_H

#include "daemon/connection.h"
#include "daemon/identity.h"

TAILQ_HEAD(connection_list, connection);

/* How long a user's requests have kept the loop in this turn. Users whose ids fall together share it. */
#define TURN_SHARES 256
struct turn_share {
        uint64_t turn; /* which it was */
        int64_t spent;
};

struct connections {
        struct daemon *daemon;
        const struct connection_callbacks *callbacks;
        void *userdata;
        struct identity_rules rules;
        struct connection_list open, graveyard;
        struct connection_list flush;  /* by flush_link: something may be to be sent, or to be closed */
        struct connection_list pinned; /* by pinned.link */
        struct connection **by_index;
        uint32_t n_indices, n, n_tasks; /* n_tasks: of the n, those of tasks */
        int64_t next_expiry;            /* no deadline lies before it; CORE_NEVER: none at all */
        uint64_t turn;                  /* the loop's, counted */
        struct turn_share shares[TURN_SHARES];
        struct buffer spare;        /* an input buffer for whoever needs one next */
        struct buffer spare_output; /* the same for what is to be sent */
};

/* A new one with the lowest free index, in the list of the open ones. 0 or -ENOMEM. */
int connection_new(struct connections *, struct connection **ret);
/* A deadline came to be. */
void connections_expect(struct connections *, int64_t deadline);
/* libevent's callbacks. */
void connection_on_readable(int fd, short events, void *arg);
void connection_on_writable(int fd, short events, void *arg);
/* Puts it on the list of those that connections_flush() looks at. */
void connection_flush_later(struct connection *);
/* Tells the core how much of its output is left; when that ends a block, what waits goes on. */
void connection_tell_output(struct connection *, uint64_t left);
/* What waits for the peer, sent or not: for its account. */
uint64_t connection_pending_bytes(struct connection *);
/* It is gone. */
void connection_forget_unread(struct connection *);
/* Looks again at those whose time has come; returns when the next one's comes. */
int64_t connections_look_unread(struct connections *, int64_t now);
/* Sets the events by what the connection is at. */
void connection_update_events(struct connection *);
/* Sending or receiving failed with this: closes it. */
void connection_lost(struct connection *, int error);
/* Ends it: notification `error`, what waits is sent, then it is closed. The core hears of its end now. */
void connection_end(struct connection *, const char *code, const char *message);
/* [2, "error", [{code, message}]]. */
void connection_pack_error(struct packer *, const char *code, const char *message);

#endif
