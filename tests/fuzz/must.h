/* SPDX-License-Identifier: MIT */
/* What a harness holds its subject to: an abort, which the fuzzer takes for a find. */
#ifndef TESTS_FUZZ_MUST_H
#define TESTS_FUZZ_MUST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                                      \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);        \
                        abort();                                                                             \
                }                                                                                            \
        } while (0)

/* What libFuzzer, and tests/support/fuzz_main.c in its place, calls with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

#endif
