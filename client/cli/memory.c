/* SPDX-License-Identifier: MIT */
/*
 * The verbs value and array: elements of memory that programs share. The daemon is asked for the memory once,
 * and no more. Those that write make the object if there is none; those that look do so with --type or
 * --length alone, which say how it is to be.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/look.h"
#include "client/cli/numbers.h"
#include "client/cli/subverb.h"

#define WAIT_TURN_MS 200 /* from one look at signals and the daemon to the next */

/* The object as it was opened. */
struct mapped {
        struct ganger_shared view;
        const struct number_type *type; /* NULL: bytes */
        const char *name;
};

/* The object's kind is the verb's name. -1: it is there; else the exit status. */
static int open_memory(struct cli *cli, const struct subline *line, bool makes, struct mapped *ret)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        bool is_array = strncmp(line->sub->verb.name, "array", 5) == 0;

        *ret = (struct mapped){.name = line->words[0]};
        options.kind = is_array ? GANGER_SHARED_ARRAY : GANGER_SHARED_VALUE;
        options.create = makes || (line->given & (SUB(TYPE) | SUB(LENGTH))) != 0;
        options.length = (uint64_t)line->integers[SUB_LENGTH];
        options.mode = (unsigned)line->integers[SUB_MODE];
        if (subline_has(line, SUB_TYPE)) {
                int type = ganger_shared_type_from_name(line->texts[SUB_TYPE], strlen(line->texts[SUB_TYPE]));
                if (type < 0)
                        return cli_usage_error(cli, "--type: there is no type '%s'", line->texts[SUB_TYPE]);
                options.type = (enum ganger_shared_type)type;
        }
        if (is_array && options.length == 0)
                options.create = 0; /* it could not be made */
        cli_connect(cli);
        int r = ganger_shared_open(cli->g, &ret->view, ret->name, &options);
        if (r != 0)
                return subverb_failed(cli, line, r, ganger_error(cli->g));
        ret->type = number_type_of(&ret->view);
        return -1;
}

/* Of what the memory's functions return. */
static int memory_failed(const struct cli *cli, const struct mapped *m, int r)
{
        switch (r) {
        case -EACCES:
                cli_say("%s may only be read by you", m->name);
                return EXIT_NOT_SUCCEEDED;
        case -ERANGE:
                cli_say("%s has %" PRIu64 " elements, none at that place", m->name, m->view.length);
                return EXIT_NOT_SUCCEEDED;
        default:
                return cli_lost(cli, m->name, r);
        }
}

static int no_numbers(const struct cli *cli, const struct mapped *m)
{
        return cli_usage_error(cli, "%s is of type bytes: only get and set take it", m->name);
}

static int parse(const struct cli *cli, const struct mapped *m, const char *word, union number *ret)
{
        if (m->type->parse(word, ret))
                return 0;
        return cli_usage_error(cli, "%s is of type %s: that is %s, not '%s'", m->name,
                               ganger_shared_type_name(m->view.type), m->type->takes, word);
}

static void print(const struct mapped *m, union number n)
{
        m->type->print(stdout, n);
        putchar('\n');
}

/* -- bytes -- */

static int get_bytes(const struct cli *cli, const struct subline *line, const struct mapped *m,
                     uint64_t first, uint64_t n)
{
        struct buffer packed = BUFFER_INIT;
        struct packer p;
        char *bytes = malloc(n > 0 ? n : 1);

        if (!bytes)
                return cli_lost(cli, m->name, -ENOMEM);
        int r = ganger_shared_read(&m->view, first, n, bytes);
        pack_begin(&p, &packed);
        pack_bin(&p, bytes, n);
        int error = pack_end(&p);
        if (r == 0 && error == 0 && subline_has(line, SUB_RAW)) {
                fwrite(bytes, 1, n, stdout);
        } else if (r == 0 && error == 0) {
                json_write(stdout, buffer_at(&packed), buffer_size(&packed));
                putchar('\n');
        }
        buffer_deinit(&packed);
        free(bytes);
        return r < 0 ? memory_failed(cli, m, r) : error < 0 ? cli_lost(cli, m->name, error) : EXIT_DONE;
}

