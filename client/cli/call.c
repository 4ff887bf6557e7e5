/* SPDX-License-Identifier: MIT */
/* The verbs call, submit, result, wait, cancel. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/task_options.h"
#include "proto/reader.h"

#define DETACHED_TTL_SECONDS 86400 /* who types an id comes back for it later than a program does */

/* What call and submit read from their command line. */
struct call_line {
        struct task_options options;
        struct arguments arguments;
        struct buffer args;   /* the array of arguments */
        struct buffer packed; /* the option map */
        const char *function;
        enum json_mode mode;
        bool raw;
};

static void call_line_deinit(struct call_line *line)
{
        task_options_deinit(&line->options);
        arguments_deinit(&line->arguments);
        buffer_deinit(&line->args);
        buffer_deinit(&line->packed);
}

static int call_options(struct cli *cli, struct call_line *line, int argc, char **argv)
{
        static const struct option own[] = {
                {"string", no_argument, NULL, 's'},
                {"insist-json", no_argument, NULL, 'J'},
                {"raw", no_argument, NULL, 'r'},
                {NULL, 0, NULL, 0},
        };
        struct option options[MAX_VERB_OPTIONS + N_TASK_OPTIONS + 1];
        bool prints = cli->verb->run == verb_call;
        int c;

        task_options_long(own, OPTION_FOR_SINGLE, options);
        while ((c = getopt_long(argc, argv, prints ? "sJr" : "sJ", options, NULL)) != -1) {
                int status = 0;
                if (c == 's')
                        line->mode = JSON_MODE_STRING;
                else if (c == 'J')
                        line->mode = JSON_MODE_INSIST;
                else if (c == 'r' && !prints)
                        status = cli_usage_error(cli, "--raw is for `ganger result`, which prints");
                else if (c == 'r')
                        line->raw = true;
                else if (c >= TASK_OPTION_VALUE)
                        status = task_options_take(cli, &line->options, c, optarg);
                else
                        status = cli_bad_option(cli);
                if (status != 0)
                        return status;
        }
        return 0;
}

/* Packs the words from argv[optind + 1] on and the option map. */
static int call_pack(struct cli *cli, struct call_line *line, int argc, char **argv)
{
        struct packer p;
        char why[512];

        for (int i = optind + 1; i < argc; i++)
                if (arguments_add(&line->arguments, line->mode, argv[i], strlen(argv[i]), why, sizeof why) <
                    0)
                        return cli_usage_error(cli, "%s", why);
        pack_begin(&p, &line->args);
        pack_array(&p, line->arguments.n);
        pack_raw(&p, buffer_at(&line->arguments.bytes), buffer_size(&line->arguments.bytes));
        if (pack_end(&p) < 0)
                return cli_lost(cli, "arguments", -ENOMEM);
        pack_begin(&p, &line->packed);
        task_options_pack(&line->options, &p);
        return pack_end(&p) < 0 ? cli_lost(cli, "options", -ENOMEM) : 0;
}

static int call_line_read(struct cli *cli, struct call_line *line, int argc, char **argv)
{
        int status = call_options(cli, line, argc, argv);

        if (status != 0)
                return status;
        if (optind == argc)
                return cli_usage_error(cli, "which function?");
        line->function = argv[optind];
        if (cli->verb->run == verb_submit)
                task_options_add_seconds(&line->options, TASK_OPTION_TTL, DETACHED_TTL_SECONDS);
        return call_pack(cli, line, argc, argv);
}

static void print_value(const struct ganger_reply *reply, bool raw)
{
        size_t size_bytes;
        const void *data = ganger_data(reply, &size_bytes);

        if (raw) {
                json_write_raw(stdout, data, size_bytes);
        } else {
                json_write(stdout, data, size_bytes);
                putchar('\n');
        }
}

/* The end of a wait for one answer that is a result, an error, or a signal. */
static int finish(struct cli *cli, const struct cli_request *request, const struct cli_wait *wait, int r,
                  bool raw)
{
        if (r > 0)
                return EXIT_SIGNAL + r;
        if (r < 0)
                return cli_lost(cli, cli->verb->name, r);
        if (request->r == 0) {
                print_value(request->reply, raw);
                return EXIT_DONE;
        }
        if (request->r < 0)
                return cli_lost(cli, cli->verb->name, request->r);
        if (cli->json)
                print_value(request->reply, false);
        int status = cli_refused(cli, request->r, request->reply);
        return wait->signal ? EXIT_SIGNAL + wait->signal : status;
}

