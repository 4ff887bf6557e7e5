/* SPDX-License-Identifier: MIT */
/*
 * gangerd's command line: a table of options, and what they lead to.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "daemon/check.h"
#include "daemon/config_table.h"
#include "daemon/configuration.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/start.h"
#include "daemon/systemd.h"

struct command_line {
        struct start_options start;
        bool check, json, help, version;
};

static const struct option_row {
        const char *name, *argument, *help;
} option_table[] = {
        {"help", NULL, "say this"},
        {"version", NULL, "say the version"},
        {"check", NULL, "print what would be in force, check it, load the modules, and exit"},
        {"json", NULL, "with --check: as JSON, with what is wrong and what it needs of the machine"},
        {"config", "FILE", "read this file instead of " GANGER_SYSCONFDIR "/ganger/ganger.conf"},
        {"socket", "PATH", "listen here"},
        {"log-level", "LEVEL", "error, warning, info or debug, whatever the configuration says"},
};
#define N_OPTIONS (sizeof option_table / sizeof option_table[0])

static void print_help(void)
{
        printf("Usage: gangerd [OPTION…]\n"
               "Keeps gangs of worker processes and runs on them the tasks that local programs send.\n\n");
        for (size_t i = 0; i < N_OPTIONS; i++) {
                const struct option_row *row = &option_table[i];
                int width = printf("  --%s%s%s", row->name, row->argument != NULL ? " " : "",
                                   row->argument != NULL ? row->argument : "");
                printf("%*s%s\n", 24 - width, "", row->help);
        }
        printf("\nThe socket: the one that systemd passes, else --socket, else the key `socket`, else "
               "$GANGER_SOCKET,\n"
               "else /run/ganger/ganger.sock (root) or $XDG_RUNTIME_DIR/ganger/ganger.sock.\n"
               "Exit status: 0 stopped as asked; 78 wrong configuration; 1 anything else.\n\n"
               "What a configuration may say, and what it is unless said. Sizes are bytes, or with K, M, G; "
               "times\n"
               "are seconds, or with ms, s, min, h, d; lists are separated by blanks.\n\n");
        config_table_print(stdout);
        printf("\n[module NAME]\n  what the module knows\n");
}

static void take(struct command_line *line, const char *name, const char *argument)
{
        if (strcmp(name, "help") == 0)
                line->help = true;
        else if (strcmp(name, "version") == 0)
                line->version = true;
        else if (strcmp(name, "check") == 0)
                line->check = true;
        else if (strcmp(name, "json") == 0)
                line->json = true;
        else if (strcmp(name, "config") == 0)
                line->start.config_path = argument;
        else if (strcmp(name, "socket") == 0)
                line->start.socket = argument;
        else
                line->start.log_level = argument;
}

/* False: wrong usage, said so. */
static bool read_command_line(int argc, char **argv, struct command_line *ret)
{
        struct option options[N_OPTIONS + 1] = {0};
        int c, index = 0;

        for (size_t i = 0; i < N_OPTIONS; i++)
                options[i] = (struct option){option_table[i].name, option_table[i].argument != NULL, NULL, 0};
        *ret = (struct command_line){0};
        while ((c = getopt_long(argc, argv, "", options, &index)) == 0)
                take(ret, option_table[index].name, optarg);
        if (c == -1 && optind == argc && ret->check >= ret->json &&
            (ret->start.log_level == NULL || log_level_from_name(ret->start.log_level) != N_LOG_LEVELS))
                return true;
        if (c == -1 && optind < argc)
                fprintf(stderr, "gangerd: unexpected argument '%s'\n", argv[optind]);
        else if (c == -1 && ret->json && !ret->check)
                fprintf(stderr, "gangerd: --json goes with --check\n");
        else if (c == -1)
                fprintf(stderr, "gangerd: --log-level %s: not one of error, warning, info, debug\n",
                        ret->start.log_level);
        fprintf(stderr, "Try 'gangerd --help'.\n");
        return false;
}

static int load(struct start_options *options)
{
        static struct configuration_problem problem;

        int r = start_load(options, &options->config, &problem);

        if (r != 0) {
                configuration_log_problem(&problem);
                return r > 0 ? EXIT_CONFIGURATION : EXIT_FAILURE;
        }
        log_init(options->config->log_level, options->config->log_format);
        return 0;
}

static int serve(const struct start_options *options)
{
        struct daemon daemon = {0};
        int status = daemon_begin(&daemon, options);

        if (status == 0)
                status = daemon_run(&daemon);
        if (status == EXIT_CONFIGURATION)
                systemd_turn_away(); /* while the socket is open */
        daemon_end(&daemon);
        log_stop();
        return status;
}

int main(int argc, char **argv)
{
        struct command_line line;
        int status;

        log_use_journal(systemd_journal);
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        if (!read_command_line(argc, argv, &line))
                return EXIT_FAILURE;
        if (line.help)
                print_help();
        else if (line.version)
                printf("gangerd " GANGER_VERSION "\n");
        if (line.help || line.version)
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        if (line.check)
                return check_run(&line.start, line.json);
        status = load(&line.start);
        if (status == EXIT_CONFIGURATION)
                systemd_turn_away();
        return status != 0 ? status : serve(&line.start);
}
