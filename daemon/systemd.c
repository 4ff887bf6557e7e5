/* SPDX-License-Identifier: MIT */
/*
 * The only file that knows libsystemd. sd_notify takes the socket's name from the environment each time; it
 * is put there for the call only, so a child never inherits it. (The loop's thread is the only one that
 * touches the environment.) The journal's messages come from the log's thread, which alone sends them.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION /* it is the message's, not this file's */
#include "daemon/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <time.h>

static char *notify_socket;

int systemd_listen_fd(int *ret_fd)
{
        int n = sd_listen_fds(1);

        *ret_fd = -1;
        if (n < 0)
                return n;
        if (n == 0)
                return 0;
        if (n > 1)
                return SYSTEMD_SEVERAL;
        int r = sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0);
        if (r < 0)
                return r;
        if (r == 0)
                return SYSTEMD_NO_SOCKET;
        if (fcntl(SD_LISTEN_FDS_START, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        *ret_fd = SD_LISTEN_FDS_START;
        return 0;
}

void systemd_begin(void)
{
        static const char *const ours[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                           "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
        const char *name = getenv("NOTIFY_SOCKET");

        if (name != NULL)
                notify_socket = strdup(name);
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
                unsetenv(ours[i]);
}

static void notify(const char *text)
{
        if (notify_socket == NULL || setenv("NOTIFY_SOCKET", notify_socket, 1) < 0)
                return;
        sd_notify(1, text);
}

void systemd_ready(void)
{
        notify("READY=1");
}

void systemd_reloading(void)
{
        char text[80];
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
        notify(text);
}

void systemd_stopping(void)
{
        notify("STOPPING=1");
}

void systemd_status(const char *format, ...)
{
        char text[256] = "STATUS=";
        va_list args;

        va_start(args, format);
        vsnprintf(text + 7, sizeof text - 7, format, args);
        va_end(args);
        notify(text);
}

int systemd_journal(const struct iovec *fields, int n_fields)
{
        return sd_journal_sendv(fields, n_fields);
}
