/* SPDX-License-Identifier: MIT */
/*
 * The verbs run, attach, logs: a command as a task.
 *
 * run is submit and attach: the command gets this process's standard input and outputs as descriptors, so
 * nothing of what it reads and writes passes the daemon, and a pipeline behaves as without ganger.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/command.h"
#include "client/cli/task_options.h"
#include "proto/limits.h"
#include "proto/reader.h"

#define RUN_TTL_SECONDS      10    /* attach comes at once; the record stays in the history anyway */
#define DETACHED_TTL_SECONDS 86400 /* who types an id comes back for it later than a program does */

struct run_line {
        struct task_options options;
        struct command command;
        struct buffer params, packed;
        int fds[3];
        unsigned n_fds;
        bool detach;
};

/* What follows one task: the request, and whose output is written here. */
struct following {
        struct cli_request request; /* first: the callbacks of the request get it */
        uint64_t id;
        int write_error;
};

static int run_options(struct cli *cli, struct run_line *line, int argc, char **argv)
{
        static const struct option own[] = {
                {"detach", no_argument, NULL, 'd'},
                {"env", required_argument, NULL, 'e'},
                {NULL, 0, NULL, 0},
        };
        struct option options[MAX_VERB_OPTIONS + N_TASK_OPTIONS + 1];
        int c;

        task_options_long(own, OPTION_FOR_SINGLE, options);
        while ((c = getopt_long(argc, argv, "+de:", options, NULL)) != -1) {
                int status = 0;
                if (c == 'd')
                        line->detach = true;
                else if (c == 'e')
                        status = command_env(cli, &line->command, optarg);
                else if (c >= TASK_OPTION_VALUE)
                        status = task_options_take(cli, &line->options, c, optarg);
                else
                        status = cli_bad_option(cli);
                if (status != 0)
                        return status;
        }
        if (optind == argc)
                return cli_usage_error(cli, "which command?");
        if (line->options.given[TASK_OPTION_KEY] && !line->detach)
                return cli_usage_error(cli,
                                       "--key goes with --detach: a command that has your files is never the "
                                       "same twice");
        task_options_add_seconds(&line->options, TASK_OPTION_TTL,
                                 line->detach ? DETACHED_TTL_SECONDS : RUN_TTL_SECONDS);
        return 0;
}

/* Packs exec's arguments: the command, and its surroundings. */
static int run_pack(const struct cli *cli, struct run_line *line, char **argv)
{
        static const char *const names[3] = {"stdin", "stdout", "stderr"};
        struct packer p;

        if (!line->detach)
                for (int fd = 0; fd < 3; fd++)
                        if (!cli->closed[fd])
                                line->fds[line->n_fds++] = fd;
        pack_begin(&p, &line->params);
        pack_array(&p, 2);
        command_pack_argv(&p, argv);
        command_pack_options(&line->command, &p, line->n_fds);
        for (unsigned i = 0; i < line->n_fds; i++) {
                pack_str(&p, names[line->fds[i]]);
                pack_fd(&p);
        }
        int r = pack_end(&p);
        pack_begin(&p, &line->packed);
        task_options_pack(&line->options, &p);
        int r2 = pack_end(&p);
        return r < 0 ? r : r2;
}

static void cancel_task(struct cli *cli, void *userdata)
{
        const struct following *f = userdata;

        ganger_notify(cli->g, "cancel", "[u]", f->id);
}

static void write_all(struct following *f, int fd, const char *data, size_t size_bytes)
{
        while (size_bytes > 0 && f->write_error == 0) {
                ssize_t n = write(fd, data, size_bytes);
                if (n < 0 && errno != EINTR)
                        f->write_error = errno;
                if (n > 0) {
                        data += n;
                        size_bytes -= (size_t)n;
                }
        }
}

static void on_stream(void *userdata, const char *kind, const struct ganger_reply *reply)
{
        const void *data;
        size_t size_bytes;

        if (ganger_read(reply, "y", &data, &size_bytes) == 0)
                write_all(userdata, strcmp(kind, "stderr") == 0 ? STDERR_FILENO : STDOUT_FILENO, data,
                          size_bytes);
}

/* The exit status of a command from {status, signal}. */
static int status_of(struct reader r)
{
        struct value key, value;
        uint32_t n;
        int status = -1;

        if (reader_map(&r, &n) < 0)
                return -1;
        while (n-- > 0 && reader_next(&r, &key) == 0) {
                bool is_status =
                        key.type == VALUE_STR && key.size == 6 && memcmp(key.as.data, "status", 6) == 0;
                bool is_signal =
                        key.type == VALUE_STR && key.size == 6 && memcmp(key.as.data, "signal", 6) == 0;
                const uint8_t *at;
                size_t size_bytes;
                if (reader_skip(&r, &at, &size_bytes, NULL) < 0)
                        return -1;
                struct reader one = reader_over(at, size_bytes);
                if (reader_next(&one, &value) < 0 || value.type != VALUE_UINT)
                        continue;
                if (is_status)
                        status = (int)value.as.u;
                else if (is_signal)
                        return EXIT_SIGNAL + (int)value.as.u;
        }
        return status;
}

/* The exit status that the end of the task means. */
static int end_status(const struct cli *cli, const struct cli_request *request)
{
        const void *data;
        size_t size_bytes;
        int status;

        if (request->r == 0) {
                data = ganger_data(request->reply, &size_bytes);
                status = status_of(reader_over(data, size_bytes));
                return status >= 0 ? status : EXIT_DONE;
        }
        if (request->r == GANGER_TASK_FAILED &&
            ganger_read_key(request->reply, "detail", "m", &data, &size_bytes) == 0) {
                status = status_of(reader_over(data, size_bytes));
                if (status == EXIT_NOT_FOUND || status == EXIT_NOT_EXECUTABLE || status < 0)
                        cli_say("%s", ganger_message(request->reply));
                if (status >= 0)
                        return status;
                return EXIT_NOT_SUCCEEDED;
        }
        return cli_refused(cli, request->r, request->reply);
}

