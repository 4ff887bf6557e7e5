/* SPDX-License-Identifier: MIT */
/* The options of the verbs for shared objects: one table, from which they are read, packed and explained. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/subverb.h"

#define HELP_COLUMN      24
#define OPTION_VALUE     256 /* of getopt, for the first of the table */
#define MAX_BATCH        65536
#define MAX_UINT32       INT64_C(4294967295)
#define MAX_LENGTH       (INT64_C(1) << 40)
#define MODE_BITS_OF_ALL 0777

enum sub_option_type { TYPE_FLAG, TYPE_INTEGER, TYPE_OCTAL, TYPE_TEXT, TYPE_SECONDS };

static const struct sub_option_info {
        const char *name;
        char letter; /* 0: none */
        enum sub_option_type type;
        const char *key;      /* in the daemon's map; NULL: it is not to know */
        const char *argument; /* for help */
        const char *help;
        int64_t min, max;
} table[N_SUB_OPTIONS] = {
        [SUB_TIMEOUT] = {"timeout", 't', TYPE_SECONDS, "timeout", "TIME",
                         "wait no longer than that; 0: not at all", 0, 0},
        [SUB_MAX] = {"max", 'n', TYPE_INTEGER, "max", "N", "at most N at a time", 1, MAX_BATCH},
        [SUB_ALL_THERE] = {"all-there", 'a', TYPE_FLAG, NULL, NULL, "all that are there", 0, 0},
        [SUB_ACK] = {"ack", 0, TYPE_FLAG, "ack", NULL,
                     "give back what could not be written: an item is done when it was", 0, 0},
        [SUB_FOLLOW] = {"follow", 'f', TYPE_FLAG, NULL, NULL, "go on until interrupted", 0, 0},
        [SUB_FRONT] = {"front", 0, TYPE_FLAG, "front", NULL, "at the beginning, not the end", 0, 0},
        [SUB_IF_VERSION] = {"if-version", 0, TYPE_INTEGER, "if_version", "N",
                            "only if its version is N; 0: is not there yet (else exit status 1)", 0,
                            INT64_MAX},
        [SUB_AFTER] = {"after", 0, TYPE_INTEGER, "after", "N", "what has changed after version N", 0,
                       INT64_MAX},
        [SUB_PREFIX] = {"prefix", 0, TYPE_TEXT, "prefix", "TEXT", "those whose names begin with it", 0, 0},
        [SUB_KIND] = {"kind", 0, TYPE_TEXT, "kind", "KIND", "those of this kind", 0, 0},
        [SUB_TYPE] = {"type", 0, TYPE_TEXT, "type", "TYPE",
                      "i8, i16, i32, i64 (default), u8 ... u64, f32, f64, bytes", 0, 0},
        [SUB_LENGTH] = {"length", 0, TYPE_INTEGER, "length", "N", "elements of an array; bytes", 1,
                        MAX_LENGTH},
        [SUB_LIMIT] = {"limit", 0, TYPE_INTEGER, "limit", "N", "of a lock: holders at a time (default 1)", 1,
                       MAX_UINT32},
        [SUB_REENTRANT] = {"reentrant", 0, TYPE_FLAG, "reentrant", NULL,
                           "of a lock: who holds it may have it again", 0, 0},
        [SUB_PARTIES] = {"parties", 0, TYPE_INTEGER, "parties", "N", "of a barrier: how many are to meet", 1,
                         MAX_UINT32},
        [SUB_MAXSIZE] = {"maxsize", 0, TYPE_INTEGER, "maxsize", "N",
                         "of a queue: full with N items; 0 (default): never", 0, INT64_MAX},
        [SUB_MODE] = {"mode", 0, TYPE_OCTAL, "mode", "OCTAL", "who may, as of a file (default 0600)", 0,
                      MODE_BITS_OF_ALL},
        [SUB_EXCLUSIVE] = {"exclusive", 0, TYPE_FLAG, "exclusive", NULL,
                           "refuse one that is there (exit status 1)", 0, 0},
        [SUB_ZERO_BYTES] = {"null", '0', TYPE_FLAG, NULL, NULL, "items end with a 0 byte, not a newline", 0,
                            0},
        [SUB_STRING] = {"string", 's', TYPE_FLAG, NULL, NULL, "take every value as a string", 0, 0},
        [SUB_INSIST_JSON] = {"insist-json", 'J', TYPE_FLAG, NULL, NULL, "refuse what is no JSON", 0, 0},
        [SUB_RAW] = {"raw", 'r', TYPE_FLAG, NULL, NULL, "write strings and bytes as they are", 0, 0},
        [SUB_QUIET] = {"quiet", 'q', TYPE_FLAG, NULL, NULL, "print nothing", 0, 0},
};

void suboptions_help(uint32_t options)
{
        for (int i = 0; i < N_SUB_OPTIONS; i++) {
                const struct sub_option_info *info = &table[i];
                char text[HELP_COLUMN + 8];
                if (!(options & (1u << i)))
                        continue;
                int n = info->letter ? snprintf(text, sizeof text, "-%c, ", info->letter) : 0;
                snprintf(text + n, sizeof text - (size_t)n, "--%s%s%s", info->name, info->argument ? " " : "",
                         info->argument ? info->argument : "");
                printf("  %-*s%s\n", HELP_COLUMN - 2, text, info->help);
        }
}