/* What is left behind the text becomes zeros, if `whole`. */
static int set_bytes(const struct cli *cli, const struct mapped *m, uint64_t first, const char *text,
                     bool whole)
{
        static const char zeros[4096];
        size_t size_bytes = strlen(text);
        int r = ganger_shared_write(&m->view, first, size_bytes, text);

        for (uint64_t at = first + size_bytes; r == 0 && whole && at < m->view.length; at += sizeof zeros) {
                uint64_t left = m->view.length - at;
                r = ganger_shared_write(&m->view, at, left < sizeof zeros ? left : sizeof zeros, zeros);
        }
        return r < 0 ? memory_failed(cli, m, r) : EXIT_DONE;
}

/* -- value -- */

static int value_get(struct cli *cli, struct subline *line)
{
        struct mapped m;
        union number n;
        int status = open_memory(cli, line, false, &m);

        if (status >= 0)
                return status;
        if (!m.type) {
                status = get_bytes(cli, line, &m, 0, m.view.length);
        } else {
                int r = m.type->get(&m.view, 0, &n);
                status = r == 0 ? EXIT_DONE : memory_failed(cli, &m, r);
                if (r == 0)
                        print(&m, n);
        }
        ganger_shared_unmap(&m.view);
        return status;
}

static int set_number(struct cli *cli, const struct mapped *m, uint64_t index, const char *word)
{
        union number n;
        int status = parse(cli, m, word, &n);
        int r = status == 0 ? m->type->set(&m->view, index, n) : 0;

        return r < 0 ? memory_failed(cli, m, r) : status;
}

static int value_set(struct cli *cli, struct subline *line)
{
        struct mapped m;
        int status = open_memory(cli, line, true, &m);

        if (status >= 0)
                return status;
        status =
                m.type ? set_number(cli, &m, 0, line->words[1]) : set_bytes(cli, &m, 0, line->words[1], true);
        ganger_shared_unmap(&m.view);
        return status;
}

static int add(struct cli *cli, const struct subline *line, const struct mapped *m)
{
        union number n, sum;
        int status = parse(cli, m, line->words[1], &n);

        if (status != 0)
                return status;
        int r = m->type->add(&m->view, 0, n, &sum);
        if (r < 0)
                return memory_failed(cli, m, r);
        print(m, sum);
        return EXIT_DONE;
}

static int cas(struct cli *cli, const struct subline *line, const struct mapped *m)
{
        union number old, new;
        int status = parse(cli, m, line->words[1], &old);

        if (status == 0)
                status = parse(cli, m, line->words[2], &new);
        if (status != 0)
                return status;
        int r = m->type->cas(&m->view, 0, &old, new);
        if (r < 0)
                return memory_failed(cli, m, r);
        print(m, r == 0 ? new : old);
        return r == 0 ? EXIT_DONE : EXIT_NOT_SUCCEEDED;
}

/* Waits in turns: signals, and the daemon's end, do not end a wait for memory. */
static int wait_for_change(struct cli *cli, const struct subline *line, const struct mapped *m)
{
        double left_ms = subline_has(line, SUB_TIMEOUT) ? line->timeout * 1e3 : INFINITY;
        union number old, now;
        int r, number = 0, lost = 0, status = parse(cli, m, line->words[1], &old);

        if (status != 0)
                return status;
        do {
                int64_t turn_ms = left_ms < WAIT_TURN_MS ? (int64_t)left_ms : WAIT_TURN_MS;
                r = m->type->wait(&m->view, 0, old, &now, turn_ms);
                left_ms -= WAIT_TURN_MS;
                number = cli_signal_seen();
                lost = ganger_dispatch(cli->g);
        } while (r == -ETIMEDOUT && left_ms > 0 && number == 0 && lost >= 0);
        if (r == 0)
                print(m, now);
        else if (number > 0)
                return EXIT_SIGNAL + number;
        else if (r == -ETIMEDOUT && lost < 0)
                return cli_lost(cli, cli->verb->name, lost);
        return r == 0 ? EXIT_DONE : r == -ETIMEDOUT ? EXIT_TIME : memory_failed(cli, m, r);
}

