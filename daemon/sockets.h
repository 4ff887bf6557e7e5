/* SPDX-License-Identifier: MIT */
/*
 * Which sockets gangerd listens on: those that systemd passed, else those that the command line and the
 * configuration name.
 */
#ifndef DAEMON_SOCKETS_H
#define DAEMON_SOCKETS_H

#include <stdbool.h>

#define SOCKETS_WHY_BYTES 256

struct configuration;
struct daemon;
struct systemd_sockets;

/* Makes the daemon's listener, and its metrics_http if anybody is to read there. 0, an enum socket_result
 * (logged), -errno. */
int sockets_new(struct daemon *, const char *option);
/* What was passed, and the path of the socket for clients (free it), usual or chosen. The same results;
 * SOCKET_IMPOSSIBLE: `why` says so, nothing is logged. */
int sockets_find(const char *option, const struct configuration *, struct systemd_sockets *ret_passed,
                 bool *ret_usual, char **ret_path, char why[SOCKETS_WHY_BYTES]);

#endif
