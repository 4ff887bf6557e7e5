/* SPDX-License-Identifier: MIT */
/*
 * A program whose handle reconnects, for the tests. PATIENCE_MS is ganger_set_reconnect()'s; 0: it is not
 * called. An r is what the library returned or told.
 *
 * - reconnect_client SOCKET PATIENCE_MS load WINDOW FILE PREFIX N_EACH: keeps WINDOW calls open, which append
 *   their name, and the pid of the daemon that ran them, to FILE; N_EACH calls have the name PREFIX<n>, as
 *   their `key` too if that is above 1. Prints "NAME r" for each end. Once standard input has ended it starts
 *   no more, waits for those that are open, and prints "ended r".
 * - … map N FILE: a map of such tasks; prints "INDEX r" for each item, then "ended r".
 * - … talk: takes commands from standard input, and prints "r text" for each, see below.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ganger.h"
#include "client/ganger_shared.h"

#define NAME_BYTES 64
/* sh -c SCRIPT NAME FILE. Its parent is the worker, whose parent is the daemon. */
static const char script[] =
        "while read -r key value; do case $key in PPid:) echo \"$0 $value\" >> \"$1\";; esac; "
        "done < /proc/$PPID/status";

static void say(int r, const char *text)
{
        printf("%d %s\n", r, text);
        fflush(stdout);
}

/* ---- load ---- */

struct load {
        struct ganger *g;
        const char *file, *prefix;
        unsigned window, n_each, n_started, n_open;
};
struct load_call {
        struct load *load;
        char name[NAME_BYTES];
};

static void load_on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct load_call *call = userdata;

        printf("%s %d\n", call->name, r);
        fflush(stdout);
        call->load->n_open--;
        free(call);
        ganger_reply_free(reply);
}

static int load_start(struct load *load)
{
        struct load_call *call = calloc(1, sizeof *call);
        int r;

        if (call == NULL)
                return -1;
        call->load = load;
        snprintf(call->name, sizeof call->name, "%s%u", load->prefix, load->n_started++ / load->n_each);
        r = load->n_each > 1 ? ganger_start_request(load->g, NULL, "call", NULL, load_on_reply, call,
                                                    "[s[[sssss]]{ss}]", "exec", "sh", "-c", script,
                                                    call->name, load->file, "key", call->name)
                             : ganger_start(load->g, NULL, "exec", load_on_reply, call, "[[sssss]]", "sh",
                                            "-c", script, call->name, load->file);
        if (r < 0)
                free(call);
        else
                load->n_open++;
        return r;
}

static int load(struct ganger *g, char **words)
{
        struct load load = {.g = g,
                            .window = (unsigned)atoi(words[0]),
                            .file = words[1],
                            .prefix = words[2],
                            .n_each = (unsigned)atoi(words[3])};
        struct pollfd fds[2] = {{.fd = ganger_fd(g)}, {.fd = STDIN_FILENO, .events = POLLIN}};
        int r = 0;

        while (r >= 0 && (fds[1].fd >= 0 || load.n_open > 0)) {
                while (r >= 0 && fds[1].fd >= 0 && load.n_open < load.window)
                        r = load_start(&load);
                if (r < 0)
                        break;
                fds[0].events = (short)ganger_events(g);
                poll(fds, 2, (int)ganger_timeout_ms(g));
                if (fds[1].revents != 0)
                        fds[1].fd = -1;
                r = ganger_dispatch(g);
        }
        printf("ended %d\n", r < 0 ? r : 0);
        return 0;
}

/* ---- map ---- */

struct items {
        int64_t n, n_given;
        const char *file;
};

static int next_item(void *userdata, struct ganger_writer *w)
{
        struct items *items = userdata;
        char name[NAME_BYTES];
        int r;

        if (items->n_given == items->n)
                return 0;
        snprintf(name, sizeof name, "%" PRId64, items->n_given++);
        r = ganger_write(w, "[[sssss]]", "sh", "-c", script, name, items->file);
        return r < 0 ? r : 1;
}

static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        (void)userdata;
        (void)reply;
        printf("%" PRIu64 " %d\n", index, code);
        fflush(stdout);
        return 0;
}

static int map(struct ganger *g, char **words)
{
        struct items items = {.n = atoll(words[0]), .file = words[1]};

        printf("ended %d\n", ganger_map(g, NULL, "exec", next_item, on_item, &items));
        return 0;
}

/* ---- talk ---- */

static void say_reply(int r, struct ganger_reply *reply)
{
        char text[512] = "";
        uint64_t attempt = 0;
        const void *bytes = NULL;
        size_t size_bytes = 0;

        if (r > 0 && ganger_read_key(reply, "attempt", "u", &attempt) == 0)
                snprintf(text, sizeof text, "%s attempt=%" PRIu64 " %s", ganger_code_name(reply), attempt,
                         ganger_message(reply));
        else if (r > 0)
                snprintf(text, sizeof text, "%s %s", ganger_code_name(reply), ganger_message(reply));
        else if (r == 0 && ganger_read_key(reply, "stdout", "y", &bytes, &size_bytes) == 0)
                snprintf(text, sizeof text, "%.*s", (int)size_bytes, (const char *)bytes);
        say(r, text);
        ganger_reply_free(reply);
}

