/* SPDX-License-Identifier: MIT */
/*
 * The loop. Callbacks note; the end of each turn acts, in this order: the core decides, connections and
 * workers are sent what waits for them, what was closed is freed, the one timer is set. What an act makes
 * necessary in the core (daemon_turn_again) is seen to in the next turn, which then does not sleep.
 */
#include "daemon/daemon.h"
#include "daemon/events.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/core/core.h"
#include "daemon/log.h"
#include "daemon/metrics_http.h"
#include "daemon/readiness.h"
#include "daemon/reload.h"
#include "daemon/rpc.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"

/* When nothing happened for so long, the memory that nobody uses any more is given back to the system. */
#define TRIM_AFTER (CORE_SECOND)

/* After the last task has ended clients have so long to take their last answers. */
#define LINGER (CORE_SECOND)

enum { ON_TERM, ON_INT, ON_HUP, ON_CHLD, N_SIGNALS };

struct daemon_state {
        struct event signals[N_SIGNALS];
        struct event timer;
        int64_t timer_at;     /* what the timer is set to; CORE_NEVER: it is not */
        int64_t active_at;    /* the last turn in which something happened */
        int64_t trim_at;      /* when to look whether all is quiet; CORE_NEVER: nothing happened since */
        bool again;           /* the next turn does not sleep */
        unsigned n_stops;     /* how often it was asked to stop */
        int64_t linger_until; /* once drained */
};

void daemon_update_now(struct daemon *d)
{
        struct timespec clock;

        clock_gettime(CLOCK_MONOTONIC, &clock);
        d->now = (int64_t)clock.tv_sec * CORE_SECOND + clock.tv_nsec;
}

double daemon_wall(const struct daemon *d, int64_t at)
{
        return d->wall_offset + (double)at / 1e9;
}

void daemon_turn_again(struct daemon *d)
{
        d->state->again = true;
}

void daemon_drained(struct daemon *d)
{
        if (d->drained)
                return;
        d->drained = true;
        events_end(d->events);
        d->state->linger_until = d->now + LINGER;
        daemon_turn_again(d);
}

/* The first time what runs may finish; the second time its time is up; the third time nothing is waited for.
 */
static void stop(struct daemon *d, const char *name)
{
        struct daemon_state *s = d->state;

        s->n_stops++;
        if (s->n_stops == 1) {
                log_info("%s: stopping; tasks that run have %.10g s to finish", name,
                         (double)d->config->stop_timeout / 1e9);
                d->stopping = true;
                readiness_stop(d->readiness);
                events_note_pool(d->events, EVENT_KIND_STOPPING, CORE_NO_POOL);
                reload_stop(d->reload);
                core_stop(d->core, d->now);
        } else if (s->n_stops == 2) {
                log_warning("%s again: ending what runs now", name);
                core_stop(d->core, d->now);
        } else {
                log_warning("%s once more: not waiting any longer", name);
                daemon_drained(d);
                s->linger_until = d->now;
        }
}

static void daemon_on_signal(int number, short events, void *arg)
{
        struct daemon *d = arg;

        daemon_update_now(d);
        switch (number) {
        case SIGTERM:
                stop(d, "SIGTERM");
                break;
        case SIGINT:
                stop(d, "SIGINT");
                break;
        case SIGHUP:
                log_info("SIGHUP: reading the configuration again");
                reload_on_signal(d->reload);
                break;
        case SIGCHLD:
                workers_reap(d);
                break;
        }
}

/* The loop looks at the time itself, after every turn. */
static void daemon_on_timer(int fd, short events, void *arg)
{
        struct daemon *d = arg;

        d->state->timer_at = CORE_NEVER;
}

/* Else it writes to standard error. What it warns of can be a stranger's doing. */
static void on_libevent_log(int severity, const char *message)
{
        static struct log_limit limit;

        if (severity >= EVENT_LOG_WARN)
                log_limited(&limit, LOG_LEVEL_WARNING, NULL, "libevent: %s", message);
}

