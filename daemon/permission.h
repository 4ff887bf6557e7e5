/* SPDX-License-Identifier: MIT */
/*
 * Who may use which pool: whom allow_users or allow_groups names, and admins. The configuration in force is
 * asked each time, so that a new one holds for connections that are there already.
 */
#ifndef DAEMON_PERMISSION_H
#define DAEMON_PERMISSION_H

#include <stdbool.h>

struct configuration;
struct connection;
struct pool_configuration;

/* Learns what permission_pool() needs to know of the peer. 0 or -errno. */
int permission_prepare(const struct configuration *, struct connection *);
/* Whether the peer may use the pool; permission_prepare() has been called. */
bool permission_pool(const struct connection *, const struct pool_configuration *);

#endif
