/* SPDX-License-Identifier: MIT */
/* The verbs event, barrier, sequence: each sub-verb is one request. */
#include <stdio.h>

#include "client/cli/look.h"
#include "client/cli/subverb.h"

static bool is_true(const struct ganger_reply *reply)
{
        struct reader r = look_reader(reply);
        bool b = false;

        return reader_bool(&r, &b) == 0 && b;
}

static int show_is_set(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        if (!subline_has(line, SUB_QUIET))
                subverb_put(cli, line, look_reader(reply));
        return is_true(reply) ? EXIT_DONE : EXIT_NOT_SUCCEEDED;
}

static int show_was_set(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        (void)cli;
        (void)line;
        return is_true(reply) ? EXIT_DONE : EXIT_TIME;
}

#define EVENT(name_, arguments_, method_, summary_, options_, show_)                                         \
        {                                                                                                    \
                .verb = {.name = "event " name_, .arguments = arguments_, .summary = summary_},              \
                .words = {"event"}, .max_words = 1, .options = options_, .run = subverb_ask,                 \
                .method = method_, .shape = (options_)&SUB(TIMEOUT) ? "so" : "s", .show = show_              \
        }

const struct subverb event_verbs[] = {
        EVENT("set", "NAME", "event.set", "set the flag: who waits for it goes on", 0, show_nothing),
        EVENT("clear", "NAME", "event.clear", "take the flag back", 0, show_nothing),
        EVENT("is-set", "[OPTIONS] NAME", "event.is_set", "say whether it is set: exit status 0, else 1",
              SUB(QUIET), show_is_set),
        EVENT("wait", "[OPTIONS] NAME", "event.wait", "wait until it is set", SUB(TIMEOUT), show_was_set),
        {.verb = {.name = NULL}},
};

const struct subverb barrier_verbs[] = {
        {.verb = {.name = "barrier wait",
                  .arguments = "[OPTIONS] NAME",
                  .summary = "wait until all parties do, and print one's own number, from 0",
                  .help = "If one of them gives up or its time runs out, the barrier is broken: exit status "
                          "1 "
                          "for\n"
                          "all, itself included, and for who comes after, until reset. With a time of 0 "
                          "nothing\nbreaks: 124. The first use says --parties.\n"},
         .words = {"barrier"},
         .max_words = 1,
         .options = SUB(TIMEOUT) | SUB(PARTIES),
         .run = subverb_ask,
         .method = "barrier.wait",
         .shape = "so",
         .show = show_value},
        {.verb = {.name = "barrier reset",
                  .arguments = "NAME",
                  .summary = "make it as new; for those who wait it is broken"},
         .words = {"barrier"},
         .max_words = 1,
         .run = subverb_ask,
         .method = "barrier.reset",
         .shape = "s",
         .show = show_nothing},
        {.verb = {.name = "barrier abort", .arguments = "NAME", .summary = "break it"},
         .words = {"barrier"},
         .max_words = 1,
         .run = subverb_ask,
         .method = "barrier.abort",
         .shape = "s",
         .show = show_nothing},
        {.verb = {.name = NULL}},
};

const struct subverb sequence_verbs[] = {
        {.verb = {.name = "sequence push",
                  .arguments = "[OPTIONS] NAME VALUE...",
                  .summary = "add values at the end, and print the list's version",
                  .help = "With --front the first VALUE is the first of the list.\n"},
         .words = {"list", "value"},
         .max_words = SUB_ANY_MORE,
         .options = SUB(FRONT) | SUB(IF_VERSION) | SUB_VALUES,
         .run = subverb_ask,
         .method = "list.push",
         .shape = "sVo",
         .show = show_value},
        {.verb = {.name = "sequence pop",
                  .arguments = "[OPTIONS] NAME",
                  .summary = "take values from the end, the last one first; print one a line",
                  .help = "Exit status 1 if the list is empty.\n"},
         .words = {"list"},
         .max_words = 1,
         .options = SUB(FRONT) | SUB(MAX) | SUB(IF_VERSION) | SUB(RAW),
         .run = subverb_ask,
         .method = "list.pop",
         .shape = "so",
         .show = show_values},
        {.verb = {.name = "sequence get",
                  .arguments = "[OPTIONS] NAME INDEX",
                  .summary = "print the value at a place, from 0; -1 is the last one",
                  .help = "Exit status 1 if there is no such place.\n"},
         .words = {"list", "place"},
         .max_words = 2,
         .options = SUB(RAW),
         .run = subverb_ask,
         .method = "list.get",
         .shape = "si",
         .show = show_with_version,
         .absent_is_invalid = true},
        {.verb = {.name = "sequence set",
                  .arguments = "[OPTIONS] NAME INDEX VALUE",
                  .summary = "replace the value at a place, and print the list's version",
                  .help = "Exit status 1 if there is no such place.\n"},
         .words = {"list", "place", "value"},
         .max_words = 3,
         .options = SUB(IF_VERSION) | SUB_VALUES,
         .run = subverb_ask,
         .method = "list.set",
         .shape = "sivo",
         .show = show_value,
         .absent_is_invalid = true},
        {.verb = {.name = "sequence slice",
                  .arguments = "[OPTIONS] NAME START STOP",
                  .summary = "print the values from START up to before STOP, one a line",
                  .help = "Negative places count from the end; what is beyond the list is left out.\n"},
         .words = {"list", "start", "stop"},
         .max_words = 3,
         .options = SUB(RAW),
         .run = subverb_ask,
         .method = "list.slice",
         .shape = "sii",
         .show = show_values_with_version},
        {.verb = {.name = "sequence len", .arguments = "NAME", .summary = "print how many values there are"},
         .words = {"list"},
         .max_words = 1,
         .run = subverb_ask,
         .method = "list.len",
         .shape = "s",
         .show = show_value},
        {.verb = {.name = NULL}},
};
