/* SPDX-License-Identifier: MIT */
/*
 * The verbs that look: list, show, status, functions, ping. For people in columns, with --json as the daemon
 * said it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/look.h"
#include "client/cli/task_options.h"

enum { LIST_DEFAULT = 1000, PAGE_TASKS = 10000 };

/* Sends one request; on success the reply, else NULL with the exit status set. With --json it is printed,
 * too. */
static struct ganger_reply *look(struct cli *cli, int *status, const char *method, const void *params,
                                 size_t size_bytes)
{
        struct ganger_reply *reply = NULL;

        cli_connect(cli);
        int r = params ? cli_request(cli, &reply, method, "[m]", params, size_bytes)
                       : cli_request(cli, &reply, method, "[]");
        if (r != 0) {
                *status = r < 0 ? cli_lost(cli, cli->verb->name, r) : cli_refused(cli, r, reply);
                return ganger_reply_free(reply);
        }
        *status = EXIT_DONE;
        return reply;
}

/* --json: one record a line, as tools for lines like it. */
static void print_json_lines(const struct ganger_reply *reply)
{
        struct reader r = look_reader(reply);
        uint32_t n;
        const uint8_t *at;
        size_t size_bytes;

        if (reader_array(&r, &n) < 0)
                return;
        while (n-- > 0 && reader_skip(&r, &at, &size_bytes, NULL) == 0) {
                json_write(stdout, at, size_bytes);
                putchar('\n');
        }
}

static void print_json(const struct ganger_reply *reply)
{
        size_t size_bytes;
        const void *data = ganger_data(reply, &size_bytes);

        json_write(stdout, data, size_bytes);
        putchar('\n');
}

struct list {
        struct buffer pairs; /* what the daemon chooses by */
        struct packer packer;
        unsigned n_pairs;
        bool has_state;
        int64_t limit;
        double since; /* 0: from the first */
        bool limited; /* by who asks: then he knows */
        bool cut;     /* there are more than were to be listed */
};

static void list_add(struct list *list, const char *key, const char *value)
{
        pack_str(&list->packer, key);
        pack_str(&list->packer, value);
        list->n_pairs++;
}

static int list_option(struct cli *cli, struct list *list, int c)
{
        if (c == 'n' && !cli_integer(optarg, 1, PAGE_TASKS, &list->limit))
                return cli_usage_error(cli, "--limit takes an integer from 1 to %d, not '%s'", PAGE_TASKS,
                                       optarg);
        list->limited = list->limited || c == 'n';
        if (c == 'S' && !look_since(optarg, &list->since))
                return cli_usage_error(cli,
                                       "--since takes a time ago (2h, 3d), 'today', 'yesterday' or a date "
                                       "(2026-05-01, '2026-05-01 12:30'), not '%s'",
                                       optarg);
        if (c == 's' || c == 'F') {
                if (list->has_state)
                        return cli_usage_error(cli, "takes one of --state and --failed, once");
                list->has_state = true;
                list_add(list, "state", c == 'F' ? "failed" : optarg);
        }
        if (c == 'p' || c == 'f' || c == 'l')
                list_add(list, c == 'p' ? "pool" : c == 'f' ? "function" : "label", optarg);
        return 0;
}

