/* SPDX-License-Identifier: MIT */
#include "daemon/sockets.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/metrics_http.h"
#include "daemon/systemd.h"

#define METRICS_BACKLOG 64

static void on_accept(void *userdata, int fd)
{
        static struct log_limit limit;
        struct daemon *d = userdata;
        int r;

        daemon_update_now(d);
        r = connection_accept(d->connections, fd);
        if (r < 0)
                log_limited(&limit, LOG_LEVEL_ERROR, NULL, "cannot take a connection: %s", strerror(-r));
}

/* The path of a socket that systemd passed. */
static int passed_path(int fd, char **ret, const char **ret_why)
{
        struct sockaddr_un address = {0};
        socklen_t size = sizeof address;

        if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                return -errno;
        if (size <= offsetof(struct sockaddr_un, sun_path) || address.sun_path[0] != '/') {
                *ret_why = "the socket that systemd passed is not in the file system";
                return SOCKET_IMPOSSIBLE;
        }
        *ret = strndup(address.sun_path, sizeof address.sun_path);
        return *ret == NULL ? -ENOMEM : 0;
}

static int find_passed(struct systemd_sockets *ret, char why[SOCKETS_WHY_BYTES])
{
        int r = systemd_listen_fds(ret);

        switch (r) {
        case SYSTEMD_SEVERAL:
                snprintf(why, SOCKETS_WHY_BYTES,
                         "systemd passed more sockets named %.100s than gangerd listens on (one for clients, "
                         "up to %d for metrics)",
                         ret->name, LIMIT_METRICS_SOCKETS);
                break;
        case SYSTEMD_NO_SOCKET:
                snprintf(why, SOCKETS_WHY_BYTES,
                         "what systemd passed as %.100s is no listening stream socket, or not a Unix one, "
                         "which that for clients must be",
                         ret->name);
                break;
        case SYSTEMD_UNKNOWN_NAME:
                snprintf(why, SOCKETS_WHY_BYTES,
                         "systemd passed a socket named %.100s: one for metrics has "
                         "FileDescriptorName=metrics, one for clients has no FileDescriptorName",
                         ret->name);
                break;
        }
        return r > 0 ? SOCKET_IMPOSSIBLE : r;
}

int sockets_find(const char *option, const struct configuration *config, struct systemd_sockets *ret_passed,
                 bool *ret_usual, char **ret_path, char why[SOCKETS_WHY_BYTES])
{
        const char *path_why = NULL;
        int r = find_passed(ret_passed, why);

        *ret_usual = false;
        if (r == 0 && ret_passed->main_fd >= 0)
                r = passed_path(ret_passed->main_fd, ret_path, &path_why);
        else if (r == 0)
                r = listener_path(option, config->socket, ret_path, ret_usual, &path_why);
        if (path_why != NULL)
                snprintf(why, SOCKETS_WHY_BYTES, "%s", path_why);
        return r;
}

static struct socket_file_config file_config(const struct configuration *config, const char *path)
{
        return (struct socket_file_config){.path = path,
                                           .mode = config->socket_mode,
                                           .has_group = config->socket_group.said,
                                           .group = config->socket_group.gid};
}

/* -- for metrics -- */

static int open_ip(const struct config_address *address, int *ret)
{
        static const int yes = 1;
        int fd = socket(address->name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
            bind(fd, &address->name.any, address->size) == 0 && listen(fd, METRICS_BACKLOG) == 0) {
                *ret = fd;
                return 0;
        }
        int r = -errno;
        if (fd >= 0)
                close(fd);
        return r;
}

static const char *remedy(int error)
{
        switch (error) {
        case EADDRINUSE:
                return "another program listens there: name another port";
        case EADDRNOTAVAIL:
                return "this machine has no such address";
        case EACCES:
                return "ports below 1024 are for root: name a higher one";
        case EAFNOSUPPORT:
        case EPERM:
                return "where the service may not use the network, ganger-metrics.socket can pass the socket";
        default:
                return "name another address";
        }
}

static int listen_ip(struct metrics_http *http, const struct config_address *address, const char *text)
{
        int fd = -1, r = open_ip(address, &fd);

        if (r < 0) {
                log_error("[daemon] metrics = %s: %s: %s", text, strerror(-r), remedy(-r));
                return SOCKET_IMPOSSIBLE;
        }
        if (!config_address_is_local(address))
                log_warning("[daemon] metrics = %s can be read from other machines, by anybody", text);
        return metrics_http_listen(http, fd, NULL);
}

static int listen_file(struct metrics_http *http, const struct configuration *config, const char *path)
{
        const struct socket_file_config its = file_config(config, path);
        struct socket_file *file;
        int r = socket_file_new(&its, &file);

        return r == 0 ? metrics_http_listen(http, socket_file_fd(file), file) : r;
}

static int listen_as_configured(struct metrics_http *http, const struct configuration *config)
{
        const struct config_address *address = config->metrics;
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        int r;

        if (f == NULL)
                return -ENOMEM;
        config_address_print(address, f);
        if (fclose(f) != 0)
                r = -ENOMEM;
        else if (address->name.any.sa_family == AF_UNIX)
                r = listen_file(http, config, text);
        else
                r = listen_ip(http, address, text);
        if (r == 0)
                log_info("metrics can be read over HTTP on %s", text);
        free(text);
        return r;
}

/* As with the clients' socket: what systemd passes counts. */
static int open_metrics(struct daemon *d, const struct systemd_sockets *passed)
{
        int r;

        if (passed->n_metrics == 0 && config_address_is_none(d->config->metrics))
                return 0;
        r = metrics_http_new(d, &d->metrics_http);
        for (unsigned i = 0; r == 0 && i < passed->n_metrics; i++)
                r = metrics_http_listen(d->metrics_http, passed->metrics_fds[i], NULL);
        if (r != 0 || passed->n_metrics == 0)
                return r != 0 ? r : listen_as_configured(d->metrics_http, d->config);
        log_info("metrics can be read over HTTP on the socket that systemd passed%s",
                 config_address_is_none(d->config->metrics) ? "" : ", and not where the key metrics says");
        return 0;
}

int sockets_new(struct daemon *d, const char *option)
{
        struct listener_config listener = {.on_accept = on_accept, .userdata = d};
        struct systemd_sockets passed;
        bool usual;
        char *path = NULL;
        char why[SOCKETS_WHY_BYTES];
        int r = sockets_find(option, d->config, &passed, &usual, &path, why);

        if (r == SOCKET_IMPOSSIBLE)
                log_error("%s", why);
        if (r == 0) {
                listener.passed_fd = passed.main_fd;
                listener.file = file_config(d->config, path);
                listener.file.make_directory = usual;
                r = listener_new(d->base, &listener, &d->listener);
        }
        free(path);
        return r == 0 ? open_metrics(d, &passed) : r;
}
