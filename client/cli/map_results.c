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
static void print_json_item(uint64_t index, const struct unfinished *u, int code,
                            const struct ganger_reply *reply)
{
        size_t size_bytes;
        const void *data = ganger_data(reply, &size_bytes);

        printf("{\"index\":%" PRIu64 ",\"item\":", index);
        json_write_text(stdout, u ? u->text : "", u ? u->size_bytes : 0);
        fputs(code == 0 ? ",\"result\":" : ",\"error\":", stdout);
        json_write(stdout, data, size_bytes);
        fputs("}\n", stdout);
}

static void print_failure(const struct map_line *line, uint64_t index, const struct unfinished *u,
                          const struct ganger_reply *reply)
{
        struct reader detail;

        if (line->exec && look_key(look_reader(reply), "detail", &detail))
                print_output(detail);
        cli_say("item %" PRIu64 " (%.*s): %s", index,
                u ? (int)(u->size_bytes < 200 ? u->size_bytes : 200) : 0, u ? u->text : "",
                ganger_message(reply));
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

int map_line_on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct map_line *line = userdata;
        struct unfinished *u = map_line_forget(line, index);

        progress_clear(&line->progress);
        if (code != 0)
                line->n_failed++;
        if (line->cli->json)
                print_json_item(index, u, code, reply);
        else if (code != 0)
                print_failure(line, index, u, reply);
        else
                print_result(line, reply);
        bool unwritten = ferror(stdout) && cli_flush() != 0; /* nobody reads any more */
        free(u);
        progress_show(&line->progress, map_ended(line->map), map_sent(line->map), line->n_failed);
        return unwritten ? -EPIPE : 0;
}
