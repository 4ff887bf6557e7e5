/* SPDX-License-Identifier: MIT */
/*
 * The verb pipe: standard input and output of two programs that open one name, connected. A line is a
 * message, its newline included, so that an empty one is none of the end. Once the ends are given nothing
 * passes gangerd, and the talk goes on without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/items.h"
#include "client/cli/outlet.h"

struct talk {
        int fd;
        struct items items;
        struct buffer line;    /* to be sent */
        struct buffer message; /* that came */
        bool input_ended;      /* and the other one knows */
        bool output_ended;
        bool closed; /* the other end */
};

static int open_end(struct cli *cli, const char *name, struct talk *talk)
{
        struct ganger_reply *reply = NULL;
        int fd, status = EXIT_DONE, r = cli_request(cli, &reply, "pipe.open", "[s]", name);

        if (r == 0)
                r = ganger_read_key(reply, "pipe", "h", &fd);
        if (r == 0)
                talk->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (r == 0 && talk->fd < 0)
                r = -errno;
        if (r > 0)
                status = cli_refused(cli, r, reply);
        else if (r < 0)
                status = cli_lost(cli, "pipe", r);
        ganger_reply_free(reply);
        return status;
}

/* Nothing is to be cancelled any more. One that came before: its number. */
static int leave_signals(void)
{
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        struct sigaction action;

        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        signal(numbers[i], SIG_DFL);
        return cli_signal_seen();
}

/* Has a line to be sent, if there is one without waiting. */
static int next_line(struct talk *talk)
{
        const char *text;
        size_t size_bytes;
        int r = items_next(&talk->items, &text, &size_bytes);

        if (r == 0) {
                talk->input_ended = true;
                shutdown(talk->fd, SHUT_WR);
                return EXIT_DONE;
        }
        if (r > 0)
                r = buffer_append(&talk->line, text, size_bytes);
        if (r == 0)
                r = buffer_append(&talk->line, "\n", 1);
        if (r == 0 || r == -EAGAIN)
                return EXIT_DONE;
        cli_say("standard input: %s", strerror(-r));
        return EXIT_GANGER;
}

/* What cannot be sent now is tried again. */
static int send_line(const struct cli *cli, struct talk *talk)
{
        if (send(talk->fd, buffer_at(&talk->line), buffer_size(&talk->line), MSG_NOSIGNAL | MSG_DONTWAIT) >=
            0) {
                buffer_truncate(&talk->line, 0);
                return EXIT_DONE;
        }
        switch (errno) {
        case EAGAIN:
        case EINTR:
        case ENOBUFS:
        case ECONNRESET: /* said once; what came may still be read */
                return EXIT_DONE;
        case EMSGSIZE:
                return cli_usage_error(cli, "line %" PRIu64 " is larger than a message of a pipe may be",
                                       talk->items.n_taken);
        default:
                cli_say("the other end is closed: line %" PRIu64 " was not sent", talk->items.n_taken);
                return EXIT_NOT_SUCCEEDED;
        }
}

/* A message of no bytes looks as the end does: there is more behind it, or it does no harm. */
static bool is_end(int fd)
{
        int left_bytes = 0;

        return ioctl(fd, FIONREAD, &left_bytes) < 0 || left_bytes == 0;
}

/* All messages that have come; one of another program may have no newline. */
static int receive(const struct cli *cli, struct talk *talk, bool at_end)
{
        for (;;) {
                ssize_t size = recv(talk->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
                if (size < 0 && (errno == ECONNRESET || errno == EINTR)) /* said once; what came is there */
                        continue;
                if (size < 0 && errno == EAGAIN)
                        return EXIT_DONE;
                if (size < 0)
                        return cli_lost(cli, "pipe", -errno);
                if (buffer_reserve(&talk->message, (size_t)size + 1) < 0)
                        return cli_lost(cli, "pipe", -ENOMEM);
                size = recv(talk->fd, buffer_at(&talk->message), (size_t)size + 1, MSG_DONTWAIT);
                if (size <= 0 && is_end(talk->fd)) { /* that came meanwhile: poll() tells, too */
                        talk->output_ended = at_end;
                        return EXIT_DONE;
                }
                if (size <= 0)
                        continue;
                fwrite(buffer_at(&talk->message), 1, (size_t)size, stdout);
                if (buffer_at(&talk->message)[size - 1] != '\n')
                        putchar('\n');
        }
}

/* Waits, and does what can be done. */
static int turn(const struct cli *cli, struct talk *talk)
{
        bool has_line = buffer_size(&talk->line) > 0;
        struct pollfd p[2] = {
                {.fd = talk->fd,
                 .events = (short)((talk->output_ended ? 0 : POLLIN | POLLRDHUP) | (has_line ? POLLOUT : 0))},
                {.fd = has_line || talk->input_ended ? -1 : items_fd(&talk->items), .events = POLLIN},
        };
        int status = EXIT_DONE;

        if (poll(p, 2, -1) < 0)
                return errno == EINTR ? EXIT_DONE : cli_lost(cli, "pipe", -errno);
        talk->closed = p[0].revents & POLLHUP;
        if (p[0].revents & (POLLIN | POLLRDHUP | POLLHUP))
                status = receive(cli, talk, p[0].revents & (POLLRDHUP | POLLHUP));
        if (status == EXIT_DONE && cli_flush() != 0)
                return cli_flush() == EPIPE ? outlet_closed() : EXIT_GANGER;
        if (status == EXIT_DONE && p[1].revents != 0)
                status = next_line(talk);
        if (status == EXIT_DONE && buffer_size(&talk->line) > 0)
                status = send_line(cli, talk);
        return status;
}

int verb_pipe(struct cli *cli, int argc, char **argv)
{
        struct talk talk = {.fd = -1};
        int status = cli_no_options(cli, argc, argv);

        if (status != 0)
                return status;
        if (optind == argc)
                return cli_usage_error(cli, "which pipe?");
        if (optind + 1 != argc)
                return cli_usage_error(cli, "takes the name of one pipe, not '%s' besides", argv[optind + 1]);
        cli_connect(cli);
        status = open_end(cli, argv[optind], &talk);
        if (status != EXIT_DONE)
                return status;
        items_init(&talk.items, NULL, NULL, '\n');
        int number = leave_signals();
        status = number > 0 ? EXIT_SIGNAL + number : EXIT_DONE;
        while (status == EXIT_DONE && !(talk.output_ended && (talk.input_ended || talk.closed)))
                status = turn(cli, &talk);
        items_deinit(&talk.items);
        buffer_deinit(&talk.line);
        buffer_deinit(&talk.message);
        close(talk.fd);
        return status;
}
