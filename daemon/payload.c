/* SPDX-License-Identifier: MIT */
/*
 * The payload table. A payload is one allocation: head, of an array of items an index, descriptors' numbers,
 * bytes. The head is small, for every queued task has one. Numbers are places in a vector plus one; free
 * places form a list through the vector. The index has a mark for every MARK_EVERY-th item: walking from the
 * nearest one, or from where the last run of items ended, makes the way through a whole map linear.
 *
 * Some of those dropped are kept for the next of as many bytes, by what malloc rounds them up to anyway: a
 * flood of tasks takes and drops hundreds at a time, more than malloc has at hand.
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
#define SLOTS_KEPT 4096 /* when nothing is held any more */

/* Where an item begins, and which of the payload's descriptors is its first. */
struct place {
        uint64_t item;
        size_t at;
        uint32_t fd;
};

struct index {
        uint64_t n_items;
        size_t n_marks;
        struct place cursor;  /* behind the last run that was asked for */
        struct place marks[]; /* [i]: item i * MARK_EVERY */
};

struct payload {
        struct rights *rights; /* of who brought it, or NULL */
        uint32_t size_bytes;
        uint16_t n_fds;
        bool has_index; /* it is an array of items; the index follows */
};
_Static_assert(sizeof(struct payload) == 16, "a queued task costs less than 300 bytes");
_Static_assert(sizeof(struct payload) % alignof(struct index) == 0, "the index follows the head");

/* A payload, or a free place: then the next free one, times two, plus one. */
union slot {
        struct payload *payload;
        uintptr_t free;
};

#define SPARE_SIZES 16 /* 8, 24, … 248 bytes */
#define SPARE_MOST  512

struct spare {
        struct spare *next;
};

struct payload_table {
        void (*close_fd)(int fd);
        union slot *slots;
        uint32_t n_slots, first_free;
        size_t n;
        struct spare *spares[SPARE_SIZES];
        unsigned n_spares;
};

static struct index *index_of(struct payload *p)
{
        return p->has_index ? (struct index *)(p + 1) : NULL;
}

static int *fds_of(struct payload *p)
{
        struct index *index = index_of(p);

        return index != NULL ? (int *)(index->marks + index->n_marks) : (int *)(p + 1);
}

static uint8_t *bytes_of(struct payload *p)
{
        return (uint8_t *)(fds_of(p) + p->n_fds);
}

static union slot free_slot(uint32_t next_free)
{
        return (union slot){.free = (uintptr_t)next_free << 1 | 1};
}

static bool is_free(union slot slot)
{
        return slot.free & 1;
}

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

/* Which size has room for so many bytes. */
static size_t spare_size(size_t size_bytes)
{
        return (size_bytes + 7) / 16;
}

static void *allocate(struct payload_table *t, size_t size_bytes)
{
        size_t size = spare_size(size_bytes);
        struct spare *spare = size < SPARE_SIZES ? t->spares[size] : NULL;

        if (spare == NULL)
                return malloc(size < SPARE_SIZES ? size * 16 + 8 : size_bytes);
        t->spares[size] = spare->next;
        t->n_spares--;
        return spare;
}

static void give_back(struct payload_table *t, struct payload *p)
{
        size_t size = spare_size(sizeof *p + p->n_fds * sizeof(int) + p->size_bytes);
        struct spare *spare = (struct spare *)p;

        if (p->has_index || size >= SPARE_SIZES || t->n_spares >= SPARE_MOST) {
                free(p);
                return;
        }
        spare->next = t->spares[size];
        t->spares[size] = spare;
        t->n_spares++;
}

void payload_table_trim(struct payload_table *t)
{
        for (size_t i = 0; i < SPARE_SIZES; i++) {
                struct spare *spare;

                while ((spare = t->spares[i]) != NULL) {
                        t->spares[i] = spare->next;
                        free(spare);
                }
        }
        t->n_spares = 0;
}

struct payload_table *payload_table_free(struct payload_table *t)
{
        if (t == NULL)
                return NULL;
        for (uint32_t i = 0; i < t->n_slots; i++)
                if (!is_free(t->slots[i]))
                        payload_drop(t, i + 1);
        assert(t->n == 0);
        payload_table_trim(t);
        free(t->slots);
        free(t);
        return NULL;
}

/* Sees to it that there is a free place. */
static int table_reserve(struct payload_table *t)
{
        uint32_t n = t->n_slots == 0 ? 64 : t->n_slots * 2;
        union slot *slots;

        if (t->first_free != NO_PLACE)
                return 0;
        if (t->n_slots >= PAYLOAD_CURRENT / 4)
                return -ENOMEM;
        slots = reallocarray(t->slots, n, sizeof *slots);
        if (slots == NULL)
                return -ENOMEM;
        for (uint32_t i = t->n_slots; i < n; i++)
                slots[i] = free_slot(i + 1 < n ? i + 1 : NO_PLACE);
        t->first_free = t->n_slots;
        t->slots = slots;
        t->n_slots = n;
        return 0;
}

static payload_t table_put(struct payload_table *t, struct payload *p)
{
        uint32_t place = t->first_free;

        assert(place != NO_PLACE);
        t->first_free = (uint32_t)(t->slots[place].free >> 1);
        t->slots[place].payload = p;
        t->n++;
        return place + 1;
}

