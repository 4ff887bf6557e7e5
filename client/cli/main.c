/* SPDX-License-Identifier: MIT */
/*
 * ganger: the command line. Finds the verb in the table, reads the global options before it, runs it. What a
 * verb needs in common with others is in common.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/subverb.h"
#include "client/cli/task_options.h"
#include "config.h"

#define VALUES_HELP                                                                                          \
        "An ARG that is valid JSON is that value, anything else a string. @PATH is that file, opened by\n"   \
        "you and passed as a descriptor; @@ is a literal @.\n"                                               \
        "  -s, --string          take every argument as a string\n"                                          \
        "  -J, --insist-json     refuse what is no JSON\n"

const struct verb verbs[] = {
        {.name = "run",
         .arguments = "[OPTIONS] [--] COMMAND [ARG...]",
         .summary = "run a command in a worker, as if here",
         .run = verb_run,
         .task_options = OPTION_FOR_SINGLE,
         .help = "Standard input and outputs, directory and umask are yours; the exit status is the "
                 "command's.\n"
                 "Ctrl-C cancels it.\n"
                 "  -d, --detach          print the task's id and do not wait (see attach, logs, wait)\n"
                 "  -e, --env NAME[=VALUE]  set in its environment (NAME alone: your own value)\n"},
        {.name = "attach",
         .arguments = "ID",
         .summary = "follow a detached command: its output, its exit status",
         .run = verb_attach,
         .help = "Ctrl-C cancels the task.\n"},
        {.name = "logs",
         .arguments = "ID",
         .summary = "print what a detached command has written (the last 64 KiB of each output)",
         .run = verb_logs},
        {.name = "call",
         .arguments = "[OPTIONS] FUNCTION [ARG...]",
         .summary = "run a function and print its result",
         .run = verb_call,
         .task_options = OPTION_FOR_SINGLE,
         .help = VALUES_HELP "  -r, --raw             write a string's or bytes' content, not JSON\n"},
        {.name = "submit",
         .arguments = "[OPTIONS] FUNCTION [ARG...]",
         .summary = "queue a function and print the task's id",
         .run = verb_submit,
         .task_options = OPTION_FOR_SINGLE,
         .help = VALUES_HELP},
        {.name = "result",
         .arguments = "[OPTIONS] ID",
         .summary = "print the result of a submitted task (once, unless --keep)",
         .run = verb_result,
         .help = "  -k, --keep            leave the result for others\n"
                 "  -t, --timeout TIME    wait no longer than that (default: as long as it takes)\n"
                 "  -r, --raw             write a string's or bytes' content, not JSON\n"},
        {.name = "wait",
         .arguments = "[OPTIONS] ID...",
         .summary = "wait until tasks have ended and print their states",
         .run = verb_wait,
         .help = "  -n, --count N         until N of them have ended (default: all)\n"
                 "  -t, --timeout TIME    wait no longer than that\n"},
        {.name = "cancel", .arguments = "ID...", .summary = "cancel tasks", .run = verb_cancel},
        {.name = "map",
         .arguments = "[OPTIONS] FUNCTION [ITEM...] | [OPTIONS] --exec [--] COMMAND [ARG...]",
         .summary = "run a function, or a command, on every item, in all workers",
         .run = verb_map,
         .task_options = OPTION_FOR_MAP,
         .help = "Items come from the command line, else from standard input, one a line. To a function an "
                 "ITEM\n"
                 "is what an ARG is to call: JSON, @PATH or a string. Ctrl-C cancels what has not ended.\n"
                 "  -x, --exec            run COMMAND for each item, {} replaced by it (appended if absent)\n"
                 "  -a, --arg-file FILE   read the items from FILE\n"
                 "  -0, --null            items end with a 0 byte, not a newline\n"
                 "  -j, --jobs N          at most N items at once (as --limit); 0: as many as there are "
                 "workers\n"
                 "  -k, --keep-order      results in input order (as --ordered)\n"
                 "  -A, --array           each item is a JSON array: all the arguments of one call\n"
                 "  -s, --string          take every item as a string\n"
                 "  -J, --insist-json     refuse items that are no JSON\n"
                 "  -r, --raw             write strings and bytes as they are, one a line\n"
                 "  -e, --env NAME[=VALUE]  with --exec: set in the environment\n"
                 "  -p, --progress        show a progress bar (default: if standard error is a\n"
                 "                        terminal and standard output is none)\n"
                 "  --joblog FILE         begin FILE anew; when the result of an item is written, add a "
                 "line\n"
                 "  --resume              with --joblog: add to FILE and leave out the items that it has\n"
                 "  --resume-failed       as --resume, but what failed runs again\n"
                 "A line of FILE is, as GNU parallel writes it: Seq, Host, Starttime, JobRuntime, Send, "
                 "Receive,\n"
                 "Exitval, Signal, Command, with tabs between. Seq is the item's place in the input, from "
                 "1;\n"
                 "Host is always :, Send 0; Receive has the bytes of the result (of a command: of its "
                 "standard\n"
                 "output). JobRuntime is that of the command; of a function that succeeded it counts from "
                 "when\n"
                 "the item was handed over. Exitval is what run or call would end with, Signal what ended "
                 "the\n"
                 "command or the worker. Items that were cancelled are not in it. Whoever resumes gives the "
                 "same\n"
                 "items and command again: what differs from FILE is an error.\n"},
        {.name = "list",
         .arguments = "[OPTIONS]",
         .summary = "list tasks",
         .run = verb_list,
         .help = "  --state STATE         delayed, ready, running, unended, succeeded, failed, cancelled, "
                 "expired\n"
                 "  --failed              those that failed (as --state failed)\n"
                 "  --since TIME          that have not ended, or ended since: 2h (ago), today, yesterday, "
                 "2026-05-01, '2026-05-01 12:30'\n"
                 "  --pool POOL, --function FUNCTION, --label LABEL\n"
                 "  -n, --limit N         at most N (default 1000)\n"},
        {.name = "show", .arguments = "ID", .summary = "show all that is known of a task", .run = verb_show},
        {.name = "why",
         .arguments = "ID",
         .summary = "say in one sentence how a task ended, and what is known of it",
         .run = verb_why,
         .help = "A crash's backtrace is resolved by addr2line, if that is installed.\n"},
        {.name = "status",
         .arguments = "[OPTIONS]",
         .summary = "show the daemon's pools and workers",
         .run = verb_status,
         .help = "  -q, --quiet           print nothing; exit 1 if a pool is degraded or paused, or has "
                 "none\n                        of the workers that it should have\n"},
        {.name = "top",
         .arguments = "[OPTIONS]",
         .summary = "show pools, functions and workers on the whole screen, as they change",
         .run = verb_top,
         .help = "  -d, --delay SECONDS   from one look to the next (default 1 s, at least 0.1 s)\n"
                 "Keys: q quit, tab the next pane, arrows or j k select, s sort by the next column, S the "
                 "other\n"
                 "way round, c cancel the selected task, p pause and r resume the selected pool (for "
                 "admins),\n"
                 "d set the delay, space look now, h or ? help. Without colours if NO_COLOR is set.\n"},
        {.name = "events",
         .arguments = "[OPTIONS] [KIND...]",
         .summary = "print what happens, as it happens",
         .run = verb_events,
         .help = "Without a KIND all are shown: task_succeeded, task_failed, task_cancelled, task_expired,\n"
                 "user_over, worker_started, worker_lost, worker_stuck, pool_degraded, pool_recovered,\n"
                 "pool_paused, pool_resumed, pool_scaled, reloaded, reload_failed, stopping. Of tasks one's\n"
                 "own are shown, to admins all. \"lost\" says that some are not kept any more.\n"
                 "  --after SEQ           begin after the event of this number, as far as they are kept\n"
                 "  -n, --limit N         end after N events\n"},
        {.name = "metrics",
         .arguments = "",
         .summary = "print the daemon's figures in Prometheus' text format",
         .run = verb_metrics},
        {.name = "doctor",
         .arguments = "[OPTIONS]",
         .summary = "say what is wrong with the daemon or the way to it, or soon would be, and what helps",
         .run = verb_doctor,
         .help = "It also works without a daemon. Exit status 1 if there is a problem; warnings are none.\n"
                 "  -c, --config FILE     look at this configuration (default: the daemon's)\n"
                 "  --gangerd PROGRAM     have it checked by this gangerd (default: the one that runs, else "
                 "the\n"
                 "                        installed one)\n"},
        {.name = "functions", .arguments = "", .summary = "list what can be called", .run = verb_functions},
        {.name = "ping", .arguments = "", .summary = "ask whether the daemon is there", .run = verb_ping},
        {.name = "pool",
         .arguments = "scale POOL N | pause POOL | resume POOL | drain [-t TIME] POOL | reload [-w] [-t "
                      "TIME] POOL",
         .summary = "change how many workers a pool has, or whether anything begins there (for admins)",
         .run = verb_pool,
         .help = "scale: N workers from now on, until the configuration is read again; with 0 tasks wait\n"
                 "pause: nothing further begins; what runs goes on. resume ends it\n"
                 "drain: pause, and wait until nothing runs any more; the pool stays paused\n"
                 "reload: load its modules anew; its workers are replaced as they finish\n"
                 "  -w, --wait            until the last old one is gone\n"
                 "Of drain and reload:\n"
                 "  -t, --timeout TIME    wait no longer than that (exit status 124); it goes on\n"},
        {.name = "reload",
         .arguments = "[-w] [-t TIME]",
         .summary = "have the daemon read its configuration again, and print its pools (for admins)",
         .run = verb_reload,
         .help = "It comes into force whole or not at all; exit status 1 if it cannot. Workers are replaced "
                 "as they\n"
                 "finish; nothing queued or running is lost.\n"
                 "  -w, --wait            until the last old one is gone\n"
                 "  -t, --timeout TIME    wait no longer than that (exit status 124); the reload goes on\n"},
        {.name = "log-level",
         .arguments = "[error | warning | info | debug]",
         .summary = "set what the daemon logs, and print what it was before (for admins)",
         .run = verb_log_level,
         .help = "Without a level it stays as it is.\n"},
        {.name = "shared",
         .arguments = "list | open | unlink ...",
         .summary = "see, make and end objects that programs share by name",
         .run = verb_of_subverbs,
         .subverbs = shared_verbs},
        {.name = "value",
         .arguments = "get | set | add | cas | wait ...",
         .summary = "keep a number in memory that programs share",
         .run = verb_of_subverbs,
         .subverbs = value_verbs},
        {.name = "array",
         .arguments = "get | set ...",
         .summary = "keep numbers in memory that programs share",
         .run = verb_of_subverbs,
         .subverbs = array_verbs},
        {.name = "lock",
         .arguments = "[OPTIONS] NAME [--] COMMAND [ARG...] | [OPTIONS] NAME -c STRING",
         .summary = "run a command while a lock is held, as flock(1) does",
         .run = verb_lock,
         .help = "The exit status is the command's; 125 if the lock was lost meanwhile. It finds the "
                 "fencing\n"
                 "token, larger than that of every earlier holder, as GANGER_TOKEN in its environment.\n"
                 "A command whose ganger is killed is killed too: the lock is another's then.\n"
                 "  -n, --nonblock        do not wait: exit status 1 if it is held\n"
                 "  -w, --timeout TIME    wait no longer than that: exit status 1\n"
                 "  --wait TIME           as --timeout\n"
                 "  -E, --conflict-exit-code N   this exit status instead of 1\n"
                 "  -c, --command STRING  run it by a shell (sh -c)\n"
                 "  --limit N             so many may hold it at a time (default 1)\n"},
        {.name = "queue",
         .arguments = "put | get | size | join ...",
         .summary = "put items into a queue that programs share, and take them out",
         .run = verb_of_subverbs,
         .subverbs = queue_verbs},
        {.name = "pipe",
         .arguments = "NAME",
         .summary = "connect standard input and output with another program's",
         .run = verb_pipe,
         .help = "The two who open NAME get its two ends. Each line of standard input is a message, each "
                 "message\n"
                 "that comes is a line of standard output. End of file ends what the other one reads. Exit "
                 "status\n"
                 "1 if a line could not be sent because the other end is closed.\n"},
        {.name = "dict",
         .arguments = "get | set | delete | add | items | len | watch ...",
         .summary = "keep values by key for programs to share",
         .run = verb_of_subverbs,
         .subverbs = dict_verbs},
        {.name = "sequence",
         .arguments = "push | pop | get | set | slice | len ...",
         .summary = "keep a list of values for programs to share",
         .run = verb_of_subverbs,
         .help = "Objects of kind list; `ganger list` is about tasks.\n",
         .subverbs = sequence_verbs},
        {.name = "event",
         .arguments = "set | clear | is-set | wait ...",
         .summary = "set a flag that programs wait for",
         .run = verb_of_subverbs,
         .subverbs = event_verbs},
        {.name = "barrier",
         .arguments = "wait | reset | abort ...",
         .summary = "wait until so many programs do",
         .run = verb_of_subverbs,
         .subverbs = barrier_verbs},
        {.name = NULL},
};

static void print_usage(FILE *file)
{
        fputs("usage: ganger [--socket PATH | --user | --system] [--json] VERB ...\n\n", file);
        for (const struct verb *v = verbs; v->name; v++)
                fprintf(file, "  %-10s %s\n", v->name, v->summary);
        fputs("\n"
              "  --socket PATH   the daemon's socket (default: $GANGER_SOCKET, your own daemon's, the "
              "system's)\n"
              "  --user          your own daemon only\n"
              "  --system        the system's daemon only\n"
              "  --json          print JSON, for programs\n"
              "  --version       print the version\n"
              "\n"
              "`ganger VERB --help` says more about one. Times take s, ms, m, h, d.\n"
              "\n"
              "Exit status:\n"
              "  0         done\n"
              "  1         a task did not succeed; of a shared object: it is not so\n"
              "  2         wrong usage\n"
              "  123       map: some item failed\n"
              "  124       time ran out\n"
              "  125       ganger itself could not: no daemon, refused, connection lost\n"
              "  130, 143  a signal to ganger, which cancels what it waits for (result, wait: ends the "
              "wait)\n"
              "run, attach and lock have the command's own: 126 it is not executable, 127 it is not found,\n"
              "128+n signal n ended it.\n",
              file);
}

static void print_verb_help(const struct verb *v)
{
        printf("usage: ganger %s%s%s\n\n%s\n", v->name, *v->arguments ? " " : "", v->arguments, v->summary);
        if (v->help)
                printf("\n%s", v->help);
        if (v->subverbs) {
                putchar('\n');
                subverbs_help(v->subverbs);
                printf("\n`ganger %s VERB --help` says more about one.\n", v->name);
        }
        if (v->task_options) {
                printf("\nOptions of the task:\n");
                task_options_help((enum option_use)v->task_options);
        }
}

static const struct verb *find_verb(const char *name)
{
        for (const struct verb *v = verbs; v->name; v++)
                if (strcmp(v->name, name) == 0)
                        return v;
        return NULL;
}

/* Whether the verb's own arguments ask for help: --help or -h before "--" and before the first word of a
 * command. */
