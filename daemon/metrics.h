/* SPDX-License-Identifier: MIT */
/*
 * The daemon's figures in Prometheus' text format, version 0.0.4. They are those of `status`, and no user's.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include <stdio.h>

struct daemon;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Whoever writes looks at ferror(). */
void metrics_write(const struct daemon *, FILE *);

#endif
