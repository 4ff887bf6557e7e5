/* SPDX-License-Identifier: MIT */
/*
 * A program whose threads use the library as it promises: a handle by one thread at a time, handed on from
 * round to round; replies read by another thread than the one that got them, also when their handle is
 * closed; one view of shared memory by all at once. For the tests, and to be built with ThreadSanitizer.
 *
 * thread_client SOCKET PATIENCE_MS N_THREADS: with PATIENCE_MS above 0 the handles reconnect. Prints "round"
 * as often as all threads have done a round, until standard input ends, then "ended ROUNDS WRONG".
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/ganger.h"
#include "client/ganger_shared.h"

enum { THREADS_MAX = 16, BATCH = 40, ITEMS = 60, ADDS = 200, SHARED_BYTES = 1000, BIG_BYTES = 400 * 1000 };

struct world;
struct place { /* what one thread does a round with; the next round, another one */
        struct ganger *g;
        struct ganger_reply *big; /* what the one before has got */
};
struct worker {
        struct world *world;
        unsigned number;
        pthread_t thread;
};
struct world {
        const char *socket;
        int64_t patience_ms;
        unsigned n;
        pthread_barrier_t barrier;
        struct place places[THREADS_MAX];
        struct worker workers[THREADS_MAX];
        struct ganger_shared sum, counted, text;
        uint64_t n_rounds;      /* the first thread's alone */
        bool is_last;           /* as the first thread said before the barrier */
        atomic_bool is_over;    /* by the main thread */
        _Atomic unsigned wrong; /* how much did not go as promised */
};

__attribute__((format(printf, 2, 3))) static void wrong(struct world *world, const char *format, ...)
{
        va_list list;

        atomic_fetch_add(&world->wrong, 1);
        va_start(list, format);
        vfprintf(stderr, format, list);
        va_end(list);
}

/* Opening waits for nobody: where the daemon is killed now and then it is tried again. */
static struct ganger *open_handle(struct world *world)
{
        const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        struct ganger *g = NULL;
        int r = ganger_open(&g, world->socket);

        for (int ms = 0; r < 0 && ms < world->patience_ms; ms += 10) {
                nanosleep(&pause, NULL);
                r = ganger_open(&g, world->socket);
        }
        if (r == 0 && world->patience_ms > 0)
                r = ganger_set_reconnect(g, world->patience_ms);
        if (r < 0)
                wrong(world, "open: %d\n", r);
        return g;
}

/* ---- a round ---- */

static void call(struct world *world, struct ganger *g, uint64_t number)
{
        struct ganger_reply *reply = NULL;
        uint64_t back = 0;
        int r = ganger_call(g, &reply, NULL, "echo", "[u]", number);

        if (r != 0 || ganger_read(reply, "u", &back) < 0 || back != number)
                wrong(world, "call: %d, %" PRIu64 " for %" PRIu64 "\n", r, back, number);
        ganger_reply_free(reply);
}

struct batch {
        struct world *world;
        unsigned n_ended;
};

static void batch_on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct batch *batch = userdata;

        batch->n_ended++;
        if (r != 0)
                wrong(batch->world, "of a batch: %d\n", r);
        ganger_reply_free(reply);
}

static void batch(struct world *world, struct ganger *g)
{
        struct batch batch = {.world = world};
        int r = 0;

        for (uint64_t i = 0; r >= 0 && i < BATCH; i++)
                r = ganger_start(g, NULL, "echo", batch_on_reply, &batch, "[u]", i);
        while (r >= 0 && ganger_pending(g) > 0) {
                struct pollfd p = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};

                poll(&p, 1, (int)ganger_timeout_ms(g));
                r = ganger_dispatch(g);
        }
        if (r < 0 || batch.n_ended != BATCH)
                wrong(world, "batch: %d, %u ended\n", r, batch.n_ended);
}

struct items {
        struct world *world;
        int64_t n_given, sum;
};

static int next_item(void *userdata, struct ganger_writer *w)
{
        struct items *items = userdata;
        int r;

        if (items->n_given == ITEMS)
                return 0;
        r = ganger_write(w, "[i]", items->n_given++);
        return r < 0 ? r : 1;
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct items *items = userdata;
        int64_t back = -1;

        if (code != 0 || ganger_read(reply, "i", &back) < 0 || back != (int64_t)index)
                wrong(items->world, "item %" PRIu64 ": %d, %" PRId64 "\n", index, code, back);
        items->sum += back;
        return 0;
}

static void map(struct world *world, struct ganger *g)
{
        struct items items = {.world = world};
        int r = ganger_map(g, NULL, "echo", next_item, on_item, &items);

        if (r != 0 || items.sum != ITEMS * (ITEMS - 1) / 2)
                wrong(world, "map: %d, %" PRId64 "\n", r, items.sum);
}

/* Large enough for a memfd both ways; every byte is the round's. */
static struct ganger_reply *big(struct world *world, struct ganger *g, uint64_t round)
{
        struct ganger_reply *reply = NULL;
        char *bytes = malloc(BIG_BYTES);
        int r;

        if (bytes == NULL)
                abort();
        memset(bytes, (int)(round & 0xff), BIG_BYTES);
        r = ganger_call(g, &reply, NULL, "echo", "[y]", bytes, (size_t)BIG_BYTES);
        free(bytes);
        if (r != 0)
                wrong(world, "big: %d\n", r);
        return reply;
}

