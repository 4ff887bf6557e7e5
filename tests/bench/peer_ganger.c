/* SPDX-License-Identifier: MIT */
/*
 * The work through ganger, by libganger.
 *
 *      peer_ganger SOCKET one SECONDS [MILLISECONDS]
 *      peer_ganger SOCKET many SECONDS OUTSTANDING [MILLISECONDS]
 *      peer_ganger SOCKET map N payloads|numbers
 *      peer_ganger SOCKET large SECONDS BYTES
 *      peer_ganger SOCKET in-place SECONDS BYTES
 *
 * Of echo; with MILLISECONDS of tasks that sleep for so long. Large values go through a function that turns
 * every byte over; in-place: the value is made once, where it is sent from.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ganger.h"
#include "proto/sealed.h"
#include "tests/bench/measure.h"

struct client {
        struct ganger *ganger;
        struct numbers numbers;
        int64_t end;
        int outstanding;
        double sleep_seconds; /* 0: echo */
};

static void check(const char *what, int r)
{
        if (r != 0)
                die(what, r < 0 ? strerror(-r) : "refused");
}

static void take(struct client *client, const struct ganger_reply *reply)
{
        const void *data;
        size_t size_bytes;

        check("read", ganger_read(reply, "y", &data, &size_bytes));
        numbers_back(&client->numbers, data, size_bytes);
}

static void round_trip(void *userdata)
{
        struct client *client = userdata;
        struct ganger_reply *reply = NULL;
        char payload[PAYLOAD_BYTES];

        if (client->sleep_seconds > 0)
                check("call",
                      ganger_call(client->ganger, &reply, NULL, "sleep", "[d]", client->sleep_seconds));
        else {
                numbers_send(&client->numbers, payload);
                check("call",
                      ganger_call(client->ganger, &reply, NULL, "echo", "[y]", payload, sizeof(payload)));
                take(client, reply);
        }
        ganger_reply_free(reply);
}

static void start_one(struct client *client);

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct client *client = userdata;

        check("call", r);
        if (client->sleep_seconds > 0)
                client->numbers.n_back++;
        else
                take(client, reply);
        ganger_reply_free(reply);
        client->outstanding--;
        if (client->end != 0 && ((client->numbers.n_back & 15) != 0 || now_ns() < client->end))
                start_one(client);
        else
                client->end = 0;
}

static void start_one(struct client *client)
{
        char payload[PAYLOAD_BYTES];
        int r;

        if (client->sleep_seconds > 0) {
                client->numbers.n_sent++;
                r = ganger_start(client->ganger, NULL, "sleep", on_reply, client, "[d]",
                                 client->sleep_seconds);
        } else {
                numbers_send(&client->numbers, payload);
                r = ganger_start(client->ganger, NULL, "echo", on_reply, client, "[y]", payload,
                                 sizeof(payload));
        }
        check("start", r);
        client->outstanding++;
}

static void flood(struct client *client, double seconds, int outstanding)
{
        int64_t begin = now_ns(), over_at = 0;
        uint64_t n_done = 0;

        client->end = begin + (int64_t)(seconds * 1e9);
        for (int i = 0; i < outstanding; i++)
                start_one(client);
        while (client->outstanding > 0) {
                struct pollfd p = {.fd = ganger_fd(client->ganger),
                                   .events = (short)ganger_events(client->ganger)};
                poll(&p, 1, (int)ganger_timeout_ms(client->ganger));
                int r = ganger_dispatch(client->ganger);
                if (r < 0)
                        check("dispatch", r);
                if (client->end == 0 && over_at == 0) {
                        over_at = now_ns();
                        n_done = client->numbers.n_back;
                }
        }
        print_rate(n_done, over_at - begin);
}

/* -- map -- */

struct items {
        uint64_t n;
        bool as_payloads;
        struct numbers numbers;
};

static int next_item(void *userdata, struct ganger_writer *writer)
{
        struct items *items = userdata;
        char payload[PAYLOAD_BYTES];
        int r;

        if (items->numbers.n_sent == items->n)
                return 0;
        numbers_send(&items->numbers, payload);
        r = items->as_payloads ? ganger_write(writer, "[y]", payload, sizeof(payload))
                               : ganger_write(writer, "[u]", items->numbers.n_sent);
        return r < 0 ? r : 1;
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct items *items = userdata;
        const void *data;
        size_t size_bytes;
        uint64_t number;

        (void)index;
        check("item", code);
        if (items->as_payloads) {
                check("read", ganger_read(reply, "y", &data, &size_bytes));
                numbers_back(&items->numbers, data, size_bytes);
        } else {
                check("read", ganger_read(reply, "u", &number));
                items->numbers.n_back++;
                items->numbers.sum_back += number;
        }
        return 0;
}

