/* SPDX-License-Identifier: MIT */
/* What the verbs share: connecting, reading simple words, saying what went wrong. Waiting is in wait.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/connection.h"
#include "proto/limits.h"

int cli_flush(void)
{
        static int first_error;
        bool failed_before = ferror(stdout) != 0; /* in a write of its own: then errno may still say why */
        int error = errno;

        if (fflush(stdout) != 0 && !failed_before)
                error = errno;
        if (ferror(stdout) && first_error == 0)
                first_error = error != 0 ? error : EIO;
        return first_error;
}

void cli_say(const char *format, ...)
{
        char *text;
        va_list ap;

        cli_flush();
        va_start(ap, format);
        if (vasprintf(&text, format, ap) >= 0) {
                fprintf(stderr, "ganger: %s\n", text); /* one write: others write there, too */
                free(text);
        }
        va_end(ap);
}

int cli_usage_error(const struct cli *cli, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        fprintf(stderr, "ganger%s%s: ", cli->verb ? " " : "", cli->verb ? cli->verb->name : "");
        vfprintf(stderr, format, ap);
        fprintf(stderr, "\n`ganger %s%s--help` says more\n", cli->verb ? cli->verb->name : "",
                cli->verb ? " " : "");
        va_end(ap);
        return EXIT_USAGE;
}

/* The option that belongs before the verb, if there is one among the words. */
static const char *misplaced_option(char **words)
{
        static const char *const names[] = {"--json", "--socket", "--user", "--system"};

        for (; *words && strcmp(*words, "--") != 0; words++)
                for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                        if (strncmp(*words, names[i], strlen(names[i])) == 0)
                                return names[i];
        return NULL;
}

int cli_bad_option(const struct cli *cli)
{
        const char *misplaced = misplaced_option(cli->words);

        if (misplaced)
                fprintf(stderr, "%s goes before the verb: `ganger %s ... %s`\n", misplaced, misplaced,
                        cli->verb->name);
        else
                fprintf(stderr, "`ganger %s --help` says more; words that begin with - go behind --\n",
                        cli->verb->name);
        return EXIT_USAGE;
}

int cli_no_options(const struct cli *cli, int argc, char **argv)
{
        static const struct option none[] = {{NULL, 0, NULL, 0}};

        return getopt_long(argc, argv, "", none, NULL) == -1 ? 0 : cli_bad_option(cli);
}

int cli_no_arguments(const struct cli *cli, int argc, char **argv)
{
        int status = cli_no_options(cli, argc, argv);

        if (status == 0 && optind != argc)
                return cli_usage_error(cli, "takes no arguments, not '%s'", argv[optind]);
        return status;
}

int cli_one_id(const struct cli *cli, int argc, char **argv, uint64_t *ret)
{
        int status = cli_no_options(cli, argc, argv);

        if (status != 0)
                return status;
        if (optind == argc)
                return cli_usage_error(cli, "which task?");
        if (optind + 1 != argc || !cli_id(argv[optind], ret))
                return cli_usage_error(cli, "takes the id of one task, not '%s'", argv[argc - 1]);
        return 0;
}

static const char *lost_text(int r)
{
        switch (r) {
        case -ECONNRESET:
        case -EPIPE:
                return "the connection to the daemon was lost";
        case -EPROTO:
                return "whoever listens there does not speak ganger's protocol";
        default:
                return strerror(-r);
        }
}

const char *cli_lost_text(const struct cli *cli, int r)
{
        const struct ganger_reply *last_words = cli->g ? ganger_error(cli->g) : NULL;

        return last_words ? ganger_message(last_words) : lost_text(r);
}

int cli_lost(const struct cli *cli, const char *doing, int r)
{
        cli_say("%s: %s", doing, cli_lost_text(cli, r));
        return EXIT_GANGER;
}

/* What a failed connect means, and what to do about it. */
static const char *connect_remedy(int r)
{
        switch (r) {
        case -ENOENT:
        case -ECONNREFUSED:
                return "; is gangerd running? (--socket names another socket)";
        case -EACCES:
                return "; the socket is not for this user (see its mode and group)";
        case -EPROTOTYPE:
                return "; it is a socket of another kind, so not gangerd's";
        case -ENAMETOOLONG:
                return "; a socket's path has at most 107 bytes";
        default:
                return "";
        }
}

static enum search_scope scope_of(const struct cli *cli)
{
        return cli->user_only ? SEARCH_USER : cli->system_only ? SEARCH_SYSTEM : SEARCH_USUAL;
}

int cli_try_connect(struct cli *cli)
{
        char path[LIMIT_SOCKET_PATH_BYTES + 1];
        int fd, r;

        r = cli->socket ? search_try_path(cli->socket, &fd) : search_try(scope_of(cli), path, &fd);
        return r < 0 ? r : connection_new(fd, &cli->g);
}

void cli_connect(struct cli *cli)
{
        char paths[SEARCH_CANDIDATES][LIMIT_SOCKET_PATH_BYTES + 1];
        int r = cli->socket ? ganger_open(&cli->g, cli->socket) : connection_open(&cli->g, scope_of(cli));

        if (r >= 0) {
                cli_signals_begin();
                return;
        }
        if (cli->socket) {
                cli_say("%s: %s%s", cli->socket, strerror(-r), connect_remedy(r));
        } else {
                int n = search_candidates(scope_of(cli), paths);
                if (n == 0)
                        cli_say("XDG_RUNTIME_DIR is not set, so there is no socket of your own; name one "
                                "with --socket");
                else
                        cli_say("%s%s%s: %s%s", paths[0], n > 1 ? ", " : "", n > 1 ? paths[1] : "",
                                strerror(-r), connect_remedy(r));
        }
        exit(EXIT_GANGER);
}

int cli_refused(const struct cli *cli, int r, const struct ganger_reply *reply)
{
        (void)cli;
        cli_say("%s", ganger_message(reply));
        switch (r) {
        case GANGER_UNKNOWN_FUNCTION:
                cli_say("`ganger functions` lists what can be called");
                break;
        case GANGER_UNKNOWN_POOL:
                cli_say("`ganger status` shows the pools");
                break;
        case GANGER_UNKNOWN_TASK:
                cli_say("`ganger list` shows the tasks that are known");
                break;
        case GANGER_INVALID_PARAMS: /* of what was typed: the message names the option */
                return EXIT_USAGE;
        case GANGER_NOT_READY:
        case GANGER_TIMED_OUT:
        case GANGER_EXPIRED:
                return EXIT_TIME;
        default:
                break;
        }
        /* What a task came to is 1; that ganger would not take it at all is 125. */
        return r >= GANGER_TASK_FAILED && r != GANGER_OTHER ? EXIT_NOT_SUCCEEDED : EXIT_GANGER;
}