static void read_big(struct world *world, struct ganger_reply *reply, uint64_t round)
{
        const void *bytes = NULL;
        size_t size_bytes = 0;

        if (reply != NULL && (ganger_read(reply, "y", &bytes, &size_bytes) < 0 || size_bytes != BIG_BYTES ||
                              ((const uint8_t *)bytes)[BIG_BYTES - 1] != (round & 0xff)))
                wrong(world, "a big reply of another thread is not what it was\n");
        ganger_reply_free(reply);
}

/* All threads at once: atomically, under the lock, and bytes as they come, of which each is whole. */
static void share(struct world *world)
{
        uint8_t text[SHARED_BYTES];
        int64_t n = 0;
        int r = 0;

        for (int i = 0; r >= 0 && i < ADDS; i++)
                r = ganger_shared_add_i64(&world->sum, 0, 1, &n);
        for (int i = 0; r >= 0 && i < ADDS; i++) {
                r = ganger_shared_lock(&world->counted, 20000);
                if (r == 0)
                        r = ganger_shared_get_i64(&world->counted, 0, &n);
                if (r == 0)
                        r = ganger_shared_set_i64(&world->counted, 0, n + 1);
                if (r == 0)
                        r = ganger_shared_unlock(&world->counted);
        }
        memset(text, 'a', sizeof text);
        if (r == 0)
                r = ganger_shared_write(&world->text, 1, sizeof text - 1, text + 1);
        if (r == 0)
                r = ganger_shared_read(&world->text, 1, sizeof text - 1, text + 1);
        if (r != 0 || text[1] != 'a' || text[sizeof text - 1] != 'a')
                wrong(world, "shared: %d\n", r);
}

static void open_and_close(struct world *world)
{
        struct ganger *g = open_handle(world);

        if (g != NULL)
                call(world, g, 1);
        ganger_close(g);
}

/* ---- threads ---- */

/* What is begun in one round is read in the next by another thread; the handle that it came over may be
 * closed then. */
static void do_round(struct worker *worker, uint64_t round)
{
        struct world *world = worker->world;
        struct place *place = &world->places[(worker->number + round) % world->n];

        read_big(world, place->big, round - 1);
        call(world, place->g, round);
        batch(world, place->g);
        map(world, place->g);
        place->big = big(world, place->g, round);
        share(world);
        open_and_close(world);
        if (round % 4 == 3) {
                ganger_close(place->g);
                place->g = open_handle(world);
        }
}

static void *work(void *userdata)
{
        struct worker *worker = userdata;
        struct world *world = worker->world;

        pthread_barrier_wait(&world->barrier);
        world->places[worker->number].g = open_handle(world); /* all at once */
        for (uint64_t round = 0;; round++) {
                pthread_barrier_wait(&world->barrier);
                if (worker->number == 0)
                        world->is_last = atomic_load(&world->is_over) || atomic_load(&world->wrong);
                pthread_barrier_wait(&world->barrier);
                if (world->is_last)
                        return NULL;
                do_round(worker, round);
                if (worker->number == 0) {
                        world->n_rounds++;
                        puts("round");
                        fflush(stdout);
                }
        }
}

/* By a handle of its own, for the others' would not get over a new daemon. */
static void open_shared(struct world *world)
{
        struct ganger_shared_options value = GANGER_SHARED_OPTIONS_INIT, bytes = GANGER_SHARED_OPTIONS_INIT;
        struct ganger *g = NULL;
        int r = ganger_open(&g, world->socket);

        value.kind = GANGER_SHARED_VALUE;
        bytes.kind = GANGER_SHARED_ARRAY;
        bytes.type = GANGER_SHARED_BYTES;
        bytes.length = SHARED_BYTES;
        if (r == 0)
                r = ganger_shared_open(g, &world->sum, "sum", &value);
        if (r == 0)
                r = ganger_shared_open(g, &world->counted, "counted", &value);
        if (r == 0)
                r = ganger_shared_open(g, &world->text, "text", &bytes);
        if (r != 0)
                wrong(world, "shared memory: %d\n", r);
        ganger_close(g);
}

static void check_sums(struct world *world)
{
        int64_t expected = (int64_t)world->n_rounds * world->n * ADDS, sum = 0, counted = 0;

        if (ganger_shared_get_i64(&world->sum, 0, &sum) < 0 ||
            ganger_shared_get_i64(&world->counted, 0, &counted) < 0 || sum != expected || counted != expected)
                wrong(world, "sums %" PRId64 " and %" PRId64 " instead of %" PRId64 "\n", sum, counted,
                      expected);
}

int main(int argc, char **argv)
{
        static struct world world;

        if (argc != 4)
                return 2;
        world.socket = argv[1];
        world.patience_ms = atoll(argv[2]);
        world.n = (unsigned)atoi(argv[3]);
        if (world.n == 0 || world.n > THREADS_MAX)
                return 2;
        open_shared(&world);
        pthread_barrier_init(&world.barrier, NULL, world.n);
        for (unsigned i = 0; i < world.n; i++) {
                world.workers[i] = (struct worker){.world = &world, .number = i};
                if (pthread_create(&world.workers[i].thread, NULL, work, &world.workers[i]) != 0)
                        abort();
        }
        while (getchar() != EOF)
                ;
        atomic_store(&world.is_over, true);
        for (unsigned i = 0; i < world.n; i++)
                pthread_join(world.workers[i].thread, NULL);
        check_sums(&world);
        for (unsigned i = 0; i < world.n; i++)
                ganger_close(world.places[i].g);
        for (unsigned i = 0; i < world.n; i++)
                ganger_reply_free(world.places[i].big); /* which lives longer than its handle */
        printf("ended %" PRIu64 " %u\n", world.n_rounds, atomic_load(&world.wrong));
        return atomic_load(&world.wrong) != 0;
}