static void map(struct ganger *ganger, uint64_t n, bool as_payloads)
{
        struct items items = {.n = n, .as_payloads = as_payloads};
        int64_t begin = now_ns();

        check("map", ganger_map(ganger, NULL, "echo", next_item, on_item, &items));
        print_rate(items.numbers.n_back, now_ns() - begin);
        numbers_check(&items.numbers);
}

/* -- large values -- */

struct large {
        struct ganger *ganger;
        unsigned char *data;
        size_t size_bytes;
        int fd; /* in place: the sealed memfd; -1 */
        unsigned char sum;
};

/* Both ends touch all: what is sent is written anew, what comes is read. */
static void large_round_trip(void *userdata)
{
        struct large *large = userdata;
        struct ganger_reply *reply = NULL;
        const void *data;
        size_t size_bytes;

        if (large->fd >= 0) {
                uint64_t size = htobe64(large->size_bytes);
                unsigned char whole[13] = {0x91, 0xc7, 9, 71, 0}; /* [ext 71, kind 0, size] */
                memcpy(whole + 5, &size, sizeof(size));
                const size_t n_fds = 1;
                check("call", ganger_call(large->ganger, &reply, NULL, "probe.turned", "M", whole,
                                          sizeof(whole), &large->fd, n_fds));
        } else {
                memset(large->data, ++large->sum, large->size_bytes);
                check("call", ganger_call(large->ganger, &reply, NULL, "probe.turned", "[y]", large->data,
                                          large->size_bytes));
        }
        check("read", ganger_read(reply, "y", &data, &size_bytes));
        if (size_bytes != large->size_bytes)
                die("large", "its size is another");
        const uint64_t *words = data, wanted = 0x0101010101010101u * (unsigned char)~large->sum;
        for (size_t i = 0; i < size_bytes / sizeof(*words); i++)
                if (words[i] != wanted)
                        die("large", "what came back is not what was sent");
        ganger_reply_free(reply);
}

static void large(struct ganger *ganger, double seconds, size_t size_bytes, bool in_place)
{
        struct large large = {
                .ganger = ganger, .size_bytes = size_bytes, .fd = -1, .data = malloc(size_bytes)};

        if (!large.data)
                die("large", strerror(ENOMEM));
        memset(large.data, large.sum, size_bytes);
        if (in_place && sealed_copy(large.data, size_bytes, &large.fd) < 0)
                die("large", "no memfd");
        measure_round_trips(seconds, large_round_trip, &large);
        free(large.data);
}

int main(int argc, char **argv)
{
        struct client client = {0};

        if (argc < 4)
                die("usage", "peer_ganger SOCKET one SECONDS [MILLISECONDS] | many SECONDS OUTSTANDING "
                             "[MILLISECONDS] | map N KIND");
        check(argv[1], ganger_open(&client.ganger, argv[1]));
        if (strcmp(argv[2], "one") == 0 && argc > 4)
                client.sleep_seconds = atof(argv[4]) / 1e3;
        if (strcmp(argv[2], "one") == 0)
                measure_round_trips(atof(argv[3]), round_trip, &client);
        else if (strcmp(argv[2], "large") == 0 || strcmp(argv[2], "in-place") == 0)
                large(client.ganger, atof(argv[3]), strtoull(argv[4], NULL, 10),
                      strcmp(argv[2], "in-place") == 0);
        else if (strcmp(argv[2], "map") == 0)
                map(client.ganger, strtoull(argv[3], NULL, 10), argc > 4 && strcmp(argv[4], "payloads") == 0);
        else if (argc > 4) {
                client.sleep_seconds = argc > 5 ? atof(argv[5]) / 1e3 : 0;
                flood(&client, atof(argv[3]), atoi(argv[4]));
        }
        if (client.sleep_seconds == 0)
                numbers_check(&client.numbers);
        ganger_close(client.ganger);
        return 0;
}
