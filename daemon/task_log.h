/* SPDX-License-Identifier: MIT */
/*
 * What tasks have to say in the log: the lines that they write to standard error, what their modules log, and
 * what became of them. Each user has his share of it.
 */
#ifndef DAEMON_TASK_LOG_H
#define DAEMON_TASK_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "proto/reader.h"

struct core_record;
struct daemon;
struct worker;

/* The worker's task wrote this to its standard error. */
void task_log_output(struct worker *, const uint8_t *data, size_t size_bytes);
/* The worker's task, or its item, is about to end: the last line is whole. */
void task_log_output_ends(struct worker *);
/* `data` of a stream message of the kind `log`: [level, file, line, text]. NULL; or why it is none. */
const char *task_log_module(struct worker *, struct reader data);
/* A task came to its end; a bad one is told in the sentence of `ganger why`. */
void task_log_ended(const struct daemon *, const struct core_record *);

#endif
