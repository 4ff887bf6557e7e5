/* SPDX-License-Identifier: MIT */
/* Verbs of verbs: finding them, their help, their words. */
#include "client/cli/subverb.h"

#include <stdio.h>
#include <string.h>

/* The part of a whole name that is typed second. */
static const char *second_word(const struct subverb *sub)
{
        return strchr(sub->verb.name, ' ') + 1;
}

void subverbs_help(const struct subverb *sub)
{
        for (; sub->verb.name; sub++)
                printf("  %s %s\n        %s\n", second_word(sub), sub->verb.arguments, sub->verb.summary);
}

static void print_help(const struct subverb *sub)
{
        printf("usage: ganger %s %s\n\n%s\n", sub->verb.name, sub->verb.arguments, sub->verb.summary);
        if (sub->verb.help)
                printf("\n%s", sub->verb.help);
        if (sub->options)
                putchar('\n');
        suboptions_help(sub->options);
}

static int which(const struct cli *cli, const char *typed)
{
        char names[256] = "";
        size_t n = 0;

        for (const struct subverb *sub = cli->verb->subverbs; sub->verb.name; sub++)
                n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n > 0 ? ", " : "",
                                      second_word(sub));
        return cli_usage_error(cli, "takes one of %s%s%s%s", names, typed ? ", not '" : "",
                               typed ? typed : "", typed ? "'" : "");
}

static int count_words(const struct cli *cli, const struct subverb *sub, const struct subline *line)
{
        for (int i = 0; i < 3 && sub->words[i]; i++)
                if (line->n_words <= i)
                        return cli_usage_error(cli, "which %s?", sub->words[i]);
        if (sub->max_words != SUB_ANY_MORE && line->n_words > sub->max_words)
                return cli_usage_error(cli, "takes %s, not '%s'", sub->verb.arguments,
                                       line->words[sub->max_words]);
        return -1;
}

int verb_of_subverbs(struct cli *cli, int argc, char **argv)
{
        const struct subverb *sub = cli->verb->subverbs;
        struct subline line;
        char name[40];

        if (argc < 2)
                return which(cli, NULL);
        while (sub->verb.name && strcmp(argv[1], second_word(sub)) != 0)
                sub++;
        if (!sub->verb.name)
                return which(cli, argv[1]);
        cli->verb = &sub->verb;
        snprintf(name, sizeof name, "ganger %s", sub->verb.name);
        argv[1] = name;
        int status = subline_read(cli, sub, &line, argc - 1, argv + 1);
        if (status == EXIT_DONE)
                print_help(sub);
        if (status < 0)
                status = count_words(cli, sub, &line);
        return status < 0 ? sub->run(cli, &line) : status;
}
