/* SPDX-License-Identifier: MIT */
/*
 * The daemon's figures in Prometheus' text format, version 0.0.4. They are those of `status`, and no user's.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include <stddef.h>

struct daemon;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The whole text (free it). 0 or -ENOMEM. */
int metrics_text(const struct daemon *, char **ret, size_t *ret_bytes);

#endif
