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
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/core/core.h"
#include "daemon/log.h"
#include "daemon/metrics_http.h"
#include "daemon/payload.h"
#include "daemon/readiness.h"
#include "daemon/reload.h"
#include "daemon/rpc.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"

/* When nothing happened for so long, the memory that nobody uses any more is given back to the system. */
#define TRIM_AFTER (CORE_SECOND)

/* So long gangerd looks on after something happened, before it sleeps, while workers are at work. */
#define SPIN (CORE_SECOND / 20000)
/* Where it has to wait for so long until it may look again, others want the processor: not again for a while.
 */
#define YIELD_LOST (CORE_SECOND / 5000)
#define SPIN_PAUSE (CORE_SECOND / 50)
/* Seconds by which the wall clock and the other one come apart before that is believed: a clock that is
 * slewed must not give one time two names. */
#define WALL_STEP 0.01

/* After the last task has ended clients have so long to take their last answers. */
#define LINGER (CORE_SECOND)

enum { ON_TERM, ON_INT, ON_HUP, ON_CHLD, N_SIGNALS };

struct daemon_state {
        struct event signals[N_SIGNALS];
        struct event timer;
        int timer_fd;
        int64_t timer_at;     /* what the timer is set to; CORE_NEVER: it is not */
        int64_t spin_at;      /* gangerd does not look on before */
        int64_t next;         /* when the next turn is due, if nothing happens before */
        int64_t active_at;    /* the last turn in which something happened */
        int64_t trim_at;      /* when to look whether all is quiet; CORE_NEVER: nothing happened since */
        bool again;           /* the next turn does not sleep */
        unsigned n_stops;     /* how often it was asked to stop */
        int64_t linger_until; /* once drained */
};

static void look_at_clock(struct daemon *d)
{
        struct timespec clock;

        clock_gettime(CLOCK_MONOTONIC, &clock);
        d->now = (int64_t)clock.tv_sec * CORE_SECOND + clock.tv_nsec;
}

void daemon_update_now(struct daemon *d)
{
        look_at_clock(d);
        d->event_at = d->now;
}

static double wall_offset(const struct daemon *d)
{
        struct timespec clock;

        clock_gettime(CLOCK_REALTIME, &clock);
        return (double)clock.tv_sec + (double)clock.tv_nsec / 1e9 - (double)d->now / 1e9;
}

void daemon_look_at_wall(struct daemon *d)
{
        if (fabs(wall_offset(d) - d->wall_offset) <= WALL_STEP)
                return;
        look_at_clock(d); /* others may have run since the last look */
        d->wall_offset = wall_offset(d);
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
        uint64_t n;

        (void)!read(fd, &n, sizeof n);
        d->state->timer_at = CORE_NEVER;
}

/* Else it writes to standard error. What it warns of can be a stranger's doing. */
static void on_libevent_log(int severity, const char *message)
{
        static struct log_limit limit;
        int saved = errno; /* daemon_event_add() wants it */

        if (severity >= EVENT_LOG_WARN)
                log_limited(&limit, LOG_LEVEL_WARNING, NULL, "libevent: %s", message);
        errno = saved;
}

int daemon_event_add(struct event *event)
{
        errno = 0;
        if (event_add(event, NULL) == 0)
                return 0;
        return errno > 0 ? -errno : -ENOMEM;
}

int daemon_init(struct daemon *d)
{
        static const int numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
        struct event_config *config = event_config_new();
        int r;

        event_set_log_callback(on_libevent_log);
        if (config != NULL) {
                event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
                d->base = event_base_new_with_config(config);
                event_config_free(config);
        }
        d->state = calloc(1, sizeof *d->state);
        if (d->base == NULL || d->state == NULL)
                return -ENOMEM;
        d->state->timer_at = d->state->trim_at = d->state->next = CORE_NEVER;
        d->state->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (d->state->timer_fd < 0)
                return -errno;
        event_assign(&d->state->timer, d->base, d->state->timer_fd, EV_READ | EV_PERSIST, daemon_on_timer, d);
        r = daemon_event_add(&d->state->timer);
        for (unsigned i = 0; r == 0 && i < N_SIGNALS; i++) {
                event_assign(&d->state->signals[i], d->base, numbers[i], EV_SIGNAL | EV_PERSIST,
                             daemon_on_signal, d);
                r = daemon_event_add(&d->state->signals[i]);
        }
        return r;
}

void daemon_deinit(struct daemon *d)
{
        if (d->base != NULL && d->state != NULL) {
                for (unsigned i = 0; i < N_SIGNALS; i++)
                        event_del(&d->state->signals[i]);
                event_del(&d->state->timer);
                close(d->state->timer_fd);
        }
        free(d->state);
        d->state = NULL;
        if (d->base != NULL)
                event_base_free(d->base);
        d->base = NULL;
}

/* Before a sleep. libevent's own timers would cost a system call every turn, and go by milliseconds. */
static void set_timer(struct daemon *d, int64_t at)
{
        struct itimerspec when = {0};

        if (at == d->state->timer_at)
                return;
        d->state->timer_at = at;
        if (at != CORE_NEVER) {
                when.it_value.tv_sec = at / CORE_SECOND;
                when.it_value.tv_nsec = at % CORE_SECOND;
        }
        int r = timerfd_settime(d->state->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
        assert(r == 0);
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
                core_trim(d->core);
                payload_table_trim(d->payloads);
                connections_trim(d->connections);
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
        look_at_clock(d);
        daemon_look_at_wall(d);
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
        d->state->next = next;
}

static bool is_over(const struct daemon *d)
{
        return d->drained && (d->now >= d->state->linger_until || !connections_have_output(d->connections));
}

/* Who has gone on running for long in between will do so again: whoever sleeps is let in sooner than whoever
 * yields. */
static void let_others_run(struct daemon *d)
{
        int64_t before = d->now;

        sched_yield();
        look_at_clock(d);
        if (d->now - before > YIELD_LOST)
                d->state->spin_at = d->now + SPIN_PAUSE;
}

/* Whether to sleep until something comes. While workers are at what they were sent just now it costs less to
 * look on for a moment than to be woken. */
static bool may_sleep(struct daemon *d)
{
        if (d->state->again || d->state->next <= d->now)
                return false;
        if (workers_are_watched(d->workers) && d->now - d->event_at < SPIN && d->now >= d->state->spin_at) {
                let_others_run(d);
                return false;
        }
        if (!workers_unwatch(d->workers))
                return false;
        set_timer(d, d->state->next);
        return true;
}

int daemon_run(struct daemon *d)
{
        turn(d);
        while (!is_over(d)) {
                /* NONBLOCK alone would stay inside for as long as anything is ready. */
                int r = event_base_loop(d->base, EVLOOP_ONCE | (may_sleep(d) ? 0 : EVLOOP_NONBLOCK));
                if (r < 0) {
                        log_error("the event loop failed: %s", strerror(errno));
                        return EXIT_FAILURE;
                }
                workers_poll(d->workers);
                turn(d);
        }
        log_info("stopped");
        return EXIT_SUCCESS;
}
