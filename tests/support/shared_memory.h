/* SPDX-License-Identifier: MIT */
/*
 * The memory of a value or array, made as gangerd makes it (PROTOCOL.md): for tests without a daemon.
 */
#ifndef TESTS_SUPPORT_SHARED_MEMORY_H
#define TESTS_SUPPORT_SHARED_MEMORY_H

#include "proto/ganger_shared.h"

/* A descriptor of a sealed memfd with its header, all elements 0; -errno. */
int shared_memory_new(enum ganger_shared_kind kind, enum ganger_shared_type type, uint64_t length);
/* Another descriptor of it that can only be read; -errno. */
int shared_memory_read_only(int fd);

#endif
