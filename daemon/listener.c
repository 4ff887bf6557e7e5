/* SPDX-License-Identifier: MIT */
/*
 * The listener. What it does when descriptors run out is the point of it: an enabled listener that cannot
 * accept is called again and again by the loop, at the cost of a CPU.
 */
#include "daemon/listener.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/listener_lock.h"
#include "daemon/log.h"
#include "daemon/message_ids.h"
#include "proto/limits.h"

#define ACCEPTS_A_TURN 64
#define BACKLOG        4096
#define REST_MS        100

struct listener {
        struct listener_config config;
        char *path;
        int fd;
        int lock_fd;    /* -1: the socket is systemd's */
        int reserve_fd; /* -1: used up */
        dev_t device;   /* of the socket file that we made */
        ino_t inode;
        bool bound; /* there is one */
        bool started, resting;
        struct event accept_event, rest_event;
        bool has_events;
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
                return LISTENER_IMPOSSIBLE;
        } else if (asprintf(&path, "%s/ganger/ganger.sock", runtime) < 0) {
                return -ENOMEM;
        }
        if (path == NULL)
                return -ENOMEM;
        if (strlen(path) > LIMIT_SOCKET_PATH_BYTES) {
                free(path);
                *ret_why = "the socket's path is longer than 107 bytes, which is the most that a socket's "
                           "path can be";
                return LISTENER_IMPOSSIBLE;
        }
        *ret = path;
        return 0;
}

static int impossible(const struct listener *l, const char *what, int error)
{
        log_error("cannot listen on %s: %s: %s", l->path, what, strerror(error));
        return LISTENER_IMPOSSIBLE;
}

static int take_lock(struct listener *l)
{
        pid_t pid = 0;
        int r = listener_lock(l->path, &l->lock_fd, &pid);

        if (r == LOCK_HELD && pid != 0)
                log_error("another gangerd (pid %ld) serves %s already", (long)pid, l->path);
        else if (r == LOCK_HELD)
                log_error("another gangerd serves %s already", l->path);
        else if (r < 0)
                return impossible(l, "its lock file", -r);
        return r == LOCK_HELD ? LISTENER_BUSY : 0;
}

/* What lies at the path is a dead daemon's: we hold the lock. */
static int remove_stale(const struct listener *l)
{
        struct stat st;

        if (lstat(l->path, &st) < 0)
                return errno == ENOENT ? 0 : impossible(l, "lstat", errno);
        if (!S_ISSOCK(st.st_mode)) {
                log_error("cannot listen on %s: there is something that is no socket", l->path);
                return LISTENER_IMPOSSIBLE;
        }
        log_info("replacing the socket %s of a gangerd that is gone", l->path);
        return unlink(l->path) < 0 ? impossible(l, "removing the old socket", errno) : 0;
}

static int make_directory(const struct listener *l)
{
        char directory[PATH_MAX];
        char *slash;

        snprintf(directory, sizeof directory, "%s", l->path);
        slash = strrchr(directory, '/');
        assert(slash != NULL); /* the usual path is absolute */
        *slash = 0;
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return impossible(l, directory, errno);
        return 0;
}

/* The file is born closed to everybody and gets its group and mode before anybody can connect. */
static int bind_path(struct listener *l)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct stat st;
        mode_t mask;
        int r;

        memcpy(address.sun_path, l->path, strlen(l->path));
        mask = umask(0777);
        r = bind(l->fd, (struct sockaddr *)&address, sizeof address);
        umask(mask);
        if (r < 0)
                return impossible(l, "bind", errno);
        if (lstat(l->path, &st) < 0)
                return impossible(l, "lstat", errno);
        l->device = st.st_dev;
        l->inode = st.st_ino;
        l->bound = true;
        if (l->config.has_group && lchown(l->path, (uid_t)-1, l->config.group) < 0)
                return impossible(l, "giving it to socket_group", errno);
        if (chmod(l->path, l->config.mode) < 0)
                return impossible(l, "socket_mode", errno);
        if (listen(l->fd, BACKLOG) < 0)
                return impossible(l, "listen", errno);
        return 0;
}

