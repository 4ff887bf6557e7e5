/* SPDX-License-Identifier: MIT */
/*
 * The floor: three processes (client, broker, worker) that pass 64 raw bytes over Unix sockets, there and
 * back, with blocking calls and without any protocol. What a round trip costs beyond that is ganger's own.
 * Prints one line; judges nothing.
 *
 *      bench_floor SECONDS
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
#define MAX_SAMPLES   2000000

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what)
{
        perror(what);
        exit(1);
}

static void receive(int fd, char *bytes)
{
        ssize_t n = recv(fd, bytes, MESSAGE_BYTES, MSG_WAITALL);

        if (n == 0)
                _exit(0);
        if (n != MESSAGE_BYTES)
                die("recv");
}

static void pass(int fd, const char *bytes)
{
        if (send(fd, bytes, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES)
                _exit(0);
}

static int pair(int *ret_other)
{
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                die("socketpair");
        *ret_other = ends[1];
        return ends[0];
}

static pid_t start(void)
{
        pid_t pid = fork();

        if (pid < 0)
                die("fork");
        if (pid == 0)
                prctl(PR_SET_PDEATHSIG, SIGKILL);
        return pid;
}

static int compare(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
        double seconds = argc > 1 ? atof(argv[1]) : 3;
        int at_broker, to_worker, at_worker, to_broker = pair(&at_broker);
        char bytes[MESSAGE_BYTES] = {0};

        to_worker = pair(&at_worker);
        if (start() == 0) {
                for (;;) {
                        receive(at_worker, bytes);
                        pass(at_worker, bytes);
                }
        }
        if (start() == 0) {
                for (;;) {
                        receive(at_broker, bytes);
                        pass(to_worker, bytes);
                        receive(to_worker, bytes);
                        pass(at_broker, bytes);
                }
        }
        int64_t *samples = malloc(MAX_SAMPLES * sizeof *samples);
        int64_t end = now_ns() + (int64_t)(seconds * 1e9);
        size_t n = 0;
        if (samples == NULL)
                die("samples");
        for (int64_t begin = now_ns(); begin < end && n < MAX_SAMPLES; n++) {
                pass(to_broker, bytes);
                receive(to_broker, bytes);
                int64_t done = now_ns();
                samples[n] = done - begin;
                begin = done;
        }
        qsort(samples, n, sizeof *samples, compare);
        printf("the floor, three processes:  p50 %.1f us  p99 %.1f us  (%zu round trips)\n",
               (double)samples[n / 2] / 1e3, (double)samples[n * 99 / 100] / 1e3, n);
        free(samples);
        return 0;
}
