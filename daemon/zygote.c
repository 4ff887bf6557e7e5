/* SPDX-License-Identifier: MIT */
/*
 * The life of a zygote: executed, hello, loaded, ready, lost; one that serves is executed again after a
 * pause, one that was dismissed is buried. None that is lost takes a worker with it, only the spawns that it
 * had not dealt with.
 */
#include "daemon/zygote.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/shortage.h"
#include "daemon/worker.h"
#include "daemon/zygote_private.h"
#include "proto/pack.h"

#define PAUSE_FIRST (CORE_SECOND / 10)
#define PAUSE_MAX   (10 * CORE_SECOND)
#define LIVED_WELL  (10 * CORE_SECOND) /* after so long the next pause is the first one again */
#define STOP_TIME   CORE_SECOND        /* that one has to fork what it was asked for, and exit */

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void timer_after(struct zygote *zygote, int64_t duration)
{
        const struct timeval tv = {.tv_sec = duration / CORE_SECOND,
                                   .tv_usec = duration % CORE_SECOND / 1000};
        event_add(&zygote->timer, &tv);
}

void zygote_kill_process(struct zygote *zygote)
{
        if (zygote->pid > 0)
                kill(zygote->pid, SIGKILL); /* not reaped: the number is still its own */
}

void zygote_fail(struct zygote *zygote, int error, const char *format, ...)
{
        const char *remedy = shortage_remedy(error);
        va_list args;

        if (zygote->unfit)
                return;
        zygote->unfit = true;
        zygote->is_short = remedy != NULL;
        va_start(args, format);
        vsnprintf(zygote->why, sizeof(zygote->why), format, args);
        va_end(args);
        size_t n = strlen(zygote->why);
        if (error != 0)
                snprintf(zygote->why + n, sizeof(zygote->why) - n, ": %s%s%s", strerror(error),
                         remedy ? "; " : "", remedy ? remedy : "");
        if (zygote->role == ROLE_SERVING)
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = zygote->name), "%s", zygote->why);
}

static void tell_news(struct zygote *zygote)
{
        if (zygote->role == ROLE_CANDIDATE && zygote->on_news)
                zygote->on_news(zygote->userdata);
}

/* It is of no use any more: killed, and what is to follow follows when it is reaped. */
static void lost(struct zygote *zygote)
{
        struct daemon *daemon = zygote->owner->daemon;
        bool was_ready = zygote->state == ZYGOTE_READY;

        if (zygote->state == ZYGOTE_DYING || zygote->state == ZYGOTE_ABSENT)
                return;
        zygote->state = ZYGOTE_DYING;
        event_del(&zygote->timer);
        zygote_kill_process(zygote);
        if (was_ready && daemon->now - zygote->ready_at > LIVED_WELL)
                zygote->pause = PAUSE_FIRST;
        if (was_ready && zygote->role == ROLE_SERVING)
                core_zygote_lost(daemon->core, zygote->pool, daemon->now);
        workers_zygote_lost(daemon->workers, zygote->serial);
        if (zygote->role == ROLE_CANDIDATE)
                zygote_fail(zygote, 0, "zygote %d ended before %s", (int)zygote->pid,
                            was_ready ? "it was to serve" : "it had loaded the modules");
        tell_news(zygote);
        daemon_turn_again(daemon);
}

/* -- what it says -- */

static bool is(const char *expected, const struct envelope *envelope)
{
        return strlen(expected) == envelope->method_size_bytes &&
               memcmp(expected, envelope->method, envelope->method_size_bytes) == 0;
}

static const char *on_hello(struct zygote *zygote, struct reader reader)
{
        const char *key;
        size_t size_bytes;
        uint64_t protocol = 0;
        uint32_t n;

        if (zygote->state != ZYGOTE_STARTING || reader_map(&reader, &n) < 0)
                return "its hello is none";
        for (; n > 0; n--) {
                int r = reader_str(&reader, &key, &size_bytes);
                if (r == 0 && size_bytes == strlen("protocol") && memcmp(key, "protocol", size_bytes) == 0)
                        r = reader_uint(&reader, &protocol);
                else if (r == 0)
                        r = reader_skip(&reader, NULL, NULL, NULL);
                if (r < 0)
                        return "its hello is none";
        }
        if (protocol != ZYGOTE_PROTOCOL_VERSION)
                return "it speaks another version of the protocol: gangerd must be restarted";
        zygote->state = ZYGOTE_LOADING;
        return zygote_send_load(zygote) < 0 ? "there is no memory to tell it what to load" : NULL;
}

