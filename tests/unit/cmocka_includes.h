/* SPDX-License-Identifier: MIT */
/* cmocka.h wants these four before it, in this order, and leaves it to its user. */
#ifndef TESTS_UNIT_CMOCKA_INCLUDES_H
#define TESTS_UNIT_CMOCKA_INCLUDES_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
