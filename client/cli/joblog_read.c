/* SPDX-License-Identifier: MIT */
/* The job log as an earlier run left it: which items are done, and whether they are still the same. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/joblog.h"

#define BEFORE_COMMAND 8 /* fields */

/* Of the fields before Command, those that count. */
static bool parse(const char *text, size_t size_bytes, struct joblog_line *ret)
{
        const char *fields[BEFORE_COMMAND + 1] = {text}, *end = text + size_bytes;
        int64_t seq, exit_value, signal;
        char *after[3];

        for (int i = 1; i <= BEFORE_COMMAND; i++) {
                const char *tab = memchr(fields[i - 1], '\t', (size_t)(end - fields[i - 1]));
                if (!tab || tab == fields[i - 1])
                        return false;
                fields[i] = tab + 1;
        }
        seq = strtoll(fields[0], &after[0], 10);
        exit_value = strtoll(fields[6], &after[1], 10);
        signal = strtoll(fields[7], &after[2], 10);
        if (after[0] + 1 != fields[1] || after[1] + 1 != fields[7] || after[2] + 1 != fields[8] || seq < 1)
                return false;
        *ret = (struct joblog_line){
                .seq = (uint64_t)seq,
                .exit_value = exit_value != 0,
                .signal = signal != 0,
                .command = fields[8],
                .command_bytes = (size_t)(end - fields[8]),
        };
        return true;
}

static int cannot_read(const struct joblog *log, int error)
{
        cli_say("%s: %s", log->path, strerror(error));
        return EXIT_GANGER;
}

static int no_line(const struct joblog *log, uint64_t number)
{
        cli_say("%s:%" PRIu64
                ": this is no line of a job log; mend it, or leave out --resume to begin a new log",
                log->path, number);
        return EXIT_USAGE;
}

static int no_log(const struct joblog *log)
{
        cli_say("%s: this is no job log: its first line is another one", log->path);
        return EXIT_USAGE;
}

static int take_line(struct joblog *log, enum joblog_mode mode, uint64_t number, const char *text,
                     size_t size_bytes)
{
        struct joblog_line line;

        if (number == 1)
                return strcmp(text, JOBLOG_HEADER) == 0 ? EXIT_DONE : no_log(log);
        if (!parse(text, size_bytes - 1, &line))
                return no_line(log, number);
        bool done = mode == JOBLOG_RESUME || (line.exit_value == 0 && line.signal == 0);
        if (seqs_add(&log->seqs, line.seq, seqs_fingerprint(line.seq, line.command, line.command_bytes),
                     done) < 0)
                return cannot_read(log, ENOMEM);
        return EXIT_DONE;
}

/* A last line without its end was torn when its writer was killed: it does not count. */
int joblog_read(struct joblog *log, enum joblog_mode mode)
{
        char *text = NULL;
        size_t capacity_bytes = 0;
        uint64_t number = 0;
        int status = EXIT_DONE;
        ssize_t n;

        errno = 0;
        while (status == EXIT_DONE && (n = getline(&text, &capacity_bytes, log->reader)) > 0) {
                if (text[n - 1] != '\n') {
                        if (number == 0 && strncmp(text, JOBLOG_HEADER, (size_t)n) != 0)
                                status = no_log(log);
                        break;
                }
                status = take_line(log, mode, ++number, text, (size_t)n);
                log->found_bytes += n;
        }
        if (status == EXIT_DONE && !feof(log->reader))
                status = cannot_read(log, errno != 0 ? errno : EIO);
        free(text);
        return status;
}

/* Whether a line is of one of the group's items up to `last`, but not as that item is now. */
static bool is_changed(const struct joblog *log, const struct joblog_line *line, uint64_t last)
{
        return line->seq <= last && line->seq / SEQS_GROUP == last / SEQS_GROUP &&
               log->fingerprints[line->seq % SEQS_GROUP] !=
                       seqs_fingerprint(line->seq, line->command, line->command_bytes);
}

static int say_changed(const struct joblog *log, uint64_t number, const struct joblog_line *line)
{
        int shown_bytes = (int)(line->command_bytes < 200 ? line->command_bytes : 200);

        cli_say("%s:%" PRIu64 ": Seq %" PRIu64
                " is of `%.*s`, which is not that item now: the input or the command "
                "has changed",
                log->path, number, line->seq, shown_bytes, line->command);
        cli_say("give those that the log is of, or leave out --resume to begin a new log");
        return -EINVAL;
}

/* Looks for the line that makes the sums differ; 0: it is of an item behind the last one. */
static int find_changed(struct joblog *log, uint64_t last)
{
        struct joblog_line line;
        char *text = NULL;
        size_t capacity_bytes = 0;
        uint64_t number = 0;
        off_t at_bytes = 0;
        int r = 0;

        rewind(log->reader);
        while (r == 0 && at_bytes < log->found_bytes) {
                ssize_t n = getline(&text, &capacity_bytes, log->reader);
                if (n <= 0)
                        break;
                at_bytes += n;
                number++;
                if (parse(text, (size_t)n - 1, &line) && is_changed(log, &line, last))
                        r = say_changed(log, number, &line);
        }
        free(text);
        return r;
}

/* The items up to `last` are known: do the lines of its group say the same? */
static int check_group(struct joblog *log, uint64_t last)
{
        const struct seqs_group *group = seqs_find(&log->seqs, last);
        int r = group && group->sum != log->sum ? find_changed(log, last) : 0;

        log->sum = 0;
        return r;
}

int joblog_is_done(struct joblog *log, uint64_t seq, const char *command, size_t command_bytes)
{
        const struct seqs_group *group = seqs_find(&log->seqs, seq);
        uint64_t bit = UINT64_C(1) << seq % SEQS_GROUP;
        int r = 0;

        if (!group)
                return 0;
        if (group->logged & bit) {
                uint64_t fingerprint = seqs_fingerprint(seq, command, command_bytes);
                log->fingerprints[seq % SEQS_GROUP] = fingerprint;
                log->sum += fingerprint;
        }
        if (seq % SEQS_GROUP == SEQS_GROUP - 1)
                r = check_group(log, seq);
        return r < 0 ? r : (group->done & bit) != 0;
}

int joblog_end(struct joblog *log, uint64_t n_items)
{
        int r = n_items % SEQS_GROUP == SEQS_GROUP - 1 ? 0 : check_group(log, n_items);

        if (r == 0 && log->seqs.last > n_items)
                cli_say("%s: has lines up to Seq %" PRIu64 ", but the input ended with item %" PRIu64
                        ": it has become shorter",
                        log->path, log->seqs.last, n_items);
        return r;
}
