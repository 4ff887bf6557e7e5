/* SPDX-License-Identifier: MIT */
/*
 * The daemon's figures over HTTP, for Prometheus: GET /metrics, nothing else. Owned by struct daemon. Who
 * reads there is no client: he is bounded by LIMIT_METRICS_… of his own, gets one answer a connection, and
 * whatever he does, he is cut off after LIMIT_METRICS_SECONDS.
 */
#ifndef DAEMON_METRICS_HTTP_H
#define DAEMON_METRICS_HTTP_H

struct daemon;
struct metrics_http;
struct socket_file;

/* 0 or -ENOMEM. There is one in a process. */
int metrics_http_new(struct daemon *, struct metrics_http **ret);
struct metrics_http *metrics_http_free(struct metrics_http *);
/* Takes a listening socket that does not block; of a file, if there is one, it is the file's. At most
 * LIMIT_METRICS_SOCKETS. 0 or -errno; the socket is taken either way. */
int metrics_http_listen(struct metrics_http *, int fd, struct socket_file *);
/* Before this nobody is let in. Takes NULL. */
void metrics_http_start(struct metrics_http *);
/* At the end of each turn: makes room for the next where a reader is gone. Takes NULL. */
void metrics_http_sweep(struct metrics_http *);

#endif
