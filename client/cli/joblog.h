/* SPDX-License-Identifier: MIT */
/*
 * map's log of items that have ended, in the format of GNU parallel's --joblog: a header and a line an item,
 * fields between tabs. A line is appended whole, with one write, when its item's result is written: so what
 * is in the log needs no second run, whenever the program is killed.
 *
 * Resuming reads the log first. What is remembered of it is three bits an item (seqs.h); that an item is the
 * one that its Seq's line is of shows by the sums there, and the line is then looked for in the file. One
 * process at a time has the log: the file is locked.
 */
#ifndef CLI_JOBLOG_H
#define CLI_JOBLOG_H

#include <stdio.h>
#include <sys/types.h>

#include "client/cli/seqs.h"
#include "proto/buffer.h"

enum joblog_mode {
        JOBLOG_NEW,
        JOBLOG_RESUME,        /* what has a line is done */
        JOBLOG_RESUME_FAILED, /* what has a line of success is done */
};

struct joblog {
        const char *path; /* NULL: there is no log */
        int fd;
        bool is_file;       /* a regular one */
        struct buffer line; /* the next to write */

        /* Resuming: */
        FILE *reader;
        off_t found_bytes; /* whole lines that were there */
        struct seqs seqs;
        uint64_t fingerprints[SEQS_GROUP]; /* of the current group's items that have a line, … */
        uint64_t sum;                      /* … and their sum */
};

struct joblog_line {
        uint64_t seq; /* from 1 */
        double started, ran;
        uint64_t received_bytes;
        int exit_value, signal;
        const char *command; /* without a newline */
        size_t command_bytes;
};

/* Opens and locks it; reads it, or begins it anew. What is wrong is said; 0 or the verb's exit status. The
 * path is to live as long as the log. */
int joblog_open(struct joblog *, const char *path, enum joblog_mode);
/* Of one that was opened, or is all zeros. */
void joblog_deinit(struct joblog *);
/* Appends a line. -errno, which was said: the log is as it was before. */
int joblog_write(struct joblog *, const struct joblog_line *);

/* Whether an item is done. To be asked of every item, in order. < 0, which was said: the log is of other
 * items. */
int joblog_is_done(struct joblog *, uint64_t seq, const char *command, size_t command_bytes);
/* To be called when there are no more items: 0, or < 0 as above. */
int joblog_end(struct joblog *, uint64_t n_items);

/* Reads what was logged; 0 or the verb's exit status. joblog_open() does it. */
int joblog_read(struct joblog *, enum joblog_mode);
#define JOBLOG_HEADER "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"

#endif
