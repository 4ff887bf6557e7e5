/* SPDX-License-Identifier: MIT */
/*
 * How fast shared objects are, through libganger: one round of one kind of work by some processes, each with
 * a connection of its own. Prints operations a second, from the first one's begin to the last one's end;
 * totals that are wrong fail. bench_shared.py runs it beside its peers in Python.
 *
 *      bench_shared WORK PROCESSES OPERATIONS      (operations of each process)
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/ganger.h"
#include "proto/ganger_shared.h"

#define MAX_PROCESSES   64
#define AHEAD           256 /* puts on the way */
#define BATCH           256 /* items of a put or get */
#define LOCK_TIMEOUT_MS 10000

static const char item[64] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";

/* What the processes of a round share. */
static struct round {
        int64_t begin_ns[MAX_PROCESSES], end_ns[MAX_PROCESSES];
        unsigned n_processes;
        uint64_t n; /* operations of each process */
} * the;

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void check(const char *what, int r)
{
        if (r == 0)
                return;
        fprintf(stderr, "bench_shared: %s: %s\n", what, r < 0 ? strerror(-r) : "refused");
        exit(1);
}

static void check_total(uint64_t found, uint64_t expected)
{
        if (found == expected)
                return;
        fprintf(stderr, "bench_shared: %llu instead of %llu\n", (unsigned long long)found,
                (unsigned long long)expected);
        exit(1);
}

static void request(struct ganger *g, const char *method, const char *name)
{
        struct ganger_reply *reply = NULL;

        check(method, ganger_request(g, &reply, method, "[s]", name));
        ganger_reply_free(reply);
}

/* -- value -- */

static void open_value(struct ganger *g, struct ganger_shared *ret)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;

        options.kind = GANGER_SHARED_VALUE;
        options.type = GANGER_SHARED_I64;
        check("open", ganger_shared_open(g, ret, "value", &options));
}

static void add_under_lock(const struct ganger_shared *value)
{
        int64_t n;

        for (uint64_t i = 0; i < the->n; i++) {
                check("lock", ganger_shared_lock(value, LOCK_TIMEOUT_MS));
                check("get", ganger_shared_get_i64(value, 0, &n));
                check("set", ganger_shared_set_i64(value, 0, n + 1));
                check("unlock", ganger_shared_unlock(value));
        }
}

static void add_atomically(const struct ganger_shared *value)
{
        for (uint64_t i = 0; i < the->n; i++)
                check("add", ganger_shared_add_i64(value, 0, 1, NULL));
}

static void lock_memory(const struct ganger_shared *value)
{
        for (uint64_t i = 0; i < the->n; i++) {
                check("lock", ganger_shared_lock(value, LOCK_TIMEOUT_MS));
                check("unlock", ganger_shared_unlock(value));
        }
}

/* -- lock -- */

static void lock_by_name(struct ganger *g)
{
        for (uint64_t i = 0; i < the->n; i++) {
                request(g, "lock.acquire", "lock");
                request(g, "lock.release", "lock");
        }
}

/* -- queue: the first process puts, the second one gets -- */

struct putting {
        struct ganger *g;
        uint64_t n_started;
};

static void put_next(struct putting *p);

static void on_put(void *userdata, int r, struct ganger_reply *reply)
{
        check("put", r);
        ganger_reply_free(reply);
        put_next(userdata);
}

static void put_next(struct putting *p)
{
        if (p->n_started == the->n)
                return;
        p->n_started++;
        check("start", ganger_start_request(p->g, NULL, "queue.put", NULL, on_put, p, "[s[y]]", "queue", item,
                                            sizeof item));
}

static void put_ahead(struct ganger *g)
{
        struct putting p = {.g = g};

        for (int i = 0; i < AHEAD; i++)
                put_next(&p);
        while (ganger_pending(g) > 0) {
                struct pollfd fd = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};
                poll(&fd, 1, (int)ganger_timeout_ms(g));
                int r = ganger_dispatch(g);
                check("dispatch", r < 0 ? r : 0);
        }
}

static void put_each(struct ganger *g)
{
        for (uint64_t i = 0; i < the->n; i++) {
                struct ganger_reply *reply = NULL;
                check("put", ganger_request(g, &reply, "queue.put", "[s[y]]", "queue", item, sizeof item));
                ganger_reply_free(reply);
        }
}

static void put_batches(struct ganger *g)
{
        static char packed[BATCH * (2 + sizeof item)];

        for (size_t i = 0; i < BATCH; i++) {
                packed[i * (2 + sizeof item)] = (char)0xc4; /* bin 8 */
                packed[i * (2 + sizeof item) + 1] = sizeof item;
                memcpy(packed + i * (2 + sizeof item) + 2, item, sizeof item);
        }
        for (uint64_t left = the->n; left > 0;) {
                struct ganger_reply *reply = NULL;
                uint16_t n = left < BATCH ? (uint16_t)left : BATCH;
                char array[3 + sizeof packed] = {(char)0xdc, (char)(n >> 8), (char)n}; /* array 16 */
                memcpy(array + 3, packed, n * (2 + sizeof item));
                check("put", ganger_request(g, &reply, "queue.put", "[sm]", "queue", array,
                                            3 + n * (2 + sizeof item)));
                ganger_reply_free(reply);
                left -= n;
        }
}

