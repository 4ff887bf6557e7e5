/* SPDX-License-Identifier: MIT */
/* What requests about shared objects are answered with, when it is there. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/backend_private.h"
#include "daemon/connection.h"
#include "daemon/core/core_shared.h"
#include "daemon/daemon.h"
#include "daemon/identity.h"
#include "daemon/rights.h"
#include "daemon/rpc_private.h"

static void pack_payload(struct packer *packer, const struct daemon *daemon, payload_t payload)
{
        size_t size_bytes;
        const uint8_t *data = backend_payload(daemon, payload, &size_bytes);
        pack_raw(packer, data, size_bytes);
}

static void pack_hold(struct packer *packer, const struct core_shared_answer *answer)
{
        pack_map(packer, 2);
        pack_str(packer, "token");
        pack_uint(packer, answer->token);
        pack_str(packer, "abandoned");
        pack_bool(packer, answer->abandoned);
}

static void pack_items(struct packer *packer, const struct daemon *daemon,
                       const struct core_shared_answer *answer)
{
        pack_array(packer, answer->count);
        for (const struct core_item *item = answer->items; item; item = item->next) {
                pack_array(packer, 2);
                if (answer->flag)
                        pack_uint(packer, item->token);
                else
                        pack_nil(packer);
                pack_payload(packer, daemon, item->payload);
        }
}

static size_t count_changes(const struct core_changes *changes, bool deleted)
{
        const struct core_entry *entry = changes->first;
        size_t n = 0;
        for (; entry != changes->end; entry = core_entry_next(entry))
                n += deleted == (entry->value == PAYLOAD_NONE);
        return n;
}

/* Those that are there with their values, those that are not without. */
static void pack_entries(struct packer *packer, const struct daemon *daemon,
                         const struct core_changes *changes, bool deleted)
{
        const struct core_entry *entry = changes->first;

        pack_str(packer, deleted ? "deleted" : "changed");
        pack_array(packer, count_changes(changes, deleted));
        for (; entry != changes->end; entry = core_entry_next(entry)) {
                if (deleted != (entry->value == PAYLOAD_NONE))
                        continue;
                pack_array(packer, deleted ? 2 : 3);
                pack_str(packer, entry->key);
                if (!deleted)
                        pack_payload(packer, daemon, entry->value);
                pack_uint(packer, entry->version);
        }
}

static void pack_changes(struct packer *packer, const struct daemon *daemon,
                         const struct core_changes *changes)
{
        pack_map(packer, 4);
        pack_str(packer, "version");
        pack_uint(packer, changes->version);
        pack_entries(packer, daemon, changes, false);
        pack_entries(packer, daemon, changes, true);
        pack_str(packer, "complete");
        pack_bool(packer, changes->complete);
}

void backend_answer_shared(void *ctx, struct core_request request, const struct core_shared_answer *answer)
{
        struct daemon *daemon = ctx;
        struct connection *connection = connection_by_index(daemon->connections, request.connection);
        struct packer packer;

        if (!connection)
                return;
        connection_message_begin(connection, &packer);
        pack_response(&packer, request.msgid);
        switch (answer->kind) {
        case ANSWER_NIL:
                pack_nil(&packer);
                break;
        case ANSWER_FLAG:
                pack_bool(&packer, answer->flag);
                break;
        case ANSWER_COUNT:
                pack_uint(&packer, answer->count);
                break;
        case ANSWER_HOLD:
                pack_hold(&packer, answer);
                break;
        case ANSWER_ITEMS:
                pack_items(&packer, daemon, answer);
                break;
        case ANSWER_CHANGES:
                pack_changes(&packer, daemon, &answer->changes);
                break;
        }
        if (answer->kind == ANSWER_ITEMS)
                rpc_end_answer(daemon, connection, &packer, request.msgid);
        else
                rpc_end_view(daemon, connection, &packer, request.msgid);
}

static bool has_group(const gid_t *groups, uint32_t n, gid_t gid)
{
        for (uint32_t i = 0; i < n; i++)
                if (groups[i] == gid)
                        return true;
        return false;
}

/* A task's groups are those that came with its arguments. */
bool backend_in_group(void *ctx, uint32_t connection, gid_t gid)
{
        struct daemon *daemon = ctx;
        const struct connection *c = connection_by_index(daemon->connections, connection);
        gid_t *groups = NULL;
        uint32_t n;

        if (!c)
                return false;
        if (c->rights)
                return has_group(c->rights->groups, c->rights->n_groups, gid);
        if (c->channel || identity_groups(c->fd, c->gid, &groups, &n) < 0)
                return false;
        bool has = has_group(groups, n, gid);
        free(groups);
        return has;
}
