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
#include "proto/sentence.h"

enum { PATH_BYTES = 1024 };

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
        while (look_line(&output, &line))
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
        if (look_key(record, "error", &found) && !look_is_nil(found))
                error = found;
        if (cli->json) {
                size_t size_bytes;
                const void *data = ganger_data(reply, &size_bytes);
                json_write(stdout, data, size_bytes);
                putchar('\n');
        } else {
                sentence_write(stdout, record);
                putchar('\n');
                print_details(record, error);
        }
        ganger_reply_free(reply);
        return EXIT_DONE;
}
