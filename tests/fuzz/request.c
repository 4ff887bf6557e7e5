/* SPDX-License-Identifier: MIT */
/*
 * An input is a sequence of requests, each of: a byte that says who and how (bit 0: as a notification, bits 1
 * and 2: which client, bit 3: the next one comes in a later turn), a byte for the method (its number in the
 * table; one beyond the last: a method that there is not), two bytes for the size of the parameters, and the
 * parameters. Those that are no whole value are left out: the scanner's part has a harness of its own. Behind
 * the requests stand workers that do as they are told. Every request is answered exactly once by the time
 * gangerd has stopped, but those that wait at a shared object then: they end with the connection.
 */
#include "tests/fuzz/request.h"

#include <string.h>
#include <unistd.h>

#include "proto/methods.h"
#include "proto/pack.h"
#include "tests/fuzz/client.h"
#include "tests/fuzz/in_process.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/model_process.h"
#include "tests/fuzz/must.h"

#define N_CLIENTS     3
#define MOST_REQUESTS 400
#define SETTLE_TURNS  20

static const char configuration[] = "[daemon]\n"
                                    "stop_timeout = 1\n"
                                    "user_memory = 1M\n"
                                    "user_tasks = 50\n"
                                    "user_objects = 20\n"
                                    "max_message = 64K\n"
                                    "history = 20\n"
                                    "[pool default]\n"
                                    "workers = 2\n"
                                    "max_workers = 3\n"
                                    "queue_limit = 30\n"
                                    "nesting_limit = 2\n"
                                    "[pool other]\n"
                                    "workers = 1\n"
                                    "allow_users = 0\n";

struct asking {
        struct client client;
        uint8_t n_answers[MOST_REQUESTS]; /* by msgid */
        bool is_request[MOST_REQUESTS], may_wait[MOST_REQUESTS];
        bool gave_up;     /* what was to be sent did not fit */
        bool was_dropped; /* by gangerd, before it ended */
};

struct requests {
        struct in_process process;
        struct input input;
        struct asking clients[N_CLIENTS];
        bool connected;
        uint32_t n_sent;
        unsigned n_settling;
};

static void on_response(void *userdata, uint32_t msgid)
{
        struct asking *a = userdata;

        MUST(msgid < MOST_REQUESTS && a->is_request[msgid]);
        MUST(++a->n_answers[msgid] == 1);
}

static void connect_all(struct requests *q)
{
        struct buffer hello = BUFFER_INIT;
        struct packer p;

        pack_begin(&p, &hello);
        pack_notification(&p, "hello", 1);
        pack_map(&p, 1);
        pack_str(&p, "descriptors");
        pack_bool(&p, true);
        MUST(pack_end(&p) == 0);
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                q->clients[i].client =
                        (struct client){.fd = -1, .on_response = on_response, .userdata = &q->clients[i]};
                client_connect(&q->clients[i].client, q->process.daemon, i == 0 ? geteuid() : 20000 + i);
                client_send(&q->clients[i].client, buffer_at(&hello), buffer_size(&hello), NULL, 0);
        }
        buffer_deinit(&hello);
        q->connected = true;
}

static bool waits_at_object(unsigned method)
{
        return method < N_METHODS && (method_table[method].flags & METHOD_FLAG_WAITS) != 0 &&
               method >= METHOD_SHARED_OPEN;
}

static void send_one(struct requests *q, struct asking *a, bool is_notification, unsigned method,
                     const uint8_t *params, size_t size_bytes)
{
        static const uint8_t kinds[LIMIT_DESCRIPTORS] = {CLIENT_SEALED_MEMFD, CLIENT_MEMFD, CLIENT_PIPE};
        struct buffer bytes = BUFFER_INIT;
        struct packer p;
        struct scan scan;
        const char *name = method < N_METHODS ? method_table[method].name : "no.method";

        scan_init(&scan, LIMIT_MESSAGE_FLOOR_BYTES);
        if (a->gave_up || scan_feed(&scan, params, size_bytes) != SCAN_DONE || (params[0] >> 4) != 9 ||
            scan.n_descriptors > LIMIT_DESCRIPTORS)
                return;
        pack_begin(&p, &bytes);
        pack_array(&p, is_notification ? 3 : 4);
        pack_uint(&p, is_notification ? 2 : 0);
        if (!is_notification)
                pack_uint(&p, q->n_sent);
        pack_str(&p, name);
        pack_raw(&p, params, scan.at);
        MUST(pack_end(&p) == 0);
        scan_init(&scan, LIMIT_MESSAGE_FLOOR_BYTES); /* a level deeper than alone */
        if (scan_feed(&scan, buffer_at(&bytes), buffer_size(&bytes)) == SCAN_DONE) {
                a->is_request[q->n_sent] = !is_notification;
                a->may_wait[q->n_sent++] = waits_at_object(method);
                if (!client_send(&a->client, buffer_at(&bytes), buffer_size(&bytes), kinds,
                                 scan.n_descriptors))
                        a->gave_up = true;
        }
        buffer_deinit(&bytes);
}

/* Sends until one that says so, or the end. */
static void send_some(struct requests *q)
{
        bool later = false;

        while (!later && !input_at_end(&q->input)) {
                unsigned how = input_byte(&q->input), method = input_byte(&q->input) % (N_METHODS + 1);
                size_t size_bytes = input_u16(&q->input);
                const uint8_t *params = input_bytes(&q->input, &size_bytes);
                later = how & 8;
                if (q->n_sent == MOST_REQUESTS)
                        q->input.at = q->input.end;
                else
                        send_one(q, &q->clients[(how >> 1 & 3) % N_CLIENTS], how & 1, method, params,
                                 size_bytes);
        }
}

static bool step(void *userdata)
{
        struct requests *q = userdata;

        if (!q->connected)
                connect_all(q);
        model_processes_step(true);
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                client_read(&q->clients[i].client);
                if (q->clients[i].client.fd < 0)
                        q->clients[i].was_dropped = true;
        }
        send_some(q);
        return !input_at_end(&q->input) || q->n_settling++ < SETTLE_TURNS;
}

/* Where memory fails a connection may be dropped rather than miss an answer; never else. */
static void check_answered(const struct asking *a, uint32_t n_sent, bool has_faults)
{
        MUST(!a->was_dropped || a->client.was_told_error || has_faults);
        for (uint32_t i = 0; i < n_sent; i++) {
                bool is_right =
                        a->n_answers[i] == a->is_request[i] || (a->may_wait[i] && a->n_answers[i] == 0);
                if (a->gave_up || a->was_dropped || a->client.was_told_error)
                        continue;
                if (!is_right)
                        fprintf(stderr, "request %u has %u answers\n", i, a->n_answers[i]);
                MUST(is_right);
        }
}

static void over(void *userdata)
{
        struct requests *q = userdata;

        for (unsigned i = 0; i < N_CLIENTS && q->connected; i++) {
                client_read(&q->clients[i].client);
                check_answered(&q->clients[i], q->n_sent, q->process.has_faults);
                client_close(&q->clients[i].client);
        }
}

void request_run(const uint8_t *data, size_t size_bytes, bool has_faults)
{
        static struct requests q;

        q = (struct requests){
                .process = {.step = step, .over = over, .userdata = &q, .has_faults = has_faults},
                .input = {data, data + size_bytes}};
        model_processes_begin(false);
        in_process_run(&q.process, configuration);
}
