/* SPDX-License-Identifier: MIT */
/* Looking into answers (proto/look.h), and what people are shown of them. */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ganger.h"
#include "proto/look.h"

/* Over the whole answer. */
struct reader look_reader(const struct ganger_reply *);
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
/* "12.3M". */
void look_size(uint64_t bytes, char *ret, size_t size_bytes);

#endif
