/* SPDX-License-Identifier: MIT */
/*
 * The life of a zygote: executed, hello, loaded, ready, lost, after a pause executed again. One that is lost
 * takes no worker with it, only the spawns that it had not dealt with.
 */
#include "daemon/zygote.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/worker.h"
#include "daemon/zygote_private.h"
#include "proto/pack.h"

#define PAUSE_FIRST  (CORE_SECOND / 10)
#define PAUSE_MAX    (10 * CORE_SECOND)
#define LIVED_WELL   (10 * CORE_SECOND) /* after so long the next pause is the first one again */
#define EXIT_CONFIG  78
#define FREE_WAIT_MS 1000 /* at the end of gangerd, for a zygote to exit by itself */

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

const struct pool_configuration *zygote_pool(const struct zygote *zygote)
{
        return &zygote->owner->daemon->config->pools[zygote->pool];
}

static void timer_after(struct zygote *zygote, int64_t duration)
{
        const struct timeval tv = {.tv_sec = duration / CORE_SECOND,
                                   .tv_usec = duration % CORE_SECOND / 1000};
        event_add(&zygote->timer, &tv);
}

static void kill_process(struct zygote *zygote)
{
        if (zygote->pid > 0)
                kill(zygote->pid, SIGKILL); /* not reaped: the number is still its own */
}

/* It is of no use any more: killed, and when it is reaped another one is started. */
static void lost(struct zygote *zygote)
{
        struct zygotes *zygotes = zygote->owner;
        struct daemon *daemon = zygotes->daemon;
        bool was_ready = zygote->state == ZYGOTE_READY;

        if (zygote->state == ZYGOTE_DYING || zygote->state == ZYGOTE_ABSENT)
                return;
        zygote->state = ZYGOTE_DYING;
        event_del(&zygote->timer);
        kill_process(zygote);
        if (was_ready && daemon->now - zygote->ready_at > LIVED_WELL)
                zygote->pause = PAUSE_FIRST;
        if (!zygotes->serving)
                return;
        if (was_ready)
                core_zygote_lost(daemon->core, zygote->pool, daemon->now);
        workers_zygote_lost(daemon->workers, zygote->pool);
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
        if (zygote->refused) {
                lost(zygote);
                return NULL;
        }
        event_del(&zygote->timer);
        zygote->state = ZYGOTE_READY;
        zygote->ready_at = daemon->now;
        core_zygote_ready(daemon->core, zygote->pool, daemon->now);
        log_with(LOG_LEVEL_DEBUG, LOG_FIELDS(.pool = zygote_pool(zygote)->name),
                 "zygote %d is ready, %u functions", (int)zygote->pid, zygote->n_functions);
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
        log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = zygote_pool(zygote)->name), "zygote %d is killed: %s",
                 (int)zygote->pid, why);
        zygote->refused = true;
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
        zygote->state = ZYGOTE_ABSENT;
        timer_after(zygote, zygote->pause);
        zygote->pause = zygote->pause > PAUSE_MAX / 2 ? PAUSE_MAX : zygote->pause * 2;
}

static int start(struct zygote *zygote)
{
        struct daemon *daemon = zygote->owner->daemon;
        int fd;

        assert(zygote->state == ZYGOTE_ABSENT && zygote->pid == 0);
        int r = zygote_execute(zygote, &zygote->pid, &fd);
        if (r < 0)
                return r;
        channel_deinit(&zygote->channel);
        zygote->refused = zygote->has_heard = false;
        r = channel_init(&zygote->channel, daemon, fd, &zygote->owner->flush, &callbacks);
        if (r < 0) {
                close(fd);
                kill_process(zygote);
                zygote->state = ZYGOTE_DYING;
                return r;
        }
        zygote->state = ZYGOTE_STARTING;
        timer_after(zygote, daemon->config->start_timeout);
        return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct zygote *zygote = userdata;
        struct daemon *daemon = zygote->owner->daemon;

        daemon_update_now(daemon);
        if (zygote->state != ZYGOTE_ABSENT) {
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = zygote_pool(zygote)->name),
                         "zygote %d has not loaded within start_timeout and is killed", (int)zygote->pid);
                zygote->refused = true;
                lost(zygote);
                return;
        }
        if (daemon->stopping)
                return;
        int r = start(zygote);
        if (r < 0) {
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = zygote_pool(zygote)->name),
                         "cannot start the zygote: %s", strerror(-r));
                if (zygote->state == ZYGOTE_ABSENT)
                        pause_and_retry(zygote);
        }
}

