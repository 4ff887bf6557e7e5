/* SPDX-License-Identifier: MIT */
/* The verbs events and metrics: what happens, as it happens; the daemon's figures for Prometheus. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/look.h"
#include "proto/events.h"
#include "proto/pack.h"

struct watch {
        struct cli *cli;
        struct cli_request request;
        uint64_t left; /* events until it is over; UINT64_MAX: for ever */
        bool over;
};

static void print_event(struct reader event)
{
        char date[40], run_time[24];
        struct look_text kind = look_text(event, "kind"), pool = look_text(event, "pool");
        struct look_text function = look_text(event, "function"), code = look_text(event, "code");
        uint64_t task = look_uint(event, "task", 0), pid = look_uint(event, "worker_pid", 0);
        uint64_t n = look_uint(event, "n", 0);
        double ran = look_double(event, "run_time", -1);

        look_date(look_double(event, "time", 0), date, sizeof date);
        printf("%s  %-15.*s", date, LOOK(kind));
        if (pool.size_bytes)
                printf("  pool %.*s", LOOK(pool));
        if (task)
                printf("  task %" PRIu64 " %.*s", task, LOOK(function));
        if (pid)
                printf("  worker %" PRIu64, pid);
        if (code.size_bytes)
                printf("  %.*s", LOOK(code));
        if (ran >= 0) {
                look_duration(ran, run_time, sizeof run_time);
                printf("  after %s", run_time);
        }
        if (n)
                printf("  %" PRIu64 " events", n);
        putchar('\n');
}

static void on_event(void *userdata, const char *kind, const struct ganger_reply *reply)
{
        struct watch *watch = userdata;
        struct reader event = look_reader(reply);
        struct look_text what = look_text(event, "kind");

        if (watch->over || strcmp(kind, "event") != 0)
                return;
        bool is_begin = what.size_bytes == strlen(EVENT_SUBSCRIBED) &&
                        memcmp(what.data, EVENT_SUBSCRIBED, what.size_bytes) == 0;
        if (watch->cli->json) {
                json_write(stdout, event.at, (size_t)(event.end - event.at));
                putchar('\n');
        } else if (!is_begin) {
                print_event(event);
        }
        if (cli_flush() != 0 || (!is_begin && watch->left != UINT64_MAX && --watch->left == 0))
                watch->over = true;
}

static void on_end(void *userdata, int r, struct ganger_reply *reply)
{
        struct watch *watch = userdata;

        cli_on_reply(&watch->request, r, reply);
        watch->over = true;
}

static int pack_kinds(struct packer *packer, int argc, char **argv)
{
        pack_array(packer, (size_t)argc);
        for (int i = 0; i < argc; i++)
                pack_str(packer, argv[i]);
        return pack_end(packer);
}

static int watch(struct cli *cli, struct watch *watch, const struct buffer *kinds, bool has_after,
                 int64_t after)
{
        struct cli_wait wait = {0};
        int r;

        cli_connect(cli);
        if (has_after)
                r = ganger_start_request(cli->g, &watch->request.msgid, "subscribe", on_event, on_end, watch,
                                         "[m{si}]", buffer_at(kinds), buffer_size(kinds), "after", after);
        else
                r = ganger_start_request(cli->g, &watch->request.msgid, "subscribe", on_event, on_end, watch,
                                         "[m]", buffer_at(kinds), buffer_size(kinds));
        if (r == 0)
                r = cli_wait(cli, &watch->over, &wait);
        if (r > 0)
                return EXIT_SIGNAL + r;
        if (r == 0 && !watch->request.done)
                return EXIT_DONE;
        if (r < 0 || watch->request.r < 0)
                return cli_lost(cli, cli->verb->name, r < 0 ? r : watch->request.r);
        return watch->request.r > 0 ? cli_refused(cli, watch->request.r, watch->request.reply) : EXIT_DONE;
}

int verb_events(struct cli *cli, int argc, char **argv)
{
        static const struct option options[] = {{"after", required_argument, NULL, 'a'},
                                                {"limit", required_argument, NULL, 'n'},
                                                {NULL, 0, NULL, 0}};
        struct watch its = {.cli = cli, .left = UINT64_MAX};
        struct buffer kinds = BUFFER_INIT;
        struct packer packer;
        int64_t after = -1, n;
        int c;

        while ((c = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
                if (c == '?')
                        return cli_bad_option(cli);
                if (c == 'a' && !cli_integer(optarg, 0, INT64_C(1) << 53, &after))
                        return cli_usage_error(cli, "--after takes the number of an event, not '%s'", optarg);
                if (c == 'n' && !cli_integer(optarg, 1, INT64_MAX, &n))
                        return cli_usage_error(cli, "--limit takes a number from 1, not '%s'", optarg);
                if (c == 'n')
                        its.left = (uint64_t)n;
        }
        for (int i = optind; i < argc; i++)
                if (event_kind_from_name(argv[i], strlen(argv[i])) == N_EVENT_KINDS)
                        return cli_usage_error(cli, "there is no kind of event '%s'", argv[i]);
        pack_begin(&packer, &kinds);
        int status = pack_kinds(&packer, argc - optind, argv + optind) < 0
                             ? cli_lost(cli, "events", -ENOMEM)
                             : watch(cli, &its, &kinds, after >= 0, after);
        cli_request_deinit(&its.request);
        buffer_deinit(&kinds);
        return status;
}

int verb_metrics(struct cli *cli, int argc, char **argv)
{
        struct ganger_reply *reply = NULL;
        int status = cli_no_arguments(cli, argc, argv);

        if (status != 0)
                return status;
        cli_connect(cli);
        int r = cli_request(cli, &reply, "metrics", "[]");
        if (r == 0) {
                struct look_text text = look_whole_text(look_reader(reply));
                fwrite(text.data, 1, text.size_bytes, stdout);
        } else {
                status = r < 0 ? cli_lost(cli, "metrics", r) : cli_refused(cli, r, reply);
        }
        ganger_reply_free(reply);
        return status;
}
