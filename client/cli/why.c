/* SPDX-License-Identifier: MIT */
/*
 * why: what became of a task, as one sentence, then what is known beside it, then what it wrote last. Lines
 * FILE+0xOFFSET of a crash's backtrace are resolved by addr2line where that is installed. What a task wrote
 * is shown without its control characters.
 */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/look.h"

enum { PATH_BYTES = 1024, LAST_WORDS_BYTES = 200 };

static bool is_text(struct look_text text, const char *expected)
{
        return text.size_bytes == strlen(expected) && memcmp(text.data, expected, text.size_bytes) == 0;
}

/* Takes the next line; false: there is none. */
static bool next_line(struct look_text *rest, struct look_text *ret)
{
        if (rest->size_bytes == 0)
                return false;
        const char *end = memchr(rest->data, '\n', rest->size_bytes);
        size_t n = end ? (size_t)(end - rest->data) : rest->size_bytes;
        *ret = (struct look_text){rest->data, n};
        n += end != NULL;
        *rest = (struct look_text){rest->data + n, rest->size_bytes - n};
        return true;
}

/* -- backtraces -- */

/* "  /FILE+0xOFFSET": the file and the offset. */
static bool read_frame(struct look_text line, char path[PATH_BYTES], char offset[24])
{
        if (line.size_bytes < 6 || line.size_bytes >= PATH_BYTES || memcmp(line.data, "  /", 3) != 0)
                return false;
        memcpy(path, line.data + 2, line.size_bytes - 2);
        path[line.size_bytes - 2] = '\0';
        char *plus = strrchr(path, '+');
        if (!plus || strncmp(plus, "+0x", 3) != 0 || strlen(plus + 1) >= 24 ||
            plus[3 + strspn(plus + 3, "0123456789abcdef")] != '\0')
                return false;
        memcpy(offset, plus + 1, strlen(plus + 1) + 1);
        *plus = '\0';
        return true;
}

/* One line of addr2line: "function at file:line". False: it is not there, or knows nothing. */
static bool resolve(const char *path, const char *offset, char *ret, int size_bytes)
{
        const char *const argv[] = {"addr2line", "-Cfpe", path, offset, NULL};
        posix_spawn_file_actions_t actions;
        int ends[2], status;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return false;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        int r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        FILE *file = r == 0 ? fdopen(ends[0], "r") : NULL;
        bool got = file && fgets(ret, size_bytes, file);
        if (file)
                fclose(file);
        else
                close(ends[0]);
        if (r != 0)
                return false;
        while (waitpid(pid, &status, 0) < 0)
                ;
        return got && strncmp(ret, "?? ", 3) != 0;
}

static void print_line(struct look_text line)
{
        char path[PATH_BYTES], offset[24], place[PATH_BYTES];

        look_print(line);
        if (read_frame(line, path, offset) && resolve(path, offset, place, sizeof place)) {
                place[strcspn(place, "\n")] = '\0';
                fputs("  ", stdout);
                look_print((struct look_text){place, strlen(place)});
        }
        putchar('\n');
}

/* -- the sentence -- */

/* What the task itself said last: no line of a backtrace. */
static struct look_text last_words(struct look_text output)
{
        struct look_text line, ret = {"", 0};
        bool in_backtrace = false;

        while (next_line(&output, &line)) {
                if (line.size_bytes > 10 && memcmp(line.data, "backtrace ", 10) == 0)
                        in_backtrace = true;
                else if (line.size_bytes < 2 || memcmp(line.data, "  ", 2) != 0)
                        in_backtrace = false;
                if (!in_backtrace && line.size_bytes > 0)
                        ret = line;
        }
        if (ret.size_bytes > LAST_WORDS_BYTES)
                ret.size_bytes = LAST_WORDS_BYTES;
        return ret;
}

