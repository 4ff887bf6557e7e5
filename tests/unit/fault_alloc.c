/* SPDX-License-Identifier: MIT */
/* The linker sends the tested code's allocations here (--wrap). */
#include "tests/unit/fault_alloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *data, size_t size);
void *__wrap_reallocarray(void *data, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

static unsigned countdown, n_suspended;
static int failed;
static bool for_ever;

void fault_alloc_arm(unsigned n)
{
        countdown = n;
        failed = 0;
        for_ever = false;
}

void fault_alloc_arm_for_ever(unsigned n)
{
        fault_alloc_arm(n);
        for_ever = true;
}

int fault_alloc_disarm(void)
{
        countdown = 0;
        return failed;
}

void fault_alloc_suspend(void)
{
        n_suspended++;
}

void fault_alloc_resume(void)
{
        n_suspended--;
}

static int fails_now(void)
{
        if (countdown == 0 || n_suspended > 0)
                return 0;
        if (--countdown > 0)
                return 0;
        countdown = for_ever;
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

void *__wrap_reallocarray(void *data, size_t n, size_t size)
{
        size_t all;

        if (__builtin_mul_overflow(n, size, &all)) {
                errno = ENOMEM;
                return NULL;
        }
        return __wrap_realloc(data, all);
}

char *__wrap_strndup(const char *text, size_t size)
{
        size_t n = strnlen(text, size);
        char *copy = __wrap_malloc(n + 1);

        if (copy != NULL) {
                memcpy(copy, text, n);
                copy[n] = 0;
        }
        return copy;
}

char *__wrap_strdup(const char *text)
{
        return __wrap_strndup(text, strlen(text));
}