/* -- the first start, which is waited for -- */

static bool all_ready(const struct zygotes *zygotes)
{
        for (uint32_t i = 0; i < zygotes->n; i++)
                if (zygotes->zygotes[i].state != ZYGOTE_READY)
                        return false;
        return true;
}

static const struct zygote *first_lost(const struct zygotes *zygotes)
{
        for (uint32_t i = 0; i < zygotes->n; i++)
                if (zygotes->zygotes[i].state == ZYGOTE_DYING)
                        return &zygotes->zygotes[i];
        return NULL;
}

static int not_loaded(const struct zygote *zygote)
{
        if (!zygote->refused)
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = zygote_pool(zygote)->name),
                         "zygote %d ended before it had loaded the modules", (int)zygote->pid);
        daemon_fail(zygote->owner->daemon, EXIT_CONFIG);
        return ZYGOTES_NOT_LOADED;
}

static int wait_for_all(struct zygotes *zygotes)
{
        struct daemon *daemon = zygotes->daemon;
        struct pollfd polls[LIMIT_POOLS];
        int64_t deadline = daemon->now + daemon->config->start_timeout;

        while (!all_ready(zygotes)) {
                for (uint32_t i = 0; i < zygotes->n; i++)
                        polls[i] = (struct pollfd){.fd = zygotes->zygotes[i].channel.fd, .events = POLLIN};
                int64_t left = deadline - daemon->now;
                int n = left <= 0 ? 0 : poll(polls, zygotes->n, (int)(left / (CORE_SECOND / 1000)) + 1);
                if (n < 0 && errno != EINTR)
                        return -errno;
                daemon_update_now(daemon);
                for (uint32_t i = 0; i < zygotes->n; i++) {
                        struct zygote *zygote = &zygotes->zygotes[i];
                        if (n == 0 && zygote->state != ZYGOTE_READY)
                                on_timer(-1, EV_TIMEOUT, zygote);
                        else if (n > 0 && polls[i].revents)
                                channel_read(&zygote->channel, true);
                }
                if (first_lost(zygotes))
                        return not_loaded(first_lost(zygotes));
                zygotes_flush(zygotes);
        }
        return 0;
}

int zygotes_start(struct daemon *daemon)
{
        uint32_t n = daemon->config->n_pools;
        struct zygotes *zygotes;

        assert(n <= LIMIT_POOLS && !daemon->zygotes);
        zygotes = calloc(1, sizeof(*zygotes) + n * sizeof(zygotes->zygotes[0]));
        if (!zygotes)
                return -ENOMEM;
        daemon->zygotes = zygotes;
        zygotes->daemon = daemon;
        TAILQ_INIT(&zygotes->flush);
        for (uint32_t i = 0; i < n; i++) {
                struct zygote *zygote = &zygotes->zygotes[i];
                zygote->owner = zygotes;
                zygote->pool = i;
                zygote->pause = PAUSE_FIRST;
                zygote->channel.fd = -1;
                event_assign(&zygote->timer, daemon->base, -1, 0, on_timer, zygote);
                zygotes->n++;
        }
        for (uint32_t i = 0; i < n; i++) {
                int r = start(&zygotes->zygotes[i]);
                if (r == -ENOENT || r == -EACCES || r == -ENOTDIR)
                        return daemon_fail(daemon, EXIT_CONFIG), ZYGOTES_NOT_LOADED;
                if (r < 0)
                        return r;
        }
        int r = wait_for_all(zygotes);
        if (r == 0)
                zygotes->serving = true;
        return r;
}

/* It exits when its channel closes; who does not is killed. */
static void end_process(struct zygote *zygote)
{
        int waited_ms = 0;
        while (zygote->pid > 0 && waitpid(zygote->pid, NULL, WNOHANG) == 0) {
                if (waited_ms == FREE_WAIT_MS)
                        kill_process(zygote);
                if (waited_ms++ > 2 * FREE_WAIT_MS)
                        break;
                usleep(1000);
        }
}

struct zygotes *zygotes_free(struct zygotes *zygotes)
{
        if (!zygotes)
                return NULL;
        for (uint32_t i = 0; i < zygotes->n; i++) {
                event_del(&zygotes->zygotes[i].timer);
                channel_deinit(&zygotes->zygotes[i].channel);
        }
        for (uint32_t i = 0; i < zygotes->n; i++) {
                end_process(&zygotes->zygotes[i]);
                zygote_drop_functions(&zygotes->zygotes[i]);
        }
        zygotes->daemon->zygotes = NULL;
        free(zygotes);
        return NULL;
}