static const char *on_loaded(struct zygote *zygote, const struct envelope *envelope)
{
        struct daemon *daemon = zygote->owner->daemon;

        if (zygote->state != ZYGOTE_LOADING || envelope->msgid != 0)
                return "it answers what was not asked";
        const char *why = zygote_take_loaded(zygote, envelope);
        if (why)
                return why;
        if (zygote->unfit) {
                lost(zygote);
                return NULL;
        }
        event_del(&zygote->timer);
        zygote->state = ZYGOTE_READY;
        zygote->ready_at = daemon->now;
        zygote->n_failures = 0;
        log_with(LOG_LEVEL_DEBUG, LOG_FIELDS(.pool = zygote->name), "zygote %d is ready, %u functions",
                 (int)zygote->pid, zygote->n_functions);
        if (zygote->role == ROLE_SERVING)
                core_zygote_ready(daemon->core, zygote->pool, daemon->now);
        tell_news(zygote);
        return NULL;
}

static const char *on_spawn_news(struct zygote *zygote, const struct envelope *envelope)
{
        struct workers *workers = zygote->owner->daemon->workers;
        struct reader reader = envelope->params;
        uint64_t id, value;

        if (envelope->n_params != 2 || reader_uint(&reader, &id) < 0 || reader_uint(&reader, &value) < 0 ||
            value > INT32_MAX)
                return "its news of a spawn makes no sense";
        if (is("spawned", envelope))
                workers_spawned(workers, id, (pid_t)value);
        else
                workers_spawn_failed(workers, id, (int)value);
        return NULL;
}

static const char *on_message(struct channel *channel, const struct envelope *envelope)
{
        struct zygote *zygote = CONTAINER_OF(channel, struct zygote, channel);

        if (envelope->type == ENVELOPE_RESPONSE)
                return on_loaded(zygote, envelope);
        if (envelope->type == ENVELOPE_NOTIFICATION) {
                if (is("hello", envelope) && envelope->n_params == 1)
                        return on_hello(zygote, envelope->params);
                if (is("spawned", envelope) || is("spawn_failed", envelope))
                        return on_spawn_news(zygote, envelope);
        }
        return "it sends a message that there is not";
}

static void on_bad(struct channel *channel, const char *why)
{
        struct zygote *zygote = CONTAINER_OF(channel, struct zygote, channel);
        zygote_fail(zygote, channel->error, "zygote %d is killed: %s", (int)zygote->pid, why);
        lost(zygote);
}

static void on_end(struct channel *channel)
{
        lost(CONTAINER_OF(channel, struct zygote, channel));
}

static const struct channel_callbacks callbacks = {
        .on_message = on_message, .on_bad = on_bad, .on_end = on_end};

/* -- starting -- */

static void pause_and_retry(struct zygote *zygote)
{
        struct daemon *daemon = zygote->owner->daemon;

        zygote->state = ZYGOTE_ABSENT;
        timer_after(zygote, zygote->pause);
        /* The first one was that of a zygote that served. */
        if (zygote->n_failures++ > 0)
                core_zygote_failed(daemon->core, zygote->pool, daemon->now);
        zygote->pause = zygote->pause > PAUSE_MAX / 2 ? PAUSE_MAX : zygote->pause * 2;
}

/* If it cannot be, zygote_fail() was told why. */
static void start(struct zygote *zygote)
{
        struct daemon *daemon = zygote->owner->daemon;
        int fd;

        assert(zygote->state == ZYGOTE_ABSENT && zygote->pid == 0);
        zygote->unfit = zygote->is_short = false;
        int r = zygote_execute(zygote, &zygote->pid, &fd);
        if (r < 0)
                zygote_fail(zygote, -r, "cannot start the zygote");
        if (r != 0)
                return;
        channel_deinit(&zygote->channel);
        zygote->has_heard = false;
        r = channel_init(&zygote->channel, daemon, fd, &zygote->owner->flush, &callbacks);
        if (r < 0) {
                close(fd);
                zygote_kill_process(zygote);
                zygote_fail(zygote, -r, "cannot start the zygote");
                zygote->state = ZYGOTE_DYING;
                return;
        }
        zygote->state = ZYGOTE_STARTING;
        timer_after(zygote, zygote->configuration->start_timeout);
}

void zygote_on_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct zygote *zygote = userdata;
        struct daemon *daemon = zygote->owner->daemon;

        daemon_update_now(daemon);
        switch (zygote->state) {
        case ZYGOTE_ABSENT:
                if (daemon->stopping)
                        return;
                start(zygote);
                if (zygote->state == ZYGOTE_ABSENT)
                        pause_and_retry(zygote);
                return;
        case ZYGOTE_STARTING:
        case ZYGOTE_LOADING:
                zygote_fail(zygote, 0, "zygote %d has not loaded within start_timeout and is killed",
                            (int)zygote->pid);
                lost(zygote);
                return;
        case ZYGOTE_STOPPING:
                lost(zygote);
                return;
        case ZYGOTE_READY:
        case ZYGOTE_DYING:
                return;
        }
}