static struct payload *table_get(const struct payload_table *t, payload_t number)
{
        assert(number != PAYLOAD_NONE && number <= t->n_slots);
        assert(!is_free(t->slots[number - 1]));
        return t->slots[number - 1].payload;
}

/* `n_items`: NULL: without an index. */
static int payload_make(struct payload_table *t, const uint8_t *data, size_t size_bytes, const int *fds,
                        uint32_t n_fds, const uint32_t *n_items, struct payload **ret)
{
        size_t n_marks = n_items != NULL ? ((size_t)*n_items + MARK_EVERY - 1) / MARK_EVERY : 0;
        size_t index_bytes = n_items != NULL ? sizeof(struct index) + n_marks * sizeof(struct place) : 0;
        struct payload *p;

        assert(n_fds <= UINT16_MAX);
        if (size_bytes > UINT32_MAX || table_reserve(t) < 0)
                return -ENOMEM;
        p = allocate(t, sizeof *p + index_bytes + n_fds * sizeof(int) + size_bytes);
        if (p == NULL)
                return -ENOMEM;
        *p = (struct payload){.size_bytes = (uint32_t)size_bytes, .n_fds = (uint16_t)n_fds};
        if (n_items != NULL) {
                p->has_index = true;
                *index_of(p) = (struct index){.n_items = *n_items, .n_marks = n_marks};
        }
        memcpy(bytes_of(p), data, size_bytes);
        if (n_fds > 0)
                memcpy(fds_of(p), fds, n_fds * sizeof *fds);
        *ret = p;
        return 0;
}

int payload_new(struct payload_table *t, const uint8_t *data, size_t size_bytes, const int *fds,
                uint32_t n_fds, payload_t *ret)
{
        struct payload *p;
        int r = payload_make(t, data, size_bytes, fds, n_fds, NULL, &p);

        if (r == 0)
                *ret = table_put(t, p);
        return r;
}

/* Marks the items; -EINVAL: one is no array. */
static int payload_index(struct payload *p, struct reader r, uint64_t *ret_bad)
{
        struct index *index = index_of(p);
        uint32_t fd = 0, n_fds;

        for (uint64_t i = 0; i < index->n_items; i++) {
                struct place here = {.item = i, .at = (size_t)(r.at - bytes_of(p)), .fd = fd};
                struct reader look = r;
                uint32_t n;

                if (i % MARK_EVERY == 0)
                        index->marks[i / MARK_EVERY] = here;
                if (i == 0)
                        index->cursor = here;
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
        r = payload_make(t, data, size_bytes, fds, n_fds, &n_items, &p);
        if (r < 0)
                return r;
        r = payload_index(p, reader_over(bytes_of(p) + head_bytes, size_bytes - head_bytes), ret_bad);
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
                t->close_fd(fds_of(p)[i]);
        rights_unref(p->rights);
        give_back(t, p);
        t->slots[number - 1] = free_slot(t->first_free);
        t->first_free = number - 1;
        t->n--;
        if (t->n == 0 && t->n_slots > SLOTS_KEPT) {
                free(t->slots);
                t->slots = NULL;
                t->n_slots = 0;
                t->first_free = NO_PLACE;
        }
}

const uint8_t *payload_bytes(const struct payload_table *t, payload_t number, size_t *ret_size_bytes)
{
        struct payload *p = table_get(t, number);

        *ret_size_bytes = p->size_bytes;
        return bytes_of(p);
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
        struct payload *p = table_get(t, number);

        *ret_n = p->n_fds;
        return fds_of(p);
}

/* Goes on to an item that lies behind. */
static struct place walk(struct payload *p, struct place from, uint64_t item)
{
        const uint8_t *bytes = bytes_of(p);
        struct reader r = reader_over(bytes + from.at, p->size_bytes - from.at);
        uint32_t n_fds;

        assert(from.item <= item);
        while (from.item < item) {
                int error = reader_skip(&r, NULL, NULL, &n_fds);
                assert(error == 0);
                from.item++;
                from.fd += n_fds;
        }
        from.at = (size_t)(r.at - bytes);
        return from;
}

void payload_items(struct payload_table *t, payload_t number, uint64_t first, uint32_t n, const uint8_t **ret,
                   size_t *ret_size_bytes, const int **ret_fds, uint32_t *ret_n_fds)
{
        struct payload *p = table_get(t, number);
        struct index *index = index_of(p);
        struct place from, begin;

        assert(index != NULL && n > 0 && first < index->n_items && n <= index->n_items - first);
        from = index->marks[first / MARK_EVERY];
        if (index->cursor.item <= first && index->cursor.item > from.item)
                from = index->cursor;
        begin = walk(p, from, first);
        index->cursor = walk(p, begin, first + n);
        *ret = bytes_of(p) + begin.at;
        *ret_size_bytes = index->cursor.at - begin.at;
        *ret_fds = fds_of(p) + begin.fd;
        *ret_n_fds = index->cursor.fd - begin.fd;
}

size_t payload_cost_bytes(size_t size_bytes, uint32_t n_fds)
{
        return sizeof(struct payload) + sizeof(union slot) + size_bytes + n_fds * sizeof(int);
}

size_t payload_count(const struct payload_table *t)
{
        return t->n;
}
