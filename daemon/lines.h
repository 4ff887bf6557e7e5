/* SPDX-License-Identifier: MIT */
/*
 * Lines out of what comes in pieces: what a program writes, as messages of the log. A line is at most
 * LINES_BYTES long; a longer one comes in pieces, none of which ends within a character. Empty lines are left
 * out, a carriage return at the end as well, and a 0 byte comes as a question mark.
 */
#ifndef DAEMON_LINES_H
#define DAEMON_LINES_H

#include <stddef.h>
#include <stdint.h>

#define LINES_BYTES 1000

struct lines {
        size_t held_bytes;
        char held[LINES_BYTES + 1]; /* of a line that has not ended */
};

/* `line` ends with a 0 byte, and is valid during the call. */
typedef void lines_on_line(void *userdata, const char *line);

void lines_feed(struct lines *, const uint8_t *data, size_t size_bytes, lines_on_line *, void *userdata);
/* What is held is a line: nothing more comes. */
void lines_flush(struct lines *, lines_on_line *, void *userdata);

#endif