/* The object, opened and closed around what is done with its numbers. */
static int with_numbers(struct cli *cli, struct subline *line, bool makes,
                        int (*act)(struct cli *, const struct subline *, const struct mapped *))
{
        struct mapped m;
        int status = open_memory(cli, line, makes, &m);

        if (status >= 0)
                return status;
        status = m.type ? act(cli, line, &m) : no_numbers(cli, &m);
        ganger_shared_unmap(&m.view);
        return status;
}

static int value_add(struct cli *cli, struct subline *line)
{
        return with_numbers(cli, line, true, add);
}

static int value_cas(struct cli *cli, struct subline *line)
{
        return with_numbers(cli, line, true, cas);
}

static int value_wait(struct cli *cli, struct subline *line)
{
        return with_numbers(cli, line, false, wait_for_change);
}

/* -- array -- */

/* A place that may be negative, in [0, length]: what is beyond is cut off. Empty: `otherwise`. */
static bool place(const char *text, size_t size_bytes, uint64_t length, uint64_t otherwise, uint64_t *ret)
{
        char copy[32];
        int64_t n, signed_length = (int64_t)length;

        *ret = otherwise;
        if (size_bytes == 0)
                return true;
        if (size_bytes >= sizeof copy)
                return false;
        memcpy(copy, text, size_bytes);
        copy[size_bytes] = 0;
        if (!cli_integer(copy, INT64_MIN, INT64_MAX, &n))
                return false;
        if (n < 0)
                n = n < -signed_length ? 0 : n + signed_length;
        *ret = n > signed_length ? length : (uint64_t)n;
        return true;
}

/* "3", "-1": that element; "2:5", ":5", "-3:", none: those from START up to before STOP. */
static bool range(const char *text, uint64_t length, uint64_t *ret_first, uint64_t *ret_stop)
{
        const char *colon = text ? strchr(text, ':') : NULL;
        int64_t n;

        if (!text)
                return place("", 0, length, 0, ret_first) && place("", 0, length, length, ret_stop);
        if (colon)
                return place(text, (size_t)(colon - text), length, 0, ret_first) &&
                       place(colon + 1, strlen(colon + 1), length, length, ret_stop);
        if (!cli_integer(text, INT64_MIN, INT64_MAX, &n))
                return false;
        if (n < 0) /* what is too small is as far out as what is too large */
                n = n < -(int64_t)length ? (int64_t)length : n + (int64_t)length;
        *ret_first = (uint64_t)n;
        *ret_stop = *ret_first + 1;
        return true;
}

static int get_numbers(const struct cli *cli, const struct mapped *m, uint64_t first, uint64_t stop)
{
        union number n;
        int r = 0;

        for (; r == 0 && first < stop && !ferror(stdout); first++) {
                r = m->type->get(&m->view, first, &n);
                if (r == 0)
                        print(m, n);
        }
        return r < 0 ? memory_failed(cli, m, r) : EXIT_DONE;
}

static int array_get(struct cli *cli, struct subline *line)
{
        struct mapped m;
        uint64_t first, stop;
        int status = open_memory(cli, line, false, &m);

        if (status >= 0)
                return status;
        if (!range(line->words[1], m.view.length, &first, &stop))
                status = cli_usage_error(cli, "takes an index or START:STOP, not '%s'", line->words[1]);
        else if (m.type)
                status = get_numbers(cli, &m, first, stop);
        else
                status = get_bytes(cli, line, &m, first, stop > first ? stop - first : 0);
        ganger_shared_unmap(&m.view);
        return status;
}