static int open_own(struct listener *l)
{
        int r = l->config.make_directory ? make_directory(l) : 0;

        if (r == 0)
                r = take_lock(l);
        if (r == 0)
                r = remove_stale(l);
        if (r != 0)
                return r;
        l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (l->fd < 0)
                return -errno;
        return bind_path(l);
}

static void rest(struct listener *l)
{
        static struct log_limit limit;
        static const struct timeval pause = {.tv_usec = REST_MS * 1000};

        log_limited(&limit, LOG_LEVEL_WARNING, LOG_FIELDS(.message_id = MESSAGE_NO_DESCRIPTORS),
                    "no descriptors are left for new connections; callers are turned away");
        l->resting = true;
        event_del(&l->accept_event);
        event_add(&l->rest_event, &pause);
}

/* With the reserve one caller can be told so at least: he sees his connection close. */
static void turn_away(struct listener *l)
{
        int fd;

        if (l->reserve_fd < 0)
                return;
        close(l->reserve_fd);
        fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
                close(fd);
        l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listener_on_accept(evutil_socket_t unused, short events, void *arg)
{
        struct listener *l = arg;

        for (unsigned i = 0; i < ACCEPTS_A_TURN && !l->resting; i++) {
                int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd >= 0) {
                        l->config.on_accept(l->config.userdata, fd);
                        continue;
                }
                switch (errno) {
                case EAGAIN:
                        return;
                case EMFILE:
                case ENFILE:
                case ENOBUFS:
                case ENOMEM:
                        turn_away(l);
                        rest(l);
                        return;
                default:
                        /* That caller's trouble (ECONNABORTED), not ours: on to the next. */
                        break;
                }
        }
}

void listener_wake(struct listener *l)
{
        if (!l->resting)
                return;
        l->resting = false;
        event_del(&l->rest_event);
        if (l->reserve_fd < 0)
                l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        event_add(&l->accept_event, NULL);
}

static void listener_on_rested(evutil_socket_t unused, short events, void *arg)
{
        listener_wake(arg);
}

static int listener_open(struct listener *l, struct event_base *base)
{
        int r = 0;

        if (l->config.passed_fd >= 0)
                l->fd = l->config.passed_fd;
        else
                r = open_own(l);
        if (r != 0)
                return r;
        l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (l->reserve_fd < 0)
                return -errno;
        if (event_assign(&l->accept_event, base, l->fd, EV_READ | EV_PERSIST, listener_on_accept, l) < 0 ||
            event_assign(&l->rest_event, base, -1, 0, listener_on_rested, l) < 0)
                return -EINVAL;
        l->has_events = true;
        return 0;
}

int listener_new(struct event_base *base, const struct listener_config *config, struct listener **ret)
{
        struct listener *l = calloc(1, sizeof *l);
        int r;

        if (l == NULL)
                return -ENOMEM;
        l->config = *config;
        l->fd = l->lock_fd = l->reserve_fd = -1;
        l->config.path = l->path = strdup(config->path);
        r = l->path == NULL ? -ENOMEM : listener_open(l, base);
        if (r != 0) {
                listener_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

/* Only the file that we made: somebody may have put another there. */
static void remove_socket(const struct listener *l)
{
        struct stat st;

        if (l->bound && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
                unlink(l->path);
}

struct listener *listener_free(struct listener *l)
{
        if (l == NULL)
                return NULL;
        if (l->has_events) {
                event_del(&l->accept_event);
                event_del(&l->rest_event);
        }
        if (l->reserve_fd >= 0)
                close(l->reserve_fd);
        remove_socket(l);
        if (l->fd >= 0)
                close(l->fd);
        if (l->lock_fd >= 0)
                listener_unlock(l->path, l->lock_fd);
        free(l->path);
        free(l);
        return NULL;
}

void listener_start(struct listener *l)
{
        assert(!l->started);
        l->started = true;
        event_add(&l->accept_event, NULL);
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
