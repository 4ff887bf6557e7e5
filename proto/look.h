/* SPDX-License-Identifier: MIT */
/*
 * Looking into values: maps by key, with a value to fall back on where something is absent or of another
 * type, so that a newer or older peer is understood as far as it goes. Readers are copied, never moved,
 * unless by pointer.
 */
#ifndef PROTO_LOOK_H
#define PROTO_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reader.h"

struct look_text {
        const char *data; /* not terminated; "" and 0 where there is none */
        size_t size_bytes;
};
/* For "%.*s". */
#define LOOK(text) (int)(text).size_bytes, (text).data

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

/* Takes the next line, without its end, from the text; false: there is none. */
bool look_line(struct look_text *rest, struct look_text *ret);
/* Whether it is for a terminal as it is: it holds no control characters but tabs. */
bool look_is_clean(struct look_text);
/* A character of a text for people that would do something instead of being seen. */
bool look_is_control(char);
/* "45 us", "1.2 ms", "3.4 s", "5 min", "2.1 h", "3 d"; "-" if negative. */
void look_duration(double seconds, char *ret, size_t size_bytes);

#endif
