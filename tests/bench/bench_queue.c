/* SPDX-License-Identifier: MIT */
/*
 * Many tasks in the daemon's queue.
 *
 *      bench_queue SOCKET N BYTES
 *
 * Submits N tasks `echo` of so many bytes, and prints {"rate": …} after each tenth of them: of that, tasks a
 * second. Then waits for a line (or the end) of its standard input, takes all results, and prints {"taken":
 * N}.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ganger.h"
#include "tests/bench/measure.h"

#define OUTSTANDING 256
#define PARTS       10
#define MOST_BYTES  4096

struct client {
        struct ganger *ganger;
        size_t n, n_started, n_done, n_outstanding, size_bytes;
        uint64_t *ids;
        int64_t part_begin;
};

static void check(const char *what, int r)
{
        if (r != 0)
                die(what, r < 0 ? strerror(-r) : "refused");
}

static void on_id(void *userdata, int r, struct ganger_reply *reply)
{
        struct client *client = userdata;

        check("submit", r);
        check("id", ganger_read(reply, "u", &client->ids[client->n_done++]));
        ganger_reply_free(reply);
        client->n_outstanding--;
        if (client->n_done % (client->n / PARTS) == 0) {
                int64_t now = now_ns();
                printf("{\"rate\": %.1f}\n",
                       (double)(client->n / PARTS) * 1e9 / (double)(now - client->part_begin));
                fflush(stdout);
                client->part_begin = now;
        }
}

static void submit(struct client *client)
{
        static const char bytes[MOST_BYTES];

        check("start", ganger_start_request(client->ganger, NULL, "submit", NULL, on_id, client, "[s[y]]",
                                            "echo", bytes, client->size_bytes));
}

static void on_result(void *userdata, int r, struct ganger_reply *reply)
{
        struct client *client = userdata;
        const void *data;
        size_t size_bytes;

        check("result", r);
        check("read", ganger_read(reply, "y", &data, &size_bytes));
        if (size_bytes != client->size_bytes)
                die("result", "its size is another");
        ganger_reply_free(reply);
        client->n_done++;
        client->n_outstanding--;
}

static void take(struct client *client)
{
        check("start", ganger_start_request(client->ganger, NULL, "result", NULL, on_result, client, "[u]",
                                            client->ids[client->n_started]));
}

/* All of them, OUTSTANDING at a time. */
static void for_all(struct client *client, void (*start)(struct client *))
{
        client->n_started = client->n_done = 0;
        while (client->n_done < client->n) {
                for (; client->n_outstanding < OUTSTANDING && client->n_started < client->n;
                     client->n_started++, client->n_outstanding++)
                        start(client);
                struct pollfd p = {.fd = ganger_fd(client->ganger),
                                   .events = (short)ganger_events(client->ganger)};
                poll(&p, 1, (int)ganger_timeout_ms(client->ganger));
                int r = ganger_dispatch(client->ganger);
                if (r < 0)
                        check("dispatch", r);
        }
}

int main(int argc, char **argv)
{
        struct client client = {0};

        if (argc != 4)
                die("usage", "bench_queue SOCKET N BYTES");
        client.n = strtoull(argv[2], NULL, 10);
        client.size_bytes = strtoull(argv[3], NULL, 10);
        if (client.n < PARTS || client.n % PARTS != 0 || client.size_bytes > MOST_BYTES)
                die("usage", "N is a multiple of 10, BYTES at most 4096");
        client.ids = calloc(client.n, sizeof(*client.ids));
        if (!client.ids)
                die("ids", "no memory");
        check(argv[1], ganger_open(&client.ganger, argv[1]));
        client.part_begin = now_ns();
        for_all(&client, submit);
        getchar();
        for_all(&client, take);
        printf("{\"taken\": %zu}\n", client.n_done);
        ganger_close(client.ganger);
        free(client.ids);
        return 0;
}
