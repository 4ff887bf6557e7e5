/* SPDX-License-Identifier: MIT */
/*
 * The payload table. A payload is one allocation: head, bytes, descriptors' numbers and, of an array of
 * items, a mark for every MARK_EVERY-th item. Numbers are places in a vector plus one; free places form a
 * list through the vector. Walking from the nearest mark, or from where the last run of items ended, makes
 * the way through a whole map linear.
 */
#include "daemon/payload.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/rights.h"
#include "proto/descriptors.h"
#include "proto/reader.h"

#define MARK_EVERY 64
#define NO_PLACE   UINT32_MAX

/* Where an item begins, and which of the payload's descriptors is its first. */
struct place {
        uint64_t item;
        size_t at;
        uint32_t fd;
};

struct payload {
        size_t size_bytes;
        uint32_t n_fds;
        uint64_t n_items;    /* of an array of items; else 0 */
        size_t n_marks;      /* marks[i] is item i * MARK_EVERY */
        struct place cursor; /* behind the last run that was asked for */
        struct place *marks; /* marks, fds and bytes point into the same allocation */
        int *fds;
        uint8_t *bytes;
        struct rights *rights; /* of who brought it, or NULL */
};

struct slot {
        struct payload *payload; /* NULL: free, */
        uint32_t next_free;      /* and this the next one */
};

struct payload_table {
        void (*close_fd)(int fd);
        struct slot *slots;
        uint32_t n_slots, first_free;
        size_t n;
};

int payload_table_new(void (*close_fd)(int fd), struct payload_table **ret)
{
        struct payload_table *t = calloc(1, sizeof *t);

        if (t == NULL)
                return -ENOMEM;
        t->close_fd = close_fd;
        t->first_free = NO_PLACE;
        *ret = t;
        return 0;
}

struct payload_table *payload_table_free(struct payload_table *t)
{
        if (t == NULL)
                return NULL;
        for (uint32_t i = 0; i < t->n_slots; i++)
                if (t->slots[i].payload != NULL)
                        payload_drop(t, i + 1);
        assert(t->n == 0);
        free(t->slots);
        free(t);
        return NULL;
}

/* Sees to it that there is a free place. */
static int table_reserve(struct payload_table *t)
{
        uint32_t n = t->n_slots == 0 ? 64 : t->n_slots * 2;
        struct slot *slots;

        if (t->first_free != NO_PLACE)
                return 0;
        if (t->n_slots >= PAYLOAD_CURRENT / 4)
                return -ENOMEM;
        slots = reallocarray(t->slots, n, sizeof *slots);
        if (slots == NULL)
                return -ENOMEM;
        for (uint32_t i = t->n_slots; i < n; i++)
                slots[i] = (struct slot){.next_free = i + 1 < n ? i + 1 : NO_PLACE};
        t->first_free = t->n_slots;
        t->slots = slots;
        t->n_slots = n;
        return 0;
}

static payload_t table_put(struct payload_table *t, struct payload *p)
{
        uint32_t place = t->first_free;

        assert(place != NO_PLACE);
        t->first_free = t->slots[place].next_free;
        t->slots[place] = (struct slot){.payload = p, .next_free = NO_PLACE};
        t->n++;
        return place + 1;
}

static struct payload *table_get(const struct payload_table *t, payload_t number)
{
        assert(number != PAYLOAD_NONE && number <= t->n_slots);
        assert(t->slots[number - 1].payload != NULL);
        return t->slots[number - 1].payload;
}

static int payload_make(struct payload_table *t, const uint8_t *data, size_t size_bytes, const int *fds,
                        uint32_t n_fds, size_t n_marks, struct payload **ret)
{
        size_t head = sizeof(struct payload) + n_marks * sizeof(struct place) + n_fds * sizeof(int);
        struct payload *p;

        _Static_assert(sizeof(struct payload) % alignof(struct place) == 0, "marks follow the head");
        if (size_bytes > SIZE_MAX - head || table_reserve(t) < 0)
                return -ENOMEM;
        p = malloc(head + size_bytes);
        if (p == NULL)
                return -ENOMEM;
        *p = (struct payload){.size_bytes = size_bytes, .n_fds = n_fds, .n_marks = n_marks};
        p->marks = (struct place *)(p + 1);
        p->fds = (int *)(p->marks + n_marks);
        p->bytes = (uint8_t *)(p->fds + n_fds);
        memcpy(p->bytes, data, size_bytes);
        if (n_fds > 0)
                memcpy(p->fds, fds, n_fds * sizeof *fds);
        *ret = p;
        return 0;
}

