/* SPDX-License-Identifier: MIT */
/* Of a reply: its descriptors, and the values that lie beside it, mapped while it lives. */
#include "client/reply_beside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/sent.h"
#include "proto/descriptors.h"
#include "proto/pack.h"
#include "proto/sealed.h"

struct reply_map {
        struct reply_map *next;
        const uint8_t *at; /* of the ext value */
        const void *address;
        size_t size_bytes;
};

struct reply_fds {
        uint32_t n;
        int fds[];
};

int reply_take_fds(struct ganger_reply *reply, const int *fds, uint32_t n)
{
        if (n == 0)
                return 0;
        reply->fds = malloc(sizeof *reply->fds + n * sizeof *fds);
        if (reply->fds == NULL)
                return -ENOMEM;
        reply->fds->n = n;
        memcpy(reply->fds->fds, fds, n * sizeof *fds);
        return 0;
}

void reply_free_beside(struct ganger_reply *reply)
{
        for (uint32_t i = 0; reply->fds != NULL && i < reply->fds->n; i++)
                close(reply->fds->fds[i]);
        free(reply->fds);
        sent_unref(reply->sent);
        while (reply->maps != NULL) {
                struct reply_map *map = reply->maps;
                reply->maps = map->next;
                sealed_unmap(map->address, map->size_bytes);
                free(map);
        }
}

static bool is_descriptor(const struct value *value)
{
        return value->type == VALUE_EXT && value->ext_type == EXT_DESCRIPTOR;
}

/* The descriptor that the ext value at `at` claims: as many as stand before it; -1: it did not come. */
static int reply_fd(const struct ganger_reply *reply, const uint8_t *at)
{
        struct reader before = reader_over(reply->data, (size_t)(at - reply->data));
        struct value value;
        uint32_t n = 0;

        while (reader_next(&before, &value) == 0)
                n += is_descriptor(&value);
        return reply->fds == NULL || n >= reply->fds->n ? -1 : reply->fds->fds[n];
}

int reply_read_fd(const struct ganger_reply *reply, struct reader *reader, int *ret)
{
        struct reader ahead = *reader;
        struct value value;
        int fd, r = reader_next(&ahead, &value);

        if (r < 0)
                return r;
        fd = is_descriptor(&value) ? reply_fd(reply, reader->at) : -1;
        if (fd < 0)
                return -EINVAL;
        *ret = fd;
        reader->at = ahead.at;
        return 0;
}

/* A value in a memfd, mapped for as long as the reply lives. */
static int reply_map_value(const struct ganger_reply *reply, const uint8_t *at, size_t size_bytes,
                           const void **ret)
{
        struct ganger_reply *keeper = (struct ganger_reply *)(uintptr_t)reply;
        struct reply_map *map = keeper->maps;
        int fd, r;

        while (map != NULL && map->at != at)
                map = map->next;
        if (map != NULL || size_bytes == 0) {
                *ret = map != NULL ? map->address : "";
                return 0;
        }
        fd = reply_fd(reply, at);
        if (fd < 0)
                return -EINVAL;
        map = malloc(sizeof *map);
        if (map == NULL)
                return -ENOMEM;
        *map = (struct reply_map){.next = keeper->maps, .at = at, .size_bytes = size_bytes};
        r = sealed_map(fd, size_bytes, &map->address);
        if (r < 0) {
                free(map);
                return r;
        }
        keeper->maps = map;
        *ret = map->address;
        return 0;
}

/* Whether the value is one in a memfd. */
static bool is_beside(const struct value *value, uint64_t *ret_size_bytes)
{
        unsigned kind;
        return value_is_descriptor(value, &kind, ret_size_bytes) && kind == DESCRIPTOR_VALUE;
}

int reply_read_bytes(const struct ganger_reply *reply, struct reader *reader, const void **ret,
                     size_t *ret_size_bytes)
{
        struct reader ahead = *reader;
        struct value value;
        uint64_t size_bytes;
        int r = reader_next(&ahead, &value);

        if (r < 0)
                return r;
        if (is_beside(&value, &size_bytes)) {
                r = reply_map_value(reply, reader->at, size_bytes, ret);
        } else if (value.type == VALUE_BIN || value.type == VALUE_STR) {
                *ret = value.as.data;
                size_bytes = value.size;
        } else {
                r = -EINVAL;
        }
        if (r < 0)
                return r;
        *ret_size_bytes = size_bytes;
        reader->at = ahead.at;
        return 0;
}

/* The next value whole, with all bytes in it; what lay beside it is copied into the reply's keeping. */
int reply_read_whole(const struct ganger_reply *reply, struct reader *reader, const void **ret,
                     size_t *ret_size_bytes)
{
        struct reader at = *reader;
        const uint8_t *data;
        uint64_t size_bytes;
        uint32_t n_descriptors;
        struct buffer whole = BUFFER_INIT;
        struct packer packer;
        int r = reader_skip(reader, &data, ret_size_bytes, &n_descriptors);

        *ret = data;
        if (r < 0 || n_descriptors == 0 || reply->fds == NULL)
                return r;
        pack_begin(&packer, &whole);
        while (r == 0 && at.at < reader->at) {
                const uint8_t *begin = at.at;
                struct value value;
                const void *bytes;

                r = reader_next(&at, &value);
                if (r == 0 && is_beside(&value, &size_bytes)) {
                        r = reply_map_value(reply, begin, size_bytes, &bytes);
                        if (r == 0)
                                pack_bin(&packer, bytes, size_bytes);
                } else if (r == 0) {
                        pack_raw(&packer, begin, (size_t)(at.at - begin));
                }
        }
        r = r < 0 ? r : packer.error;
        if (r == 0) {
                *ret = reply_keep(reply, buffer_at(&whole), buffer_size(&whole));
                *ret_size_bytes = buffer_size(&whole);
                r = *ret != NULL ? 0 : -ENOMEM;
        }
        buffer_deinit(&whole);
        return r;
}
