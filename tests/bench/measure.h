/* SPDX-License-Identifier: MIT */
/*
 * What the programs of the bench have in common: time, round trips one at a time, the payload, and the line
 * of JSON in which each says what it measured. A client's payload begins with its number, and what comes back
 * is held against that: nothing is counted that was not done.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_BYTES 64

_Noreturn void die(const char *what, const char *why);

int64_t now_ns(void);

/* Numbers of payloads that are under way: each must come back once. */
struct numbers {
        uint64_t n_sent, n_back, sum_sent, sum_back;
};
/* The next payload. */
void numbers_send(struct numbers *, char payload[PAYLOAD_BYTES]);
void numbers_back(struct numbers *, const void *payload, size_t size_bytes);
/* At the end, when nothing is under way: ends the program if something is not as it was sent. */
void numbers_check(const struct numbers *);

/* Round trips, one at a time, for so long, after a tenth of it that is not counted; prints
 * {"p50": us, "p99": us, "max": us, "n": …}. */
void measure_round_trips(double seconds, void (*round_trip)(void *userdata), void *userdata);
/* Prints {"rate": a second, "n": …}. */
void print_rate(uint64_t n, int64_t took_ns);

/* A connected Unix socket. */
int connect_unix(const char *path);
/* All of it, on a descriptor that blocks. */
void write_all(int fd, const void *data, size_t size_bytes);
void read_all(int fd, void *data, size_t size_bytes);

#endif
