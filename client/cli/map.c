/* SPDX-License-Identifier: MIT */
/*
 * The verb map: a function, or a command, on any number of items. client/map.h sends them and bounds what is
 * on the way; here is where they come from, what they become, and how their ends are shown.
 *
 * The text of an item is remembered until it has ended, to name it if it fails.
 */
#include "client/map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not its usual hash, which falls through the cases of a switch without saying so. */
#define HASH_FUNCTION(key, size_bytes, hash) HASH_OAT(key, size_bytes, hash)
#define HASH_NONFATAL_OOM                    1
#include <uthash.h>

#include "client/cli/cli.h"
#include "client/cli/command.h"
#include "client/cli/items.h"
#include "client/cli/json.h"
#include "client/cli/look.h"
#include "client/cli/progress.h"
#include "client/cli/task_options.h"

struct unfinished {
        uint64_t index;
        UT_hash_handle hh;
        size_t size_bytes;
        char text[];
};

struct map_line {
        struct cli *cli;
        struct task_options options;
        struct command command;
        struct items items;
        struct progress progress;
        const char *arg_file;
        const char *function;
        char **words; /* the items, or with --exec the command's words */
        enum json_mode mode;
        bool exec, array, raw, null, show_progress;
        struct map *map;
        struct unfinished *unfinished;
        uint64_t n_failed;
        bool bad_item; /* it could not be read or was no argument; that was said */
        bool done;
};

static int take_option(struct cli *cli, struct map_line *line, int c)
{
        int64_t n;

        switch (c) {
        case 'x':
                line->exec = true;
                return 0;
        case 'a':
                line->arg_file = optarg;
                return 0;
        case '0':
                line->null = true;
                return 0;
        case 'j':
                if (!cli_integer(optarg, 1, UINT32_MAX, &n))
                        return cli_usage_error(cli, "--jobs takes an integer of 1 or more, not '%s'", optarg);
                task_options_add_count(&line->options, TASK_OPTION_LIMIT, (uint64_t)n);
                return 0;
        case 'k':
                task_options_add_flag(&line->options, TASK_OPTION_ORDERED);
                return 0;
        case 'A':
                line->array = true;
                return 0;
        case 's':
                line->mode = JSON_MODE_STRING;
                return 0;
        case 'J':
                line->mode = JSON_MODE_INSIST;
                return 0;
        case 'r':
                line->raw = true;
                return 0;
        case 'p':
                line->show_progress = true;
                return 0;
        case 'e':
                return command_env(cli, &line->command, optarg);
        default:
                return c >= TASK_OPTION_VALUE ? task_options_take(cli, &line->options, c, optarg)
                                              : cli_bad_option(cli);
        }
}

/* Takes options up to the first word that is none, or between all words. */
static int scan_options(struct cli *cli, struct map_line *line, int argc, char **argv, bool up_to_word)
{
        static const struct option own[] = {
                {"exec", no_argument, NULL, 'x'},       {"arg-file", required_argument, NULL, 'a'},
                {"null", no_argument, NULL, '0'},       {"jobs", required_argument, NULL, 'j'},
                {"keep-order", no_argument, NULL, 'k'}, {"array", no_argument, NULL, 'A'},
                {"string", no_argument, NULL, 's'},     {"insist-json", no_argument, NULL, 'J'},
                {"raw", no_argument, NULL, 'r'},        {"progress", no_argument, NULL, 'p'},
                {"env", required_argument, NULL, 'e'},  {NULL, 0, NULL, 0},
        };
        struct option options[MAX_VERB_OPTIONS + N_TASK_OPTIONS + 1];
        int c;

        task_options_long(own, OPTION_FOR_MAP, options);
        optind = 0;
        while ((c = getopt_long(argc, argv, up_to_word ? "+xa:0j:kAsJrpe:" : "xa:0j:kAsJrpe:", options,
                                NULL)) != -1) {
                int status = take_option(cli, line, c);
                if (status != 0)
                        return status;
        }
        return 0;
}

/* A command's options are its own, and follow it; those of map may also follow a function. */
static int map_options(struct cli *cli, struct map_line *line, int argc, char **argv)
{
        int status = scan_options(cli, line, argc, argv, true);

        if (status != 0)
                return status;
        if (optind == argc)
                return cli_usage_error(cli, line->exec ? "which command?" : "which function?");
        line->words = argv + optind;
        if (line->exec)
                return 0;
        line->function = *line->words;
        if (strcmp(argv[optind - 1], "--") != 0) {
                argc -= optind;
                *line->words = argv[0];
                status = scan_options(cli, line, argc, line->words, false);
                line->words += optind - 1;
        }
        line->words++;
        if (status == 0 && line->exec)
                return cli_usage_error(cli, "--exec comes before its command");
        return status;
}

/* ---- items ---- */

static int remember(struct map_line *line, const char *text, size_t size_bytes)
{
        struct unfinished *u = malloc(sizeof *u + size_bytes);

        if (!u)
                return -ENOMEM;
        u->index = line->items.n_taken - 1;
        u->size_bytes = size_bytes;
        memcpy(u->text, text, size_bytes);
        HASH_ADD(hh, line->unfinished, index, sizeof u->index, u);
        return 0;
}