static void talk_call(struct ganger *g, char *rest)
{
        struct ganger_reply *reply = NULL;
        int r = ganger_call(g, &reply, NULL, "exec", "[[sss]]", "sh", "-c", rest);

        say_reply(r, reply);
}

/* PATH SCRIPT: the script reads the file. */
static void talk_read(struct ganger *g, char *rest)
{
        char *path = strsep(&rest, " ");
        struct ganger_reply *reply = NULL;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int r = ganger_call(g, &reply, NULL, "exec", "[[sss]{sh}]", "sh", "-c", rest, "stdin", fd);

        close(fd);
        say_reply(r, reply);
}

static void talk_submit(struct ganger *g, char *rest)
{
        char text[NAME_BYTES];
        uint64_t id = 0;
        int r = ganger_submit(g, &id, NULL, "exec", "[[sss]]", "sh", "-c", rest);

        snprintf(text, sizeof text, "%" PRIu64, id);
        say(r, text);
}

/* ID TIMEOUT_MS */
static void talk_result(struct ganger *g, char *rest)
{
        struct ganger_reply *reply = NULL;
        char *timeout = NULL;
        uint64_t id = strtoull(rest, &timeout, 10);
        int r = ganger_result(g, &reply, id, atoll(timeout));

        say_reply(r, reply);
}

static int on_ended(void *userdata, uint64_t id, const char *state)
{
        (void)id;
        snprintf(userdata, NAME_BYTES, "%s", state);
        return 0;
}

static void talk_wait(struct ganger *g, char *rest)
{
        uint64_t id = strtoull(rest, NULL, 10);
        char state[NAME_BYTES] = "";
        int r = ganger_wait(g, &id, 1, 0, -1, on_ended, state);

        say(r, state);
}

/* METHOD NAME */
static void talk_ask(struct ganger *g, char *rest)
{
        char *method = strsep(&rest, " ");
        struct ganger_reply *reply = NULL;
        int r = ganger_request(g, &reply, method, "[s]", rest);

        say_reply(r, reply);
}

static void talk_shared(struct ganger *g, char *rest)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        struct ganger_shared shared;
        int r;

        options.kind = GANGER_SHARED_VALUE;
        r = ganger_shared_open(g, &shared, rest, &options);

        if (r == 0)
                ganger_shared_unmap(&shared);
        say(r, "");
}

static void stream_on_stream(void *userdata, const char *kind, const struct ganger_reply *data)
{
        (void)userdata;
        (void)data;
        say(0, kind);
}

static void stream_on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        *(bool *)userdata = true;
        say_reply(r, reply);
}

static void talk_stream(struct ganger *g, char *rest)
{
        bool done = false;
        int r = ganger_start_request(g, NULL, "call", stream_on_stream, stream_on_reply, &done,
                                     "[s[[sss]]{s[s]}]", "exec", "sh", "-c", rest, "stream", "stdout");

        if (r < 0)
                say(r, "");
        while (r >= 0 && !done) {
                struct pollfd p = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};

                poll(&p, 1, (int)ganger_timeout_ms(g));
                r = ganger_dispatch(g);
        }
}

static const struct {
        const char *name;
        void (*run)(struct ganger *, char *rest);
} commands[] = {
        {"call", talk_call}, {"read", talk_read}, {"submit", talk_submit}, {"result", talk_result},
        {"wait", talk_wait}, {"ask", talk_ask},   {"shared", talk_shared}, {"stream", talk_stream},
};

static int talk(struct ganger *g, char **words)
{
        char *line = NULL;
        size_t capacity = 0;

        (void)words;
        while (getline(&line, &capacity, stdin) > 0) {
                char *rest = line;
                char *name = strsep(&rest, " ");

                rest[strcspn(rest, "\n")] = '\0';
                for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
                        if (strcmp(commands[i].name, name) == 0)
                                commands[i].run(g, rest);
        }
        free(line);
        return 0;
}

static const struct {
        const char *name;
        int n_words;
        int (*run)(struct ganger *, char **words);
} verbs[] = {{"load", 4, load}, {"map", 2, map}, {"talk", 0, talk}};

int main(int argc, char **argv)
{
        struct ganger *g = NULL;
        int r = argc < 4 ? -1 : ganger_open(&g, argv[1]);

        if (r == 0 && atoll(argv[2]) != 0)
                r = ganger_set_reconnect(g, atoll(argv[2]));
        for (size_t i = 0; r == 0 && i < sizeof verbs / sizeof *verbs; i++)
                if (strcmp(argv[3], verbs[i].name) == 0 && argc == 4 + verbs[i].n_words)
                        r = verbs[i].run(g, argv + 4);
        ganger_close(g);
        if (r < 0)
                fprintf(stderr, "reconnect_client: %d\n", r);
        return r != 0;
}