static int list_options(struct cli *cli, struct list *list, int argc, char **argv)
{
        static const struct option options[] = {
                {"state", required_argument, NULL, 's'},    {"pool", required_argument, NULL, 'p'},
                {"function", required_argument, NULL, 'f'}, {"label", required_argument, NULL, 'l'},
                {"limit", required_argument, NULL, 'n'},    {"failed", no_argument, NULL, 'F'},
                {"since", required_argument, NULL, 'S'},    {NULL, 0, NULL, 0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
                int status = c == '?' ? cli_bad_option(cli) : list_option(cli, list, c);
                if (status != 0)
                        return status;
        }
        if (optind != argc)
                return cli_usage_error(cli, "takes no arguments; `ganger show %s` shows one task",
                                       argv[optind]);
        return 0;
}

static void print_task_line(struct reader record)
{
        char id[24], age[24], ran[24];
        struct look_text state = look_text(record, "state"), function = look_text(record, "function");
        struct look_text pool = look_text(record, "pool"), label = look_text(record, "label");
        double submitted = look_double(record, "submitted", 0), started = look_double(record, "started", 0);
        double ended = look_double(record, "ended", 0), now = look_now();

        snprintf(id, sizeof id, "%" PRIu64, look_uint(record, "id", 0));
        look_duration(now - submitted, age, sizeof age);
        look_duration(started > 0 ? (ended > 0 ? ended : now) - started : -1, ran, sizeof ran);
        printf("%-16s %-9.*s %-20.*s %-10.*s %8s %8s  ", id, LOOK(state), LOOK(function), LOOK(pool), age,
               ran);
        look_print(label);
        putchar('\n');
}

/* The daemon chooses by id, not by time: with --since all pages are looked through. */
static struct ganger_reply *list_page(struct cli *cli, const struct list *list, uint64_t after, int *status)
{
        struct buffer params = BUFFER_INIT;
        struct packer p;

        pack_begin(&p, &params);
        pack_map(&p, list->n_pairs + 2);
        pack_raw(&p, buffer_at(&list->pairs), buffer_size(&list->pairs));
        pack_str(&p, "after");
        pack_uint(&p, after);
        pack_str(&p, "limit");
        pack_int(&p, list->since > 0 || list->limit == PAGE_TASKS ? PAGE_TASKS : list->limit + 1);
        pack_end(&p);
        struct ganger_reply *reply = look(cli, status, "tasks", buffer_at(&params), buffer_size(&params));
        buffer_deinit(&params);
        return reply;
}

/* Prints what is recent enough, counting *left down; the last id, 0: there is no further page. */
static uint64_t list_print(const struct cli *cli, struct list *list, const struct ganger_reply *reply,
                           int64_t *left)
{
        struct reader r = look_reader(reply), record;
        uint64_t last = 0;
        uint32_t n = look_array(&r), n_all = n;

        for (; n > 0 && !list->cut && look_next(&r, &record); n--) {
                last = look_uint(record, "id", 0);
                if (look_double(record, "ended", look_now()) < list->since)
                        continue;
                list->cut = *left == 0;
                if (list->cut)
                        break;
                --*left;
                if (cli->json) {
                        json_write(stdout, record.at, (size_t)(record.end - record.at));
                        putchar('\n');
                } else
                        print_task_line(record);
        }
        return n_all == PAGE_TASKS && !list->cut ? last : 0;
}

int verb_list(struct cli *cli, int argc, char **argv)
{
        struct list list = {.pairs = BUFFER_INIT, .limit = LIST_DEFAULT};
        uint64_t after = 0;

        pack_begin(&list.packer, &list.pairs);
        int status = list_options(cli, &list, argc, argv);
        pack_end(&list.packer);
        int64_t left = list.limit;
        while (status == 0) {
                struct ganger_reply *reply = list_page(cli, &list, after, &status);
                if (reply && after == 0 && !cli->json)
                        printf("%-16s %-9s %-20s %-10s %8s %8s  %s\n", "ID", "STATE", "FUNCTION", "POOL",
                               "AGE", "RAN", "LABEL");
                after = reply ? list_print(cli, &list, reply, &left) : 0;
                ganger_reply_free(reply);
                if (after == 0)
                        break;
        }
        if (list.cut && !list.limited)
                cli_say("there are more; --limit takes up to %d, --state, --since, --failed and others "
                        "choose",
                        PAGE_TASKS);
        buffer_deinit(&list.pairs);
        return status;
}

/* One line of show: a time as a date, a map indented below, a clean text as it is, anything else as JSON. */
static void print_field(struct reader key, struct reader value, int indent)
{
        struct look_text name = look_whole_text(key);
        struct value head;
        struct reader peek = value;

        printf("%*s%-*.*s ", indent, "", 14 - indent, LOOK(name));
        if (look_is_date(name) && reader_next(&peek, &head) == 0 && head.type == VALUE_DOUBLE) {
                char text[40];
                look_date(head.as.d, text, sizeof text);
                puts(text);
                return;
        }
        peek = value;
        if (reader_next(&peek, &head) == 0 && head.type == VALUE_MAP && indent == 0) {
                struct reader k, v;
                putchar('\n');
                for (uint32_t n = head.size; n > 0 && look_next(&peek, &k) && look_next(&peek, &v); n--)
                        if (!look_is_nil(v))
                                print_field(k, v, 2);
                return;
        }
        struct look_text text = look_whole_text(value);
        if (text.size_bytes > 0 && look_is_clean(text))
                look_print(text);
        else
                json_write(stdout, value.at, (size_t)(value.end - value.at));
        putchar('\n');
}

int verb_show(struct cli *cli, int argc, char **argv)
{
        struct buffer params = BUFFER_INIT;
        struct packer p;
        uint64_t id;
        int status = cli_one_id(cli, argc, argv, &id);

        if (status != 0)
                return status;
        pack_begin(&p, &params);
        pack_uint(&p, id);
        pack_end(&p);
        struct ganger_reply *reply = look(cli, &status, "task", buffer_at(&params), buffer_size(&params));
        if (reply && cli->json) {
                print_json(reply);
        } else if (reply) {
                struct reader r = look_reader(reply), key, value;
                for (uint32_t n = look_map(&r); n > 0 && look_next(&r, &key) && look_next(&r, &value); n--)
                        if (!look_is_nil(value))
                                print_field(key, value, 0);
        }
        ganger_reply_free(reply);
        buffer_deinit(&params);
        return status;
}

int verb_functions(struct cli *cli, int argc, char **argv)
{
        int status = cli_no_arguments(cli, argc, argv);

        if (status != 0)
                return status;
        struct ganger_reply *reply = look(cli, &status, "functions", NULL, 0);
        if (reply && cli->json) {
                print_json_lines(reply);
        } else if (reply) {
                struct reader r = look_reader(reply), record;
                for (uint32_t n = look_array(&r); n > 0 && look_next(&r, &record); n--) {
                        struct look_text name = look_text(record, "name"), pool = look_text(record, "pool");
                        struct look_text summary = look_text(record, "summary");
                        printf("%-20.*s %-10.*s %.*s\n", LOOK(name), LOOK(pool), LOOK(summary));
                }
        }
        ganger_reply_free(reply);
        return status;
}

int verb_ping(struct cli *cli, int argc, char **argv)
{
        struct timespec a, b;
        int status = cli_no_arguments(cli, argc, argv);

        if (status != 0)
                return status;
        cli_connect(cli);
        clock_gettime(CLOCK_MONOTONIC, &a);
        struct ganger_reply *reply = NULL;
        int r = cli_request(cli, &reply, "ping", "[]");
        clock_gettime(CLOCK_MONOTONIC, &b);
        if (r == 0 && cli->json)
                print_json(reply);
        else if (r == 0)
                printf("pong in %.3f ms\n",
                       (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
        status = r == 0 ? EXIT_DONE : r < 0 ? cli_lost(cli, "ping", r) : cli_refused(cli, r, reply);
        ganger_reply_free(reply);
        return status;
}
