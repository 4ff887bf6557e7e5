/* SPDX-License-Identifier: MIT */
/*
 * Who may use which pool. The peer's groups cost a system call and memory, so they are asked for only where a
 * pool goes by groups, and then once a connection: the kernel keeps those that the peer had when it
 * connected. Of a task's connection they are known from the start, or never.
 */
#include "daemon/permission.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/identity.h"
#include "daemon/rights.h"

int permission_prepare(const struct configuration *config, struct connection *connection)
{
        bool by_groups = false, is_open = true;
        struct rights *rights;
        int r = 0;

        for (uint32_t i = 0; i < config->n_pools; i++) {
                by_groups |= config->pools[i].allow_groups->n > 0;
                is_open &= config->pools[i].allow_groups->all;
        }
        if (connection->channel != NULL || connection->rights != NULL ||
            (connection->admin ? is_open : !by_groups))
                return 0;
        rights = calloc(1, sizeof *rights);
        if (rights == NULL)
                return -ENOMEM;
        rights->n_refs = 1;
        rights->all_pools = connection->admin;
        if (!rights->all_pools)
                r = identity_groups(connection->fd, connection->gid, &rights->groups, &rights->n_groups);
        if (r == 0)
                connection->rights = rights;
        else
                rights_unref(rights);
        return r;
}

bool permission_pool(const struct connection *connection, const struct pool_configuration *pool)
{
        const struct rights *rights = connection->rights;

        if (connection->admin || pool->allow_groups->all ||
            config_ids_has(pool->allow_users, connection->uid))
                return true;
        if (rights == NULL)
                return false;
        for (uint32_t i = 0; i < rights->n_groups; i++)
                if (config_ids_has(pool->allow_groups, rights->groups[i]))
                        return true;
        return rights->all_pools;
}