static bool wants_help(int argc, char **argv)
{
        for (int i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return true;
        return false;
}

/* The options before the verb. Returns -1 to go on, else the exit status. */
static int global_options(struct cli *cli, int argc, char **argv)
{
        static const struct option options[] = {
                {"socket", required_argument, NULL, 'S'},
                {"user", no_argument, NULL, 'u'},
                {"system", no_argument, NULL, 'y'},
                {"json", no_argument, NULL, 'j'},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'V'},
                {NULL, 0, NULL, 0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
                switch (c) {
                case 'S':
                        cli->socket = optarg;
                        break;
                case 'u':
                        cli->user_only = true;
                        break;
                case 'y':
                        cli->system_only = true;
                        break;
                case 'j':
                        cli->json = true;
                        break;
                case 'h':
                        print_usage(stdout);
                        return EXIT_DONE;
                case 'V':
                        puts("ganger " GANGER_VERSION);
                        return EXIT_DONE;
                default: /* getopt has said what is wrong */
                        cli_say("`ganger --help` lists options and verbs");
                        return EXIT_USAGE;
                }
        }
        if (cli->socket && !*cli->socket)
                return cli_usage_error(cli, "--socket takes a path, not ''");
        if ((cli->socket != NULL) + cli->user_only + cli->system_only > 1)
                return cli_usage_error(cli, "--socket, --user and --system exclude each other");
        return -1;
}

/* No file or socket may become standard output. What is closed is open now, but not for what it is for. */
static void standard_files_init(struct cli *cli)
{
        for (int fd = 0; fd < 3; fd++) {
                cli->closed[fd] = fcntl(fd, F_GETFD) < 0;
                if (cli->closed[fd] && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
                        exit(EXIT_GANGER); /* and there may be nobody to tell it to */
        }
}

static int leave(int status)
{
        int error = cli_flush();

        if (error == 0)
                return status;
        cli_say("standard output: %s", strerror(error));
        return EXIT_GANGER;
}

int main(int argc, char **argv)
{
        struct cli cli = {0};
        char name[32];

        standard_files_init(&cli);
        int status = global_options(&cli, argc, argv);
        if (status >= 0)
                return leave(status);
        if (optind == argc) {
                print_usage(stderr);
                return EXIT_USAGE;
        }
        cli.verb = find_verb(argv[optind]);
        if (!cli.verb) {
                cli_say("there is no verb '%s'; `ganger --help` lists them", argv[optind]);
                return EXIT_USAGE;
        }
        argc -= optind;
        argv += optind;
        optind = 0; /* a new scan, of the verb's own */
        snprintf(name, sizeof name, "ganger %s", cli.verb->name);
        argv[0] = name; /* as getopt's messages begin with it */
        if (wants_help(argc, argv)) {
                print_verb_help(cli.verb);
                return leave(EXIT_DONE);
        }
        cli.words = argv + 1;
        status = cli.verb->run(&cli, argc, argv);
        ganger_close(cli.g);
        return leave(status);
}
