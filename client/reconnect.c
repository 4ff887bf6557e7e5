/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the daemon, and sending again. The program's loop watches an epoll set, because a socket's
 * number, and what a loop registered for it, would end with the socket.
 *
 * What a connection holds (a lock, leased items) is gone with it, and nobody may go on as if it was not: such
 * a handle is not connected again. What is known of shared objects ends likewise: from then on the handle
 * refuses to ask about them.
 */
#include "client/reconnect.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "client/clock.h"
#include "client/reply.h"
#include "proto/envelope.h"

#define PAUSE_MIN_MS 10 /* between two tries to connect, doubling … */
#define PAUSE_MAX_MS 1000
#define SENDS_MAX    100 /* of one request: it may be what its daemons die of */

enum link_state { LINK_UP, LINK_WAITING, LINK_GREETING };

struct reconnect {
        int epoll_fd;
        uint32_t epoll_events; /* that the socket is watched for */
        int64_t patience_ms;   /* 0: none any more; < 0: without end */
        enum link_state state;
        /* until it is up: */
        int64_t give_up_ms;
        int64_t next_try_ms;      /* waiting */
        int64_t next_deadline_ms; /* a request's */
        int64_t pause_ms;         /* the last one; 0: this daemon has answered something */
        uint64_t n_links;         /* that were up, but the first */
        /* of the connection at hand: */
        uint64_t n_held; /* locks and leased items */
        bool used_objects;
        bool objects_are_stale; /* of one before it */
};

bool reconnect_is_waiting(const struct ganger *g)
{
        return g->reconnect != NULL && g->reconnect->state != LINK_UP;
}

bool reconnect_is_on(const struct ganger *g)
{
        return g->reconnect != NULL && g->reconnect->patience_ms != 0;
}

uint64_t reconnect_link(const struct ganger *g)
{
        return g->reconnect != NULL ? g->reconnect->n_links : 0;
}

static int64_t after_ms(int64_t now_ms, int64_t patience_ms)
{
        return patience_ms < 0 || patience_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + patience_ms;
}

/* ---- life ---- */

static int watch(struct reconnect *rc, int operation, int fd, uint32_t events)
{
        struct epoll_event event = {.events = events};

        if (epoll_ctl(rc->epoll_fd, operation, fd, &event) < 0)
                return -errno;
        rc->epoll_events = events;
        return 0;
}

struct reconnect *reconnect_free(struct reconnect *rc)
{
        if (rc == NULL)
                return NULL;
        if (rc->epoll_fd >= 0)
                close(rc->epoll_fd);
        free(rc);
        return NULL;
}

static int reconnect_new(int fd, struct reconnect **ret)
{
        struct reconnect *rc = calloc(1, sizeof *rc);
        int r;

        if (rc == NULL)
                return -ENOMEM;
        rc->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = rc->epoll_fd < 0 ? -errno : watch(rc, EPOLL_CTL_ADD, fd, EPOLLIN);
        if (r < 0) {
                reconnect_free(rc);
                return r;
        }
        *ret = rc;
        return 0;
}

int ganger_set_reconnect(struct ganger *g, int64_t patience_ms)
{
        int r = connection_check(g);

        if (r < 0)
                return r;
        if (g->path[0] == '\0')
                return -EOPNOTSUPP;
        if (g->reconnect == NULL && patience_ms == 0)
                return 0;
        if (g->reconnect == NULL)
                r = reconnect_new(g->fd, &g->reconnect);
        if (r < 0)
                return r;
        g->reconnect->patience_ms = patience_ms;
        g->reconnect->give_up_ms = after_ms(clock_ms(), patience_ms);
        return 0;
}

/* ---- the program's loop ---- */

int reconnect_fd(const struct ganger *g)
{
        return g->reconnect->epoll_fd;
}

int reconnect_events(const struct ganger *g)
{
        uint32_t events = connection_events(g) & POLLOUT ? EPOLLIN | EPOLLOUT : EPOLLIN;

        if (g->fd >= 0 && events != g->reconnect->epoll_events)
                watch(g->reconnect, EPOLL_CTL_MOD, g->fd, events);
        return POLLIN;
}

int64_t reconnect_timeout_ms(const struct ganger *g, int64_t timeout_ms)
{
        const struct reconnect *rc = g->reconnect;
        int64_t at_ms, left_ms;

        if (!reconnect_is_waiting(g))
                return timeout_ms;
        at_ms = rc->give_up_ms < rc->next_deadline_ms ? rc->give_up_ms : rc->next_deadline_ms;
        if (rc->state == LINK_WAITING && rc->next_try_ms < at_ms)
                at_ms = rc->next_try_ms;
        if (at_ms == INT64_MAX)
                return timeout_ms;
        left_ms = at_ms - clock_ms();
        left_ms = left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : left_ms;
        return timeout_ms >= 0 && timeout_ms < left_ms ? timeout_ms : left_ms;
}

/* ---- what passes ---- */

int reconnect_may_send(const struct ganger *g, enum method method)
{
        return g->reconnect->objects_are_stale && resend_of(method) == RESEND_OBJECT ? -ESTALE : 0;
}

