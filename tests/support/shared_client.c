/* SPDX-License-Identifier: MIT */
/*
 * A program that uses shared memory through libganger, for the tests. shared_client SOCKET VERB NAME
 * [NUMBER...]:
 *
 * - locked NAME N, atomic NAME N: add to a value, N times; prints the sum
 * - hold NAME: takes the value's lock, prints a line, holds it until standard input ends
 * - take NAME TIMEOUT_MS: prints what ganger_shared_lock() returned, and how many ms it took
 * - use NAME WHICH DURATION_MS: see shared_work.h; prints wrong, n, longest_ms
 */
#include <inttypes.h>
#include <stdlib.h>

#include "client/ganger.h"
#include "tests/support/shared_work.h"

static int print_sum(const struct ganger_shared *s, int64_t r)
{
        int64_t sum = 0;

        if (r >= 0)
                r = ganger_shared_get_i64(s, 0, &sum);
        printf("%" PRId64 "\n", sum);
        return r < 0 ? (int)r : 0;
}

static int locked(const struct ganger_shared *s, const int64_t *numbers)
{
        return print_sum(s, shared_add_locked(s, numbers[0]));
}

static int atomic(const struct ganger_shared *s, const int64_t *numbers)
{
        return print_sum(s, shared_add_atomically(s, numbers[0]));
}

static int hold(const struct ganger_shared *s, const int64_t *numbers)
{
        int r = ganger_shared_lock(s, SHARED_PATIENCE_MS);

        (void)numbers;
        if (r < 0)
                return r;
        puts("held");
        fflush(stdout);
        while (getchar() != EOF)
                ;
        return ganger_shared_unlock(s);
}

static int take(const struct ganger_shared *s, const int64_t *numbers)
{
        struct shared_take take = shared_take(s, numbers[0]);

        printf("%d %" PRId64 "\n", take.r, take.took_ms);
        return 0;
}

static int use(const struct ganger_shared *s, const int64_t *numbers)
{
        struct shared_use use = shared_use(s, (int)numbers[0], numbers[1]);

        printf("%d %" PRId64 " %" PRId64 "\n", use.wrong, use.n, use.longest_ms);
        return 0;
}

static const struct {
        const char *name;
        int n_numbers;
        enum ganger_shared_kind kind;
        int (*run)(const struct ganger_shared *, const int64_t *numbers);
} verbs[] = {
        {"locked", 1, GANGER_SHARED_VALUE, locked}, {"atomic", 1, GANGER_SHARED_VALUE, atomic},
        {"hold", 0, GANGER_SHARED_VALUE, hold},     {"take", 1, GANGER_SHARED_VALUE, take},
        {"use", 2, GANGER_SHARED_ARRAY, use},
};

/* The connection ends before the memory is used: that needs none. */
static int open_shared(const char *socket, const char *name, enum ganger_shared_kind kind,
                       struct ganger_shared *ret)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        struct ganger *g = NULL;
        int r = ganger_open(&g, socket);

        options.kind = kind;
        options.create = kind == GANGER_SHARED_VALUE;
        if (r == 0)
                r = ganger_shared_open(g, ret, name, &options);
        if (r > 0)
                fprintf(stderr, "shared_client: %s\n", ganger_message(ganger_error(g)));
        ganger_close(g);
        return r;
}

int main(int argc, char **argv)
{
        struct ganger_shared s;
        int64_t numbers[2] = {0};

        for (size_t i = 0; argc >= 4 && i < sizeof verbs / sizeof *verbs; i++) {
                if (strcmp(argv[2], verbs[i].name) != 0 || argc != 4 + verbs[i].n_numbers)
                        continue;
                for (int j = 0; j < verbs[i].n_numbers; j++)
                        numbers[j] = strtoll(argv[4 + j], NULL, 10);
                int r = open_shared(argv[1], argv[3], verbs[i].kind, &s);
                if (r == 0)
                        r = verbs[i].run(&s, numbers);
                if (r < 0)
                        fprintf(stderr, "shared_client %s: %s\n", argv[2], strerror(-r));
                return r != 0;
        }
        fprintf(stderr, "shared_client: see its source\n");
        return 2;
}
