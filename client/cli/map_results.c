/* SPDX-License-Identifier: MIT */
/* How the items of map ended: results on standard output, failures named on standard error. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/look.h"
#include "client/cli/map_line.h"

/* What a command wrote, whole: outputs of items do not mix. */
static void print_output(struct reader result)
{
        struct look_text out = look_bytes(result, "stdout"), err = look_bytes(result, "stderr");

        fwrite(out.data, 1, out.size_bytes, stdout);
        if (err.size_bytes > 0) {
                cli_flush();
                fwrite(err.data, 1, err.size_bytes, stderr);
        }
        if (look_true(result, "stdout_truncated") || look_true(result, "stderr_truncated"))
                cli_say("the output of an item was longer than is kept; its beginning is missing");
}

/* --json: one object a line. */
static void print_json_item(const struct unfinished *u, int code, const struct ganger_reply *reply)
{
        size_t size_bytes;
        const void *data = ganger_data(reply, &size_bytes);

        printf("{\"index\":%" PRIu64 ",\"item\":", u->position);
        json_write_text(stdout, u->text, u->size_bytes);
        fputs(code == 0 ? ",\"result\":" : ",\"error\":", stdout);
        json_write(stdout, data, size_bytes);
        fputs("}\n", stdout);
}

static void print_failure(const struct map_line *line, const struct unfinished *u,
                          const struct ganger_reply *reply)
{
        struct reader detail;

        if (line->exec && look_key(look_reader(reply), "detail", &detail))
                print_output(detail);
        cli_say("item %" PRIu64 " (%.*s): %s", u->position, (int)(u->size_bytes < 200 ? u->size_bytes : 200),
                u->text, ganger_message(reply));
}

static void print_result(const struct map_line *line, const struct ganger_reply *reply)
{
        struct reader result = look_reader(reply);
        struct value value;
        struct reader peek = result;
        size_t size_bytes = (size_t)(result.end - result.at);

        if (line->exec) {
                print_output(result);
                return;
        }
        if (!line->raw) {
                json_write(stdout, result.at, size_bytes);
                putchar('\n');
                return;
        }
        json_write_raw(stdout, result.at, size_bytes);
        if (reader_next(&peek, &value) == 0 && (value.type == VALUE_STR || value.type == VALUE_BIN))
                putchar('\n');
}

static int not_zero(uint64_t status)
{
        return status > 0 && status < 256 ? (int)status : 1;
}

/* Of an item that failed: what `ganger run` or `ganger call` would have ended with. */
static void describe_failure(struct joblog_line *ret, int code, struct reader error)
{
        struct reader detail;

        ret->ran = look_double(error, "run_time", 0);
        if (code == GANGER_WORKER_LOST)
                ret->signal = (int)look_uint(error, "signal", 0);
        if (code == GANGER_WORKER_LOST && ret->signal == 0)
                ret->exit_value = not_zero(look_uint(error, "exit_status", 1));
        else if (code == GANGER_TIMED_OUT || code == GANGER_EXPIRED)
                ret->exit_value = EXIT_TIME;
        else if (code != GANGER_WORKER_LOST)
                ret->exit_value = code >= GANGER_TASK_FAILED ? EXIT_NOT_SUCCEEDED : EXIT_GANGER;
        if (code != GANGER_TASK_FAILED || !look_key(error, "detail", &detail))
                return;
        ret->received_bytes = look_bytes(detail, "stdout").size_bytes;
        ret->signal = (int)look_uint(detail, "signal", 0);
        ret->exit_value = ret->signal > 0 ? 0 : not_zero(look_uint(detail, "status", 1));
}

/* A function's run is not timed but where it fails: then waiting counts, too. */
static void describe_success(const struct map_line *line, struct joblog_line *ret, const struct unfinished *u,
                             struct reader result, double now)
{
        ret->received_bytes = (uint64_t)(result.end - result.at);
        ret->ran = now - u->given;
        if (!line->exec)
                return;
        ret->received_bytes = look_bytes(result, "stdout").size_bytes;
        ret->ran = look_double(result, "wall", ret->ran);
}

/* What is in the log is done for good: so its result is written first. */
static int log_end(struct map_line *line, const struct unfinished *u, int code,
                   const struct ganger_reply *reply)
{
        double now = look_now();
        struct joblog_line end = {.seq = u->position + 1};
        struct buffer command = BUFFER_INIT;

        if (cli_flush() != 0)
                return -EPIPE;
        if (code == 0)
                describe_success(line, &end, u, look_reader(reply), now);
        else
                describe_failure(&end, code, look_reader(reply));
        end.started = now - end.ran;
        int r = map_line_command(line, u->text, u->size_bytes, &command);
        if (r == 0) {
                end.command = (const char *)buffer_at(&command);
                end.command_bytes = buffer_size(&command);
                r = joblog_write(&line->log, &end);
                line->bad_log = r < 0;
        }
        buffer_deinit(&command);
        return r;
}

int map_line_on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct map_line *line = userdata;
        struct unfinished *u = map_line_forget(line, index);
        int r = 0;

        if (!u)
                return -EPROTO;
        progress_clear(&line->progress);
        if (code != 0)
                line->n_failed++;
        if (line->cli->json)
                print_json_item(u, code, reply);
        else if (code != 0)
                print_failure(line, u, reply);
        else
                print_result(line, reply);
        if (ferror(stdout) && cli_flush() != 0)
                r = -EPIPE;                                  /* nobody reads any more */
        else if (line->log_path && code != GANGER_CANCELLED) /* what was cancelled has not ended */
                r = log_end(line, u, code, reply);
        free(u);
        progress_show(&line->progress, map_ended(line->map), map_sent(line->map), line->n_failed);
        return r;
}
