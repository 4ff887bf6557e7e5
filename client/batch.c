/* SPDX-License-Identifier: MIT */
/* The ring of a map's batches, and what is kept of them to be sent again. */
#include "client/batch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/reader.h"

#define AHEAD_BYTES       (2u << 20) /* of batches with unfinished items, but for one larger item */
#define AHEAD_ITEMS       8192       /* unfinished: well within a user's share of tasks */
#define AHEAD_DESCRIPTORS 256        /* of batches with unfinished items */

struct batch_copy {
        struct buffer items;
        uint64_t *indices; /* NULL: they follow each other */
        uint32_t n_fds;
        int fds[LIMIT_DESCRIPTORS];
        uint8_t ended[BATCH_ITEMS / 8];
};

/* ---- copies ---- */

struct batch_copy *batch_copy_free(struct batch_copy *copy)
{
        if (copy == NULL)
                return NULL;
        while (copy->n_fds > 0)
                close(copy->fds[--copy->n_fds]);
        buffer_deinit(&copy->items);
        free(copy->indices);
        free(copy);
        return NULL;
}

static int copy_fd(struct batch_copy *copy, int fd)
{
        int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (duplicate < 0)
                return -errno;
        copy->fds[copy->n_fds++] = duplicate;
        return 0;
}

int batch_copy_new(const struct buffer *items, const int *fds, uint32_t n_fds, struct batch_copy **ret)
{
        struct batch_copy *copy = calloc(1, sizeof *copy);
        int r = copy == NULL ? -ENOMEM : buffer_append(&copy->items, buffer_at(items), buffer_size(items));

        for (uint32_t i = 0; r == 0 && i < n_fds; i++)
                r = copy_fd(copy, fds[i]);
        if (r < 0)
                copy = batch_copy_free(copy);
        *ret = copy;
        return r;
}

static bool has_ended(const struct batch_copy *copy, uint32_t i)
{
        return copy->ended[i / 8] & 1u << i % 8;
}

void batch_write(const struct batch *batch, struct ganger_writer *w)
{
        pack_array(&w->packer, batch->n);
        pack_raw(&w->packer, buffer_at(&batch->copy->items), buffer_size(&batch->copy->items));
        for (uint32_t i = 0; i < batch->copy->n_fds; i++)
                writer_keep_fd(w, batch->copy->fds[i]);
}

static uint64_t index_of(const struct batch *batch, uint32_t i)
{
        return batch->copy != NULL && batch->copy->indices != NULL ? batch->copy->indices[i]
                                                                   : batch->index + i;
}

/* Copies what has not ended. */
static int copy_items(const struct batch *batch, struct batch_copy *rest)
{
        const struct batch_copy *from = batch->copy;
        struct reader items = reader_over(buffer_at(&from->items), buffer_size(&from->items));
        uint32_t n = 0, fd = 0;
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < batch->n; i++) {
                const uint8_t *item = NULL;
                size_t size_bytes = 0;
                uint32_t n_fds = 0;

                r = reader_skip(&items, &item, &size_bytes, &n_fds);
                assert(r == 0);
                if (!has_ended(from, i)) {
                        rest->indices[n++] = index_of(batch, i);
                        r = buffer_append(&rest->items, item, size_bytes);
                        for (uint32_t j = 0; r == 0 && j < n_fds; j++)
                                r = copy_fd(rest, from->fds[fd + j]);
                }
                fd += n_fds;
        }
        return r;
}

static int copy_rest(const struct batch *batch, struct batch_copy **ret)
{
        const struct buffer none = BUFFER_INIT;
        struct batch_copy *rest;
        int r = batch_copy_new(&none, NULL, 0, &rest);

        if (r < 0)
                return r;
        rest->indices = calloc(batch->n_unfinished, sizeof *rest->indices);
        r = rest->indices == NULL ? -ENOMEM : copy_items(batch, rest);
        *ret = r < 0 ? batch_copy_free(rest) : rest;
        return r;
}

/* ---- the ring ---- */

void batches_deinit(struct batches *b)
{
        for (uint32_t i = 0; i < b->n; i++)
                batch_copy_free(batches_at(b, i)->copy);
        b->n = 0;
}

struct batch *batches_at(struct batches *b, uint32_t i)
{
        return &b->ring[(b->head + i) % AHEAD_BATCHES];
}

bool batches_have_room(const struct batches *b)
{
        return b->n < AHEAD_BATCHES && b->n_items - b->n_ended < AHEAD_ITEMS && b->held_bytes < AHEAD_BYTES &&
               b->held_fds < AHEAD_DESCRIPTORS;
}

void batches_add(struct batches *b, uint32_t n, size_t size_bytes, uint32_t n_fds, struct batch_copy *copy)
{
        if (n == 0) {
                batch_copy_free(copy);
                return;
        }
        assert(b->n < AHEAD_BATCHES);
        *batches_at(b, b->n++) = (struct batch){
                .place = b->n_places,
                .index = b->n_items,
                .n = n,
                .n_unfinished = n,
                .n_fds = n_fds,
                .size_bytes = size_bytes,
                .copy = copy,
        };
        b->n_items += n;
        b->n_places += n;
        b->held_bytes += size_bytes;
        b->held_fds += n_fds;
}

/* The batch that the item came in; NULL: it cannot be unfinished. */
static struct batch *batches_find(struct batches *b, uint64_t place)
{
        uint32_t low = 0, high = b->n;

        if (place >= b->n_places || b->n == 0 || place < batches_at(b, 0)->place)
                return NULL;
        while (high - low > 1) {
                uint32_t middle = low + (high - low) / 2;
                if (batches_at(b, middle)->place <= place)
                        low = middle;
                else
                        high = middle;
        }
        return batches_at(b, low);
}

static void batches_drop(struct batches *b, struct batch *batch)
{
        b->held_bytes -= batch->size_bytes;
        b->held_fds -= batch->n_fds;
        batch->copy = batch_copy_free(batch->copy);
        while (b->n > 0 && batches_at(b, 0)->n_unfinished == 0) {
                b->head = (b->head + 1) % AHEAD_BATCHES;
                b->n--;
        }
}

int batches_item_ended(struct batches *b, uint64_t place, uint64_t *ret_index)
{
        struct batch *batch = batches_find(b, place);
        uint32_t i;

        if (batch == NULL || batch->n_unfinished == 0)
                return -EPROTO; /* more items have ended than were unfinished */
        i = (uint32_t)(place - batch->place);
        *ret_index = index_of(batch, i);
        if (batch->copy != NULL && has_ended(batch->copy, i))
                return -EPROTO;
        if (batch->copy != NULL)
                batch->copy->ended[i / 8] |= (uint8_t)(1u << i % 8);
        b->n_ended++;
        if (--batch->n_unfinished == 0)
                batches_drop(b, batch);
        return 0;
}

int batches_begin_again(struct batches *b)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < b->n; i++) {
                struct batch *batch = batches_at(b, i);
                struct batch_copy *rest;
                int r;

                if (batch->n_unfinished == batch->n || batch->n_unfinished == 0)
                        continue;
                r = copy_rest(batch, &rest);
                if (r < 0)
                        return r;
                batch_copy_free(batch->copy);
                batch->copy = rest;
                batch->n = batch->n_unfinished;
        }
        b->n_places = 0;
        for (uint32_t i = 0; i < b->n; i++) {
                struct batch *batch = batches_at(b, i);

                if (batch->n_unfinished == 0)
                        continue;
                batch->place = b->n_places;
                b->n_places += batch->n;
                if (n != i)
                        *batches_at(b, n) = *batch;
                n++;
        }
        b->n = n;
        return 0;
}