/* As many at a time as the daemon has, at most max. */
static void get_all(struct ganger *g, uint64_t max)
{
        for (uint64_t n_got = 0; n_got < the->n;) {
                struct ganger_reply *reply = NULL;
                const void *data;
                size_t size_bytes;
                check("get", ganger_request(g, &reply, "queue.get", "[s{su}]", "queue", "max", max));
                int64_t n = ganger_count(reply);
                for (int64_t i = 0; i < n; i++) {
                        check("item", ganger_read_item(reply, (uint64_t)i, "[ny]", &data, &size_bytes));
                        check_total(size_bytes, sizeof item);
                }
                ganger_reply_free(reply);
                n_got += (uint64_t)n;
        }
}

/* -- a round -- */

static const struct work {
        const char *name;
        void (*memory)(const struct ganger_shared *); /* with the value mapped */
        void (*first)(struct ganger *);               /* the first process */
        void (*others)(struct ganger *);
        uint64_t max; /* the others get so many items at a time */
        int adds;     /* the total is to be right */
} works[] = {
        {.name = "value-lock", .memory = add_under_lock, .adds = 1},
        {.name = "value-atomic", .memory = add_atomically, .adds = 1},
        {.name = "memory-lock", .memory = lock_memory},
        {.name = "lock", .first = lock_by_name, .others = lock_by_name},
        {.name = "queue-each", .first = put_each, .max = 1},
        {.name = "queue-ahead", .first = put_ahead, .max = BATCH},
        {.name = "queue-batch", .first = put_batches, .max = BATCH},
};

static void meet(struct ganger *g)
{
        struct ganger_reply *reply = NULL;

        check("barrier", ganger_request(g, &reply, "barrier.wait", "[s{su}]", "start", "parties",
                                        (uint64_t)the->n_processes));
        ganger_reply_free(reply);
}

static void take_part(const struct work *work, unsigned index)
{
        struct ganger *g;
        struct ganger_shared value = {0};

        check("connect", ganger_open(&g, NULL));
        if (work->memory)
                open_value(g, &value);
        meet(g);
        the->begin_ns[index] = now_ns();
        if (work->memory)
                work->memory(&value);
        else if (index == 0)
                work->first(g);
        else if (work->max)
                get_all(g, work->max);
        else
                work->others(g);
        the->end_ns[index] = now_ns();
        if (work->memory)
                ganger_shared_unmap(&value);
        ganger_close(g);
}

static void run(const struct work *work)
{
        int status;

        fflush(NULL);
        for (unsigned i = 0; i < the->n_processes; i++) {
                pid_t pid = fork();
                check("fork", pid < 0 ? -errno : 0);
                if (pid == 0) {
                        take_part(work, i);
                        _exit(0);
                }
        }
        for (unsigned i = 0; i < the->n_processes; i++)
                if (wait(&status) < 0 || status != 0)
                        exit(1);
}

/* Queues count each item once, whoever put and got it. */
static void report(const struct work *work)
{
        uint64_t n = work->max ? the->n : the->n * the->n_processes;
        int64_t begin = the->begin_ns[0], end = the->end_ns[0];

        for (unsigned i = 1; i < the->n_processes; i++) {
                begin = the->begin_ns[i] < begin ? the->begin_ns[i] : begin;
                end = the->end_ns[i] > end ? the->end_ns[i] : end;
        }
        printf("%.0f\n", (double)n / ((double)(end - begin) / 1e9));
}

/* Each round begins with nothing there, and leaves nothing. */
static void finish(struct ganger *g, const struct work *work)
{
        struct ganger_shared value;
        int64_t total;

        if (work->adds) {
                open_value(g, &value);
                check("total", ganger_shared_get_i64(&value, 0, &total));
                check_total((uint64_t)total, the->n * the->n_processes);
                ganger_shared_unmap(&value);
        }
        request(g, "shared.unlink", "start");
        request(g, "shared.unlink", work->memory ? "value" : work->max ? "queue" : "lock");
}

int main(int argc, char **argv)
{
        const struct work *work = works, *end = works + sizeof works / sizeof *works;
        struct ganger *g;

        while (argc == 4 && work < end && strcmp(work->name, argv[1]) != 0)
                work++;
        if (argc != 4 || work == end || atoi(argv[2]) < 1 || atoi(argv[2]) > MAX_PROCESSES) {
                fprintf(stderr, "usage: bench_shared WORK PROCESSES OPERATIONS\n");
                return 2;
        }
        the = mmap(NULL, sizeof *the, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check("memory", the == MAP_FAILED ? -errno : 0);
        the->n_processes = (unsigned)atoi(argv[2]);
        the->n = strtoull(argv[3], NULL, 10);
        run(work);
        check("connect", ganger_open(&g, NULL));
        finish(g, work);
        ganger_close(g);
        report(work);
        return 0;
}
