/* SPDX-License-Identifier: MIT */
/*
 * How fast calls are, through libganger and a real daemon: the round trip of one `echo` of 64 bytes, one
 * at a time, and calls a second with many outstanding. Prints a line a figure; judges nothing.
 *
 *      bench_calls SECONDS [one|many|map]
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ganger.h"

#define OUTSTANDING 256
#define MAX_SAMPLES 2000000

static const char payload[64] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what, int r)
{
        fprintf(stderr, "bench_calls: %s: %s\n", what, r < 0 ? strerror(-r) : "refused");
        exit(1);
}

static int compare(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return x < y ? -1 : x > y;
}

static void round_trips(struct ganger *g, double seconds)
{
        int64_t *samples = malloc(MAX_SAMPLES * sizeof *samples);
        int64_t end = now_ns() + (int64_t)(seconds * 1e9);
        size_t n = 0;

        if (samples == NULL)
                die("samples", -12);
        for (int64_t begin = now_ns(); begin < end && n < MAX_SAMPLES; n++) {
                struct ganger_reply *reply = NULL;
                int r = ganger_call(g, &reply, NULL, "echo", "[y]", payload, sizeof payload);
                if (r != 0)
                        die("call", r);
                ganger_reply_free(reply);
                int64_t done = now_ns();
                samples[n] = done - begin;
                begin = done;
        }
        qsort(samples, n, sizeof *samples, compare);
        printf("echo of 64 bytes, one outstanding:  p50 %.1f us  p99 %.1f us  max %.1f us  (%zu calls)\n",
               (double)samples[n / 2] / 1e3, (double)samples[n * 99 / 100] / 1e3,
               (double)samples[n - 1] / 1e3, n);
        free(samples);
}

struct flood {
        struct ganger *g;
        uint64_t n_done;
        int64_t end;
        int outstanding;
};

static void start_one(struct flood *flood);

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct flood *flood = userdata;

        if (r != 0)
                die("call", r);
        ganger_reply_free(reply);
        flood->outstanding--;
        flood->n_done++;
        if ((flood->n_done & 63) != 0 || now_ns() < flood->end)
                start_one(flood);
        else
                flood->end = 0;
}

static void start_one(struct flood *flood)
{
        if (flood->end == 0)
                return;
        int r = ganger_start(flood->g, NULL, "echo", on_reply, flood, "[y]", payload, sizeof payload);
        if (r != 0)
                die("start", r);
        flood->outstanding++;
}

static void flood(struct ganger *g, double seconds)
{
        int64_t begin = now_ns();
        struct flood f = {.g = g, .end = begin + (int64_t)(seconds * 1e9)};

        for (int i = 0; i < OUTSTANDING; i++)
                start_one(&f);
        while (f.outstanding > 0) {
                struct pollfd p = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};
                poll(&p, 1, (int)ganger_timeout_ms(g));
                int r = ganger_dispatch(g);
                if (r < 0)
                        die("dispatch", r);
        }
        printf("echo of 64 bytes, %d outstanding:  %.0f calls/s  (%llu calls)\n", OUTSTANDING,
               (double)f.n_done / ((double)(now_ns() - begin) / 1e9), (unsigned long long)f.n_done);
}

/* ---- map ---- */

#define ITEMS_A_SECOND 300000 /* about: so many items for each second that is asked for */

struct items {
        uint64_t n, n_asked, n_done;
};

static int next_item(void *userdata, struct ganger_writer *writer)
{
        struct items *items = userdata;
        char item[sizeof payload];

        if (items->n_asked == items->n)
                return 0;
        memcpy(item, payload, sizeof item);
        memcpy(item, &items->n_asked, sizeof items->n_asked); /* each is another one */
        items->n_asked++;
        int r = ganger_write(writer, "[y]", item, sizeof item);
        return r < 0 ? r : 1;
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct items *items = userdata;

        if (code != 0)
                die("item", code);
        items->n_done++;
        return 0;
}

static void map(struct ganger *g, double seconds)
{
        struct items items = {.n = (uint64_t)(seconds * ITEMS_A_SECOND)};
        int64_t begin = now_ns();
        int r = ganger_map(g, NULL, "echo", next_item, on_item, &items);

        if (r != 0 || items.n_done != items.n)
                die("map", r);
        printf("map of echo, items of 64 bytes:  %.0f items/s  (%llu items)\n",
               (double)items.n / ((double)(now_ns() - begin) / 1e9), (unsigned long long)items.n);
}

int main(int argc, char **argv)
{
        double seconds = argc > 1 ? atof(argv[1]) : 3;
        struct ganger *g;
        int r = ganger_open(&g, NULL);

        if (r < 0)
                die("connect", r);
        round_trips(g, seconds / 10); /* warms up */
        if (argc < 3 || strcmp(argv[2], "one") == 0)
                round_trips(g, seconds);
        if (argc < 3 || strcmp(argv[2], "many") == 0)
                flood(g, seconds);
        if (argc < 3 || strcmp(argv[2], "map") == 0)
                map(g, seconds);
        ganger_close(g);
        return 0;
}