/* Follows the task to its end. streams: whether its output is to be written here; signal: one that came
 * before, or 0. */
static int follow(struct cli *cli, struct following *f, bool streams, uint64_t tail_bytes, int signal)
{
        struct cli_wait wait = {.on_signal = cancel_task, .userdata = f, .signal = signal};
        int r;

        if (streams)
                r = ganger_start_request(cli->g, &f->request.msgid, "attach", on_stream, cli_on_reply,
                                         &f->request, "[u{s[ss]su}]", f->id, "stream", "stdout", "stderr",
                                         "tail", tail_bytes);
        else
                r = ganger_start_request(cli->g, &f->request.msgid, "attach", NULL, cli_on_reply, &f->request,
                                         "[u]", f->id);
        if (r == 0)
                r = cli_wait(cli, &f->request.done, &wait);
        if (r == 0 && f->request.r < 0)
                r = f->request.r;
        if (r < 0) {
                int lost = cli_lost(cli, cli->verb->name, r);
                cli_say("the task goes on if the daemon does; `ganger attach %llu` waits for its end",
                        (unsigned long long)f->id);
                return lost;
        }
        int status = r > 0 ? EXIT_SIGNAL + r : end_status(cli, &f->request);
        cli_request_deinit(&f->request);
        if (wait.signal)
                return EXIT_SIGNAL + wait.signal;
        if (f->write_error && status == EXIT_DONE) {
                cli_say("output: %s", strerror(f->write_error));
                return EXIT_GANGER;
        }
        return status;
}

/* A signal that comes before the id: the task may be there already, so its id is waited for, to cancel it. */
static void keep_waiting(struct cli *cli, void *userdata)
{
        (void)cli;
        (void)userdata;
}

static int run(struct cli *cli, struct run_line *line)
{
        struct following f = {0};
        struct cli_request request = {0};
        struct cli_wait wait = {.on_signal = keep_waiting,
                                .left = "it may run the command all the same: see `ganger list`"};
        int status = EXIT_DONE;

        cli_connect(cli);
        int r = ganger_start_request(cli->g, &request.msgid, "submit", NULL, cli_on_reply, &request, "[sMm]",
                                     "exec", buffer_at(&line->params), buffer_size(&line->params), line->fds,
                                     (size_t)line->n_fds, buffer_at(&line->packed),
                                     buffer_size(&line->packed));
        if (r == 0)
                r = cli_wait(cli, &request.done, &wait);
        if (r > 0)
                status = EXIT_SIGNAL + r;
        else if (r < 0 || request.r < 0)
                status = cli_lost(cli, "run", r < 0 ? r : request.r);
        else if (request.r > 0)
                status = cli_refused(cli, request.r, request.reply);
        else if (ganger_read(request.reply, "u", &f.id) < 0)
                status = cli_lost(cli, "run", -EPROTO);
        else if (line->detach)
                printf("%llu\n", (unsigned long long)f.id);
        else {
                if (wait.signal)
                        cancel_task(cli, &f);
                status = follow(cli, &f, false, 0, wait.signal);
        }
        cli_request_deinit(&request);
        return status;
}

int verb_run(struct cli *cli, int argc, char **argv)
{
        struct run_line line = {0};
        int status = run_options(cli, &line, argc, argv);

        if (status == 0)
                status = command_here(&line.command);
        if (status == 0) {
                int r = run_pack(cli, &line, argv + optind);
                status = r < 0 ? cli_lost(cli, "run", r) : run(cli, &line);
        }
        task_options_deinit(&line.options);
        command_deinit(&line.command);
        buffer_deinit(&line.params);
        buffer_deinit(&line.packed);
        return status;
}

int verb_attach(struct cli *cli, int argc, char **argv)
{
        struct following f = {0};
        int status = cli_one_id(cli, argc, argv, &f.id);

        if (status != 0)
                return status;
        cli_connect(cli);
        return follow(cli, &f, true, LIMIT_TAIL_BYTES, 0);
}

/* The tail is sent before anything else that is asked for later: when the answer to ping is here, so is the
 * tail. */
int verb_logs(struct cli *cli, int argc, char **argv)
{
        struct following f = {0};
        struct ganger_reply *reply = NULL;
        int status = cli_one_id(cli, argc, argv, &f.id);

        if (status != 0)
                return status;
        cli_connect(cli);
        int r = ganger_start_request(cli->g, &f.request.msgid, "attach", on_stream, cli_on_reply, &f.request,
                                     "[u{s[ss]su}]", f.id, "stream", "stdout", "stderr", "tail",
                                     (uint64_t)LIMIT_TAIL_BYTES);
        if (r == 0)
                r = cli_request(cli, &reply, "ping", "[]");
        if (r < 0)
                status = cli_lost(cli, "logs", r);
        else if (f.request.done &&
                 (f.request.r == GANGER_UNKNOWN_TASK || f.request.r == GANGER_INVALID_PARAMS))
                status = cli_refused(cli, f.request.r, f.request.reply);
        cli->g = ganger_close(cli->g); /* attach is still open: it is told here, not when f is gone */
        ganger_reply_free(reply);
        cli_request_deinit(&f.request);
        return status;
}
