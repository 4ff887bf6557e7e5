/* SPDX-License-Identifier: MIT */
/* The linker sends the tested code's allocations here (--wrap). */
#include "tests/unit/fault_alloc.h"

#include <errno.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *data, size_t size);

static unsigned countdown;
static int failed;

void fault_alloc_arm(unsigned n)
{
        countdown = n;
        failed = 0;
}

int fault_alloc_disarm(void)
{
        countdown = 0;
        return failed;
}

static int fails_now(void)
{
        if (countdown == 0 || --countdown > 0)
                return 0;
        failed = 1;
        errno = ENOMEM;
        return 1;
}

void *__wrap_malloc(size_t size)
{
        return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *data, size_t size)
{
        return fails_now() ? NULL : __real_realloc(data, size);
}
