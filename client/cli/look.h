/* SPDX-License-Identifier: MIT */
/*
 * Looking into answers: maps by key, with a value to fall back on where something is absent or of another
 * type, so that a newer or older daemon is shown as far as it is understood. Readers are copied, never moved,
 * unless by pointer.
 */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ganger.h"
#include "proto/reader.h"

struct look_text {
        const char *data; /* not terminated; "" and 0 where there is none */
        size_t size_bytes;
};
/* For "%.*s". */
#define LOOK(text) (int)(text).size_bytes, (text).data

/* Over the whole answer. */
struct reader look_reader(const struct ganger_reply *);
/* The number of elements, pairs of the array, map that is next; 0 if it is none. */
uint32_t look_array(struct reader *);
uint32_t look_map(struct reader *);
/* The next whole value as a reader of its own; false: none is left. */
bool look_next(struct reader *, struct reader *ret);
/* The value of a key of the map; false: absent. */
bool look_key(struct reader map, const char *key, struct reader *ret);
struct look_text look_text(struct reader map, const char *key);
struct look_text look_whole_text(struct reader value);
/* Of a str or bin, whatever its bytes are: what a program wrote need not be UTF-8. */
struct look_text look_bytes(struct reader map, const char *key);
uint64_t look_uint(struct reader map, const char *key, uint64_t otherwise);
double look_double(struct reader map, const char *key, double otherwise);
bool look_true(struct reader map, const char *key);
bool look_is_nil(struct reader value);

/* Whether it is for a terminal as it is: it holds no control characters but tabs. */
bool look_is_clean(struct look_text);
/* Writes it, with a question mark for each control character: what tasks and labels say is anybody's. */
void look_print(struct look_text);

/* Now, as Unix seconds. */
double look_now(void);
/* Whether a field of a task record is a point in time. */
bool look_is_date(struct look_text name);
/* "2026-05-01 12:00:00.123", local time. */
void look_date(double seconds, char *ret, size_t size_bytes);
/* Takes a time ago ("2h"), "today", "yesterday" (their beginning), a date with or without a time, local;
 * false: it is none. As Unix seconds. */
bool look_since(const char *text, double *ret);
/* "45 us", "1.2 ms", "3.4 s", "5 min", "2.1 h", "3 d"; "-" if negative. */
void look_duration(double seconds, char *ret, size_t size_bytes);
/* "12.3M". */
void look_size(uint64_t bytes, char *ret, size_t size_bytes);

#endif