static const char *ordinal_ending(uint64_t n)
{
        if (n % 100 >= 11 && n % 100 <= 13)
                return "th";
        return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

static void print_signal(struct reader error)
{
        uint64_t number = look_uint(error, "signal", 0);
        const char *name = number < 64 ? sigabbrev_np((int)number) : NULL;

        if (name)
                printf("SIG%s", name);
        else
                printf("signal %" PRIu64, number);
}

static void print_lost(struct reader error, struct look_text by, const char *after)
{
        bool by_signal = look_uint(error, "signal", 0) > 0;

        if (is_text(by, "limit"))
                printf("died%s at a limit of its pool", after);
        else if (is_text(by, "kernel"))
                printf("was killed by the kernel%s, for want of memory", after);
        else if (is_text(by, "outside")) {
                printf("was killed from outside%s by ", after);
                print_signal(error);
        } else if (by_signal) {
                printf("crashed%s with ", after);
                print_signal(error);
        } else
                printf("lost its worker%s, which exited with status %" PRIu64, after,
                       look_uint(error, "exit_status", 0));
}

static void print_end(struct reader record, struct reader error)
{
        struct look_text code = look_text(error, "code"), by = look_text(error, "ended_by");
        double run_time = look_double(error, "run_time", -1), timeout = look_double(record, "timeout", 0);
        char after[64] = "", time[24];

        if (run_time >= 0) {
                look_duration(run_time, time, sizeof time);
                snprintf(after, sizeof after, " after %s", time);
        }
        if (is_text(code, "timed_out"))
                printf("was killed%s of its %g s timeout", after, timeout);
        else if (is_text(code, "worker_lost"))
                print_lost(error, by, after);
        else if (is_text(code, "expired"))
                printf("expired: it did not begin in time");
        else if (is_text(code, "cancelled") && is_text(by, "shutdown"))
                printf("was cancelled%s because gangerd stopped", after);
        else if (is_text(code, "cancelled"))
                printf("was cancelled%s by user %" PRIu64 " (process %" PRIu64 ")", after,
                       look_uint(error, "by_uid", 0), look_uint(error, "by_pid", 0));
        else
                printf("failed%s", after);
}

static void print_sentence(struct reader record, struct reader error, bool is_bad)
{
        struct look_text state = look_text(record, "state"), function = look_text(record, "function");
        struct look_text pool = look_text(record, "pool"), words = last_words(look_bytes(error, "stderr"));
        uint64_t attempt = look_uint(record, "attempt", 1), retries = look_uint(record, "retries", 0);

        printf("Task %" PRIu64 " (%.*s, pool %.*s) ", look_uint(record, "id", 0), LOOK(function), LOOK(pool));
        if (is_bad)
                print_end(record, error);
        else if (is_text(state, "succeeded"))
                printf("succeeded");
        else
                printf("has not ended: it is %.*s", LOOK(state));
        if (attempt > retries + 1) /* some were made before this task was submitted */
                printf(", on its %" PRIu64 "%s attempt", attempt, ordinal_ending(attempt));
        else if (retries > 0 && attempt > 0)
                printf(", on its %" PRIu64 "%s of %" PRIu64 " attempts", attempt, ordinal_ending(attempt),
                       retries + 1);
        struct look_text message = look_text(error, "message");
        bool says_more = is_text(look_text(error, "code"), "task_failed") ||
                         is_text(look_text(error, "ended_by"), "limit");
        if (says_more && message.size_bytes > 0) {
                printf(": ");
                look_print(message);
        }
        if (words.size_bytes > 0) {
                printf("; its last words: ");
                look_print(words);
        }
        puts(".");
}

/* -- the details -- */

static void print_details(struct reader record, struct reader error)
{
        static const char *const dates[] = {"submitted", "started", "ended"};
        static const char *const of_error[] = {"message",     "function_code", "ended_by", "signal",
                                               "exit_status", "worker_pid",    "max_rss",  "detail"};
        struct look_text label = look_text(record, "label"), output, line;
        struct reader value;

        putchar('\n');
        for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
                double at = look_double(record, dates[i], 0);
                char text[40];
                if (at <= 0)
                        continue;
                look_date(at, text, sizeof text);
                printf("%-14s %s\n", dates[i], text);
        }
        if (label.size_bytes > 0) {
                printf("%-14s ", "label");
                look_print(label);
                putchar('\n');
        }
        for (size_t i = 0; i < sizeof of_error / sizeof *of_error; i++) {
                if (!look_key(error, of_error[i], &value) || look_is_nil(value))
                        continue;
                printf("%-14s ", of_error[i]);
                json_write(stdout, value.at, (size_t)(value.end - value.at));
                putchar('\n');
        }
        output = look_bytes(error, "stderr");
        if (output.size_bytes > 0)
                puts("\nThe last of its standard error:");
        while (next_line(&output, &line))
                print_line(line);
}

int verb_why(struct cli *cli, int argc, char **argv)
{
        struct ganger_reply *reply = NULL;
        struct reader error = reader_over((const uint8_t *)"\x80", 1), found;
        uint64_t id;

        int status = cli_one_id(cli, argc, argv, &id);
        if (status != 0)
                return status;
        cli_connect(cli);
        int r = cli_request(cli, &reply, "task", "[u]", id);
        if (r != 0) {
                status = r < 0 ? cli_lost(cli, cli->verb->name, r) : cli_refused(cli, r, reply);
                ganger_reply_free(reply);
                return status;
        }
        struct reader record = look_reader(reply);
        bool is_bad = look_key(record, "error", &found) && !look_is_nil(found);
        if (is_bad)
                error = found;
        if (cli->json) {
                size_t size_bytes;
                const void *data = ganger_data(reply, &size_bytes);
                json_write(stdout, data, size_bytes);
                putchar('\n');
        } else {
                print_sentence(record, error, is_bad);
                print_details(record, error);
        }
        ganger_reply_free(reply);
        return EXIT_DONE;
}