static struct unfinished *forget(struct map_line *line, uint64_t index)
{
        struct unfinished *u;

        HASH_FIND(hh, line->unfinished, &index, sizeof index, u);
        if (u)
                HASH_DEL(line->unfinished, u);
        return u;
}

/* The word with each {} replaced by the item. */
static int pack_word(struct packer *p, const char *word, const char *item, size_t item_size)
{
        struct buffer text = BUFFER_INIT;
        int r = 0;

        for (const char *at; r == 0 && (at = strstr(word, "{}")) != NULL; word = at + 2) {
                r = buffer_append(&text, word, (size_t)(at - word));
                if (r == 0)
                        r = buffer_append(&text, item, item_size);
        }
        if (r == 0)
                r = buffer_append(&text, word, strlen(word));
        if (r == 0)
                command_pack_word(p, buffer_size(&text) > 0 ? (const char *)buffer_at(&text) : "",
                                  buffer_size(&text));
        buffer_deinit(&text);
        return r;
}

/* [[word...], {options}]: what exec takes. */
static int pack_command(struct map_line *line, struct buffer *ret, const char *item, size_t item_size)
{
        struct packer p;
        bool has_place = false;
        size_t n = 0;
        int r = 0;

        for (; line->words[n]; n++)
                has_place = has_place || strstr(line->words[n], "{}");
        pack_begin(&p, ret);
        pack_array(&p, 2);
        pack_array(&p, n + !has_place);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = pack_word(&p, line->words[i], item, item_size);
        if (!has_place)
                command_pack_word(&p, item, item_size);
        command_pack_options(&line->command, &p, 0);
        int error = pack_end(&p);
        return r < 0 ? r : error;
}

/* The item as the array of one call's arguments. */
static int write_item(struct map_line *line, struct ganger_writer *w, const char *text, size_t size_bytes)
{
        struct arguments arguments;
        struct buffer args = BUFFER_INIT;
        struct packer p;
        char why[512] = "";
        int r;

        arguments_init(&arguments);
        if (line->exec) {
                r = pack_command(line, &args, text, size_bytes);
        } else if (line->array) {
                r = arguments_add_array(&arguments, text, size_bytes, why, sizeof why);
                if (r == 0)
                        r = buffer_append(&args, buffer_at(&arguments.bytes), buffer_size(&arguments.bytes));
        } else {
                r = arguments_add(&arguments, line->mode, text, size_bytes, why, sizeof why);
                pack_begin(&p, &args);
                pack_array(&p, 1);
                pack_raw(&p, buffer_at(&arguments.bytes), buffer_size(&arguments.bytes));
                if (r == 0)
                        r = pack_end(&p);
        }
        if (r == 0)
                r = ganger_write(w, "M", buffer_at(&args), buffer_size(&args), arguments.fds,
                                 (size_t)arguments.n_fds);
        if (*why) {
                line->bad_item = true;
                cli_say("item %" PRIu64 ": %s", line->items.n_taken - 1, why);
        }
        buffer_deinit(&args);
        arguments_deinit(&arguments);
        return r;
}

static int next_item(void *userdata, struct ganger_writer *w)
{
        struct map_line *line = userdata;
        const char *text;
        size_t size_bytes;
        int r = items_next(&line->items, &text, &size_bytes);

        if (r < 0 && r != -EAGAIN) {
                line->bad_item = true;
                cli_say("%s: %s", line->arg_file ? line->arg_file : "standard input", strerror(-r));
        }
        if (r <= 0)
                return r;
        r = write_item(line, w, text, size_bytes);
        if (r == 0)
                r = remember(line, text, size_bytes);
        return r < 0 ? r : 1;
}

/* ---- results ---- */

/* What a command wrote, whole: outputs of items do not mix. */
static void print_output(struct reader result)
{
        struct look_text out = look_text(result, "stdout"), err = look_text(result, "stderr");

        fwrite(out.data, 1, out.size_bytes, stdout);
        if (err.size_bytes > 0) {
                cli_flush();
                fwrite(err.data, 1, err.size_bytes, stderr);
        }
        if (look_true(result, "stdout_truncated") || look_true(result, "stderr_truncated"))
                cli_say("the output of an item was longer than is kept; its beginning is missing");
}

/* --json: one object a line. */
static void print_json_item(uint64_t index, const struct unfinished *u, int code,
                            const struct ganger_reply *reply)
{
        size_t size_bytes;
        const void *data = ganger_data(reply, &size_bytes);

        printf("{\"index\":%" PRIu64 ",\"item\":", index);
        json_write_text(stdout, u ? u->text : "", u ? u->size_bytes : 0);
        fputs(code == 0 ? ",\"result\":" : ",\"error\":", stdout);
        json_write(stdout, data, size_bytes);
        fputs("}\n", stdout);
}

static void print_failure(const struct map_line *line, uint64_t index, const struct unfinished *u,
                          const struct ganger_reply *reply)
{
        struct reader detail;

        if (line->exec && look_key(look_reader(reply), "detail", &detail))
                print_output(detail);
        cli_say("item %" PRIu64 " (%.*s): %s", index,
                u ? (int)(u->size_bytes < 200 ? u->size_bytes : 200) : 0, u ? u->text : "",
                ganger_message(reply));
}

