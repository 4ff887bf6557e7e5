/* SPDX-License-Identifier: MIT */
/*
 * The verb map: a function, or a command, on any number of items. client/map.h sends them and bounds what is
 * on the way; here is where they come from, what they become, and how their ends are shown.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/cli/map_line.h"

enum { LOG_OPTION = VERB_OPTION_VALUE, RESUME_OPTION, RESUME_FAILED_OPTION };

static int take_option(struct cli *cli, struct map_line *line, int c)
{
        int64_t n;

        switch (c) {
        case 'x':
                line->exec = true;
                return 0;
        case 'a':
                if (line->arg_file)
                        return cli_usage_error(cli, "takes --arg-file once");
                line->arg_file = optarg;
                return 0;
        case '0':
                line->null = true;
                return 0;
        case 'j':
                if (!cli_integer(optarg, 0, UINT32_MAX, &n))
                        return cli_usage_error(cli, "--jobs takes an integer of 0 or more, not '%s'", optarg);
                if (line->options.given[TASK_OPTION_LIMIT])
                        return cli_usage_error(cli, "takes one of --jobs and --limit, once");
                if (n > 0)
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
        case LOG_OPTION:
                line->log_path = optarg;
                return 0;
        case RESUME_OPTION:
                if (line->log_mode == JOBLOG_NEW)
                        line->log_mode = JOBLOG_RESUME;
                return 0;
        case RESUME_FAILED_OPTION:
                line->log_mode = JOBLOG_RESUME_FAILED;
                return 0;
        case 'e':
                return command_env(cli, &line->command, optarg);
        case TASK_OPTION_VALUE + TASK_OPTION_LIMIT:
                if (line->options.given[TASK_OPTION_LIMIT])
                        return cli_usage_error(cli, "takes one of --jobs and --limit, once");
                return task_options_take(cli, &line->options, c, optarg);
        default:
                return c >= TASK_OPTION_VALUE ? task_options_take(cli, &line->options, c, optarg)
                                              : cli_bad_option(cli);
        }
}

/* Takes options up to the first word that is none, or between all words. */
static int scan_options(struct cli *cli, struct map_line *line, int argc, char **argv, bool up_to_word)
{
        static const struct option own[] = {
                {"exec", no_argument, NULL, 'x'},
                {"arg-file", required_argument, NULL, 'a'},
                {"null", no_argument, NULL, '0'},
                {"jobs", required_argument, NULL, 'j'},
                {"keep-order", no_argument, NULL, 'k'},
                {"array", no_argument, NULL, 'A'},
                {"string", no_argument, NULL, 's'},
                {"insist-json", no_argument, NULL, 'J'},
                {"raw", no_argument, NULL, 'r'},
                {"progress", no_argument, NULL, 'p'},
                {"env", required_argument, NULL, 'e'},
                {"joblog", required_argument, NULL, LOG_OPTION},
                {"resume", no_argument, NULL, RESUME_OPTION},
                {"resume-failed", no_argument, NULL, RESUME_FAILED_OPTION},
                {NULL, 0, NULL, 0},
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

/* What does not go together is refused: an option that does nothing would be believed. */
static int check_options(const struct cli *cli, const struct map_line *line)
{
        if (line->exec && (line->array || line->mode != JSON_MODE_GUESS))
                return cli_usage_error(cli,
                                       "--array, --string and --insist-json are for functions: to a command "
                                       "its item is a word");
        if (line->array && line->mode == JSON_MODE_STRING)
                return cli_usage_error(cli, "takes one of --array and --string");
        if (!line->exec && line->command.n_env > 0)
                return cli_usage_error(cli,
                                       "--env goes with --exec: a function has its worker's environment");
        if (line->log_mode != JOBLOG_NEW && !line->log_path)
                return cli_usage_error(cli, "--resume goes with --joblog, which says what is done");
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
        if (line->bad_log)
                return EXIT_GANGER;
        if (result == -EINVAL || result == -EMSGSIZE) {
                /* Items are sent some together, and the last one taken may wait for the next lot. */
                cli_say("item %" PRIu64 ", or the one before it, is %s", line->items.n_taken - 1,
                        result == -EINVAL ? "nested too deep" : "larger than the daemon takes");
                return EXIT_USAGE;
        }
        if (cli_flush() != 0)
                return EXIT_GANGER; /* main() says it */
        if (result < 0)
                return cli_lost(line->cli, "map", result);
        if (line->n_failed > 0)
                cli_say("%" PRIu64 " of %" PRIu64 " items failed", line->n_failed, map_ended(line->map));
        return line->n_failed > 0 ? EXIT_ITEMS : EXIT_DONE;
}

static int run(struct map_line *line)
{
        struct ganger_options options = GANGER_OPTIONS_INIT;
        struct cli_wait wait = {.on_signal = give_up, .prepare = prepare, .userdata = line};

        options.more = buffer_at(&line->options.pairs);
        options.more_size_bytes = buffer_size(&line->options.pairs);
        options.n_more = line->options.n_pairs;
        cli_connect(line->cli);
        int status = line->log_path ? joblog_open(&line->log, line->log_path, line->log_mode) : EXIT_DONE;
        if (status != EXIT_DONE)
                return status;
        int r = map_new(line->cli->g, &options, line->exec ? "exec" : line->function, map_line_next_item,
                        map_line_on_item, line, &line->map);
        if (r < 0)
                return cli_lost(line->cli, "map", r);
        progress_init(&line->progress, line->show_progress);
        r = cli_wait(line->cli, &line->done, &wait);
        status = finish(line, &wait, r);
        map_free(line->map);
        map_line_forget_all(line);
        return status;
}

int verb_map(struct cli *cli, int argc, char **argv)
{
        struct map_line line = {.cli = cli, .mode = JSON_MODE_GUESS};
        int status = map_options(cli, &line, argc, argv);

        if (status == 0)
                status = check_options(cli, &line);
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
        joblog_deinit(&line.log);
        items_deinit(&line.items);
        task_options_deinit(&line.options);
        command_deinit(&line.command);
        return status;
}