static void give_up(struct cli *cli, void *userdata)
{
        const struct cli_request *request = userdata;

        ganger_notify(cli->g, "cancel_request", "[u]", (uint64_t)request->msgid);
}

static int start(struct cli *cli, struct call_line *line, const char *method, struct cli_request *request)
{
        return ganger_start_request(cli->g, &request->msgid, method, NULL, cli_on_reply, request, "[sMm]",
                                    line->function, buffer_at(&line->args), buffer_size(&line->args),
                                    line->arguments.fds, (size_t)line->arguments.n_fds,
                                    buffer_at(&line->packed), buffer_size(&line->packed));
}

/* Asks, and waits for the answer; the exit status. */
static int ask(struct cli *cli, struct call_line *line, const char *method,
               void (*on_signal)(struct cli *, void *userdata))
{
        struct cli_request request = {0};
        struct cli_wait wait = {.on_signal = on_signal, .userdata = &request};

        cli_connect(cli);
        int r = start(cli, line, method, &request);
        if (r == -EINVAL || r == -EMSGSIZE)
                return cli_usage_error(cli, "the arguments are %s",
                                       r == -EINVAL ? "nested too deep" : "larger than the daemon takes");
        if (r == 0)
                r = cli_wait(cli, &request.done, &wait);
        int status = finish(cli, &request, &wait, r, line->raw);
        cli_request_deinit(&request);
        return status;
}

int verb_call(struct cli *cli, int argc, char **argv)
{
        struct call_line line = {.mode = JSON_MODE_GUESS};
        int status = call_line_read(cli, &line, argc, argv);

        if (status == 0)
                status = ask(cli, &line, "call", give_up);
        call_line_deinit(&line);
        return status;
}

int verb_submit(struct cli *cli, int argc, char **argv)
{
        struct call_line line = {.mode = JSON_MODE_GUESS};
        int status = call_line_read(cli, &line, argc, argv);

        if (status == 0)
                status = ask(cli, &line, "submit", NULL);
        call_line_deinit(&line);
        return status;
}

/* result and wait: --timeout and what each has besides. */
struct wait_line {
        double timeout; /* < 0: none */
        bool keep, raw;
        int64_t count; /* 0: all */
};

static int wait_options(struct cli *cli, struct wait_line *line, int argc, char **argv)
{
        static const struct option for_result[] = {
                {"timeout", required_argument, NULL, 't'},
                {"keep", no_argument, NULL, 'k'},
                {"raw", no_argument, NULL, 'r'},
                {NULL, 0, NULL, 0},
        };
        static const struct option for_wait[] = {
                {"timeout", required_argument, NULL, 't'},
                {"count", required_argument, NULL, 'n'},
                {NULL, 0, NULL, 0},
        };
        bool waits = cli->verb->run == verb_wait;
        int c;

        line->timeout = -1;
        while ((c = getopt_long(argc, argv, waits ? "t:n:" : "t:kr", waits ? for_wait : for_result, NULL)) !=
               -1) {
                if (c == 'k')
                        line->keep = true;
                else if (c == 'r')
                        line->raw = true;
                else if (c == 't' && !cli_seconds(optarg, &line->timeout))
                        return cli_usage_error(
                                cli, "--timeout takes a time such as 1.5, 200ms, 10s, not '%s'", optarg);
                else if (c == 'n' && !cli_integer(optarg, 1, LIMIT_WAIT_IDS, &line->count))
                        return cli_usage_error(cli, "--count takes an integer of 1 or more, not '%s'",
                                               optarg);
                else if (c == '?')
                        return cli_bad_option(cli);
        }
        if (optind == argc)
                return cli_usage_error(cli, "which task?");
        return 0;
}

int verb_result(struct cli *cli, int argc, char **argv)
{
        struct wait_line line = {0};
        struct cli_request request = {0};
        struct cli_wait wait = {0};
        uint64_t id;
        int r;
        int status = wait_options(cli, &line, argc, argv);

        if (status != 0)
                return status;
        if (optind + 1 != argc || !cli_id(argv[optind], &id))
                return cli_usage_error(cli, "takes the id of one task, not '%s'", argv[argc - 1]);
        cli_connect(cli);
        if (line.timeout >= 0)
                r = ganger_start_request(cli->g, &request.msgid, "result", NULL, cli_on_reply, &request,
                                         "[u{sdsb}]", id, "timeout", line.timeout, "keep", (int)line.keep);
        else
                r = ganger_start_request(cli->g, &request.msgid, "result", NULL, cli_on_reply, &request,
                                         "[u{sb}]", id, "keep", (int)line.keep);
        if (r == 0)
                r = cli_wait(cli, &request.done, &wait);
        status = finish(cli, &request, &wait, r, line.raw);
        cli_request_deinit(&request);
        return status;
}

