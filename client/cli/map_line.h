/* SPDX-License-Identifier: MIT */
/*
 * What the verb map knows of its command line and of the items on their way. map.c reads the command line and
 * runs the whole, map_items.c makes items into arguments, map_results.c shows how they ended.
 *
 * The text of an item is remembered until it has ended, to name it if it fails.
 */
#ifndef CLI_MAP_LINE_H
#define CLI_MAP_LINE_H

#include "client/cli/cli.h"
#include "client/cli/command.h"
#include "client/cli/hash.h"
#include "client/cli/items.h"
#include "client/cli/joblog.h"
#include "client/cli/json.h"
#include "client/cli/progress.h"
#include "client/cli/task_options.h"
#include "client/map.h"

struct unfinished {
        uint64_t index; /* among those that were given to the daemon */
        UT_hash_handle hh;
        uint64_t position; /* in the input, from 0 */
        double given;      /* when, as Unix seconds */
        size_t size_bytes;
        char text[];
};

struct map_line {
        struct cli *cli;
        struct task_options options;
        struct command command;
        struct items items;
        struct progress progress;
        struct joblog log;
        const char *log_path; /* --joblog */
        enum joblog_mode log_mode;
        const char *arg_file;
        const char *function;
        char **words; /* the items, or with --exec the command's words */
        enum json_mode mode;
        bool exec, array, raw, null, show_progress;
        struct map *map;
        struct unfinished *unfinished;
        uint64_t n_failed;
        uint64_t n_given; /* to the daemon: what is done already is not */
        bool bad_item;    /* it could not be read or was no argument; that was said */
        bool bad_log;     /* it could not be written; that was said */
        bool done;
};

/* The callbacks of the map; userdata is a struct map_line. */
int map_line_next_item(void *userdata, struct ganger_writer *);
int map_line_on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *);
/* Appends the item as it stands in the job log: what one would type, as one line. 0 or -ENOMEM. */
int map_line_command(const struct map_line *, const char *text, size_t size_bytes, struct buffer *ret);
/* Drops what is remembered of items that have not ended. */
void map_line_forget_all(struct map_line *);
/* What is remembered of an item, which is the caller's now; NULL: nothing. */
struct unfinished *map_line_forget(struct map_line *, uint64_t index);

#endif
