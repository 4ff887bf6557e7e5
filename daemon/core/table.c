/* SPDX-License-Identifier: MIT */
/*
 * A hash table whose links are embedded in the objects: tasks by id, requests by connection and msgid, users,
 * lanes. The owner of an object owns the link; the table owns only its buckets. Adding never fails, so it
 * needs no error path after admission: when the buckets cannot grow, chains become longer.
 */
#include "daemon/core/core_private.h"

#define BITS_MIN  4
#define BITS_KEPT 12 /* so many buckets stay, however few are in them */

static size_t bucket(const struct table *table, uint64_t key)
{
        if (table->multiplier == 0)
                return (size_t)(key & ((UINT64_C(1) << table->bits) - 1));
        return (size_t)(key * table->multiplier >> (64 - table->bits));
}

int table_init(struct table *table, uint64_t multiplier)
{
        *table = (struct table){.bits = BITS_MIN, .multiplier = multiplier};
        table->buckets = calloc((size_t)1 << BITS_MIN, sizeof(*table->buckets));
        return table->buckets ? 0 : -ENOMEM;
}

void table_deinit(struct table *table)
{
        assert(table->n == 0);
        free(table->buckets);
        table->buckets = NULL;
}

static void resize(struct table *table, unsigned bits)
{
        struct table other = *table;
        other.bits = bits;
        other.buckets = calloc((size_t)1 << bits, sizeof(*other.buckets));
        if (!other.buckets)
                return;
        for (size_t i = 0; i < (size_t)1 << table->bits; i++) {
                struct table_link *next;
                for (struct table_link *link = table->buckets[i]; link; link = next) {
                        struct table_link **head = &other.buckets[bucket(&other, link->key)];
                        next = link->next;
                        link->next = *head;
                        *head = link;
                }
        }
        free(table->buckets);
        *table = other;
}

void table_shrink(struct table *table)
{
        if (table->bits > BITS_KEPT && table->n < (size_t)1 << (table->bits - 3))
                resize(table, table->bits - 1);
}

void table_add(struct table *table, struct table_link *link, uint64_t key)
{
        if (table->n >> table->bits)
                resize(table, table->bits + 1);
        struct table_link **head = &table->buckets[bucket(table, key)];
        link->key = key;
        link->next = *head;
        *head = link;
        table->n++;
}

void table_remove(struct table *table, struct table_link *link)
{
        struct table_link **at = &table->buckets[bucket(table, link->key)];
        while (*at != link) {
                assert(*at);
                at = &(*at)->next;
        }
        *at = link->next;
        link->next = NULL;
        assert(table->n > 0);
        table->n--;
}

static struct table_link *first_of(struct table_link *link, uint64_t key)
{
        while (link && link->key != key)
                link = link->next;
        return link;
}

struct table_link *table_find(const struct table *table, uint64_t key)
{
        return first_of(table->buckets[bucket(table, key)], key);
}

struct table_link *table_next(const struct table_link *link)
{
        return first_of(link->next, link->key);
}
