/* SPDX-License-Identifier: MIT */
#include "proto/shared_open.h"

#include <errno.h>
#include <string.h>

int shared_options_import(struct ganger_shared_options *ret, const struct ganger_shared_options *options)
{
        const unsigned char *bytes = (const unsigned char *)options;
        size_t size_bytes = options != NULL ? options->size_bytes : 0;

        *ret = (struct ganger_shared_options)GANGER_SHARED_OPTIONS_INIT;
        if (size_bytes < offsetof(struct ganger_shared_options, mode) + sizeof options->mode)
                return -EINVAL;
        for (size_t i = sizeof *ret; i < size_bytes; i++)
                if (bytes[i] != 0)
                        return -E2BIG;
        memcpy(ret, options, size_bytes < sizeof *ret ? size_bytes : sizeof *ret);
        ret->size_bytes = sizeof *ret;
        if (ganger_shared_kind_name(ret->kind) == NULL ||
            (ret->type != GANGER_SHARED_ANY && ganger_shared_type_name(ret->type) == NULL))
                return -EINVAL;
        return 0;
}

void shared_options_pack(struct packer *p, const struct ganger_shared_options *options)
{
        bool has_type = options->type != GANGER_SHARED_ANY;

        pack_map(p, 3 + has_type + (options->length > 0) + (options->mode > 0));
        pack_str(p, "kind");
        pack_str(p, ganger_shared_kind_name(options->kind));
        pack_str(p, "create");
        pack_bool(p, options->create != 0);
        pack_str(p, "exclusive");
        pack_bool(p, options->exclusive != 0);
        if (has_type) {
                pack_str(p, "type");
                pack_str(p, ganger_shared_type_name(options->type));
        }
        if (options->length > 0) {
                pack_str(p, "length");
                pack_uint(p, options->length);
        }
        if (options->mode > 0) {
                pack_str(p, "mode");
                pack_uint(p, options->mode);
        }
}

/* What stands in the answer; < 0 and 0: nothing does. */
struct answer {
        int kind, type;
        uint64_t length;
};

static int read_pair(struct reader *reader, struct answer *ret)
{
        const char *key, *name;
        size_t key_size_bytes, size_bytes;
        int r = reader_str(reader, &key, &key_size_bytes);

        if (r < 0)
                return r;
        bool is_kind = ganger_shared_is_("kind", key, key_size_bytes);
        if (ganger_shared_is_("length", key, key_size_bytes))
                return reader_uint(reader, &ret->length);
        if (!is_kind && !ganger_shared_is_("type", key, key_size_bytes))
                return reader_skip(reader, NULL, NULL, NULL);
        r = reader_str(reader, &name, &size_bytes);
        if (r < 0)
                return r;
        if (is_kind)
                ret->kind = ganger_shared_kind_from_name(name, size_bytes);
        else
                ret->type = ganger_shared_type_from_name(name, size_bytes);
        return 0;
}

/* 0; or -EPROTO: it is not what was asked for. */
static int read_answer(struct reader reader, const struct ganger_shared_options *options, struct answer *ret)
{
        uint32_t n;
        int r = reader_map(&reader, &n);

        *ret = (struct answer){.kind = -1, .type = -1};
        for (; r == 0 && n > 0; n--)
                r = read_pair(&reader, ret);
        if (r < 0 || ret->kind != (int)options->kind || ret->type < 0 ||
            (options->type != GANGER_SHARED_ANY && ret->type != (int)options->type) ||
            (options->length > 0 && ret->length != options->length))
                return -EPROTO;
        return 0;
}

int shared_answer_map(struct ganger_shared *ret, const struct ganger_shared_options *options,
                      struct reader reader, int fd)
{
        struct answer answer;
        int r = read_answer(reader, options, &answer);

        if (r < 0)
                return r;
        r = ganger_shared_map(ret, fd, options->kind, (enum ganger_shared_type)answer.type, answer.length);
        return r == -EINVAL ? -EPROTO : r;
}
