/* SPDX-License-Identifier: MIT */
#include "tests/bench/measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES 4000000

void die(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
        exit(1);
}

int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void numbers_send(struct numbers *numbers, char payload[PAYLOAD_BYTES])
{
        uint64_t number = ++numbers->n_sent;

        numbers->sum_sent += number;
        memset(payload, '.', PAYLOAD_BYTES);
        memcpy(payload, &number, sizeof(number));
}

void numbers_back(struct numbers *numbers, const void *payload, size_t size_bytes)
{
        uint64_t number;

        if (size_bytes != PAYLOAD_BYTES)
                die("echo", "its size is another");
        memcpy(&number, payload, sizeof(number));
        numbers->n_back++;
        numbers->sum_back += number;
}

void numbers_check(const struct numbers *numbers)
{
        if (numbers->n_sent != numbers->n_back || numbers->sum_sent != numbers->sum_back)
                die("echo", "what came back is not what was sent");
}

static int compare(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return x < y ? -1 : x > y;
}

void measure_round_trips(double seconds, void (*round_trip)(void *userdata), void *userdata)
{
        int64_t *samples = malloc(MAX_SAMPLES * sizeof(*samples));
        int64_t begin = now_ns(), counted = begin + (int64_t)(seconds * 1e8);
        int64_t end = counted + (int64_t)(seconds * 1e9);
        size_t n = 0;

        if (!samples)
                die("samples", strerror(ENOMEM));
        while (begin < end && n < MAX_SAMPLES) {
                round_trip(userdata);
                int64_t done = now_ns();
                if (begin >= counted)
                        samples[n++] = done - begin;
                begin = done;
        }
        if (n == 0)
                die("round trips", "none was done in time");
        qsort(samples, n, sizeof(*samples), compare);
        printf("{\"p50\": %.2f, \"p99\": %.2f, \"max\": %.2f, \"n\": %zu}\n", (double)samples[n / 2] / 1e3,
               (double)samples[n * 99 / 100] / 1e3, (double)samples[n - 1] / 1e3, n);
        free(samples);
}

void print_rate(uint64_t n, int64_t took_ns)
{
        printf("{\"rate\": %.1f, \"n\": %" PRIu64 "}\n", (double)n / ((double)took_ns / 1e9), n);
}

int connect_unix(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (strlen(path) >= sizeof(address.sun_path))
                die(path, "too long");
        memcpy(address.sun_path, path, strlen(path));
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                die(path, strerror(errno));
        return fd;
}

void write_all(int fd, const void *data, size_t size_bytes)
{
        for (size_t n = 0; n < size_bytes;) {
                ssize_t r = send(fd, (const char *)data + n, size_bytes - n, MSG_NOSIGNAL);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        die("send", strerror(errno));
                n += (size_t)r;
        }
}

void read_all(int fd, void *data, size_t size_bytes)
{
        for (size_t n = 0; n < size_bytes;) {
                ssize_t r = recv(fd, (char *)data + n, size_bytes - n, 0);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        die("recv", r < 0 ? strerror(errno) : "the other end is gone");
                n += (size_t)r;
        }
}
