/* SPDX-License-Identifier: MIT */
/*
 * What the modules say about bytes that a caller sent: UTF-8 or not, a path as it stands in a message, and
 * what helps when a path cannot be opened. Messages are strings of the protocol, so nothing may enter them
 * unchecked.
 */
#ifndef DAEMON_MODULES_TEXT_FORM_H
#define DAEMON_MODULES_TEXT_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/worker/ganger_module.h"

enum { QUOTED_SIZE = 256, HINT_SIZE = 512 };

/* The length of the well-formed UTF-8 sequence that `text` begins with, 0 if it begins with none. */
size_t utf8_sequence(const char *text, size_t size_bytes);

/* Whether the bytes are UTF-8 from the first to the last. */
bool utf8_valid(const char *text, size_t size_bytes);

/* Puts the bytes in quotes, whatever is not printable as \xNN, cut with "..." where they are too long;
 * returns `ret`. */
const char *quote(char ret[QUOTED_SIZE], const char *text, size_t size_bytes);

/* What the caller can do about `path` not opening with `error_number`: "" or a clause that begins with "; ".
 */
const char *path_hint(char ret[HINT_SIZE], const char *path, size_t size_bytes, int error_number);

/* "an integer", "a string": a type as people call it. */
const char *type_name(enum ganger_type type);

#endif
