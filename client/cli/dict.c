/* SPDX-License-Identifier: MIT */
/* The verb dict. Keys are printed as they are, or as JSON where that would not be one clean word. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/look.h"
#include "client/cli/outlet.h"
#include "client/cli/subverb.h"

#define PAGE_ITEMS 1000

/* One that is not there has version 0. */
static bool is_there(struct reader pair)
{
        struct reader value;
        uint64_t version;

        return look_array(&pair) == 2 && look_next(&pair, &value) && reader_uint(&pair, &version) == 0 &&
               version > 0;
}

static int show_one(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        if (is_there(look_reader(reply)))
                return show_with_version(cli, line, reply);
        cli_say("%s: there is no key '%s'", line->words[0], line->words[1]);
        return EXIT_NOT_SUCCEEDED;
}

/* [[value, version]...] in the order of the keys: a line for each, so that they can be told apart. */
static int show_found(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        struct reader pairs = look_reader(reply), pair, value;
        int status = EXIT_DONE;

        if (line->n_words == 2)
                return show_one(cli, line, reply);
        look_array(&pairs);
        for (int i = 1; i < line->n_words && look_next(&pairs, &pair); i++) {
                if (!is_there(pair)) {
                        cli_say("%s: there is no key '%s'", line->words[0], line->words[i]);
                        status = EXIT_NOT_SUCCEEDED;
                }
                if (look_array(&pair) == 2 && look_next(&pair, &value))
                        subverb_put(cli, line, value);
        }
        return status;
}

static int show_deleted(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        struct reader r = look_reader(reply);
        uint64_t n;

        subverb_put(cli, line, look_reader(reply));
        return reader_uint(&r, &n) == 0 && n > 0 ? EXIT_DONE : EXIT_NOT_SUCCEEDED;
}

/* -- items -- */

static void print_key(struct reader key)
{
        struct look_text text = look_whole_text(key);

        if (text.size_bytes > 0 && look_is_clean(text) && !memchr(text.data, '\t', text.size_bytes))
                fwrite(text.data, 1, text.size_bytes, stdout);
        else
                json_write(stdout, key.at, (size_t)(key.end - key.at));
}

static void print_json(struct reader value)
{
        json_write(stdout, value.at, (size_t)(value.end - value.at));
        putchar('\n');
}

/* [key, value, version]; the version. */
static uint64_t print_item(const struct cli *cli, const struct subline *line, struct reader item)
{
        struct reader whole = item, key, value;
        uint64_t version;

        if (look_array(&item) != 3 || !look_next(&item, &key) || !look_next(&item, &value) ||
            reader_uint(&item, &version) < 0)
                return 0;
        if (cli->json) {
                print_json(whole);
                return version;
        }
        print_key(key);
        putchar('\t');
        subverb_put(cli, line, value);
        return version;
}

/* A page ends where a request's changes end, so its last version is where the next one begins. */
static int dict_items(struct cli *cli, struct subline *line)
{
        uint64_t after = 0;
        int status = EXIT_DONE;

        cli_connect(cli);
        for (uint32_t n = PAGE_ITEMS; status == EXIT_DONE && n >= PAGE_ITEMS;) {
                struct ganger_reply *reply = NULL;
                struct reader items, item;
                int r = cli_request(cli, &reply, "dict.items", "[s{susu}]", line->words[0], "after", after,
                                    "limit", (uint64_t)PAGE_ITEMS);
                items = r == 0 ? look_reader(reply) : (struct reader){NULL, NULL};
                n = r == 0 ? look_array(&items) : 0;
                for (uint32_t i = 0; i < n && look_next(&items, &item); i++)
                        after = print_item(cli, line, item);
                status = r == 0 ? EXIT_DONE : subverb_failed(cli, line, r, reply);
                ganger_reply_free(reply);
        }
        return status;
}

/* -- watch -- */

/* A line for each change: its version, "set" or "deleted", the key, and the value. */
static void print_change(const struct cli *cli, const struct subline *line, struct reader change)
{
        struct reader key, value;
        uint64_t version;
        bool is_set = look_array(&change) == 3;

        if (!look_next(&change, &key) || (is_set && !look_next(&change, &value)) ||
            reader_uint(&change, &version) < 0)
                return;
        printf("%llu\t%s\t", (unsigned long long)version, is_set ? "set" : "deleted");
        print_key(key);
        putchar(is_set ? '\t' : '\n');
        if (is_set)
                subverb_put(cli, line, value);
}

static void print_changes(const struct cli *cli, const struct subline *line, struct reader answer,
                          const char *which)
{
        struct reader changes, change;

        if (!look_key(answer, which, &changes))
                return;
        for (uint32_t n = look_array(&changes); n > 0 && look_next(&changes, &change); n--)
                print_change(cli, line, change);
}

