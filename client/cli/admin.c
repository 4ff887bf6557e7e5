/* SPDX-License-Identifier: MIT */
/* The verbs of admins: pool, reload, log-level. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/look.h"
#include "proto/limits.h"

/* What came of a request, as exit status; its result goes to standard output unless it is nil. */
static int finish(const struct cli *cli, int r, struct ganger_reply *reply)
{
        int status = r == 0  ? EXIT_DONE
                     : r < 0 ? cli_lost(cli, cli->verb->name, r)
                             : cli_refused(cli, r, reply);
        struct reader value = r == 0 ? look_reader(reply) : (struct reader){NULL, NULL};

        if (r == 0 && cli->json) {
                json_write(stdout, value.at, (size_t)(value.end - value.at));
                putchar('\n');
        } else if (r == 0 && !look_is_nil(value)) {
                struct look_text text = look_whole_text(value);
                printf("%.*s\n", LOOK(text));
        }
        ganger_reply_free(reply);
        return status;
}

/* -- pool -- */

static int pool_scale(struct cli *cli, int argc, char **argv)
{
        struct ganger_reply *reply = NULL;
        int64_t n;

        if (argc != 3 || !cli_integer(argv[2], 0, LIMIT_WORKERS, &n))
                return cli_usage_error(cli, "scale takes a pool and how many workers it is to have, 0 to %d",
                                       LIMIT_WORKERS);
        cli_connect(cli);
        int r = cli_request(cli, &reply, "pool.scale", "[si]", argv[1], n);
        return finish(cli, r, reply);
}

static int one_pool(struct cli *cli, int argc, char **argv, const char *method)
{
        struct ganger_reply *reply = NULL;

        if (argc != 2)
                return cli_usage_error(cli, "%s takes the name of one pool", argv[0]);
        cli_connect(cli);
        int r = cli_request(cli, &reply, method, "[s]", argv[1]);
        return finish(cli, r, reply);
}

static int pool_pause(struct cli *cli, int argc, char **argv)
{
        return one_pool(cli, argc, argv, "pool.pause");
}

static int pool_resume(struct cli *cli, int argc, char **argv)
{
        return one_pool(cli, argc, argv, "pool.resume");
}

static int bad_timeout(const struct cli *cli, const char *text)
{
        return cli_usage_error(cli, "--timeout takes a time like 10s, not '%s'", text);
}

static int pool_drain(struct cli *cli, int argc, char **argv)
{
        static const struct option options[] = {{"timeout", required_argument, NULL, 't'},
                                                {NULL, 0, NULL, 0}};
        struct ganger_reply *reply = NULL;
        const char *timeout = NULL;
        double seconds = 0;
        int c, r;

        while ((c = getopt_long(argc, argv, "t:", options, NULL)) != -1) {
                if (c == '?')
                        return cli_bad_option(cli);
                timeout = optarg;
                if (!cli_seconds(timeout, &seconds))
                        return bad_timeout(cli, timeout);
        }
        if (argc != optind + 1)
                return cli_usage_error(cli, "drain takes the name of one pool");
        cli_connect(cli);
        if (timeout)
                r = cli_request(cli, &reply, "pool.drain", "[s{sd}]", argv[optind], "timeout", seconds);
        else
                r = cli_request(cli, &reply, "pool.drain", "[s]", argv[optind]);
        return finish(cli, r, reply);
}

struct reload_line {
        bool wait;
        double timeout; /* < 0: none */
};

/* -1: go on; else the exit status. */
static int reload_line(struct cli *cli, int argc, char **argv, struct reload_line *ret)
{
        static const struct option options[] = {{"wait", no_argument, NULL, 'w'},
                                                {"timeout", required_argument, NULL, 't'},
                                                {NULL, 0, NULL, 0}};
        int c;

        *ret = (struct reload_line){.timeout = -1};
        while ((c = getopt_long(argc, argv, "wt:", options, NULL)) != -1) {
                if (c == '?')
                        return cli_bad_option(cli);
                if (c == 'w')
                        ret->wait = true;
                else if (!cli_seconds(optarg, &ret->timeout))
                        return bad_timeout(cli, optarg);
        }
        return -1;
}

