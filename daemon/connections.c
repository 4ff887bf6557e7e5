/* SPDX-License-Identifier: MIT */
/*
 * The table of connections. Indices are small, given out lowest first and again only after the graveyard was
 * swept, so that nobody in the same turn takes a new peer for an old one.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/configuration.h"
#include "daemon/connection_private.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/rights.h"
#include "proto/errors.h"
#include "proto/pack.h"

void connections_configure(struct connections *cs)
{
        const struct configuration *config = cs->daemon->config;

        cs->rules = (struct identity_rules){.own_uid = geteuid(),
                                            .shared = cs->daemon->shared,
                                            .admin_group = config->admin_group.said,
                                            .admin_gid = config->admin_group.gid};
        cs->next_expiry = cs->daemon->now; /* deadlines may lie earlier */
}

int connections_new(struct daemon *daemon, const struct connection_callbacks *callbacks, void *userdata,
                    struct connections **ret)
{
        struct connections *cs = calloc(1, sizeof *cs);

        if (cs == NULL)
                return -ENOMEM;
        cs->daemon = daemon;
        cs->callbacks = callbacks;
        cs->userdata = userdata;
        connections_configure(cs);
        cs->next_expiry = CORE_NEVER;
        TAILQ_INIT(&cs->open);
        TAILQ_INIT(&cs->graveyard);
        TAILQ_INIT(&cs->flush);
        TAILQ_INIT(&cs->pinned);
        *ret = cs;
        return 0;
}

void connections_trim(struct connections *cs)
{
        buffer_deinit(&cs->spare);
        buffer_deinit(&cs->spare_output);
}

struct connections *connections_free(struct connections *cs)
{
        if (cs == NULL)
                return NULL;
        struct connection *c;
        while ((c = TAILQ_FIRST(&cs->open)) != NULL) {
                if (c->channel != NULL)
                        connection_task_over(c);
                else
                        connection_close(c);
        }
        connections_sweep(cs);
        assert(cs->n == 0);
        connections_trim(cs);
        free(cs->by_index);
        free(cs);
        return NULL;
}

/* The lowest free index. */
static int index_take(struct connections *cs, struct connection *c)
{
        struct connection **larger;
        uint32_t i = 0, n = cs->n_indices == 0 ? 64 : cs->n_indices * 2;

        if (cs->n == cs->n_indices) {
                larger = reallocarray(cs->by_index, n, sizeof *larger);
                if (larger == NULL)
                        return -ENOMEM;
                memset(larger + cs->n_indices, 0, (n - cs->n_indices) * sizeof *larger);
                i = cs->n_indices;
                cs->by_index = larger;
                cs->n_indices = n;
        }
        while (cs->by_index[i] != NULL)
                i++;
        cs->by_index[i] = c;
        c->index = i;
        cs->n++;
        return 0;
}

/* Tells somebody who is no connection (yet) why not, if he can be told at once. */
static void turn_away(int fd, uid_t uid, enum error_code code, const char *message,
                      const struct core_quota *quota)
{
        struct buffer b = BUFFER_INIT;
        struct packer p;

        pack_begin(&p, &b);
        pack_notification(&p, "error", 1);
        encode_error(&p, code, message, quota);
        if (pack_end(&p) == 0)
                (void)send(fd, buffer_at(&b), buffer_size(&b), MSG_NOSIGNAL | MSG_DONTWAIT);
        buffer_deinit(&b);
        closer_close_socket(fd, uid);
}

int connection_new(struct connections *cs, struct connection **ret)
{
        struct connection *c = calloc(1, sizeof *c);

        if (c == NULL || index_take(cs, c) < 0) {
                free(c);
                return -ENOMEM;
        }
        c->owner = cs;
        c->fd = -1;
        output_init(&c->output);
        TAILQ_INSERT_TAIL(&cs->open, c, link);
        *ret = c;
        return 0;
}

static int client_new(struct connections *cs, int fd, const struct identity *who, struct connection **ret)
{
        struct connection *c;
        int r = connection_new(cs, &c);

        if (r < 0)
                return r;
        c->fd = fd;
        c->uid = who->uid;
        c->gid = who->gid;
        c->pid = who->pid;
        c->admin = who->admin;
        c->fds.close_fd = closer_close;
        c->output.close_fd = closer_close;
        scan_init(&c->scan, cs->daemon->config->max_message_bytes);
        event_assign(&c->read_event, cs->daemon->base, fd, EV_READ | EV_PERSIST, connection_on_readable, c);
        event_assign(&c->write_event, cs->daemon->base, fd, EV_WRITE | EV_PERSIST, connection_on_writable, c);
        *ret = c;
        return 0;
}

