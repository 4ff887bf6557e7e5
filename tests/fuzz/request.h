/* SPDX-License-Identifier: MIT */
/* One run of gangerd with an input of requests (see request.c). */
#ifndef TESTS_FUZZ_REQUEST_H
#define TESTS_FUZZ_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* has_faults: allocations of gangerd's are made to fail; it may then not come up, or drop a connection. */
void request_run(const uint8_t *data, size_t size_bytes, bool has_faults);

#endif