/* -- its end -- */

bool zygotes_is_child(const struct zygotes *zygotes, pid_t pid)
{
        for (uint32_t i = 0; i < zygotes->n; i++)
                if (zygotes->zygotes[i].pid == pid)
                        return true;
        return false;
}

bool zygotes_reaped(struct zygotes *zygotes, pid_t pid, int status)
{
        struct zygote *zygote = NULL;

        for (uint32_t i = 0; i < zygotes->n; i++)
                if (zygotes->zygotes[i].pid == pid)
                        zygote = &zygotes->zygotes[i];
        if (!zygote)
                return false;
        channel_read(&zygote->channel, true); /* reports of spawns that it had dealt with */
        zygote->pid = 0;
        lost(zygote);
        if (!zygotes->daemon->stopping)
                log_with(LOG_LEVEL_WARNING, LOG_FIELDS(.pool = zygote_pool(zygote)->name),
                         "zygote %d ended (%s %d); another one is started in %.1f s", (int)pid,
                         WIFSIGNALED(status) ? "signal" : "status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                         (double)zygote->pause / 1e9);
        channel_deinit(&zygote->channel);
        pause_and_retry(zygote);
        return true;
}

void zygotes_stopped(struct zygotes *zygotes, pid_t pid)
{
        for (uint32_t i = 0; i < zygotes->n; i++) {
                struct zygote *zygote = &zygotes->zygotes[i];
                if (zygote->pid != pid || zygote->state == ZYGOTE_DYING)
                        continue;
                log_with(LOG_LEVEL_WARNING, LOG_FIELDS(.pool = zygote_pool(zygote)->name),
                         "zygote %d was stopped from outside and is replaced", (int)pid);
                lost(zygote);
        }
}

void zygotes_reap(struct zygotes *zygotes)
{
        for (uint32_t i = 0; i < zygotes->n; i++) {
                pid_t pid = zygotes->zygotes[i].pid;
                int status;
                if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid)
                        zygotes_reaped(zygotes, pid, status);
        }
}

/* -- spawning -- */

int zygote_spawn(struct zygotes *zygotes, uint32_t pool, uint64_t spawn_id, int channel_fd, int area_fd)
{
        struct zygote *zygote = &zygotes->zygotes[pool];
        const int fds[] = {channel_fd, area_fd};
        struct packer packer;

        assert(pool < zygotes->n);
        if (zygote->state != ZYGOTE_READY)
                return -EAGAIN;
        channel_message_begin(&zygote->channel, &packer);
        pack_notification(&packer, "spawn", 3);
        pack_uint(&packer, spawn_id);
        pack_fd(&packer);
        pack_fd(&packer);
        return channel_message_end(&zygote->channel, &packer, fds, 2);
}

void zygote_kill(struct zygotes *zygotes, uint32_t pool)
{
        assert(pool < zygotes->n);
        kill_process(&zygotes->zygotes[pool]);
}

void zygotes_flush(struct zygotes *zygotes)
{
        channels_flush(&zygotes->flush);
}

bool zygotes_hears_first(struct zygotes *zygotes, uint32_t pool)
{
        assert(pool < zygotes->n);
        bool is_first = !zygotes->zygotes[pool].has_heard;
        zygotes->zygotes[pool].has_heard = true;
        return is_first;
}

/* -- functions -- */

const struct pool_function *zygotes_function(const struct zygotes *zygotes, uint32_t pool, uint32_t number)
{
        if (pool >= zygotes->n || number >= zygotes->zygotes[pool].n_functions)
                return NULL;
        const struct function_entry *entry = &zygotes->zygotes[pool].functions[number];
        assert(entry->number == number);
        return &entry->function;
}

uint32_t zygotes_n_functions(const struct zygotes *zygotes, uint32_t pool)
{
        return pool < zygotes->n ? zygotes->zygotes[pool].n_functions : 0;
}

uint32_t zygotes_function_number(const struct zygotes *zygotes, uint32_t pool, const char *name,
                                 size_t size_bytes)
{
        struct function_entry *entry = NULL;
        if (pool < zygotes->n)
                HASH_FIND(hh, zygotes->zygotes[pool].by_name, name, size_bytes, entry);
        return entry ? entry->number : UINT32_MAX;
}
