/* SPDX-License-Identifier: MIT */
/* Sub-verbs that are one request: their words packed as its method wants them, its answer shown. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/look.h"
#include "client/cli/subverb.h"

static int no_memory(const struct cli *cli)
{
        return cli_lost(cli, cli->verb->name, -ENOMEM);
}

static int pack_text(const struct cli *cli, struct buffer *b, const char *word)
{
        struct packer p;

        pack_begin(&p, b);
        command_pack_word(&p, word, strlen(word));
        return pack_end(&p) < 0 ? no_memory(cli) : 0;
}

static int pack_head(const struct cli *cli, struct buffer *b, bool map, int n)
{
        struct packer p;

        pack_begin(&p, b);
        if (map)
                pack_map(&p, (size_t)n);
        else
                pack_array(&p, (size_t)n);
        return pack_end(&p) < 0 ? no_memory(cli) : 0;
}

static int pack_integer(const struct cli *cli, struct buffer *b, const char *word)
{
        struct packer p;
        int64_t n;

        if (!cli_integer(word, INT64_MIN, INT64_MAX, &n))
                return cli_usage_error(cli, "'%s' is no integer", word);
        pack_begin(&p, b);
        pack_int(&p, n);
        return pack_end(&p) < 0 ? no_memory(cli) : 0;
}

/* Nothing but digits, with or without a sign. */
static bool is_digits(const char *word)
{
        word += strspn(word, " \t\n\v\f\r"); /* as the others take it */
        word += *word == '-' || *word == '+';
        return *word && !word[strspn(word, "0123456789")];
}

static int pack_large_integer(const struct cli *cli, struct buffer *b, const char *word)
{
        struct packer p;

        errno = 0;
        uint64_t u = strtoull(word, NULL, 10);
        if (errno != 0 || strchr(word, '-'))
                return cli_usage_error(cli, "'%s' is an integer that is too big", word);
        pack_begin(&p, b);
        pack_uint(&p, u);
        return pack_end(&p) < 0 ? no_memory(cli) : 0;
}

static int pack_number(const struct cli *cli, struct buffer *b, const char *word)
{
        struct packer p;
        char *end;
        int64_t n;

        if (cli_integer(word, INT64_MIN, INT64_MAX, &n))
                return pack_integer(cli, b, word);
        if (is_digits(word))
                return pack_large_integer(cli, b, word);
        double d = strtod(word, &end);
        if (end == word || *end || !isfinite(d))
                return cli_usage_error(cli, "'%s' is no number", word);
        pack_begin(&p, b);
        pack_double(&p, d);
        return pack_end(&p) < 0 ? no_memory(cli) : 0;
}

static int pack_value(const struct cli *cli, const struct subline *line, struct arguments *a,
                      const char *word)
{
        char why[512];

        if (arguments_add(a, subline_mode(line), word, strlen(word), why, sizeof why) < 0)
                return cli_usage_error(cli, "%s", why);
        if (a->n_fds > 0)
                return cli_usage_error(cli, "'%s': a shared object keeps no files; write @@ for a literal @",
                                       word);
        return 0;
}

/* The words from `word` on, as one key or as an array of keys. */
static int pack_keys(const struct cli *cli, struct buffer *b, char **word, int n)
{
        int status = n == 1 ? 0 : pack_head(cli, b, false, n);

        for (; status == 0 && *word; word++)
                status = pack_text(cli, b, *word);
        return status;
}

static int pack_pairs(const struct cli *cli, const struct subline *line, struct arguments *a, char **word,
                      int n)
{
        if (n % 2 != 0)
                return cli_usage_error(cli, "which value for the key '%s'?", word[n - 1]);
        int status = pack_head(cli, &a->bytes, true, n / 2);
        for (; status == 0 && *word; word += 2) {
                status = pack_text(cli, &a->bytes, word[0]);
                if (status == 0)
                        status = pack_value(cli, line, a, word[1]);
        }
        return status;
}

static int pack_options(const struct cli *cli, const struct subline *line, struct buffer *b)
{
        return subline_pack_options(line, b) < 0 ? no_memory(cli) : 0;
}

/* Of a dictionary: the version is that of each key that is named. */
static int pack_key_versions(const struct cli *cli, const struct subline *line, struct buffer *b, int step)
{
        struct packer p;

        if (!subline_has(line, SUB_IF_VERSION))
                return pack_options(cli, line, b);
        pack_begin(&p, b);
        pack_map(&p, 1);
        pack_str(&p, "if_version");
        pack_map(&p, (size_t)((line->n_words - 1 + step - 1) / step));
        for (int i = 1; i < line->n_words; i += step) {
                command_pack_word(&p, line->words[i], strlen(line->words[i]));
                pack_int(&p, line->integers[SUB_IF_VERSION]);
        }
        return pack_end(&p) < 0 ? no_memory(cli) : 0;
}

