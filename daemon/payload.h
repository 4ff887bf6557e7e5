/* SPDX-License-Identifier: MIT */
/*
 * Payloads: the bytes and descriptors that the core names by number and never sees (arguments, kept results,
 * error maps). Owned by the table; a number is valid from payload_new() to payload_drop(). A payload of a
 * map's arguments is an array of args arrays and keeps a sparse index, so that any run of its items is found
 * without walking all of it.
 */
#ifndef DAEMON_PAYLOAD_H
#define DAEMON_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/core/core.h"

struct payload_table;

int payload_table_new(void (*close_fd)(int fd), struct payload_table **ret);
struct payload_table *payload_table_free(struct payload_table *);
/* All is quiet: frees what is kept for payloads to come. */
void payload_table_trim(struct payload_table *);

/* Copies one whole MessagePack value; takes the descriptors over on success. 0 or -ENOMEM. */
int payload_new(struct payload_table *, const uint8_t *data, size_t size_bytes, const int *fds,
                uint32_t n_fds, payload_t *ret);
/* The same for an array of args arrays: indexed. -EINVAL: an element is no array (*ret_bad says which). */
int payload_new_items(struct payload_table *, const uint8_t *data, size_t size_bytes, const int *fds,
                      uint32_t n_fds, payload_t *ret, uint64_t *ret_bad);
/* Remembers with arguments what he may who brought them. */
struct rights;
void payload_set_rights(struct payload_table *, payload_t, struct rights *);
struct rights *payload_rights(const struct payload_table *, payload_t);
void payload_drop(struct payload_table *, payload_t);

const uint8_t *payload_bytes(const struct payload_table *, payload_t, size_t *ret_size_bytes);
const int *payload_fds(const struct payload_table *, payload_t, uint32_t *ret_n);
/* The bytes of items [first, first + n) of an indexed payload, one after another without an array header, and
 * the descriptors that belong to them. Sequential access is O(n). */
void payload_items(struct payload_table *, payload_t, uint64_t first, uint32_t n, const uint8_t **ret,
                   size_t *ret_size_bytes, const int **ret_fds, uint32_t *ret_n_fds);
/* What it costs in memory, for accounts. */
size_t payload_cost_bytes(size_t size_bytes, uint32_t n_fds);
/* How many payloads there are. */
size_t payload_count(const struct payload_table *);

#endif
