/* SPDX-License-Identifier: MIT */
/* What the core is told of the configuration, at the start and whenever a new one comes into force. */
#ifndef DAEMON_CONFIG_CORE_H
#define DAEMON_CONFIG_CORE_H

#include "daemon/core/core.h"

struct configuration;
struct pool_configuration;

/* All but first_id. */
struct core_config config_core(const struct configuration *);
struct core_pool_config config_core_pool(const struct configuration *, const struct pool_configuration *);
/* How many descriptors the closer may hold for a user. */
uint32_t config_closer(const struct configuration *);
/* Of a pool that is not in force. */
struct core_pool_config config_core_closed(const struct configuration *);

#endif