int connection_accept(struct connections *cs, int fd)
{
        static struct log_limit refused_limit, full_limit;
        struct connection *c;
        struct identity who;
        int r = identity_read(fd, &cs->rules, &who);

        if (r < 0) {
                close(fd);
                return r;
        }
        if (r == IDENTITY_REFUSED) {
                log_limited(&refused_limit, LOG_LEVEL_WARNING, &(struct log_fields){.uid = &who.uid},
                            "refused pid %ld: where others may connect, gangerd's own user may not: "
                            "every task has its uid",
                            (long)who.pid);
                turn_away(
                        fd, who.uid, ERROR_NOT_PERMITTED,
                        "where others may connect, the daemon's own user is refused: every task has its uid",
                        NULL);
                return 0;
        }
        if (connections_count(cs) >= cs->daemon->config->max_connections) {
                log_limited(&full_limit, LOG_LEVEL_WARNING, &(struct log_fields){.uid = &who.uid},
                            "refused pid %ld: max_connections is reached", (long)who.pid);
                turn_away(fd, who.uid, ERROR_QUOTA_EXCEEDED,
                          "the limit max_connections is reached: the daemon takes no further connection",
                          &(struct core_quota){"max_connections", connections_count(cs),
                                               cs->daemon->config->max_connections});
                return 0;
        }
        r = client_new(cs, fd, &who, &c);
        if (r < 0) {
                turn_away(fd, who.uid, ERROR_OUT_OF_MEMORY, "the daemon has no memory for this connection",
                          NULL);
                return r;
        }
        c->announced = true;
        if (cs->callbacks->on_open(cs->userdata, c) != 0) {
                c->announced = false;
                c->closing = true;
                connection_flush_later(c);
        }
        connection_update_events(c);
        return 0;
}

struct connection *connection_by_index(struct connections *cs, uint32_t index)
{
        struct connection *c = index < cs->n_indices ? cs->by_index[index] : NULL;

        return c == NULL || c->closing || c->closed ? NULL : c;
}

uint32_t connections_count(const struct connections *cs)
{
        return cs->n - cs->n_tasks;
}

bool connections_have_output(const struct connections *cs)
{
        const struct connection *c;

        TAILQ_FOREACH (c, &cs->open, link)
                if (output_waiting(&c->output) > 0)
                        return true;
        return false;
}

void connections_sweep(struct connections *cs)
{
        struct connection *c;

        cs->turn++;
        while ((c = TAILQ_FIRST(&cs->graveyard)) != NULL) {
                assert(c->closed && cs->by_index[c->index] == c);
                TAILQ_REMOVE(&cs->graveyard, c, link);
                cs->by_index[c->index] = NULL;
                cs->n--;
                cs->n_tasks -= c->channel != NULL;
                buffer_deinit(&c->input);
                rights_unref(c->rights);
                free(c);
        }
}

void connections_expect(struct connections *cs, int64_t deadline)
{
        if (deadline < cs->next_expiry)
                cs->next_expiry = deadline;
}

static int64_t earlier(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* When it must have moved on; CORE_NEVER: nothing is expected of it. While gangerd itself does not read, an
 * unfinished message is not its sender's fault. */
static int64_t deadline_of(const struct connection *c)
{
        const struct daemon *daemon = c->owner->daemon;
        const struct configuration *config = daemon->config;
        int64_t deadline = CORE_NEVER;

        if (c->message_since != 0 && !core_connection_blocked(daemon->core, c->index))
                deadline = c->message_since + config->message_timeout;
        if (c->output_since != 0)
                deadline = earlier(deadline, c->output_since + (c->closing ? config->message_timeout
                                                                           : config->client_timeout));
        return deadline;
}

static void expire(struct connection *c, int64_t now)
{
        static struct log_limit limit;
        const struct configuration *config = c->owner->daemon->config;
        const struct log_fields fields = {.uid = &c->uid};

        if (!c->closing && c->message_since != 0 && now - c->message_since >= config->message_timeout) {
                connection_protocol_error(c, "the message did not arrive within message_timeout");
                return;
        }
        if (!c->closing)
                log_limited(&limit, LOG_LEVEL_WARNING, &fields,
                            "closing the connection of pid %ld: it took no byte for client_timeout",
                            (long)c->pid);
        connection_close(c);
}

int64_t connections_expire(struct connections *cs, int64_t now)
{
        struct connection *c, *next;

        int64_t look_at = connections_look_unread(cs, now);

        if (now < cs->next_expiry)
                return earlier(look_at, cs->next_expiry);
        cs->next_expiry = CORE_NEVER;
        for (c = TAILQ_FIRST(&cs->open); c != NULL; c = next) {
                next = TAILQ_NEXT(c, link);
                if (deadline_of(c) <= now)
                        expire(c, now);
                if (!c->closed)
                        connections_expect(cs, deadline_of(c));
        }
        /* One look at all of them a second is enough, whatever they do. */
        if (cs->next_expiry < now + CORE_SECOND)
                cs->next_expiry = now + CORE_SECOND;
        return earlier(look_at, cs->next_expiry);
}
