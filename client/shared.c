/* SPDX-License-Identifier: MIT */
/* Shared memory: asked for by name, mapped from the descriptor that comes with the answer. */
#include <errno.h>
#include <string.h>

#include "client/connection.h"
#include "proto/ganger_shared.h"
#include "proto/pack.h"

static int pack_shape(struct buffer *ret, const struct ganger_shared_options *options)
{
        const char *type = ganger_shared_type_name(options->type);
        struct packer packer;

        pack_begin(&packer, ret);
        pack_map(&packer, 3u + (type != NULL) + (options->length > 0) + (options->mode != 0));
        pack_str(&packer, "kind");
        pack_str(&packer, ganger_shared_kind_name(options->kind));
        pack_str(&packer, "create");
        pack_bool(&packer, options->create != 0);
        pack_str(&packer, "exclusive");
        pack_bool(&packer, options->exclusive != 0);
        if (type != NULL) {
                pack_str(&packer, "type");
                pack_str(&packer, type);
        }
        if (options->length > 0) {
                pack_str(&packer, "length");
                pack_uint(&packer, options->length);
        }
        if (options->mode != 0) {
                pack_str(&packer, "mode");
                pack_uint(&packer, options->mode);
        }
        return pack_end(&packer);
}

/* The daemon says how it is; the descriptor is looked at before it is believed. */
static int map_reply(struct ganger_shared *ret, const struct ganger_reply *reply)
{
        const char *kind_name, *type_name;
        uint64_t length;
        int fd, kind, type;

        if (ganger_read_key(reply, "kind", "s", &kind_name) < 0 || kind_name == NULL ||
            ganger_read_key(reply, "type", "s", &type_name) < 0 || type_name == NULL ||
            ganger_read_key(reply, "length", "u", &length) < 0 ||
            ganger_read_key(reply, "object", "h", &fd) < 0)
                return -EPROTO;
        kind = ganger_shared_kind_from_name(kind_name, strlen(kind_name));
        type = ganger_shared_type_from_name(type_name, strlen(type_name));
        if (kind < 0 || type < 0)
                return -EPROTO;
        return ganger_shared_map(ret, fd, (enum ganger_shared_kind)kind, (enum ganger_shared_type)type,
                                 length);
}

int ganger_shared_open(struct ganger *g, struct ganger_shared *ret, const char *name,
                       const struct ganger_shared_options *options)
{
        struct ganger_reply *reply = NULL;
        struct buffer shape = BUFFER_INIT;
        int r;

        memset(ret, 0, sizeof *ret);
        if (name == NULL || options->size_bytes != sizeof *options ||
            ganger_shared_kind_name(options->kind) == NULL ||
            (options->type != GANGER_SHARED_ANY && ganger_shared_type_name(options->type) == NULL))
                return -EINVAL;
        r = pack_shape(&shape, options);
        if (r == 0)
                r = ganger_request(g, &reply, "shared.open", "[sm]", name, buffer_at(&shape),
                                   buffer_size(&shape));
        buffer_deinit(&shape);
        if (r > 0) {
                connection_keep_error(g, reply);
                return r;
        }
        if (r == 0)
                r = map_reply(ret, reply);
        ganger_reply_free(reply);
        return r;
}
