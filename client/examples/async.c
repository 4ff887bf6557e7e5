/* SPDX-License-Identifier: MIT */
/*
 * async TEXT…: several calls at once in a poll() loop that also waits for something else: standard input. A
 * daemon that is restarted meanwhile is waited for.
 */
#include <ganger.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        const char *text;

        if (r == 0)
                r = ganger_read(reply, "s", &text);
        if (r == 0)
                printf("%s: %s\n", (const char *)userdata, text);
        else
                printf("%s: %s\n", (const char *)userdata, r > 0 ? ganger_message(reply) : strerror(-r));
        ganger_reply_free(reply);
}

static int run(struct ganger *g)
{
        struct pollfd fds[2] = {{.fd = ganger_fd(g)}, {.fd = STDIN_FILENO, .events = POLLIN}};
        char line[256];
        ssize_t size;
        int r = 0;

        while (r >= 0 && ganger_pending(g) > 0) {
                fds[0].events = (short)ganger_events(g);
                poll(fds, 2, (int)ganger_timeout_ms(g));
                if (fds[1].revents != 0) {
                        size = read(STDIN_FILENO, line, sizeof line);
                        if (size <= 0)
                                fds[1].fd = -1; /* end of file: poll() passes it over */
                        else
                                printf("(meanwhile %zd bytes on standard input)\n", size);
                }
                r = ganger_dispatch(g);
        }
        return r;
}

int main(int argc, char **argv)
{
        struct ganger *g = NULL;
        int r = ganger_open(&g, NULL);

        if (r == 0)
                r = ganger_set_reconnect(g, 10000); /* before ganger_fd() */
        for (int i = 1; r == 0 && i < argc; i++)
                r = ganger_start(g, NULL, "echo", on_reply, argv[i], "[s]", argv[i]);
        if (r == 0)
                r = run(g);
        if (r < 0)
                fprintf(stderr, "async: %s\n", strerror(-r));
        ganger_close(g);
        return r < 0 ? 1 : 0;
}
