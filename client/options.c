/* SPDX-License-Identifier: MIT */
/*
 * Options are walked twice by the same function: once to count the pairs, which a map's header needs, and
 * once to write them.
 */
#include "client/options.h"

#include "proto/reader.h"

#include <errno.h>

/* w NULL: only counts. */
struct pairs {
        struct ganger_writer *w;
        uint32_t n;
};

int options_import(struct ganger_options *ret, const struct ganger_options *options)
{
        const unsigned char *bytes = (const unsigned char *)options;
        size_t size_bytes;

        *ret = (struct ganger_options)GANGER_OPTIONS_INIT;
        if (options == NULL)
                return 0;
        size_bytes = options->size_bytes;
        if (size_bytes < sizeof options->size_bytes)
                return -EINVAL;
        for (size_t i = sizeof *ret; i < size_bytes; i++)
                if (bytes[i] != 0)
                        return -E2BIG;
        memcpy(ret, options, size_bytes < sizeof *ret ? size_bytes : sizeof *ret);
        ret->size_bytes = sizeof *ret;
        return 0;
}

static struct packer *pairs_key(struct pairs *p, const char *key)
{
        p->n++;
        if (p->w == NULL)
                return NULL;
        pack_str(&p->w->packer, key);
        return &p->w->packer;
}

static void pairs_text(struct pairs *p, const char *key, const char *value)
{
        struct packer *packer = value != NULL ? pairs_key(p, key) : NULL;

        if (packer != NULL)
                pack_str(packer, value);
}

/* A negative or absurd number is written as it is: the daemon refuses it by its name. */
static void pairs_seconds(struct pairs *p, const char *key, double value)
{
        struct packer *packer = value < 0 || value > 0 || value != value ? pairs_key(p, key) : NULL;

        if (packer != NULL)
                pack_double(packer, value);
}

static void pairs_int(struct pairs *p, const char *key, int64_t value)
{
        struct packer *packer = value != 0 ? pairs_key(p, key) : NULL;

        if (packer != NULL)
                pack_int(packer, value);
}

static void pairs_flag(struct pairs *p, const char *key, bool value)
{
        struct packer *packer = value ? pairs_key(p, key) : NULL;

        if (packer != NULL)
                pack_bool(packer, true);
}

static void pairs_list(struct pairs *p, const char *key, const char *const *values)
{
        struct packer *packer = values != NULL ? pairs_key(p, key) : NULL;
        size_t n = 0;

        if (packer == NULL)
                return;
        while (values[n] != NULL)
                n++;
        pack_array(packer, n);
        for (size_t i = 0; i < n; i++)
                pack_str(packer, values[i]);
}

static void pairs_walk(struct pairs *p, const struct ganger_options *options, bool feed,
                       uint64_t attempts_before)
{
        pairs_text(p, "pool", options->pool);
        pairs_text(p, "label", options->label);
        pairs_int(p, "priority", options->priority);
        pairs_seconds(p, "delay", options->delay);
        pairs_seconds(p, "expires", options->expires);
        pairs_seconds(p, "timeout", options->timeout);
        pairs_seconds(p, "ttl", options->ttl);
        pairs_flag(p, "detached", options->detached != 0);
        pairs_list(p, "stream", options->stream);
        pairs_int(p, "chunk", options->chunk);
        pairs_int(p, "limit", options->limit);
        pairs_flag(p, "ordered", options->ordered != 0);
        pairs_flag(p, "fail_fast", options->fail_fast != 0);
        pairs_flag(p, "feed", feed);
        if (p->w != NULL && options->n_more > 0)
                writer_raw(p->w, options->more, options->more_size_bytes, options->n_more * 2);
        p->n += options->n_more;
        pairs_int(p, "attempts_before", (int64_t)attempts_before);
}

bool options_are_default(const struct ganger_options *options)
{
        struct pairs count = {0};

        pairs_walk(&count, options, false, 0);
        return count.n == 0;
}

void options_write(struct ganger_writer *w, const struct ganger_options *options, bool feed,
                   uint64_t attempts_before)
{
        struct pairs count = {0}, write = {.w = w};

        pairs_walk(&count, options, feed, attempts_before);
        if (count.n == 0)
                return;
        pack_map(&w->packer, count.n);
        pairs_walk(&write, options, feed, attempts_before);
}

bool options_have_key(const struct ganger_options *options)
{
        struct reader reader = reader_over(options->more, options->more_size_bytes);
        const char *name;
        size_t size_bytes;

        for (unsigned i = 0; i < options->n_more; i++) {
                if (reader_str(&reader, &name, &size_bytes) < 0)
                        return false;
                if (size_bytes == 3 && memcmp(name, "key", 3) == 0)
                        return true;
                if (reader_skip(&reader, NULL, NULL, NULL) < 0)
                        return false;
        }
        return false;
}