/* What getopt is to know. A - at first: words are handed out in their places. */
static void offer(uint32_t options, char *letters, struct option *ret)
{
        *letters++ = '-';
        *letters++ = 'h';
        *ret++ = (struct option){"help", no_argument, NULL, 'h'};
        for (int i = 0; i < N_SUB_OPTIONS; i++) {
                bool has_argument = table[i].type != TYPE_FLAG;
                if (!(options & (1u << i)))
                        continue;
                *ret++ = (struct option){table[i].name, has_argument ? required_argument : no_argument, NULL,
                                         OPTION_VALUE + i};
                if (table[i].letter)
                        *letters++ = table[i].letter;
                if (table[i].letter && has_argument)
                        *letters++ = ':';
        }
        *letters = 0;
        *ret = (struct option){NULL, 0, NULL, 0};
}

static int option_of(int c)
{
        if (c >= OPTION_VALUE)
                return c - OPTION_VALUE;
        for (int i = 0; i < N_SUB_OPTIONS; i++)
                if (table[i].letter == c)
                        return i;
        return -1;
}

static bool octal(const char *text, int64_t max, int64_t *ret)
{
        char *end;

        if (*text < '0' || *text > '7')
                return false;
        *ret = strtol(text, &end, 8);
        return !*end && *ret <= max;
}

static int take(const struct cli *cli, struct subline *line, int i, const char *argument)
{
        const struct sub_option_info *info = &table[i];

        if ((line->given & (1u << i)) && info->type != TYPE_FLAG)
                return cli_usage_error(cli, "--%s was given twice", info->name);
        line->given |= 1u << i;
        switch (info->type) {
        case TYPE_FLAG:
                break;
        case TYPE_TEXT:
                line->texts[i] = argument;
                break;
        case TYPE_INTEGER:
                if (!cli_integer(argument, info->min, info->max, &line->integers[i]))
                        return cli_usage_error(cli, "--%s takes an integer of %lld or more%s, not '%s'",
                                               info->name, (long long)info->min,
                                               info->max < INT64_MAX ? ", and not too large" : "", argument);
                break;
        case TYPE_OCTAL:
                if (!octal(argument, info->max, &line->integers[i]))
                        return cli_usage_error(cli, "--%s takes an octal number from 0 to 0777, not '%s'",
                                               info->name, argument);
                break;
        case TYPE_SECONDS:
                if (!cli_seconds(argument, &line->timeout))
                        return cli_usage_error(cli, "--%s takes a time such as 1.5, 200ms, 10s, not '%s'",
                                               info->name, argument);
                break;
        }
        return -1;
}

static bool is_negative_number(const char *word)
{
        return word[0] == '-' && word[1] >= '0' && word[1] <= '9';
}

int subline_read(struct cli *cli, const struct subverb *sub, struct subline *ret, int argc, char **argv)
{
        struct option options[N_SUB_OPTIONS + 2];
        char letters[2 * N_SUB_OPTIONS + 3];
        int c;

        *ret = (struct subline){.sub = sub, .words = argv + 1};
        offer(sub->options, letters, options);
        for (;;) {
                /* -1 is a place in a list, not an option, where a word is due and getopt looks next */
                while (ret->n_words > 0 && optind < argc && !(sub->options & SUB(ZERO_BYTES)) &&
                       is_negative_number(argv[optind]))
                        ret->words[ret->n_words++] = argv[optind++];
                c = getopt_long(argc, argv, letters, options, NULL);
                if (c == -1)
                        break;
                if (c == 'h')
                        return EXIT_DONE;
                if (c == 1) { /* what is in front of getopt's next one has been looked at */
                        ret->words[ret->n_words++] = optarg;
                        continue;
                }
                int status = c == '?' ? cli_bad_option(cli) : take(cli, ret, option_of(c), optarg);
                if (status >= 0)
                        return status;
        }
        while (optind < argc)
                ret->words[ret->n_words++] = argv[optind++];
        ret->words[ret->n_words] = NULL;
        return -1;
}

enum json_mode subline_mode(const struct subline *line)
{
        return subline_has(line, SUB_STRING)        ? JSON_MODE_STRING
               : subline_has(line, SUB_INSIST_JSON) ? JSON_MODE_INSIST
                                                    : JSON_MODE_GUESS;
}

static void pack_option(const struct subline *line, struct packer *p, int i)
{
        pack_str(p, table[i].key);
        switch (table[i].type) {
        case TYPE_FLAG:
                pack_bool(p, true);
                break;
        case TYPE_TEXT:
                pack_str(p, line->texts[i]);
                break;
        case TYPE_INTEGER:
        case TYPE_OCTAL:
                pack_int(p, line->integers[i]);
                break;
        case TYPE_SECONDS:
                pack_double(p, line->timeout);
                break;
        }
}

int subline_pack_options(const struct subline *line, struct buffer *ret)
{
        struct packer p;
        size_t n = 0;

        for (int i = 0; i < N_SUB_OPTIONS; i++)
                n += subline_has(line, (enum sub_option)i) && table[i].key;
        pack_begin(&p, ret);
        pack_map(&p, n);
        for (int i = 0; i < N_SUB_OPTIONS; i++)
                if (subline_has(line, (enum sub_option)i) && table[i].key)
                        pack_option(line, &p, i);
        return pack_end(&p);
}

int subline_pack_named(const struct subline *line, struct buffer *ret)
{
        struct packer p;

        pack_begin(&p, ret);
        pack_array(&p, 2);
        command_pack_word(&p, line->words[0], strlen(line->words[0]));
        int r = pack_end(&p);
        return r < 0 ? r : subline_pack_options(line, ret);
}
