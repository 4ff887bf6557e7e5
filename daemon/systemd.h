/* SPDX-License-Identifier: MIT */
/*
 * What gangerd says to systemd and takes from it. Without systemd all of it does nothing.
 *
 * Nothing here blocks: what systemd does not take at the moment is said as soon as it does, in its latest
 * form. So the loop calls systemd_turn() at the end of each of its turns.
 */
#ifndef DAEMON_SYSTEMD_H
#define DAEMON_SYSTEMD_H

#include <stdint.h>

#include "proto/limits.h"

enum systemd_result {
        SYSTEMD_SEVERAL = 1,  /* more sockets of one kind were passed than there may be */
        SYSTEMD_NO_SOCKET,    /* what was passed is no listening stream socket, or of clients no Unix one */
        SYSTEMD_UNKNOWN_NAME, /* of the socket */
};

/* What systemd passed (CLOEXEC), told apart by FileDescriptorName=. */
struct systemd_sockets {
        int main_fd; /* for clients; -1: none */
        int metrics_fds[LIMIT_METRICS_SOCKETS];
        unsigned n_metrics;
        const char *name; /* of the last one that was looked at: the one that does not fit */
};

/* 0, > 0, -errno. The environment forgets them, so that no child takes them for its own. */
int systemd_listen_fds(struct systemd_sockets *ret);
/* Nobody will accept on what systemd passed: those who are connected by now see that they were turned away.
 * Otherwise they would wait, and systemd would start us for them again and again. */
void systemd_turn_away(void);
/* Notes where systemd listens to us, and its watchdog, and takes that out of the environment. */
void systemd_begin(void);
void systemd_ready(void);
/* systemd_ready() must follow. */
void systemd_reloading(void);
void systemd_stopping(void);
/* Starting or stopping may take so much longer from now on (ns). */
void systemd_extend(int64_t duration);
/* One line for `systemctl status`. */
void systemd_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The loop has made a full turn: that is what the watchdog is told, and nothing else is. Returns when the
 * next turn must be (INT64_MAX: whenever). */
int64_t systemd_turn(int64_t now);

/* One message for the journal, field by field ("NAME=value"); 0 or -errno. Blocks while the journal does not
 * take it: for the log's thread. */
struct iovec;
int systemd_journal(const struct iovec *fields, int n_fields);

#endif
