/* SPDX-License-Identifier: MIT */
/*
 * The handle: one socket, what comes in, what goes out, the requests that are open. Owned by the program that
 * opened it and used by one thread at a time. What comes from the daemon is told from ganger_dispatch()
 * alone, which cannot be entered twice; so a reply may be borrowed from the input for the time of a callback.
 * Every open request is told exactly once: its answer, or that the connection is lost.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/request.h"
#include "client/search.h"
#include "proto/descriptors.h"
#include "proto/scan.h"

struct ganger {
        int fd;              /* -1: there is none for the moment */
        pid_t pid;           /* the process that may use it */
        uint64_t generation; /* the same, as fork.h has it */
        int lost;            /* -errno once the connection is lost */
        int failed;          /* -errno: to be lost as soon as the callback or the reading at hand is over */
        int send_error;  /* -errno: nothing can be sent any more; what the peer still said is read first */
        bool calling;    /* the program's callbacks may be running: to be neither entered nor closed */
        bool hello_open; /* the daemon has not answered hello yet */
        bool send_pause; /* the kernel takes no descriptors for the moment: to be tried again by time */
        size_t max_message;
        size_t n_callbacks; /* of the dispatch at hand */
        struct buffer input;
        struct scan scan;
        uint64_t stream_at; /* bytes received in all */
        struct fd_queue fds;
        struct output output;
        struct request_table requests;
        struct sent *answered;                  /* what the last answer was about; NULL: nothing large */
        struct ganger_reply *error;             /* what ganger_error() gives */
        char path[LIMIT_SOCKET_PATH_BYTES + 1]; /* "": it was not connected by one */
        struct reconnect *reconnect;            /* NULL: a lost connection stays lost */
};

/* A handle over a connected, non-blocking socket, which it owns, also on failure; says hello. */
int connection_new(int fd, struct ganger **ret);
/* ganger_open() for the daemon that the scope names. */
int connection_open(struct ganger **ret, enum search_scope);
/* Says hello over a new socket. */
int connection_hello(struct ganger *);
/* Whether the request is the handle's own hello. */
bool connection_is_hello(const struct request *);
/* Takes the request out and tells whoever waits for it. */
void connection_tell(struct ganger *, struct request *, int error);
/* To be called after each callback: one that has forked and returned in the child ends all that the handle is
 * at there. What else there is to be read and to be told is the parent's. */
void connection_called(struct ganger *);
/* What to poll the socket for. */
int connection_events(const struct ganger *);
/* The input begins anew, and is empty. */
void connection_begin_input(struct ganger *);
/* Handles every whole message of the input. */
void connection_deliver(struct ganger *);
/* Whether the handle can be used here and now: 0, -ECHILD, or the reason why it was lost. */
int connection_check(const struct ganger *);
/* The peer, or the machine, has failed: everybody is told within the dispatch at hand, or in the next. */
void connection_fail(struct ganger *, int error);
/* Keeps the record for ganger_error(), instead of the last one; takes it over, NULL is fine. */
void connection_keep_error(struct ganger *, struct ganger_reply *);

#endif
