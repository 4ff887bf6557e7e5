/* SPDX-License-Identifier: MIT */
/* The elements of values and arrays as people type and see them, whatever type they have in memory. */
#ifndef CLI_NUMBERS_H
#define CLI_NUMBERS_H

#include <stdbool.h>
#include <stdio.h>

#include "proto/ganger_shared.h"

/* Which member counts is its type's affair. */
union number {
        int64_t i;
        uint64_t u;
        double d;
};

/* As the functions of ganger_shared.h of that type; what they return. */
struct number_type {
        const char *takes; /* for messages: "an integer from -128 to 127" */
        bool (*parse)(const char *text, union number *ret);
        int (*get)(const struct ganger_shared *, uint64_t index, union number *ret);
        int (*set)(const struct ganger_shared *, uint64_t index, union number value);
        int (*add)(const struct ganger_shared *, uint64_t index, union number value, union number *ret);
        int (*cas)(const struct ganger_shared *, uint64_t index, union number *expected, union number value);
        int (*wait)(const struct ganger_shared *, uint64_t index, union number old, union number *ret,
                    int64_t timeout_ms);
        void (*print)(FILE *, union number);
};

/* NULL: bytes, which are no numbers. */
const struct number_type *number_type_of(const struct ganger_shared *);

#endif
