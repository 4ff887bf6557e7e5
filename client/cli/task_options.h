/* SPDX-License-Identifier: MIT */
/*
 * Every task option is an option of the command line of the same name, made from proto/options.h's table:
 * "fail_fast" is
 * --fail-fast. What was given is packed into the option map of a request.
 */
#ifndef CLI_TASK_OPTIONS_H
#define CLI_TASK_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include "client/cli/cli.h"
#include "proto/options.h"
#include "proto/pack.h"

/* getopt_long's values for task options begin here; a verb's own long options without a letter lie below. */
#define TASK_OPTION_VALUE 1000
#define VERB_OPTION_VALUE 500
#define MAX_VERB_OPTIONS  24

struct task_options {
        struct buffer pairs; /* keys and values, packed */
        unsigned n_pairs;
        bool given[N_TASK_OPTIONS];
};

/* Fills `ret` (room for MAX_VERB_OPTIONS + N_TASK_OPTIONS + 1) with the verb's own options (ended by a NULL
 * name) and those of the table that serve `use`. */
void task_options_long(const struct option *own, enum option_use use, struct option *ret);
/* Takes what getopt_long returned; EXIT_USAGE and a message if its argument is wrong. */
int task_options_take(const struct cli *, struct task_options *, int value, const char *argument);
/* Adds a count (limit, window) or a flag of the verb's own making, unless it was given. */
void task_options_add_count(struct task_options *, enum task_option, uint64_t);
void task_options_add_seconds(struct task_options *, enum task_option, double);
void task_options_add_flag(struct task_options *, enum task_option);
/* Packs the whole option map. */
void task_options_pack(const struct task_options *, struct packer *);
void task_options_deinit(struct task_options *);
/* The lines of --help. */
void task_options_help(enum option_use use);

#endif