static void print_result(const struct map_line *line, const struct ganger_reply *reply)
{
        struct reader result = look_reader(reply);
        struct value value;
        struct reader peek = result;
        size_t size_bytes = (size_t)(result.end - result.at);

        if (line->exec) {
                print_output(result);
                return;
        }
        if (!line->raw) {
                json_write(stdout, result.at, size_bytes);
                putchar('\n');
                return;
        }
        json_write_raw(stdout, result.at, size_bytes);
        if (reader_next(&peek, &value) == 0 && (value.type == VALUE_STR || value.type == VALUE_BIN))
                putchar('\n');
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct map_line *line = userdata;
        struct unfinished *u = forget(line, index);

        progress_clear(&line->progress);
        if (code != 0)
                line->n_failed++;
        if (line->cli->json)
                print_json_item(index, u, code, reply);
        else if (code != 0)
                print_failure(line, index, u, reply);
        else
                print_result(line, reply);
        bool unwritten = ferror(stdout) && cli_flush() != 0; /* nobody reads any more */
        free(u);
        progress_show(&line->progress, map_ended(line->map), map_sent(line->map), line->n_failed);
        return unwritten ? -EPIPE : 0;
}

/* ---- the whole ---- */

/* Before each poll: sends what there is room for. Returns what else to poll for reading, or -1. */
static int prepare(struct cli *cli, void *userdata)
{
        struct map_line *line = userdata;
        int r = map_advance(line->map);

        (void)cli;
        line->done = map_has_ended(line->map);
        if (!line->done && ganger_fd(line->cli->g) >= 0)
                cli_flush(); /* before it sleeps: who reads sees what there is */
        return r == -EAGAIN && map_wants_items(line->map) ? items_fd(&line->items) : -1;
}

static void give_up(struct cli *cli, void *userdata)
{
        struct map_line *line = userdata;

        (void)cli;
        map_cancel(line->map, -EINTR);
}

static int finish(struct map_line *line, const struct cli_wait *wait, int r)
{
        int result = r == 0 ? map_result(line->map) : r;

        progress_clear(&line->progress);
        if (wait->signal)
                return EXIT_SIGNAL + wait->signal;
        if (result > 0) {
                struct ganger_reply *reply = map_take_reply(line->map);
                int status = cli_refused(line->cli, result, reply);
                ganger_reply_free(reply);
                return status;
        }
        if (line->bad_item)
                return EXIT_USAGE;
        if (result == -EINVAL || result == -EMSGSIZE) {
                /* Items are sent some together, and the last one taken may wait for the next lot. */
                cli_say("item %" PRIu64 ", or the one before it, is %s", line->items.n_taken - 1,
                        result == -EINVAL ? "nested too deep" : "larger than the daemon takes");
                return EXIT_USAGE;
        }
        if (cli_flush() != 0)
                return EXIT_GANGER; /* main() says it */
        if (result < 0)
                return cli_lost("map", result);
        if (line->n_failed > 0)
                cli_say("%" PRIu64 " of %" PRIu64 " items failed", line->n_failed, map_ended(line->map));
        return line->n_failed > 0 ? EXIT_ITEMS : EXIT_DONE;
}

static int run(struct map_line *line)
{
        struct ganger_options options = GANGER_OPTIONS_INIT;
        struct cli_wait wait = {.on_signal = give_up, .prepare = prepare, .userdata = line};
        struct unfinished *u, *next;

        options.more = buffer_at(&line->options.pairs);
        options.more_size_bytes = buffer_size(&line->options.pairs);
        options.n_more = line->options.n_pairs;
        cli_connect(line->cli);
        int r = map_new(line->cli->g, &options, line->exec ? "exec" : line->function, next_item, on_item,
                        line, &line->map);
        if (r < 0)
                return cli_lost("map", r);
        progress_init(&line->progress, line->show_progress);
        r = cli_wait(line->cli, &line->done, &wait);
        int status = finish(line, &wait, r);
        map_free(line->map);
        HASH_ITER (hh, line->unfinished, u, next) {
                HASH_DEL(line->unfinished, u);
                free(u);
        }
        return status;
}

int verb_map(struct cli *cli, int argc, char **argv)
{
        struct map_line line = {.cli = cli, .mode = JSON_MODE_GUESS};
        int status = map_options(cli, &line, argc, argv);

        if (status == 0 && line.exec)
                status = command_here(&line.command);
        if (status == 0) {
                int r = items_init(&line.items, line.exec ? NULL : line.words, line.arg_file,
                                   line.null ? '\0' : '\n');
                if (r < 0)
                        status = cli_usage_error(cli, "%s: %s", line.arg_file, strerror(-r));
                else if (line.items.words && line.arg_file)
                        status = cli_usage_error(
                                cli, "items come from the command line or from --arg-file, not from both");
                else
                        status = run(&line);
        }
        items_deinit(&line.items);
        task_options_deinit(&line.options);
        command_deinit(&line.command);
        return status;
}