int zygote_new(struct zygotes *zygotes, const struct configuration *configuration,
               const struct pool_configuration *pool_configuration, void (*on_news)(void *userdata),
               void *userdata, struct zygote **ret)
{
        struct zygote *zygote = calloc(1, sizeof(*zygote));
        if (!zygote)
                return -ENOMEM;
        zygote->name = strdup(pool_configuration->name);
        if (!zygote->name) {
                free(zygote);
                return -ENOMEM;
        }
        zygote->owner = zygotes;
        zygote->serial = ++zygotes->last_serial;
        zygote->configuration = configuration;
        zygote->pool_configuration = pool_configuration;
        zygote->pool = CORE_NO_POOL;
        zygote->on_news = on_news;
        zygote->userdata = userdata;
        zygote->pause = PAUSE_FIRST;
        zygote->channel.fd = -1;
        event_assign(&zygote->timer, zygotes->daemon->base, -1, 0, zygote_on_timer, zygote);
        TAILQ_INSERT_TAIL(&zygotes->all, zygote, link);
        start(zygote);
        *ret = zygote;
        return 0;
}

enum zygote_progress zygote_progress(const struct zygote *zygote)
{
        if (zygote->unfit)
                return ZYGOTE_UNFIT;
        return zygote->state == ZYGOTE_READY ? ZYGOTE_LOADED : ZYGOTE_LOADS;
}

bool zygote_is_short(const struct zygote *zygote)
{
        return zygote->is_short;
}

const char *zygote_why(const struct zygote *zygote)
{
        return zygote->why;
}

/* -- serving -- */

void zygote_serve(struct zygote *zygote, uint32_t pool)
{
        struct daemon *daemon = zygote->owner->daemon;

        assert(zygote->role == ROLE_CANDIDATE && zygote->state == ZYGOTE_READY);
        zygote->role = ROLE_SERVING;
        zygote->pool = pool;
        core_zygote_ready(daemon->core, pool, daemon->now);
}

int zygote_spawn(struct zygote *zygote, uint64_t spawn_id, int channel_fd, int area_fd)
{
        const int fds[] = {channel_fd, area_fd};
        struct packer packer;

        if (zygote->state != ZYGOTE_READY)
                return -EAGAIN;
        channel_message_begin(&zygote->channel, &packer);
        pack_notification(&packer, "spawn", 3);
        pack_uint(&packer, spawn_id);
        pack_fd(&packer);
        pack_fd(&packer);
        return channel_message_end(&zygote->channel, &packer, fds, 2);
}

void zygote_kill(struct zygote *zygote)
{
        zygote_kill_process(zygote);
}

/* -- its end -- */

static void bury(struct zygote *zygote)
{
        event_del(&zygote->timer);
        TAILQ_REMOVE(&zygote->owner->all, zygote, link);
        TAILQ_INSERT_TAIL(&zygote->owner->graveyard, zygote, link);
}

bool zygote_hears_first(struct zygote *zygote)
{
        bool is_first = !zygote->has_heard;
        zygote->has_heard = true;
        return is_first;
}

static void stop(struct zygote *zygote)
{
        struct packer packer;

        channel_message_begin(&zygote->channel, &packer);
        pack_notification(&packer, "stop", 0);
        if (channel_message_end(&zygote->channel, &packer, NULL, 0) < 0)
                return lost(zygote);
        zygote->state = ZYGOTE_STOPPING;
        timer_after(zygote, STOP_TIME);
}

void zygote_dismiss(struct zygote *zygote)
{
        bool serves = zygote->role == ROLE_SERVING;

        assert(zygote->role != ROLE_FORMER);
        zygote->role = ROLE_FORMER;
        zygote->configuration = NULL;
        zygote->pool_configuration = NULL;
        if (zygote->state == ZYGOTE_ABSENT)
                bury(zygote);
        else if (zygote->state == ZYGOTE_READY && serves)
                stop(zygote);
        else
                lost(zygote);
}

void zygote_on_reaped(struct zygote *zygote, int status)
{
        int pid = (int)zygote->pid;

        channel_read(&zygote->channel, true); /* reports of spawns that it had dealt with */
        zygote->pid = 0;
        lost(zygote);
        channel_deinit(&zygote->channel);
        zygote->state = ZYGOTE_ABSENT;
        if (zygote->role == ROLE_FORMER)
                bury(zygote);
        if (zygote->role != ROLE_SERVING)
                return;
        if (!zygote->owner->daemon->stopping)
                log_with(LOG_LEVEL_WARNING, LOG_FIELDS(.pool = zygote->name),
                         "zygote %d ended (%s %d); another one is started in %.1f s", pid,
                         WIFSIGNALED(status) ? "signal" : "status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                         (double)zygote->pause / 1e9);
        pause_and_retry(zygote);
}

void zygote_on_stopped(struct zygote *zygote)
{
        if (zygote->state == ZYGOTE_DYING)
                return;
        if (zygote->role == ROLE_SERVING)
                log_with(LOG_LEVEL_WARNING, LOG_FIELDS(.pool = zygote->name),
                         "zygote %d was stopped from outside and is replaced", (int)zygote->pid);
        lost(zygote);
}
