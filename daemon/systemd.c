/* SPDX-License-Identifier: MIT */
/*
 * The only file that knows libsystemd. Its sd_notify() blocks while systemd is busy with something else (it
 * may reload for seconds), so the datagrams are sent here, by a socket that does not. What is to be said is
 * kept as a state, not as a queue: of READY, RELOADING and STOPPING the latest counts, and one line of status
 * replaces the one before.
 * The journal's messages come from the log's thread, which alone sends them.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION /* it is the message's, not this file's */
#include "daemon/systemd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "daemon/shortage.h"

#define STATUS_BYTES  512
#define RETRY_AFTER   INT64_C(100000000) /* ns */
#define NS_PER_USEC   1000
#define USEC_PER_SEC  1000000
#define FEEDS_A_LIMIT 3 /* one that comes late is not the last */

static int n_passed; /* sockets */

static struct {
        int fd; /* < 0: not open (yet) */
        struct sockaddr_un address;
        socklen_t address_size; /* 0: systemd does not listen */
        int64_t feed_every;     /* ns; 0: there is no watchdog */
        int64_t fed_at;
        char state[80];                /* READY=1 or the like; "": said */
        char status[STATUS_BYTES];     /* "": none yet */
        uint64_t extend_usec;          /* 0: said */
        bool status_unsaid, postponed; /* its socket was full, or something ran out */
} peer = {.fd = -1};

/* Unless FileDescriptorName= says otherwise systemd names a socket by its unit; who passes one by hand may
 * name none, which libsystemd calls "unknown". */
static bool is_main(const char *name)
{
        const char *end = strrchr(name, '.');

        return strcmp(name, "unknown") == 0 || (end != NULL && strcmp(end, ".socket") == 0);
}

static int take_socket(struct systemd_sockets *sockets, int fd, const char *name)
{
        bool is_metrics = strcmp(name, "metrics") == 0;
        int r;

        sockets->name = name;
        if (!is_metrics && !is_main(name))
                return SYSTEMD_UNKNOWN_NAME;
        r = is_metrics ? sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1)
                       : sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0);
        if (r <= 0)
                return r < 0 ? r : SYSTEMD_NO_SOCKET;
        if (is_metrics ? sockets->n_metrics == LIMIT_METRICS_SOCKETS : sockets->main_fd >= 0)
                return SYSTEMD_SEVERAL;
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        if (is_metrics)
                sockets->metrics_fds[sockets->n_metrics++] = fd;
        else
                sockets->main_fd = fd;
        return 0;
}

int systemd_listen_fds(struct systemd_sockets *ret)
{
        static char **names; /* never freed: the result may point there */
        int n = sd_listen_fds_with_names(1, &names), r = 0;

        *ret = (struct systemd_sockets){.main_fd = -1};
        if (n < 0)
                return n;
        n_passed = n;
        for (int i = 0; i < n && r == 0; i++)
                r = take_socket(ret, SD_LISTEN_FDS_START + i, names[i]);
        return r;
}

void systemd_turn_away(void)
{
        int n = n_passed > 0 ? n_passed : sd_listen_fds(1);

        for (int i = SD_LISTEN_FDS_START; i < SD_LISTEN_FDS_START + n; i++) {
                int fd;
                if (fcntl(i, F_SETFL, O_NONBLOCK) < 0)
                        continue;
                while ((fd = accept4(i, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                        close(fd);
        }
}

/* A path, or "@name" in the abstract namespace. */
static void find_peer(const char *name)
{
        size_t size = strlen(name);

        if ((name[0] != '/' && name[0] != '@') || size >= sizeof peer.address.sun_path)
                return;
        peer.address.sun_family = AF_UNIX;
        memcpy(peer.address.sun_path, name, size);
        if (name[0] == '@')
                peer.address.sun_path[0] = 0;
        peer.address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

void systemd_begin(void)
{
        const char *name = getenv("NOTIFY_SOCKET");
        uint64_t usec = 0;

        assert(peer.address_size == 0);
        if (name != NULL)
                find_peer(name);
        if (peer.address_size > 0 && sd_watchdog_enabled(1, &usec) > 0 && usec < INT64_MAX / NS_PER_USEC)
                peer.feed_every = (int64_t)usec * NS_PER_USEC / FEEDS_A_LIMIT;
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDNAMES");
}

/* 0 or -1, and errno. */
static int send_to_peer(const char *text, size_t size_bytes)
{
        if (peer.fd < 0)
                peer.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (peer.fd < 0)
                return -1;
        return sendto(peer.fd, text, size_bytes, MSG_NOSIGNAL, (struct sockaddr *)&peer.address,
                      peer.address_size) < 0
                       ? -1
                       : 0;
}

/* All that is unsaid in one datagram. What fails otherwise than by a full queue or a shortage would fail
 * again. */
static void say(bool feed)
{
        char text[sizeof peer.state + STATUS_BYTES + 128] = "";
        int n = 0;

        if (peer.state[0])
                n += snprintf(text + n, sizeof text - (size_t)n, "%s\n", peer.state);
        if (peer.extend_usec > 0)
                n += snprintf(text + n, sizeof text - (size_t)n, "EXTEND_TIMEOUT_USEC=%llu\n",
                              (unsigned long long)peer.extend_usec);
        if (feed)
                n += snprintf(text + n, sizeof text - (size_t)n, "WATCHDOG=1\n");
        if (peer.status_unsaid)
                n += snprintf(text + n, sizeof text - (size_t)n, "STATUS=%s\n", peer.status);
        assert(n >= 0 && (size_t)n < sizeof text);
        if (n == 0 || peer.address_size == 0)
                return;
        peer.postponed =
                send_to_peer(text, (size_t)n) < 0 && (errno == EINTR || shortage_remedy(errno) != NULL);
        if (peer.postponed)
                return;
        peer.state[0] = 0;
        peer.extend_usec = 0;
        peer.status_unsaid = false;
}

static void enter(const char *state)
{
        snprintf(peer.state, sizeof peer.state, "%s", state);
        say(false);
}

void systemd_ready(void)
{
        enter("READY=1");
}

void systemd_reloading(void)
{
        char text[sizeof peer.state];
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                 (long long)now.tv_sec * USEC_PER_SEC + now.tv_nsec / NS_PER_USEC);
        enter(text);
}

void systemd_stopping(void)
{
        enter("STOPPING=1");
}

void systemd_extend(int64_t duration)
{
        assert(duration > 0);
        peer.extend_usec = (uint64_t)(duration / NS_PER_USEC) + 1;
        say(false);
}

void systemd_status(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(peer.status, sizeof peer.status, format, args);
        va_end(args);
        peer.status_unsaid = true;
        say(false);
}

int64_t systemd_turn(int64_t now)
{
        bool hungry = peer.feed_every > 0 && now >= peer.fed_at + peer.feed_every;

        if (peer.address_size == 0)
                return INT64_MAX;
        if (hungry || peer.postponed)
                say(hungry);
        if (peer.postponed)
                return now + RETRY_AFTER;
        if (hungry)
                peer.fed_at = now;
        return peer.feed_every > 0 ? peer.fed_at + peer.feed_every : INT64_MAX;
}

int systemd_journal(const struct iovec *fields, int n_fields)
{
        return sd_journal_sendv(fields, n_fields);
}