/* One parameter, from the words at *word. 0, or the exit status. */
static int pack_one(const struct cli *cli, const struct subline *line, struct arguments *a, char letter,
                    char **word)
{
        int n_left = (int)(line->words + line->n_words - word);
        int status;

        switch (letter) {
        case 's':
                return pack_text(cli, &a->bytes, *word);
        case 'i':
                return pack_integer(cli, &a->bytes, *word);
        case 'd':
                return pack_number(cli, &a->bytes, *word);
        case 'v':
                return pack_value(cli, line, a, *word);
        case 'V':
                status = pack_head(cli, &a->bytes, false, n_left);
                for (; status == 0 && *word; word++)
                        status = pack_value(cli, line, a, *word);
                return status;
        case 'K':
                return pack_keys(cli, &a->bytes, word, n_left);
        case 'P':
                return pack_pairs(cli, line, a, word, n_left);
        case 'O':
                return pack_key_versions(cli, line, &a->bytes, strchr(line->sub->shape, 'P') ? 2 : 1);
        default:
                return pack_options(cli, line, &a->bytes);
        }
}

static int pack_params(const struct cli *cli, const struct subline *line, struct arguments *ret)
{
        const char *shape = line->sub->shape;
        char **word = line->words;
        int status = pack_head(cli, &ret->bytes, false, (int)strlen(shape));

        for (; status == 0 && *shape; shape++) {
                status = pack_one(cli, line, ret, *shape, word);
                word += strchr("sidv", *shape) != NULL;
        }
        return status;
}

int subverb_request(struct cli *cli, struct ganger_reply **ret, const char *method,
                    const struct buffer *params)
{
        return cli_request(cli, ret, method, "m", buffer_at(params), buffer_size(params));
}

/* What is not so, as a condition of a program: exit status 1. */
static bool is_not_so(const struct subline *line, int r)
{
        return r == GANGER_KEY_CONFLICT || r == GANGER_NOT_PERMITTED || r == GANGER_DEADLOCK ||
               r == GANGER_BROKEN_BARRIER || (r == GANGER_INVALID_PARAMS && line->sub->absent_is_invalid);
}

int subverb_failed(const struct cli *cli, const struct subline *line, int r, const struct ganger_reply *reply)
{
        if (r == -EINVAL || r == -EMSGSIZE)
                return cli_usage_error(cli, "the values are %s",
                                       r == -EINVAL ? "nested too deep" : "larger than the daemon takes");
        if (r < 0)
                return cli_lost(cli, cli->verb->name, r);
        if (r == GANGER_UNKNOWN_OBJECT) {
                cli_say("%s: %s; `ganger shared list` shows those that you may use", line->words[0],
                        ganger_message(reply));
                return EXIT_NOT_SUCCEEDED;
        }
        int status = cli_refused(cli, r, reply);
        return is_not_so(line, r) ? EXIT_NOT_SUCCEEDED : status;
}

static void print_json(struct reader value)
{
        json_write(stdout, value.at, (size_t)(value.end - value.at));
        putchar('\n');
}

int subverb_ask(struct cli *cli, struct subline *line)
{
        struct arguments arguments;
        struct ganger_reply *reply = NULL;

        arguments_init(&arguments);
        int status = pack_params(cli, line, &arguments);
        if (status == 0) {
                cli_connect(cli);
                int r = subverb_request(cli, &reply, line->sub->method, &arguments.bytes);
                if (r == 0 && cli->json && !line->sub->shows_json)
                        print_json(look_reader(reply));
                status = r == 0 ? line->sub->show(cli, line, reply) : subverb_failed(cli, line, r, reply);
        }
        ganger_reply_free(reply);
        arguments_deinit(&arguments);
        return status;
}

/* -- what answers look like -- */

void subverb_put(const struct cli *cli, const struct subline *line, struct reader value)
{
        struct reader peek = value;
        struct value head;

        if (cli->json)
                return;
        if (!subline_has(line, SUB_RAW)) {
                print_json(value);
                return;
        }
        json_write_raw(stdout, value.at, (size_t)(value.end - value.at));
        if (reader_next(&peek, &head) == 0 && (head.type == VALUE_STR || head.type == VALUE_BIN))
                putchar('\n');
}

int show_nothing(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        (void)cli;
        (void)line;
        (void)reply;
        return EXIT_DONE;
}

int show_value(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        subverb_put(cli, line, look_reader(reply));
        return EXIT_DONE;
}

static uint32_t put_all(const struct cli *cli, const struct subline *line, struct reader values)
{
        struct reader value;
        uint32_t n = look_array(&values);

        for (uint32_t i = 0; i < n && look_next(&values, &value); i++)
                subverb_put(cli, line, value);
        return n;
}

int show_values(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        return put_all(cli, line, look_reader(reply)) > 0 ? EXIT_DONE : EXIT_NOT_SUCCEEDED;
}

int show_with_version(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        struct reader pair = look_reader(reply), value;

        if (look_array(&pair) == 2 && look_next(&pair, &value))
                subverb_put(cli, line, value);
        return EXIT_DONE;
}

int show_values_with_version(struct cli *cli, const struct subline *line, const struct ganger_reply *reply)
{
        struct reader pair = look_reader(reply), values;

        if (look_array(&pair) == 2 && look_next(&pair, &values))
                put_all(cli, line, values);
        return EXIT_DONE;
}