/* All are looked at before the first one is set. */
static int set_numbers(struct cli *cli, const struct mapped *m, uint64_t first, char **words, uint64_t n)
{
        union number unused;
        int status = 0;

        for (char **word = words; status == 0 && *word; word++)
                status = parse(cli, m, *word, &unused);
        if (status == 0 && (first > m->view.length || n > m->view.length - first))
                return memory_failed(cli, m, -ERANGE);
        for (; status == 0 && *words; words++)
                status = set_number(cli, m, first++, *words);
        return status;
}

static int array_set(struct cli *cli, struct subline *line)
{
        struct mapped m;
        uint64_t first, stop;
        int status = open_memory(cli, line, true, &m);

        if (status >= 0)
                return status;
        if (strchr(line->words[1], ':') || !range(line->words[1], m.view.length, &first, &stop))
                status = cli_usage_error(cli, "takes an index, not '%s'", line->words[1]);
        else if (m.type)
                status = set_numbers(cli, &m, first, line->words + 2, (uint64_t)line->n_words - 2);
        else if (line->n_words > 3)
                status = cli_usage_error(cli, "%s is of type bytes: takes one TEXT", m.name);
        else
                status = set_bytes(cli, &m, first, line->words[2], false);
        ganger_shared_unmap(&m.view);
        return status;
}

#define HOW_IT_IS (SUB(TYPE) | SUB(LENGTH) | SUB(MODE))

const struct subverb value_verbs[] = {
        {.verb = {.name = "value get", .arguments = "[OPTIONS] NAME", .summary = "print the number"},
         .words = {"value"},
         .max_words = 1,
         .options = HOW_IT_IS | SUB(RAW),
         .run = value_get},
        {.verb = {.name = "value set",
                  .arguments = "[OPTIONS] NAME NUMBER",
                  .summary = "set the number; a value that is not there is made"},
         .words = {"value", "number"},
         .max_words = 2,
         .options = HOW_IT_IS,
         .run = value_set},
        {.verb = {.name = "value add",
                  .arguments = "[OPTIONS] NAME NUMBER",
                  .summary = "add to the number, and print the sum; a value that is not there is made",
                  .help = "Integers wrap around.\n"},
         .words = {"value", "number"},
         .max_words = 2,
         .options = HOW_IT_IS,
         .run = value_add},
        {.verb = {.name = "value cas",
                  .arguments = "[OPTIONS] NAME OLD NEW",
                  .summary = "set the number to NEW if it is OLD, and print what it is now",
                  .help = "Exit status 1 if it was not OLD. A value that is not there is made.\n"},
         .words = {"value", "old", "new"},
         .max_words = 3,
         .options = HOW_IT_IS,
         .run = value_cas},
        {.verb = {.name = "value wait",
                  .arguments = "[OPTIONS] NAME OLD",
                  .summary = "wait until the number is not OLD, and print it"},
         .words = {"value", "old"},
         .max_words = 2,
         .options = HOW_IT_IS | SUB(TIMEOUT),
         .run = value_wait},
        {.verb = {.name = NULL}},
};

const struct subverb array_verbs[] = {
        {.verb = {.name = "array get",
                  .arguments = "[OPTIONS] NAME [INDEX | START:STOP]",
                  .summary = "print a number, or those from START up to before STOP, or all; one a line",
                  .help = "Negative places count from the end. Exit status 1 if there is no such INDEX.\n"},
         .words = {"array"},
         .max_words = 2,
         .options = HOW_IT_IS | SUB(RAW),
         .run = array_get},
        {.verb = {.name = "array set",
                  .arguments = "[OPTIONS] NAME INDEX NUMBER...",
                  .summary = "set numbers, from INDEX on; with --length an array that is not there is made",
                  .help = "Of an array of type bytes: INDEX TEXT.\n"},
         .words = {"array", "index", "number"},
         .max_words = SUB_ANY_MORE,
         .options = HOW_IT_IS,
         .run = array_set},
        {.verb = {.name = NULL}},
};