static void show_changes(const struct cli *cli, const struct subline *line, struct reader answer)
{
        if (cli->json) {
                print_json(answer);
                return;
        }
        print_changes(cli, line, answer, "changed");
        print_changes(cli, line, answer, "deleted");
        if (!look_true(answer, "complete"))
                cli_say("there may have been more deletions: `ganger dict items %s` prints all that is there",
                        line->words[0]);
}

/* Waits for one change or several. From then on it is asked for what has changed since. */
static int watch_once(struct cli *cli, struct subline *line)
{
        struct buffer params = BUFFER_INIT;
        struct ganger_reply *reply = NULL;
        int status = EXIT_DONE;
        int r = subline_pack_named(line, &params);

        if (r == 0)
                r = outlet_request(cli, &reply, "dict.watch", &params);
        if (r == 0) {
                show_changes(cli, line, look_reader(reply));
                line->given |= SUB(AFTER);
                line->integers[SUB_AFTER] = (int64_t)look_uint(look_reader(reply), "version", 0);
        } else {
                status = r == -ESHUTDOWN ? outlet_closed() : subverb_failed(cli, line, r, reply);
        }
        ganger_reply_free(reply);
        buffer_deinit(&params);
        return status;
}

static int dict_watch(struct cli *cli, struct subline *line)
{
        int status;

        cli_connect(cli);
        do {
                status = watch_once(cli, line);
        } while (status == EXIT_DONE && subline_has(line, SUB_FOLLOW) && cli_flush() == 0);
        return status;
}

const struct subverb dict_verbs[] = {
        {.verb = {.name = "dict get",
                  .arguments = "[OPTIONS] NAME KEY...",
                  .summary = "print the values of keys, one a line",
                  .help = "Of a key that is not there: exit status 1; null where several are asked for.\n"},
         .words = {"dictionary", "key"},
         .max_words = SUB_ANY_MORE,
         .options = SUB(RAW),
         .run = subverb_ask,
         .method = "dict.get",
         .shape = "sK",
         .show = show_found},
        {.verb = {.name = "dict set",
                  .arguments = "[OPTIONS] NAME KEY VALUE [KEY VALUE...]",
                  .summary = "set keys, all at once, and print the version that they have now",
                  .help = "A VALUE that is valid JSON is that value, anything else a string.\n"},
         .words = {"dictionary", "key", "value"},
         .max_words = SUB_ANY_MORE,
         .options = SUB(IF_VERSION) | SUB_VALUES,
         .run = subverb_ask,
         .method = "dict.set",
         .shape = "sPO",
         .show = show_value},
        {.verb = {.name = "dict delete",
                  .arguments = "[OPTIONS] NAME KEY...",
                  .summary = "delete keys, and print how many were there; exit status 1 if none was"},
         .words = {"dictionary", "key"},
         .max_words = SUB_ANY_MORE,
         .options = SUB(IF_VERSION),
         .run = subverb_ask,
         .method = "dict.delete",
         .shape = "sKO",
         .show = show_deleted},
        {.verb = {.name = "dict add",
                  .arguments = "NAME KEY NUMBER",
                  .summary = "add to the number of a key (0 if it is not there), and print the sum",
                  .help = "Exit status 1 if what is there is no number, or the sum too large.\n"},
         .words = {"dictionary", "key", "number"},
         .max_words = 3,
         .run = subverb_ask,
         .method = "dict.add",
         .shape = "ssd",
         .show = show_value,
         .absent_is_invalid = true},
        {.verb = {.name = "dict items",
                  .arguments = "[OPTIONS] NAME",
                  .summary = "print all keys and values, the last changed ones last, a tab between",
                  .help = "With --json: [key, value, version], one a line.\n"},
         .words = {"dictionary"},
         .max_words = 1,
         .options = SUB(RAW),
         .run = dict_items},
        {.verb = {.name = "dict len", .arguments = "NAME", .summary = "print how many keys there are"},
         .words = {"dictionary"},
         .max_words = 1,
         .run = subverb_ask,
         .method = "dict.len",
         .shape = "s",
         .show = show_value},
        {.verb = {.name = "dict watch",
                  .arguments = "[OPTIONS] NAME",
                  .summary = "wait for a change, and print what has changed: version, set or deleted, key, "
                             "value"},
         .words = {"dictionary"},
         .max_words = 1,
         .options = SUB(AFTER) | SUB(FOLLOW) | SUB(TIMEOUT) | SUB(RAW),
         .run = dict_watch},
        {.verb = {.name = NULL}},
};
