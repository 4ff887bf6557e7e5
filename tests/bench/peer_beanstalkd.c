/* SPDX-License-Identifier: MIT */
/*
 * The same work through beanstalkd: tasks are put to one tube, workers reserve them, put each result to
 * another one and delete the task. A connection takes one command at a time, and a reserve that waits holds
 * up those behind it: so each program reserves on one connection, several reserves ahead, and puts on another
 * one.
 *
 *      peer_beanstalkd SOCKET worker AHEAD
 *      peer_beanstalkd SOCKET one SECONDS
 *      peer_beanstalkd SOCKET many SECONDS OUTSTANDING
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/measure.h"

#define BUFFER_BYTES (1 << 18)
#define LINE_BYTES   128

struct end {
        int fd;
        char in[BUFFER_BYTES], out[BUFFER_BYTES];
        size_t in_begin, in_end, out_size;
};

static struct end *open_end(const char *path, const char *first_words)
{
        struct end *end = calloc(1, sizeof(*end));

        if (!end)
                die("memory", strerror(ENOMEM));
        end->fd = connect_unix(path);
        write_all(end->fd, first_words, strlen(first_words));
        return end;
}

static void flush(struct end *end)
{
        write_all(end->fd, end->out, end->out_size);
        end->out_size = 0;
}

static void say(struct end *end, const void *words, size_t size_bytes)
{
        if (end->out_size + size_bytes > sizeof(end->out))
                flush(end);
        memcpy(end->out + end->out_size, words, size_bytes);
        end->out_size += size_bytes;
}

static void put(struct end *end, const char payload[PAYLOAD_BYTES])
{
        static const char head[] = "put 0 0 600 64\r\n";

        say(end, head, sizeof(head) - 1);
        say(end, payload, PAYLOAD_BYTES);
        say(end, "\r\n", 2);
}

/* Takes what has come, at least something. */
static void receive(struct end *end, int flags)
{
        if (end->in_begin > 0) {
                memmove(end->in, end->in + end->in_begin, end->in_end - end->in_begin);
                end->in_end -= end->in_begin;
                end->in_begin = 0;
        }
        ssize_t r = recv(end->fd, end->in + end->in_end, sizeof(end->in) - end->in_end, flags);
        if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
                die("beanstalkd", r < 0 ? strerror(errno) : "is gone");
        if (r > 0)
                end->in_end += (size_t)r;
}

/* A job that was reserved, if a whole one is there; other answers before it are skipped. */
static const char *next_job(struct end *end, unsigned long long *ret_id)
{
        for (;;) {
                char *begin = end->in + end->in_begin;
                size_t size = end->in_end - end->in_begin, job_bytes;
                char *newline = memchr(begin, '\n', size);
                if (!newline)
                        return NULL;
                size_t line_bytes = (size_t)(newline + 1 - begin);
                *newline = '\0';
                if (sscanf(begin, "RESERVED %llu %zu", ret_id, &job_bytes) != 2) {
                        if (strncmp(begin, "DELETED", 7) != 0 && strncmp(begin, "INSERTED", 8) != 0 &&
                            strncmp(begin, "USING", 5) != 0 && strncmp(begin, "WATCHING", 8) != 0)
                                die("beanstalkd answers", begin);
                        end->in_begin += line_bytes;
                        continue;
                }
                *newline = '\n';
                if (size < line_bytes + job_bytes + 2)
                        return NULL;
                if (job_bytes != PAYLOAD_BYTES)
                        die("beanstalkd", "a job of another size");
                end->in_begin += line_bytes + job_bytes + 2;
                return begin + line_bytes;
        }
}

static void reserve(struct end *end, int n)
{
        for (int i = 0; i < n; i++)
                say(end, "reserve\r\n", 9);
}

static void delete_and_reserve(struct end *end, unsigned long long id)
{
        char line[LINE_BYTES];

        say(end, line, (size_t)snprintf(line, sizeof(line), "delete %llu\r\nreserve\r\n", id));
}

static void skip_answers(struct end *end)
{
        unsigned long long id;

        receive(end, MSG_DONTWAIT);
        if (next_job(end, &id))
                die("beanstalkd", "a job that nobody reserved");
}

static void work(const char *path, int ahead)
{
        struct end *takes = open_end(path, "watch tasks\r\nignore default\r\n");
        struct end *puts = open_end(path, "use results\r\n");
        unsigned long long id;
        const char *job;

        reserve(takes, ahead);
        for (;;) {
                flush(takes);
                receive(takes, 0);
                while ((job = next_job(takes, &id))) {
                        put(puts, job);
                        delete_and_reserve(takes, id);
                }
                flush(puts);
                skip_answers(puts);
        }
}

struct client {
        struct end *puts, *takes;
        struct numbers numbers;
};

static void send_one(struct client *client)
{
        char payload[PAYLOAD_BYTES];

        numbers_send(&client->numbers, payload);
        put(client->puts, payload);
}

static int take_some(struct client *client)
{
        unsigned long long id;
        const char *job;
        int n = 0;

        flush(client->puts);
        flush(client->takes);
        while (n == 0) {
                receive(client->takes, 0);
                for (; (job = next_job(client->takes, &id)); n++) {
                        numbers_back(&client->numbers, job, PAYLOAD_BYTES);
                        delete_and_reserve(client->takes, id);
                }
        }
        skip_answers(client->puts);
        return n;
}

static void round_trip(void *userdata)
{
        struct client *client = userdata;

        send_one(client);
        take_some(client);
}

static void flood(struct client *client, double seconds, int outstanding)
{
        int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9);
        int n = outstanding;

        reserve(client->takes, outstanding - 1);
        while (now_ns() < end) {
                for (; n > 0; n--)
                        send_one(client);
                n = take_some(client);
        }
        print_rate(client->numbers.n_back, now_ns() - begin);
        while (client->numbers.n_back < client->numbers.n_sent)
                take_some(client);
}

int main(int argc, char **argv)
{
        if (argc < 4)
                die("usage", "peer_beanstalkd SOCKET worker AHEAD | one SECONDS | many SECONDS OUTSTANDING");
        int count = atoi(argv[argc - 1]);
        if (strcmp(argv[2], "worker") == 0)
                work(argv[1], count);
        struct client client = {
                .puts = open_end(argv[1], "use tasks\r\n"),
                .takes = open_end(argv[1], "watch results\r\nignore default\r\n"),
        };
        reserve(client.takes, 1);
        if (strcmp(argv[2], "one") == 0)
                measure_round_trips(atof(argv[3]), round_trip, &client);
        else
                flood(&client, atof(argv[3]), count);
        numbers_check(&client.numbers);
        return 0;
}
