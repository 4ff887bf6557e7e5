/* SPDX-License-Identifier: MIT */
/* The look of a message: as a line for standard error, and as texts that nobody is fooled by. */
#ifndef DAEMON_LOG_FORMAT_H
#define DAEMON_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/log_entry.h"

struct log_line {
        size_t size_bytes;
        char text[4096];
};

/* Standard error is the journal: the line begins with its priority, which the journal takes away. */
void log_format_line(const struct log_entry *, enum log_format, bool for_journal, struct log_line *ret);
/* Behind what `ret` holds: the text, whatever could end a line or fool a terminal escaped, "..." where more
 * than max_bytes would be. */
void log_format_text(struct log_line *ret, const char *text, size_t max_bytes, bool json);
/* syslog(3)'s number. */
int log_format_priority(enum log_level);

#endif
