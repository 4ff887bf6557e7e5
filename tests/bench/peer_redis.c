/* SPDX-License-Identifier: MIT */
/*
 * The same work through Redis: tasks are pushed to one list, workers take them from it and push each result
 * to another one. Commands go in one write with the ones that follow (pipelined).
 *
 *      peer_redis SOCKET worker COUNT          tasks taken at once, at the most
 *      peer_redis SOCKET one SECONDS
 *      peer_redis SOCKET many SECONDS OUTSTANDING
 */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/measure.h"

#define MAX_COUNT 1024

static redisReply *reply_of(redisContext *c, int type)
{
        void *reply = NULL;

        if (redisGetReply(c, &reply) != REDIS_OK)
                die("redis", c->errstr);
        if (((redisReply *)reply)->type != type)
                die("redis", "answers otherwise than expected");
        return reply;
}

static void push(redisContext *c, const char *list, const char *const *values, const size_t *sizes_bytes,
                 int n)
{
        const char *words[MAX_COUNT + 2] = {"RPUSH", list};
        size_t sizes[MAX_COUNT + 2] = {5, strlen(list)};

        memcpy(words + 2, values, (size_t)n * sizeof(*values));
        memcpy(sizes + 2, sizes_bytes, (size_t)n * sizeof(*sizes_bytes));
        redisAppendCommandArgv(c, n + 2, words, sizes);
}

static void ask(redisContext *c, const char *list, int count)
{
        redisAppendCommand(c, "BLMPOP 0 1 %s LEFT COUNT %d", list, count);
}

/* Of BLMPOP: the list's name, and the values. */
static redisReply *taken(redisContext *c)
{
        redisReply *reply = reply_of(c, REDIS_REPLY_ARRAY);

        if (reply->elements != 2 || reply->element[1]->elements < 1)
                die("redis", "answers otherwise than expected");
        return reply;
}

static void work(redisContext *c, int count)
{
        const char *values[MAX_COUNT];
        size_t sizes_bytes[MAX_COUNT];

        ask(c, "tasks", count);
        for (;;) {
                redisReply *reply = taken(c);
                int n = (int)reply->element[1]->elements;
                for (int i = 0; i < n; i++) {
                        values[i] = reply->element[1]->element[i]->str;
                        sizes_bytes[i] = reply->element[1]->element[i]->len;
                }
                push(c, "results", values, sizes_bytes, n);
                ask(c, "tasks", count);
                freeReplyObject(reply);
                freeReplyObject(reply_of(c, REDIS_REPLY_INTEGER));
        }
}

struct client {
        redisContext *c;
        struct numbers numbers;
};

static void send_some(struct client *client, int n)
{
        char payloads[MAX_COUNT][PAYLOAD_BYTES];
        const char *values[MAX_COUNT];
        size_t sizes_bytes[MAX_COUNT];

        for (int i = 0; i < n; i++) {
                numbers_send(&client->numbers, payloads[i]);
                values[i] = payloads[i];
                sizes_bytes[i] = PAYLOAD_BYTES;
        }
        push(client->c, "tasks", values, sizes_bytes, n);
}

/* What is there, at least one; the push's answer comes first. */
static int take_some(struct client *client)
{
        freeReplyObject(reply_of(client->c, REDIS_REPLY_INTEGER));
        redisReply *reply = taken(client->c);
        int n = (int)reply->element[1]->elements;

        for (int i = 0; i < n; i++)
                numbers_back(&client->numbers, reply->element[1]->element[i]->str,
                             reply->element[1]->element[i]->len);
        freeReplyObject(reply);
        return n;
}

static void round_trip(void *userdata)
{
        struct client *client = userdata;

        send_some(client, 1);
        ask(client->c, "results", 1);
        take_some(client);
}

static void flood(struct client *client, double seconds, int outstanding)
{
        int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9);
        int n = outstanding;

        while (now_ns() < end) {
                send_some(client, n);
                ask(client->c, "results", outstanding);
                n = take_some(client);
        }
        uint64_t n_done = client->numbers.n_back;
        print_rate(n_done, now_ns() - begin);
        while (client->numbers.n_back < client->numbers.n_sent) {
                ask(client->c, "results", outstanding);
                redisReply *reply = taken(client->c);
                for (size_t i = 0; i < reply->element[1]->elements; i++)
                        numbers_back(&client->numbers, reply->element[1]->element[i]->str,
                                     reply->element[1]->element[i]->len);
                freeReplyObject(reply);
        }
}

int main(int argc, char **argv)
{
        if (argc < 4)
                die("usage", "peer_redis SOCKET worker COUNT | one SECONDS | many SECONDS OUTSTANDING");
        struct client client = {.c = redisConnectUnix(argv[1])};

        if (!client.c || client.c->err)
                die(argv[1], client.c ? client.c->errstr : "no memory");
        int count = atoi(argv[argc - 1]);
        if (strcmp(argv[2], "one") != 0 && (count < 1 || count > MAX_COUNT))
                die(argv[argc - 1], "not a count");
        if (strcmp(argv[2], "worker") == 0)
                work(client.c, count);
        else if (strcmp(argv[2], "one") == 0)
                measure_round_trips(atof(argv[3]), round_trip, &client);
        else
                flood(&client, atof(argv[3]), count);
        numbers_check(&client.numbers);
        redisFree(client.c);
        return 0;
}