int daemon_init(struct daemon *d)
{
        static const int numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
        struct event_config *config = event_config_new();

        event_set_log_callback(on_libevent_log);
        if (config != NULL) {
                event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
                event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
                d->base = event_base_new_with_config(config);
                event_config_free(config);
        }
        d->state = calloc(1, sizeof *d->state);
        if (d->base == NULL || d->state == NULL)
                return -ENOMEM;
        d->state->timer_at = d->state->trim_at = CORE_NEVER;
        event_assign(&d->state->timer, d->base, -1, 0, daemon_on_timer, d);
        for (unsigned i = 0; i < N_SIGNALS; i++) {
                event_assign(&d->state->signals[i], d->base, numbers[i], EV_SIGNAL | EV_PERSIST,
                             daemon_on_signal, d);
                if (event_add(&d->state->signals[i], NULL) < 0)
                        return -EINVAL;
        }
        return 0;
}

void daemon_deinit(struct daemon *d)
{
        if (d->base != NULL && d->state != NULL) {
                for (unsigned i = 0; i < N_SIGNALS; i++)
                        event_del(&d->state->signals[i]);
                event_del(&d->state->timer);
        }
        free(d->state);
        d->state = NULL;
        if (d->base != NULL)
                event_base_free(d->base);
        d->base = NULL;
}

static void set_timer(struct daemon *d, int64_t at)
{
        int64_t wait = at - d->now;
        struct timeval tv;

        if (at == d->state->timer_at)
                return;
        d->state->timer_at = at;
        if (at == CORE_NEVER) {
                event_del(&d->state->timer);
                return;
        }
        if (wait < 0)
                wait = 0;
        tv.tv_sec = wait / CORE_SECOND;
        tv.tv_usec = (wait % CORE_SECOND + 999) / 1000; /* not before it is due */
        if (tv.tv_usec == 1000000) {
                tv.tv_sec++;
                tv.tv_usec = 0;
        }
        event_add(&d->state->timer, &tv);
}

/* A flood leaves behind what malloc keeps for the next one. */
static void trim(struct daemon *d)
{
        struct daemon_state *s = d->state;

        if (s->trim_at > d->now) {
                s->active_at = d->now;
                if (s->trim_at == CORE_NEVER)
                        s->trim_at = d->now + TRIM_AFTER;
        } else if (s->active_at + TRIM_AFTER > d->now) {
                s->trim_at = s->active_at + TRIM_AFTER;
        } else {
                malloc_trim(0);
                s->trim_at = CORE_NEVER;
        }
}

static int64_t earlier(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static void turn(struct daemon *d)
{
        int64_t next;

        d->state->again = false;
        daemon_update_now(d);
        if (rpc_turn(d->rpc))
                d->state->again = true;
        next = core_turn(d->core, d->now);
        connections_flush(d->connections);
        workers_flush(d->workers);
        next = earlier(next, connections_expire(d->connections, d->now));
        connections_sweep(d->connections);
        workers_sweep(d->workers);
        metrics_http_sweep(d->metrics_http);
        trim(d);
        next = earlier(next, log_settle(d->now, false));
        next = earlier(next, d->state->trim_at);
        next = earlier(next, readiness_turn(d->readiness));
        next = earlier(next, systemd_turn(d->now));
        if (d->drained)
                next = earlier(next, d->state->linger_until);
        set_timer(d, next);
}

static bool is_over(const struct daemon *d)
{
        return d->drained && (d->now >= d->state->linger_until || !connections_have_output(d->connections));
}

int daemon_run(struct daemon *d)
{
        turn(d);
        while (!is_over(d)) {
                /* NONBLOCK alone would stay inside for as long as anything is ready. */
                int r = event_base_loop(d->base, EVLOOP_ONCE | (d->state->again ? EVLOOP_NONBLOCK : 0));
                if (r < 0) {
                        log_error("the event loop failed: %s", strerror(errno));
                        return EXIT_FAILURE;
                }
                turn(d);
        }
        log_info("stopped");
        return EXIT_SUCCESS;
}
