/* SPDX-License-Identifier: MIT */
#include "proto/shared_open.h"

#include <errno.h>
#include <string.h>

int shared_options_import(struct ganger_shared_options *ret, const struct ganger_shared_options *options)
{
        const unsigned char *bytes = (const unsigned char *)options;
        size_t size_bytes = options->size_bytes;

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

/* The answer's type and length; 0 or -EPROTO. */
static int read_answer(struct reader answer, int *ret_type, uint64_t *ret_length)
{
        const char *key, *type;
        size_t key_size_bytes, size_bytes;
        uint32_t n;
        int r = reader_map(&answer, &n);

        *ret_type = -EPROTO;
        *ret_length = 0;
        for (; r == 0 && n > 0; n--) {
                r = reader_str(&answer, &key, &key_size_bytes);
                if (r == 0 && ganger_shared_is_("type", key, key_size_bytes)) {
                        r = reader_str(&answer, &type, &size_bytes);
                        if (r == 0)
                                *ret_type = ganger_shared_type_from_name(type, size_bytes);
                } else if (r == 0 && ganger_shared_is_("length", key, key_size_bytes)) {
                        r = reader_uint(&answer, ret_length);
                } else if (r == 0) {
                        r = reader_skip(&answer, NULL, NULL, NULL);
                }
        }
        return r < 0 || *ret_type < 0 ? -EPROTO : 0;
}

int shared_answer_map(struct ganger_shared *ret, const struct ganger_shared_options *options,
                      struct reader answer, int fd)
{
        uint64_t length;
        int type, r = read_answer(answer, &type, &length);

        if (r < 0)
                return r;
        r = ganger_shared_map(ret, fd, options->kind, (enum ganger_shared_type)type, length);
        return r == -EINVAL ? -EPROTO : r;
}