/* What was given up is not sent again, even if the daemon never read that it was. */
static void note_given_up(struct ganger *g, const uint8_t *data, size_t size_bytes)
{
        struct envelope envelope;
        struct request *request = NULL;
        uint64_t msgid;

        if (envelope_parse(&envelope, data, size_bytes, NULL) == 0 && envelope.n_params > 0 &&
            reader_uint(&envelope.params, &msgid) == 0 && msgid <= UINT32_MAX)
                request = request_find(&g->requests, (uint32_t)msgid);
        if (request == NULL)
                return;
        request->given_up = true;
        g->reconnect->next_deadline_ms = 0; /* he is told by the next turn */
}

static int keep(struct message *m, const uint8_t *data, size_t size_bytes)
{
        struct reconnect *rc = m->g->reconnect;
        struct kept *kept;
        int r = kept_new(m->method, data, size_bytes, m->writer.fds, m->writer.n_fds, clock_ms(), &kept);

        if (r < 0)
                return r;
        m->request->kept = kept;
        if (rc->state != LINK_UP) {
                if (kept->deadline_ms < rc->next_deadline_ms)
                        rc->next_deadline_ms = kept->deadline_ms;
                return 1;
        }
        kept->n_sent = 1;
        if (kept->resend != RESEND_TASK && kept->resend != RESEND_SAME)
                m->request->kept = kept_free(kept);
        return 0;
}

int reconnect_on_message(struct message *m, const uint8_t *data, size_t size_bytes)
{
        struct reconnect *rc = m->g->reconnect;
        enum resend resend = resend_of(m->method);

        if (m->request != NULL && connection_is_hello(m->request))
                return 0;
        if (m->method == METHOD_CANCEL_REQUEST)
                note_given_up(m->g, data, size_bytes);
        if (resend == RESEND_OBJECT)
                rc->used_objects = true;
        if (m->request == NULL && rc->state == LINK_UP)
                return 0;
        if (m->request == NULL)
                return m->method == METHOD_CANCEL_REQUEST ? 1 : -ENOTCONN;
        m->request->method = m->method;
        if (rc->state == LINK_UP && resend != RESEND_TASK && resend != RESEND_SAME)
                return 0;
        return keep(m, data, size_bytes);
}

static void note_held(struct reconnect *rc, int64_t n)
{
        if (n >= 0 || (uint64_t)-n <= rc->n_held)
                rc->n_held += (uint64_t)n;
        else
                rc->n_held = 0; /* an unlinked object's was given back */
}

static bool is_refused_by_end(struct reader value)
{
        struct ganger_reply reply;

        reply_borrow(&reply, value, true);
        return ganger_code(&reply) == GANGER_SHUTTING_DOWN;
}

bool reconnect_on_answer(struct ganger *g, const struct request *request, struct reader value, bool is_error)
{
        struct reconnect *rc = g->reconnect;
        struct kept *kept = request->kept;

        if (rc == NULL || connection_is_hello(request))
                return false;
        if (!is_error)
                note_held(rc, held_by_answer(request->method, value));
        else if (reconnect_is_on(g) && kept != NULL && kept->resend == RESEND_TASK && !request->given_up &&
                 is_refused_by_end(value)) {
                kept->n_sent--; /* that was no attempt */
                return true;
        }
        rc->pause_ms = 0;
        return false;
}

/* ---- going down ---- */

/* What says that the peer is gone; all else is about this handle and would be the same again. */
static bool is_loss(int error)
{
        return error == -ECONNRESET || error == -EPIPE || error == -ESHUTDOWN;
}

/* What is left of the socket and its two streams. In a child of a fork the socket may live on: the set would
 * go on watching it. */
static void drop_socket(struct ganger *g)
{
        assert(g->fd >= 0);
        epoll_ctl(g->reconnect->epoll_fd, EPOLL_CTL_DEL, g->fd, NULL);
        close(g->fd);
        g->fd = -1;
        g->failed = g->send_error = 0;
        g->send_pause = false;
        buffer_truncate(&g->input, 0);
        connection_begin_input(g);
        fd_queue_deinit(&g->fds);
        g->fds = (struct fd_queue){0};
        output_deinit(&g->output);
        output_init(&g->output);
}

/* What whoever waits for it is to be told now; 0: it waits on. */
static int verdict(const struct request *request, int error)
{
        const struct kept *kept = request->kept;

        if (request->given_up)
                return -ECANCELED;
        if (kept == NULL)
                return resend_of(request->method) == RESEND_OBJECT ? -ESTALE : error;
        return request->streamed || kept->n_sent >= SENDS_MAX ? error : 0;
}

static void tell_by_verdict(struct ganger *g, int error)
{
        struct request *request, *next;

        for (request = TAILQ_FIRST(&g->requests.open); request != NULL; request = next) {
                int r = request->on_reply == NULL ? error : verdict(request, error);

                next = TAILQ_NEXT(request, link);
                if (r < 0)
                        connection_tell(g, request, r);
        }
}

