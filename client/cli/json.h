/* SPDX-License-Identifier: MIT */
/*
 * Between the JSON of people and the MessagePack of the wire.
 *
 * In: an argument that is valid JSON is that value, anything else a string; "@PATH" is that file, opened here
 * and passed as a descriptor; "@@…" is a literal "@…". Out: bin that is UTF-8 as a string, else {"$bin":
 * BASE64}; ext as {"$ext": [type, BASE64]}; NaN and infinities as strings; integers beyond 2^63-1 as strings
 * of digits.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/limits.h"
#include "proto/pack.h"

enum json_mode { JSON_MODE_GUESS, JSON_MODE_STRING, JSON_MODE_INSIST };

/* Values under construction, and the files opened for them. */
struct arguments {
        struct buffer bytes;
        struct packer packer;
        unsigned n;
        int fds[LIMIT_DESCRIPTORS];
        unsigned n_fds;
};

void arguments_init(struct arguments *);
void arguments_deinit(struct arguments *);
/* Appends one argument. 0, or < 0 with the reason in `why`: no JSON, the file does not open, too many files,
 * memory. */
int arguments_add(struct arguments *, enum json_mode, const char *text, size_t size_bytes, char *why,
                  size_t why_size_bytes);
/* Appends a text that must be a JSON array, as it is (--array). */
int arguments_add_array(struct arguments *, const char *text, size_t size_bytes, char *why,
                        size_t why_size_bytes);

/* Writes one MessagePack value as JSON, without a newline; < 0: it is no MessagePack, or memory ran out. */
int json_write(FILE *file, const void *data, size_t size_bytes);
/* Writes a text as a JSON string. */
int json_write_text(FILE *file, const char *text, size_t size_bytes);
/* --raw: writes the bytes of a str or bin; others as JSON and a newline. */
int json_write_raw(FILE *file, const void *data, size_t size_bytes);

#endif
