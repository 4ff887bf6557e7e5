/* SPDX-License-Identifier: MIT */
#include "daemon/listener.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/exhaustion.h"
#include "proto/limits.h"

#define ACCEPTS_A_TURN 64

struct listener {
        struct listener_config config;
        char *path;
        int fd;                   /* the file's, or systemd's */
        struct socket_file *file; /* NULL: the socket is systemd's */
        bool started, has_event;
        struct event accept_event;
        struct exhaustion exhaustion;
};

int listener_path(const char *option, const char *key, char **ret, bool *ret_usual, const char **ret_why)
{
        const char *chosen = option != NULL ? option : key != NULL ? key : getenv("GANGER_SOCKET");
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        char *path;

        if (chosen != NULL && *chosen == 0)
                chosen = NULL;
        *ret_usual = chosen == NULL;
        if (chosen != NULL) {
                path = strdup(chosen);
        } else if (geteuid() == 0) {
                path = strdup("/run/ganger/ganger.sock");
        } else if (runtime == NULL || *runtime == 0) {
                *ret_why = "XDG_RUNTIME_DIR is not set, so there is no usual place for the socket: name one "
                           "with --socket";
                return SOCKET_IMPOSSIBLE;
        } else if (asprintf(&path, "%s/ganger/ganger.sock", runtime) < 0) {
                return -ENOMEM;
        }
        if (path == NULL)
                return -ENOMEM;
        if (strlen(path) > LIMIT_SOCKET_PATH_BYTES) {
                free(path);
                *ret_why = "the socket's path is longer than 107 bytes, which is the most that a socket's "
                           "path can be";
                return SOCKET_IMPOSSIBLE;
        }
        *ret = path;
        return 0;
}

static void listener_on_accept(evutil_socket_t unused, short events, void *arg)
{
        struct listener *l = arg;

        for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
                int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd >= 0)
                        l->config.on_accept(l->config.userdata, fd);
                else if (errno == EAGAIN || exhaustion_begins(&l->exhaustion, errno))
                        return;
        }
}

static void listener_on_exhaustion(void *userdata)
{
        struct listener *l = userdata;

        if (l->exhaustion.resting)
                event_del(&l->accept_event);
        else if (daemon_event_add(&l->accept_event) < 0)
                exhaustion_begins(&l->exhaustion, ENOMEM); /* once more after the pause */
}

void listener_wake(struct listener *l)
{
        exhaustion_end(&l->exhaustion);
}

static int listener_open(struct listener *l, struct event_base *base)
{
        int r = 0;

        if (l->config.passed_fd < 0)
                r = socket_file_new(&l->config.file, &l->file);
        if (r != 0)
                return r;
        l->fd = l->file != NULL ? socket_file_fd(l->file) : l->config.passed_fd;
        r = exhaustion_init(&l->exhaustion, base, l->fd, listener_on_exhaustion, l);
        if (r < 0)
                return r;
        if (event_assign(&l->accept_event, base, l->fd, EV_READ | EV_PERSIST, listener_on_accept, l) < 0)
                return -EINVAL;
        l->has_event = true;
        return 0;
}

int listener_new(struct event_base *base, const struct listener_config *config, struct listener **ret)
{
        struct listener *l = calloc(1, sizeof *l);
        int r;

        if (l == NULL)
                return -ENOMEM;
        l->config = *config;
        l->fd = config->passed_fd;
        l->exhaustion = (struct exhaustion)EXHAUSTION_INIT;
        l->config.file.path = l->path = strdup(config->file.path);
        r = l->path == NULL ? -ENOMEM : listener_open(l, base);
        if (r != 0) {
                listener_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct listener *listener_free(struct listener *l)
{
        if (l == NULL)
                return NULL;
        if (l->has_event)
                event_del(&l->accept_event);
        exhaustion_deinit(&l->exhaustion);
        if (l->file != NULL)
                socket_file_free(l->file);
        else if (l->fd >= 0)
                close(l->fd);
        free(l->path);
        free(l);
        return NULL;
}

int listener_start(struct listener *l)
{
        assert(!l->started);
        l->started = true;
        return daemon_event_add(&l->accept_event);
}

int listener_is_shared(const struct listener *l, uid_t own, bool *ret)
{
        struct stat st;

        if (lstat(l->path, &st) < 0)
                return -errno;
        /* To connect is to write. */
        *ret = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || st.st_uid != own;
        return 0;
}

const char *listener_address(const struct listener *l)
{
        return l->path;
}