static void pause_before_next_try(struct reconnect *rc, int64_t now_ms)
{
        uint16_t chance = 0;

        rc->pause_ms = rc->pause_ms == 0 ? PAUSE_MIN_MS : rc->pause_ms * 2;
        if (rc->pause_ms > PAUSE_MAX_MS)
                rc->pause_ms = PAUSE_MAX_MS;
        /* They who were connected together are not to come back together. */
        if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
                chance = 0;
        rc->next_try_ms = now_ms + rc->pause_ms - rc->pause_ms * chance / (2 * UINT16_MAX);
}

bool reconnect_begin(struct ganger *g)
{
        struct reconnect *rc = g->reconnect;
        int error = g->failed;
        int64_t now_ms;

        if (!reconnect_is_on(g) || rc->n_held > 0 || !is_loss(error))
                return false;
        now_ms = clock_ms();
        drop_socket(g);
        if (rc->state == LINK_UP)
                rc->give_up_ms = after_ms(now_ms, rc->patience_ms);
        if (rc->state == LINK_UP && rc->pause_ms == 0)
                rc->next_try_ms = now_ms;
        else
                pause_before_next_try(rc, now_ms);
        rc->state = LINK_WAITING;
        rc->next_deadline_ms = 0; /* the next turn finds it */
        rc->objects_are_stale = rc->objects_are_stale || rc->used_objects;
        tell_by_verdict(g, error);
        return true;
}

/* ---- coming up ---- */

static void try_to_connect(struct ganger *g, int64_t now_ms)
{
        struct reconnect *rc = g->reconnect;
        int fd, r;

        if (search_try_path(g->path, &fd) < 0) {
                pause_before_next_try(rc, now_ms);
                return;
        }
        if (watch(rc, EPOLL_CTL_ADD, fd, EPOLLIN) < 0) {
                close(fd);
                pause_before_next_try(rc, now_ms);
                return;
        }
        g->fd = fd;
        rc->state = LINK_GREETING;
        r = connection_hello(g);
        if (r < 0)
                connection_fail(g, r);
}

/* Those whose time is over, or who gave up. */
static void tell_late(struct ganger *g, int64_t now_ms)
{
        struct reconnect *rc = g->reconnect;
        struct request *request, *next;

        rc->next_deadline_ms = INT64_MAX;
        for (request = TAILQ_FIRST(&g->requests.open); request != NULL; request = next) {
                int64_t deadline_ms = request->kept != NULL ? request->kept->deadline_ms : INT64_MAX;

                next = TAILQ_NEXT(request, link);
                if (request->given_up)
                        connection_tell(g, request, -ECANCELED);
                else if (deadline_ms <= now_ms)
                        connection_tell(g, request, -ETIMEDOUT);
                else if (deadline_ms < rc->next_deadline_ms)
                        rc->next_deadline_ms = deadline_ms;
        }
}

void reconnect_turn(struct ganger *g)
{
        struct reconnect *rc = g->reconnect;
        int64_t now_ms;

        if (!reconnect_is_waiting(g))
                return;
        now_ms = clock_ms();
        if (rc->next_deadline_ms <= now_ms)
                tell_late(g, now_ms);
        if (connection_check(g) == -ECHILD)
                return; /* the set is shared with the parent */
        if (rc->give_up_ms <= now_ms)
                connection_fail(g, -ETIMEDOUT);
        else if (rc->state == LINK_WAITING && rc->next_try_ms <= now_ms)
                try_to_connect(g, now_ms);
}

/* Whoever waits for it is told if it cannot be sent. */
static void send_kept(struct ganger *g, struct request *request, int64_t now_ms)
{
        struct kept *kept = request->kept;
        struct ganger_writer w;
        size_t size_bytes = 0;
        int r;

        writer_begin(&w, &g->output.bytes);
        kept_write(kept, now_ms, &w);
        r = writer_end(&w);
        if (r == 0) {
                size_bytes = buffer_size(&g->output.bytes) - w.packer.start;
                r = size_bytes > g->max_message ? -EMSGSIZE
                                                : output_mark(&g->output, size_bytes, w.fds, w.n_fds);
                if (r < 0)
                        writer_abort(&w, r);
        }
        if (r < 0) {
                connection_tell(g, request, r);
                return;
        }
        kept->n_sent++;
        if (kept->resend != RESEND_TASK && kept->resend != RESEND_SAME)
                request->kept = kept_free(kept);
}

void reconnect_on_hello(struct ganger *g)
{
        struct request *request, *next, *last;
        int64_t now_ms;

        if (!reconnect_is_waiting(g))
                return;
        assert(g->reconnect->state == LINK_GREETING);
        now_ms = clock_ms();
        tell_late(g, now_ms);
        g->reconnect->state = LINK_UP;
        g->reconnect->n_links++;
        /* What callbacks start from here on stands behind the last one, and is sent already. */
        last = TAILQ_LAST(&g->requests.open, request_list);
        for (request = TAILQ_FIRST(&g->requests.open); request != NULL; request = next) {
                next = request != last ? TAILQ_NEXT(request, link) : NULL;
                if (request->kept != NULL)
                        send_kept(g, request, now_ms);
        }
}
