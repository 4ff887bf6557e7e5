/* SPDX-License-Identifier: MIT */
/*
 * The same work through gearmand, by libgearman.
 *
 *      peer_gearman PORT worker
 *      peer_gearman PORT one SECONDS
 *      peer_gearman PORT many SECONDS OUTSTANDING
 */
#include <libgearman/gearman.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/measure.h"

static gearman_return_t echo(gearman_job_st *job, void *context)
{
        (void)context;
        return gearman_job_send_complete(job, gearman_job_workload(job), gearman_job_workload_size(job));
}

static void work(in_port_t port)
{
        gearman_worker_st *worker = gearman_worker_create(NULL);

        if (!worker || gearman_failed(gearman_worker_add_server(worker, "127.0.0.1", port)) ||
            gearman_failed(gearman_worker_define_function(worker, "echo", 4, gearman_function_create_v2(echo),
                                                          0, NULL)))
                die("gearman", "no worker");
        while (gearman_success(gearman_worker_work(worker)))
                ;
        die("gearman", gearman_worker_error(worker));
}

#define MAX_OUTSTANDING 1024

struct client {
        gearman_client_st *gearman;
        char payloads[MAX_OUTSTANDING][PAYLOAD_BYTES]; /* libgearman sends them later, and in their order */
        struct numbers numbers;
};

static void round_trip(void *userdata)
{
        struct client *client = userdata;
        char payload[PAYLOAD_BYTES];
        size_t size_bytes;
        gearman_return_t r;

        numbers_send(&client->numbers, payload);
        void *result =
                gearman_client_do(client->gearman, "echo", NULL, payload, sizeof(payload), &size_bytes, &r);
        if (gearman_failed(r))
                die("gearman", gearman_client_error(client->gearman));
        numbers_back(&client->numbers, result, size_bytes);
        free(result);
}

static gearman_return_t on_complete(gearman_task_st *task)
{
        struct client *client = gearman_task_context(task);

        numbers_back(&client->numbers, gearman_task_data(task), gearman_task_data_size(task));
        return GEARMAN_SUCCESS;
}

/* As many as are missing, then until some are done. */
static void flood(struct client *client, double seconds, uint64_t outstanding)
{
        int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9);
        uint64_t n_done = 0;
        bool is_over = false;

        gearman_client_add_options(client->gearman, GEARMAN_CLIENT_NON_BLOCKING | GEARMAN_CLIENT_FREE_TASKS);
        gearman_client_set_complete_fn(client->gearman, on_complete);
        while (!is_over || client->numbers.n_back < client->numbers.n_sent) {
                gearman_return_t r;
                while (!is_over && client->numbers.n_sent - client->numbers.n_back < outstanding) {
                        char *payload = client->payloads[client->numbers.n_sent % MAX_OUTSTANDING];
                        numbers_send(&client->numbers, payload);
                        gearman_client_add_task(client->gearman, NULL, client, "echo", NULL, payload,
                                                PAYLOAD_BYTES, &r);
                        if (gearman_failed(r))
                                die("gearman", gearman_client_error(client->gearman));
                }
                r = gearman_client_run_tasks(client->gearman);
                if (r == GEARMAN_IO_WAIT)
                        gearman_client_wait(client->gearman);
                else if (gearman_failed(r))
                        die("gearman", gearman_client_error(client->gearman));
                if (!is_over && now_ns() >= end) {
                        is_over = true;
                        n_done = client->numbers.n_back;
                        end = now_ns();
                }
        }
        print_rate(n_done, end - begin);
}

int main(int argc, char **argv)
{
        static struct client client;

        if (argc < 3)
                die("usage", "peer_gearman PORT worker | one SECONDS | many SECONDS OUTSTANDING");
        in_port_t port = (in_port_t)atoi(argv[1]);
        if (strcmp(argv[2], "worker") == 0)
                work(port);
        client.gearman = gearman_client_create(NULL);
        if (!client.gearman || gearman_failed(gearman_client_add_server(client.gearman, "127.0.0.1", port)))
                die("gearman", "no client");
        if (strcmp(argv[2], "one") == 0)
                measure_round_trips(atof(argv[3]), round_trip, &client);
        else
                flood(&client, atof(argv[3]), (uint64_t)atoi(argv[4]));
        numbers_check(&client.numbers);
        gearman_client_free(client.gearman);
        return 0;
}