int payload_new(struct payload_table *t, const uint8_t *data, size_t size_bytes, const int *fds,
                uint32_t n_fds, payload_t *ret)
{
        struct payload *p;
        int r = payload_make(t, data, size_bytes, fds, n_fds, 0, &p);

        if (r == 0)
                *ret = table_put(t, p);
        return r;
}

/* Marks the items; -EINVAL: one is no array. */
static int payload_index(struct payload *p, struct reader r, uint64_t *ret_bad)
{
        uint32_t fd = 0, n_fds;

        for (uint64_t i = 0; i < p->n_items; i++) {
                struct place here = {.item = i, .at = (size_t)(r.at - p->bytes), .fd = fd};
                struct reader look = r;
                uint32_t n;

                if (i % MARK_EVERY == 0)
                        p->marks[i / MARK_EVERY] = here;
                if (i == 0)
                        p->cursor = here;
                if (reader_array(&look, &n) < 0 || reader_skip(&r, NULL, NULL, &n_fds) < 0) {
                        *ret_bad = i;
                        return -EINVAL;
                }
                fd += n_fds;
        }
        assert(reader_at_end(&r) && fd == p->n_fds);
        return 0;
}

int payload_new_items(struct payload_table *t, const uint8_t *data, size_t size_bytes, const int *fds,
                      uint32_t n_fds, payload_t *ret, uint64_t *ret_bad)
{
        struct reader reader = reader_over(data, size_bytes);
        struct payload *p;
        uint32_t n_items;
        size_t head_bytes;
        int r = reader_array(&reader, &n_items);

        assert(r == 0);
        head_bytes = (size_t)(reader.at - data);
        r = payload_make(t, data, size_bytes, fds, n_fds, (n_items + MARK_EVERY - 1) / MARK_EVERY, &p);
        if (r < 0)
                return r;
        p->n_items = n_items;
        r = payload_index(p, reader_over(p->bytes + head_bytes, size_bytes - head_bytes), ret_bad);
        if (r < 0) {
                free(p);
                return r;
        }
        *ret = table_put(t, p);
        return 0;
}

void payload_drop(struct payload_table *t, payload_t number)
{
        struct payload *p = table_get(t, number);

        for (uint32_t i = 0; i < p->n_fds; i++)
                t->close_fd(p->fds[i]);
        rights_unref(p->rights);
        free(p);
        t->slots[number - 1] = (struct slot){.next_free = t->first_free};
        t->first_free = number - 1;
        t->n--;
}

const uint8_t *payload_bytes(const struct payload_table *t, payload_t number, size_t *ret_size_bytes)
{
        const struct payload *p = table_get(t, number);

        *ret_size_bytes = p->size_bytes;
        return p->bytes;
}

void payload_set_rights(struct payload_table *t, payload_t number, struct rights *rights)
{
        struct payload *p = table_get(t, number);

        assert(p->rights == NULL);
        p->rights = rights_ref(rights);
}

struct rights *payload_rights(const struct payload_table *t, payload_t number)
{
        return table_get(t, number)->rights;
}

const int *payload_fds(const struct payload_table *t, payload_t number, uint32_t *ret_n)
{
        const struct payload *p = table_get(t, number);

        *ret_n = p->n_fds;
        return p->fds;
}

/* Goes on to an item that lies behind. */
static struct place walk(const struct payload *p, struct place from, uint64_t item)
{
        struct reader r = reader_over(p->bytes + from.at, p->size_bytes - from.at);
        uint32_t n_fds;

        assert(from.item <= item);
        while (from.item < item) {
                int error = reader_skip(&r, NULL, NULL, &n_fds);
                assert(error == 0);
                from.item++;
                from.fd += n_fds;
        }
        from.at = (size_t)(r.at - p->bytes);
        return from;
}

void payload_items(struct payload_table *t, payload_t number, uint64_t first, uint32_t n, const uint8_t **ret,
                   size_t *ret_size_bytes, const int **ret_fds, uint32_t *ret_n_fds)
{
        struct payload *p = table_get(t, number);
        struct place from, begin;

        assert(n > 0 && first < p->n_items && n <= p->n_items - first);
        from = p->marks[first / MARK_EVERY];
        if (p->cursor.item <= first && p->cursor.item > from.item)
                from = p->cursor;
        begin = walk(p, from, first);
        p->cursor = walk(p, begin, first + n);
        *ret = p->bytes + begin.at;
        *ret_size_bytes = p->cursor.at - begin.at;
        *ret_fds = p->fds + begin.fd;
        *ret_n_fds = p->cursor.fd - begin.fd;
}

size_t payload_cost_bytes(size_t size_bytes, uint32_t n_fds)
{
        return sizeof(struct payload) + sizeof(struct slot) + size_bytes + n_fds * sizeof(int);
}

size_t payload_count(const struct payload_table *t)
{
        return t->n;
}
