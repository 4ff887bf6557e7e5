/* SPDX-License-Identifier: MIT */
/*
 * The log's thread: takes entries from the ring and writes them, whatever that waits for. One thread puts
 * them in (log.c), and never waits. No lock is held by anybody, so a fork at any moment leaves none behind.
 *
 * When the process crashes, or is told to abort, its last lines are given a moment to get out.
 */
#ifndef DAEMON_LOG_THREAD_H
#define DAEMON_LOG_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/log_entry.h"

/* Of an entry with its texts. */
#define LOG_BLOCK_BYTES (sizeof(struct log_entry) + LOG_MESSAGE_BYTES + 3 * LOG_NAME_BYTES)

int log_thread_start(void);
/* Nothing is put in any more; what was is written, for at most LOG_STOP_MS. False: it was not. */
bool log_thread_stop(void);
/* Room for an entry, LOG_BLOCK_BYTES, or NULL: then it was counted as dropped. */
struct log_entry *log_thread_reserve(enum log_level);
/* How many were, in all. */
uint64_t log_thread_n_dropped(void);
/* It is as large as this, and may go. */
void log_thread_commit(struct log_entry *, size_t size_bytes);

#endif
