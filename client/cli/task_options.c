/* SPDX-License-Identifier: MIT */
/* The task options of the command line, made from the protocol's table. */
#include "client/cli/task_options.h"

#include <stdio.h>
#include <string.h>

#include "proto/limits.h"

#define HELP_COLUMN 23

/* "fail_fast" is typed as "fail-fast". Long enough for every name of the table. */
static const char *typed_name(enum task_option option)
{
        static char names[N_TASK_OPTIONS][24];
        char *name = names[option];

        if (!*name)
                for (size_t i = 0; i < sizeof names[0] - 1 && task_option_table[option].name[i]; i++)
                        name[i] = task_option_table[option].name[i] == '_'
                                          ? '-'
                                          : task_option_table[option].name[i];
        return name;
}

/* feed and window are the map verb's own business, stream is not for the shell. */
static bool is_offered(enum task_option option, enum option_use use)
{
        return (task_option_table[option].use & use) && option != TASK_OPTION_FEED &&
               option != TASK_OPTION_WINDOW && option != TASK_OPTION_COLLECT && option != TASK_OPTION_STREAM;
}

void task_options_long(const struct option *own, enum option_use use, struct option *ret)
{
        for (; own->name; own++)
                *ret++ = *own;
        for (int i = 0; i < N_TASK_OPTIONS; i++)
                if (is_offered((enum task_option)i, use))
                        *ret++ = (struct option){typed_name((enum task_option)i),
                                                 task_option_table[i].type == OPTION_FLAG ? no_argument
                                                                                          : required_argument,
                                                 NULL, TASK_OPTION_VALUE + i};
        *ret = (struct option){NULL, 0, NULL, 0};
}

static void begin(struct task_options *o, enum task_option option, struct packer *p)
{
        pack_begin(p, &o->pairs);
        pack_str(p, task_option_table[option].name);
        o->given[option] = true;
        o->n_pairs++;
}

static bool are_ends(const char *list)
{
        for (size_t n;; list += n + 1) {
                n = strcspn(list, ",");
                if (!retry_end_from_name(list, n))
                        return false;
                if (!list[n])
                        return true;
        }
}

static void pack_list(struct packer *p, const char *list)
{
        uint32_t n = 1;

        for (const char *at = list; *at; at++)
                n += *at == ',';
        pack_array(p, n);
        for (size_t size_bytes; n > 0; n--, list += size_bytes + 1) {
                size_bytes = strcspn(list, ",");
                pack_str_n(p, list, size_bytes);
        }
}

int task_options_take(const struct cli *cli, struct task_options *o, int value, const char *argument)
{
        enum task_option option = (enum task_option)(value - TASK_OPTION_VALUE);
        const struct option_info *info = &task_option_table[option];
        struct packer p;
        double seconds;
        int64_t n;

        if (o->given[option] && info->type == OPTION_FLAG)
                return 0;
        if (o->given[option])
                return cli_usage_error(cli, "--%s was given twice", typed_name(option));
        switch (info->type) {
        case OPTION_NAME:
        case OPTION_TEXT:
                begin(o, option, &p);
                pack_str(&p, argument);
                break;
        case OPTION_LEVEL:
                if (!cli_integer(argument, -100, 100, &n))
                        return cli_usage_error(cli, "--%s takes an integer from -100 to 100, not '%s'",
                                               typed_name(option), argument);
                begin(o, option, &p);
                pack_int(&p, n);
                break;
        case OPTION_SECONDS:
                if (!cli_seconds(argument, &seconds))
                        return cli_usage_error(
                                cli, "--%s takes a time such as 1.5, 200ms, 10s, 5m, 2h, 1d, not '%s'",
                                typed_name(option), argument);
                begin(o, option, &p);
                pack_double(&p, seconds);
                break;
        case OPTION_COUNT:
                if (!cli_integer(argument, 1, UINT32_MAX, &n))
                        return cli_usage_error(cli, "--%s takes an integer of 1 or more, not '%s'",
                                               typed_name(option), argument);
                begin(o, option, &p);
                pack_int(&p, n);
                break;
        case OPTION_FLAG:
                begin(o, option, &p);
                pack_bool(&p, true);
                break;
        case OPTION_RETRIES:
                if (!cli_integer(argument, 0, LIMIT_RETRIES, &n))
                        return cli_usage_error(cli, "--%s takes an integer from 0 to %d, not '%s'",
                                               typed_name(option), LIMIT_RETRIES, argument);
                begin(o, option, &p);
                pack_int(&p, n);
                break;
        case OPTION_ENDS:
                if (!are_ends(argument))
                        return cli_usage_error(
                                cli,
                                "--%s takes worker_lost, timed_out, task_failed, or several with commas "
                                "between, not '%s'",
                                typed_name(option), argument);
                begin(o, option, &p);
                pack_list(&p, argument);
                break;
        case OPTION_STREAMS: /* not offered */
                return EXIT_USAGE;
        }
        return pack_end(&p) < 0 ? cli_lost(cli, "options", -12) : 0;
}

void task_options_add_count(struct task_options *o, enum task_option option, uint64_t n)
{
        struct packer p;

        if (o->given[option])
                return;
        begin(o, option, &p);
        pack_uint(&p, n);
        pack_end(&p);
}

void task_options_add_seconds(struct task_options *o, enum task_option option, double seconds)
{
        struct packer p;

        if (o->given[option])
                return;
        begin(o, option, &p);
        pack_double(&p, seconds);
        pack_end(&p);
}

void task_options_add_flag(struct task_options *o, enum task_option option)
{
        struct packer p;

        if (o->given[option])
                return;
        begin(o, option, &p);
        pack_bool(&p, true);
        pack_end(&p);
}

void task_options_pack(const struct task_options *o, struct packer *p)
{
        pack_map(p, o->n_pairs);
        pack_raw(p, buffer_at(&o->pairs), buffer_size(&o->pairs));
}

void task_options_deinit(struct task_options *o)
{
        buffer_deinit(&o->pairs);
}

void task_options_help(enum option_use use)
{
        static const char *const arguments[] = {
                [OPTION_NAME] = " NAME",    [OPTION_TEXT] = " TEXT", [OPTION_LEVEL] = " N",
                [OPTION_SECONDS] = " TIME", [OPTION_COUNT] = " N",   [OPTION_FLAG] = "",
                [OPTION_STREAMS] = "",      [OPTION_RETRIES] = " N", [OPTION_ENDS] = " LIST",
        };

        for (int i = 0; i < N_TASK_OPTIONS; i++)
                if (is_offered((enum task_option)i, use)) {
                        int width = printf("  --%s%s", typed_name((enum task_option)i),
                                           arguments[task_option_table[i].type]);
                        printf("%*s %s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 0, "",
                               task_option_table[i].help);
                }
}
