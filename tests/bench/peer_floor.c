/* SPDX-License-Identifier: MIT */
/*
 * The floor: what three processes cost that do nothing but pass 64 bytes from a client through a middle one
 * to a worker and back, over Unix sockets, without a protocol.
 *
 *      peer_floor SOCKET middle N_WORKERS      makes SOCKET and SOCKET.worker, takes the workers, then a
 * client peer_floor SOCKET worker peer_floor SOCKET one SECONDS peer_floor SOCKET many SECONDS OUTSTANDING
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define MAX_WORKERS  16
#define BUFFER_BYTES (1 << 16)

static int listen_at(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
                die(path, strerror(errno));
        return fd;
}

static size_t read_some(int fd, char *buffer)
{
        ssize_t r = recv(fd, buffer, BUFFER_BYTES, 0);

        if (r < 0)
                die("recv", strerror(errno));
        return (size_t)r;
}

/* Of a stream that may be cut anywhere: so much that whole payloads are there. */
static size_t read_whole(int fd, char *buffer)
{
        size_t n = read_some(fd, buffer);

        if (n % PAYLOAD_BYTES != 0) {
                size_t missing = PAYLOAD_BYTES - n % PAYLOAD_BYTES;
                read_all(fd, buffer + n, missing);
                n += missing;
        }
        return n;
}

/* What comes from the client goes to the workers in equal parts, what comes from those goes to the client. */
static void pass(int client, const int *workers, unsigned n_workers)
{
        static char buffer[BUFFER_BYTES + PAYLOAD_BYTES];
        struct pollfd polled[MAX_WORKERS + 1] = {{.fd = client, .events = POLLIN}};
        unsigned next = 0;

        for (unsigned i = 0; i < n_workers; i++)
                polled[i + 1] = (struct pollfd){.fd = workers[i], .events = POLLIN};
        for (;;) {
                if (poll(polled, n_workers + 1, -1) < 0)
                        die("poll", strerror(errno));
                for (unsigned i = 1; i <= n_workers; i++)
                        if (polled[i].revents)
                                write_all(client, buffer, read_whole(workers[i - 1], buffer));
                if (!polled[0].revents)
                        continue;
                size_t n = read_whole(client, buffer);
                if (n == 0)
                        return;
                size_t share = (n / PAYLOAD_BYTES + n_workers - 1) / n_workers * PAYLOAD_BYTES;
                for (size_t done = 0; done < n; done += share, next++)
                        write_all(workers[next % n_workers], buffer + done,
                                  n - done < share ? n - done : share);
        }
}

static void be_middle(const char *path, unsigned n_workers)
{
        char worker_path[200];
        int workers[MAX_WORKERS];

        if (n_workers < 1 || n_workers > MAX_WORKERS)
                die("workers", "too many");
        snprintf(worker_path, sizeof(worker_path), "%s.worker", path);
        int worker_listener = listen_at(worker_path);
        for (unsigned i = 0; i < n_workers; i++) {
                workers[i] = accept(worker_listener, NULL, NULL);
                if (workers[i] < 0)
                        die("accept", strerror(errno));
        }
        int listener = listen_at(path);
        for (;;) {
                int client = accept(listener, NULL, NULL);
                if (client < 0)
                        die("accept", strerror(errno));
                pass(client, workers, n_workers);
                close(client);
        }
}

static void work(const char *path)
{
        static char buffer[BUFFER_BYTES + PAYLOAD_BYTES];
        char worker_path[200];

        snprintf(worker_path, sizeof(worker_path), "%s.worker", path);
        int fd = connect_unix(worker_path);
        for (size_t n; (n = read_whole(fd, buffer)) > 0;)
                write_all(fd, buffer, n);
}

struct client {
        int fd;
        struct numbers numbers;
};

static void round_trip(void *userdata)
{
        struct client *client = userdata;
        char payload[PAYLOAD_BYTES];

        numbers_send(&client->numbers, payload);
        write_all(client->fd, payload, sizeof(payload));
        read_all(client->fd, payload, sizeof(payload));
        numbers_back(&client->numbers, payload, sizeof(payload));
}

static void flood(struct client *client, double seconds, unsigned outstanding)
{
        static char buffer[BUFFER_BYTES + PAYLOAD_BYTES];
        int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9);
        size_t free_places = outstanding;

        while (now_ns() < end) {
                for (size_t i = 0; i < free_places; i++)
                        numbers_send(&client->numbers, buffer + i * PAYLOAD_BYTES);
                write_all(client->fd, buffer, free_places * PAYLOAD_BYTES);
                free_places = read_whole(client->fd, buffer) / PAYLOAD_BYTES;
                for (size_t i = 0; i < free_places; i++)
                        numbers_back(&client->numbers, buffer + i * PAYLOAD_BYTES, PAYLOAD_BYTES);
        }
        print_rate(client->numbers.n_back, now_ns() - begin);
        while (client->numbers.n_back < client->numbers.n_sent) {
                read_all(client->fd, buffer, PAYLOAD_BYTES);
                numbers_back(&client->numbers, buffer, PAYLOAD_BYTES);
        }
}

int main(int argc, char **argv)
{
        if (argc < 3)
                die("usage", "peer_floor SOCKET middle N | worker | one SECONDS | many SECONDS OUTSTANDING");
        if (strcmp(argv[2], "middle") == 0)
                be_middle(argv[1], (unsigned)atoi(argv[3]));
        if (strcmp(argv[2], "worker") == 0) {
                work(argv[1]);
                return 0;
        }
        struct client client = {.fd = connect_unix(argv[1])};
        if (strcmp(argv[2], "one") == 0)
                measure_round_trips(atof(argv[3]), round_trip, &client);
        else
                flood(&client, atof(argv[3]), (unsigned)atoi(argv[4]));
        numbers_check(&client.numbers);
        return 0;
}
