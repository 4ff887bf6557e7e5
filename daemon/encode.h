/* SPDX-License-Identifier: MIT */
/*
 * How tasks look on the wire: the task record, the failure record, the daemon's status. Each packs one whole
 * value; who sees what has been decided before.
 */
#ifndef DAEMON_ENCODE_H
#define DAEMON_ENCODE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/core.h"
#include "proto/errors.h"

struct connection;
struct daemon;
struct packer;

/* "succeeded", …; what only the core distinguishes is shown as what it is for others. */
const char *encode_state(enum task_state);
/* The name of what it runs, or NULL. */
const char *encode_function(const struct daemon *, const struct core_record *);
void encode_record(struct packer *, const struct daemon *, const struct core_record *);
void encode_failure(struct packer *, const struct daemon *, const struct core_record *);
/* One sentence: why the task came to its end. */
void encode_failure_message(const struct daemon *, const struct core_record *, char *ret, size_t size_bytes);
/* The failure record's code for it. */
const char *encode_cause(enum core_cause);
/* Replaces what is no UTF-8, since names come from anybody and may be cut. */
void encode_clean(char *text);
/* As this connection's user may see it. */
void encode_status(struct packer *, struct daemon *, const struct connection *);
/* {pools: [name…]}. */
void encode_pools(struct packer *, const struct daemon *);
/* {code, message}, and what, used, limit if there is a quota. */
void encode_error(struct packer *, enum error_code, const char *message, const struct core_quota *quota);

#endif
