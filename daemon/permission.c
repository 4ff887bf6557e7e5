/* SPDX-License-Identifier: MIT */
/*
 * Who may use which pool. The peer's groups cost a system call and memory, so they are asked for only where a
 * pool goes by groups, and then once a connection: the kernel keeps those that the peer had when it
 * connected.
 */
#include "daemon/permission.h"

#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/identity.h"

int permission_prepare(const struct configuration *config, struct connection *connection)
{
        bool by_groups = false;

        for (uint32_t i = 0; i < config->n_pools; i++)
                by_groups |= config->pools[i].allow_groups->n > 0;
        if (!by_groups || connection->admin || connection->channel != NULL || connection->groups != NULL)
                return 0;
        return identity_groups(connection->fd, connection->gid, &connection->groups, &connection->n_groups);
}

bool permission_pool(const struct connection *connection, const struct pool_configuration *pool)
{
        if (connection->admin || pool->allow_groups->all ||
            config_ids_has(pool->allow_users, connection->uid))
                return true;
        for (uint32_t i = 0; i < connection->n_groups; i++)
                if (config_ids_has(pool->allow_groups, connection->groups[i]))
                        return true;
        return false;
}
