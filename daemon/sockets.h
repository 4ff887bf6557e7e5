/* SPDX-License-Identifier: MIT */
/*
 * Which sockets gangerd listens on: those that systemd passed, else those that the command line and the
 * configuration name. What cannot be has been logged.
 */
#ifndef DAEMON_SOCKETS_H
#define DAEMON_SOCKETS_H

#include <stdbool.h>

struct configuration;
struct daemon;
struct systemd_sockets;

/* Makes the daemon's listener, and its metrics_http if anybody is to read there. 0, an enum socket_result,
 * -errno. */
int sockets_new(struct daemon *, const char *option);
/* What was passed, and the path of the socket for clients (free it), usual or chosen. The same results. */
int sockets_find(const char *option, const struct configuration *, struct systemd_sockets *ret_passed,
                 bool *ret_usual, char **ret_path);

#endif
