/* SPDX-License-Identifier: MIT */
/*
 * Large values beside the message: a bin in a memfd of exactly its size, sealed so that nobody can change it
 * any more (SHRINK, GROW, WRITE, SEAL). In the message stands an ext 71 of kind 0; whoever reads it maps the
 * memfd. See PROTOCOL.md, "Descriptors".
 */
#ifndef PROTO_SEALED_H
#define PROTO_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A memfd of that size (> 0), mapped for writing; not sealed yet. 0 or -errno. */
int sealed_new(size_t size_bytes, int *ret_fd, void **ret_address);
/* Its content is there: unmaps and seals it. 0 or -errno; the descriptor stays the caller's. */
int sealed_finish(int fd, void *address, size_t size_bytes);
/* One with a copy of the data. */
int sealed_copy(const void *data, size_t size_bytes, int *ret_fd);
/* Whether the descriptor, from somebody who is not trusted, is such a memfd of exactly that size. Does not
 * block, whatever the descriptor is. */
bool sealed_is(int fd, uint64_t size_bytes);
/* Maps one for reading; it cannot shrink, so its pages stay valid. 0 or -errno. */
int sealed_map(int fd, size_t size_bytes, const void **ret);
void sealed_unmap(const void *address, size_t size_bytes);

/* Of a value from somebody who is not trusted, whose ext values claim these descriptors in their order: NULL,
 * and how much lies in memfds; or why it is bad: a kind that is not allowed (1 << enum descriptor_kind), or a
 * memfd that is not as its ext value says. */
const char *sealed_check(const void *data, size_t size_bytes, const int *fds, uint32_t n_fds,
                         unsigned allowed, uint64_t *ret_sealed_bytes);

#endif