/* The words from argv[optind] on as an array of ids. */
static int pack_ids(struct cli *cli, struct buffer *ret, int argc, char **argv)
{
        struct packer p;

        pack_begin(&p, ret);
        pack_array(&p, (size_t)(argc - optind));
        for (int i = optind; i < argc; i++) {
                uint64_t id;
                if (!cli_id(argv[i], &id))
                        return cli_usage_error(cli, "'%s' is no task id", argv[i]);
                pack_uint(&p, id);
        }
        return pack_end(&p) < 0 ? cli_lost(cli, "ids", -ENOMEM) : 0;
}

/* Prints [[id, state]...]. Returns the worst: all succeeded, some did not, some have not ended. */
static int print_states(const struct cli *cli, const struct ganger_reply *reply, int n_wanted)
{
        size_t size_bytes;
        const void *data = ganger_data(reply, &size_bytes);
        struct reader r = reader_over(data, size_bytes);
        uint32_t n, two;
        int status = EXIT_DONE;

        if (reader_array(&r, &n) < 0)
                return cli_lost(cli, cli->verb->name, -EPROTO);
        for (uint32_t i = 0; i < n; i++) {
                uint64_t id;
                const char *state;
                size_t state_size;
                if (reader_array(&r, &two) < 0 || two != 2 || reader_uint(&r, &id) < 0 ||
                    reader_str(&r, &state, &state_size) < 0)
                        return cli_lost(cli, cli->verb->name, -EPROTO);
                if (!cli->json)
                        printf("%llu %.*s\n", (unsigned long long)id, (int)state_size, state);
                if (state_size != 9 || memcmp(state, "succeeded", 9) != 0)
                        status = EXIT_NOT_SUCCEEDED;
        }
        if (cli->json)
                print_value(reply, false);
        return (int)n < n_wanted ? EXIT_TIME : status;
}

int verb_wait(struct cli *cli, int argc, char **argv)
{
        struct wait_line line = {0};
        struct cli_request request = {0};
        struct cli_wait wait = {0};
        struct buffer ids = BUFFER_INIT;
        struct buffer packed = BUFFER_INIT;
        struct packer p;
        int status = wait_options(cli, &line, argc, argv);

        if (status == 0)
                status = pack_ids(cli, &ids, argc, argv);
        if (status == 0) {
                int n_wanted = argc - optind;
                if (line.count > 0 && line.count < n_wanted)
                        n_wanted = (int)line.count;
                pack_begin(&p, &packed);
                pack_map(&p, (line.timeout >= 0) + (line.count > 0));
                if (line.timeout >= 0) {
                        pack_str(&p, "timeout");
                        pack_double(&p, line.timeout);
                }
                if (line.count > 0) {
                        pack_str(&p, "count");
                        pack_int(&p, line.count);
                }
                pack_end(&p);
                cli_connect(cli);
                int r = ganger_start_request(cli->g, &request.msgid, "wait", NULL, cli_on_reply, &request,
                                             "[mm]", buffer_at(&ids), buffer_size(&ids), buffer_at(&packed),
                                             buffer_size(&packed));
                if (r == 0)
                        r = cli_wait(cli, &request.done, &wait);
                if (r == 0 && request.r == 0)
                        status = print_states(cli, request.reply, n_wanted);
                else
                        status = finish(cli, &request, &wait, r, false);
        }
        buffer_deinit(&ids);
        buffer_deinit(&packed);
        cli_request_deinit(&request);
        return status;
}

int verb_cancel(struct cli *cli, int argc, char **argv)
{
        struct buffer ids = BUFFER_INIT;
        struct ganger_reply *reply = NULL;
        uint64_t n = 0;

        int status = cli_no_options(cli, argc, argv);
        if (status != 0)
                return status;
        if (optind == argc)
                return cli_usage_error(cli, "which task?");
        status = pack_ids(cli, &ids, argc, argv);
        if (status == 0) {
                cli_connect(cli);
                int r = cli_request(cli, &reply, "cancel", "[m]", buffer_at(&ids), buffer_size(&ids));
                if (r < 0)
                        status = cli_lost(cli, "cancel", r);
                else if (r > 0)
                        status = cli_refused(cli, r, reply);
                else if (ganger_read(reply, "u", &n) == 0)
                        printf(cli->json ? "%llu\n" : "%llu cancelled\n", (unsigned long long)n);
        }
        ganger_reply_free(reply);
        buffer_deinit(&ids);
        return status;
}
