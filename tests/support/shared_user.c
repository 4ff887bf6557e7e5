/* SPDX-License-Identifier: MIT */
/*
 * A program that uses shared memory through libganger, as the tests tell it: SOCKET NAME WHAT N. Prints one
 * line when it has mapped the value ("ready"), waits for a byte on standard input, and prints what it did.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/ganger.h"
#include "proto/ganger_shared.h"

enum { LOCK_MS = 2000 };

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int add_locked(const struct ganger_shared *value)
{
        int64_t n;
        int r = ganger_shared_lock(value, LOCK_MS);

        if (r < 0)
                return r;
        if (ganger_shared_get_i64(value, 0, &n) == 0)
                ganger_shared_set_i64(value, 0, n + 1);
        r = ganger_shared_unlock(value);
        return r;
}

/* n times everything that can be done, whatever comes of it: how often there was an error. */
static int64_t use(const struct ganger_shared *value, int64_t n)
{
        int64_t errors = 0, got;

        for (int64_t i = 0; i < n; i++) {
                errors += add_locked(value) < 0;
                errors += ganger_shared_add_i64(value, 0, 1, &got) < 0;
                errors += ganger_shared_get_i64(value, 0, &got) < 0;
                errors += ganger_shared_wait_i64(value, 0, got, &got, 1) < 0;
                errors += ganger_shared_notify(value) < 0;
        }
        return errors;
}

/* Writes over all of it, until it is killed: noise, and words chosen to hurt. */
static void be_hostile(const struct ganger_shared *value)
{
        static const uint64_t words[] = {0,          UINT64_MAX, 1,         0x80000001, UINT64_C(1) << 63,
                                         0x3fffffff, 0xbfffffff, 0x80000000};
        unsigned long long state = 88172645463325252ull;
        uint64_t *memory = value->address;
        size_t n = value->size_bytes / sizeof(*memory);

        for (unsigned turn = 0;; turn++)
                for (size_t i = 0; i < n; i++) {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        uint64_t word = turn % 3 == 0 ? state : words[(turn + i) % 8];
                        __atomic_store_n(&memory[i], word, __ATOMIC_RELAXED);
                }
}

static int report(int r)
{
        if (r < 0)
                printf("error %s\n", strerror(-r));
        else
                printf(r == GANGER_SHARED_ABANDONED ? "abandoned\n" : "held\n");
        fflush(stdout);
        return r < 0;
}

static int act(const struct ganger_shared *value, const char *what, int64_t n)
{
        int64_t began = now_ns(), sum, errors = 0;
        int r = 0;

        if (strcmp(what, "lock") == 0) { /* within n ms, and kept until it is killed, or told so */
                r = report(ganger_shared_lock(value, n));
                return getchar() == EOF ? r : (r || ganger_shared_unlock(value) < 0);
        }
        if (strcmp(what, "hostile") == 0)
                be_hostile(value);
        if (strcmp(what, "use") == 0)
                errors = use(value, n);
        for (int64_t i = 0; strcmp(what, "own") == 0 && r >= 0 && i < n; i++)
                r = add_locked(value);
        for (int64_t i = 0; strcmp(what, "atomic") == 0 && r >= 0 && i < n; i++)
                r = ganger_shared_add_i64(value, 0, 1, &sum);
        printf("done %" PRId64 " %" PRId64 "\n", now_ns() - began, errors);
        return r < 0;
}

int main(int argc, char **argv)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        struct ganger_shared value;
        struct ganger *g = NULL;
        int status = 1;

        if (argc != 5)
                return 2;
        options.kind = GANGER_SHARED_VALUE;
        int r = ganger_open(&g, argv[1]);
        if (r == 0)
                r = ganger_shared_open(g, &value, argv[2], &options);
        if (r == 0) {
                printf("ready\n");
                fflush(stdout);
                status = getchar() == EOF ? 1 : act(&value, argv[3], strtoll(argv[4], NULL, 10));
                ganger_shared_unmap(&value);
        } else {
                fprintf(stderr, "shared_user: %s\n", r < 0 ? strerror(-r) : ganger_message(ganger_error(g)));
        }
        ganger_close(g);
        return status;
}