/* What cannot be put in force is the administrator's to mend, and ganger's no failure. */
static bool is_not_in_force(int r)
{
        return r == GANGER_INVALID_PARAMS || r == GANGER_NOT_READY;
}

static int finish_reload(const struct cli *cli, int r, struct ganger_reply *reply)
{
        if (r == -ETIMEDOUT) {
                cli_say("the time is over; the reload goes on, `ganger status` shows how far it is");
                return EXIT_TIME;
        }
        int status = finish(cli, r, reply);
        return is_not_in_force(r) ? EXIT_NOT_SUCCEEDED : status;
}

static int pool_reload(struct cli *cli, int argc, char **argv)
{
        struct ganger_reply *reply = NULL;
        struct reload_line line;
        int status = reload_line(cli, argc, argv, &line);

        if (status >= 0)
                return status;
        if (argc != optind + 1)
                return cli_usage_error(cli, "reload takes the name of one pool");
        cli_connect(cli);
        int r = cli_request_within(cli, &reply, line.timeout, "pool.reload", "[s{sb}]", argv[optind], "wait",
                                   (int)line.wait);
        return finish_reload(cli, r, reply);
}

static const struct {
        const char *name;
        int (*run)(struct cli *, int argc, char **argv); /* argv[0] is the name */
} pool_verbs[] = {
        {"scale", pool_scale}, {"pause", pool_pause},   {"resume", pool_resume},
        {"drain", pool_drain}, {"reload", pool_reload},
};

int verb_pool(struct cli *cli, int argc, char **argv)
{
        for (size_t i = 0; argc > 1 && i < sizeof pool_verbs / sizeof *pool_verbs; i++)
                if (strcmp(argv[1], pool_verbs[i].name) == 0)
                        return pool_verbs[i].run(cli, argc - 1, argv + 1);
        return cli_usage_error(cli, "takes one of scale, pause, resume, drain, reload%s%s%s",
                               argc > 1 ? ", not '" : "", argc > 1 ? argv[1] : "", argc > 1 ? "'" : "");
}

/* -- reload -- */

static void print_pools(const struct ganger_reply *reply)
{
        struct reader pools = {NULL, NULL}, name;

        look_key(look_reader(reply), "pools", &pools);
        for (uint32_t n = look_array(&pools); n > 0 && look_next(&pools, &name); n--) {
                struct look_text text = look_whole_text(name);
                printf("%.*s\n", LOOK(text));
        }
}

int verb_reload(struct cli *cli, int argc, char **argv)
{
        struct ganger_reply *reply = NULL;
        struct reload_line line;
        int status = reload_line(cli, argc, argv, &line);

        if (status >= 0)
                return status;
        if (argc != optind)
                return cli_usage_error(cli, "takes no arguments, not '%s'; `ganger pool reload` takes a pool",
                                       argv[optind]);
        cli_connect(cli);
        int r = cli_request_within(cli, &reply, line.timeout, "reload", "[{sb}]", "wait", (int)line.wait);
        if (r != 0 || cli->json)
                return finish_reload(cli, r, reply);
        print_pools(reply);
        ganger_reply_free(reply);
        return EXIT_DONE;
}

/* -- log-level -- */

int verb_log_level(struct cli *cli, int argc, char **argv)
{
        struct ganger_reply *reply = NULL;
        int status = cli_no_options(cli, argc, argv);

        if (status != 0)
                return status;
        if (argc > optind + 1)
                return cli_usage_error(cli, "takes one level");
        cli_connect(cli);
        int r = argc > optind ? cli_request(cli, &reply, "log_level", "[s]", argv[optind])
                              : cli_request(cli, &reply, "log_level", "[]");
        return finish(cli, r, reply);
}
