/* SPDX-License-Identifier: MIT */
/* Standard output of those that wait for something to print. */
#include "client/cli/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/connection.h"

/* A pipe that is open for writing alone has nothing to be read, so polling it tells of the end only. */
static bool is_pipe(void)
{
        struct stat st;

        return fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode) &&
               (fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_WRONLY;
}

static bool is_closed(void)
{
        struct pollfd p = {.fd = STDOUT_FILENO};

        return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

static int watch_outlet(struct cli *cli, void *userdata)
{
        struct cli_request *request = userdata;

        if (request->done || !is_pipe())
                return -1;
        if (is_closed()) {
                request_forget(cli->g, request->msgid);
                request->r = -ESHUTDOWN;
                request->done = true;
        }
        return STDOUT_FILENO;
}

int outlet_request(struct cli *cli, struct ganger_reply **ret, const char *method,
                   const struct buffer *params)
{
        struct cli_request request = {0};
        struct cli_wait wait = {.prepare = watch_outlet, .userdata = &request};
        int r = ganger_start_request(cli->g, &request.msgid, method, NULL, cli_on_reply, &request, "m",
                                     buffer_at(params), buffer_size(params));

        if (r == 0)
                r = cli_wait(cli, &request.done, &wait);
        if (r > 0)
                exit(EXIT_SIGNAL + r);
        *ret = request.reply;
        return r < 0 ? r : request.r;
}

int outlet_closed(void)
{
        raise(SIGPIPE);
        if (cli_flush() == 0) /* else that is said at the end */
                cli_say("standard output: nobody reads it any more");
        return EXIT_GANGER;
}
