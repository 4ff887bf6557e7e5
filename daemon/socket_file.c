/* SPDX-License-Identifier: MIT */
#include "daemon/socket_file.h"

#include <assert.h>
#include <errno.h>
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
#include "daemon/shortage.h"

#define BACKLOG 4096

struct socket_file {
        struct socket_file_config config;
        char *path;
        int fd;
        int lock_fd;
        dev_t device; /* of the file that we made */
        ino_t inode;
        bool bound; /* there is one */
};

static int impossible(const struct socket_file *s, const char *what, int error)
{
        const char *remedy = shortage_remedy(error);

        log_error("cannot listen on %s: %s: %s%s%s", s->path, what, strerror(error), remedy ? "; " : "",
                  remedy ? remedy : "");
        return remedy ? SOCKET_SHORT : SOCKET_IMPOSSIBLE;
}

static int take_lock(struct socket_file *s)
{
        pid_t pid = 0;
        int r = listener_lock(s->path, &s->lock_fd, &pid);

        if (r == LOCK_HELD && pid != 0)
                log_error("another gangerd (pid %ld) serves %s already", (long)pid, s->path);
        else if (r == LOCK_HELD)
                log_error("another gangerd serves %s already", s->path);
        else if (r < 0)
                return impossible(s, "its lock file", -r);
        return r == LOCK_HELD ? SOCKET_BUSY : 0;
}

/* What lies at the path is a dead daemon's: we hold the lock. */
static int remove_stale(const struct socket_file *s)
{
        struct stat st;

        if (lstat(s->path, &st) < 0)
                return errno == ENOENT ? 0 : impossible(s, "lstat", errno);
        if (!S_ISSOCK(st.st_mode)) {
                log_error("cannot listen on %s: there is something that is no socket", s->path);
                return SOCKET_IMPOSSIBLE;
        }
        log_info("replacing the socket %s of a gangerd that is gone", s->path);
        return unlink(s->path) < 0 ? impossible(s, "removing the old socket", errno) : 0;
}

static int make_directory(const struct socket_file *s)
{
        char directory[PATH_MAX];
        char *slash;

        snprintf(directory, sizeof directory, "%s", s->path);
        slash = strrchr(directory, '/');
        assert(slash != NULL); /* the usual path is absolute */
        *slash = 0;
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return impossible(s, directory, errno);
        return 0;
}

/* The file is born closed to everybody and gets its group and mode before anybody can connect. */
static int bind_path(struct socket_file *s)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct stat st;
        mode_t mask;
        int r;

        memcpy(address.sun_path, s->path, strlen(s->path));
        mask = umask(0777);
        r = bind(s->fd, (struct sockaddr *)&address, sizeof address);
        umask(mask);
        if (r < 0)
                return impossible(s, "bind", errno);
        if (lstat(s->path, &st) < 0)
                return impossible(s, "lstat", errno);
        s->device = st.st_dev;
        s->inode = st.st_ino;
        s->bound = true;
        if (s->config.has_group && lchown(s->path, (uid_t)-1, s->config.group) < 0)
                return impossible(s, "giving it to socket_group", errno);
        if (chmod(s->path, s->config.mode) < 0)
                return impossible(s, "socket_mode", errno);
        if (listen(s->fd, BACKLOG) < 0)
                return impossible(s, "listen", errno);
        return 0;
}

static int open_own(struct socket_file *s)
{
        int r = s->config.make_directory ? make_directory(s) : 0;

        if (r == 0)
                r = take_lock(s);
        if (r == 0)
                r = remove_stale(s);
        if (r != 0)
                return r;
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0)
                return impossible(s, "socket", errno);
        return bind_path(s);
}

int socket_file_new(const struct socket_file_config *config, struct socket_file **ret)
{
        struct socket_file *s = calloc(1, sizeof *s);
        int r;

        if (s == NULL)
                return -ENOMEM;
        s->config = *config;
        s->fd = s->lock_fd = -1;
        s->config.path = s->path = strdup(config->path);
        r = s->path == NULL ? -ENOMEM : open_own(s);
        if (r == 0)
                *ret = s;
        else
                socket_file_free(s);
        return r;
}

/* Only the file that we made: somebody may have put another there. */
static void remove_socket(const struct socket_file *s)
{
        struct stat st;

        if (s->bound && lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
                unlink(s->path);
}

struct socket_file *socket_file_free(struct socket_file *s)
{
        if (s == NULL)
                return NULL;
        remove_socket(s);
        if (s->fd >= 0)
                close(s->fd);
        if (s->lock_fd >= 0)
                listener_unlock(s->path, s->lock_fd);
        free(s->path);
        free(s);
        return NULL;
}

int socket_file_fd(const struct socket_file *s)
{
        return s->fd;
}
