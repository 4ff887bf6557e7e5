/* SPDX-License-Identifier: MIT */
/*
 * Where messages end: the journal with their fields, or lines on standard error. Whoever writes (the log's
 * thread, or the process before and after it) is alone with it, except for what is set by log_sink_set(). It
 * may block.
 */
#ifndef DAEMON_LOG_SINK_H
#define DAEMON_LOG_SINK_H

#include "daemon/log_entry.h"

void log_sink_set(enum log_format, log_journal_send *);
/* Writes it. What cannot be written is lost and counted; the next message that can be says so first. */
void log_sink_write(const struct log_entry *);

#endif
