/* SPDX-License-Identifier: MIT */
/* All zygotes: found by pid, awaited, freed. Whoever is dismissed and reaped lies in the graveyard until the
 * loop's end. */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/zygote_private.h"

#define FREE_WAIT_MS 1000 /* at the end of gangerd, for a zygote to exit by itself */

int zygotes_new(struct daemon *daemon, struct zygotes **ret)
{
        struct zygotes *zygotes = calloc(1, sizeof(*zygotes));
        if (!zygotes)
                return -ENOMEM;
        zygotes->daemon = daemon;
        TAILQ_INIT(&zygotes->flush);
        TAILQ_INIT(&zygotes->all);
        TAILQ_INIT(&zygotes->graveyard);
        *ret = zygotes;
        return 0;
}

static void zygote_free(struct zygote *zygote)
{
        event_del(&zygote->timer);
        channel_deinit(&zygote->channel);
        zygote_drop_functions(zygote);
        free(zygote->name);
        free(zygote);
}

void zygotes_sweep(struct zygotes *zygotes)
{
        struct zygote *zygote;

        while ((zygote = TAILQ_FIRST(&zygotes->graveyard))) {
                TAILQ_REMOVE(&zygotes->graveyard, zygote, link);
                zygote_free(zygote);
        }
}

/* It exits when its channel closes; who does not is killed. */
static void end_process(struct zygote *zygote)
{
        int waited_ms = 0;
        while (zygote->pid > 0 && waitpid(zygote->pid, NULL, WNOHANG) == 0) {
                if (waited_ms == FREE_WAIT_MS)
                        zygote_kill_process(zygote);
                if (waited_ms++ > 2 * FREE_WAIT_MS)
                        break;
                usleep(1000);
        }
}

struct zygotes *zygotes_free(struct zygotes *zygotes)
{
        struct zygote *zygote;

        if (!zygotes)
                return NULL;
        TAILQ_FOREACH (zygote, &zygotes->all, link)
                channel_deinit(&zygote->channel);
        while ((zygote = TAILQ_FIRST(&zygotes->all))) {
                end_process(zygote);
                TAILQ_REMOVE(&zygotes->all, zygote, link);
                zygote_free(zygote);
        }
        zygotes_sweep(zygotes);
        free(zygotes);
        return NULL;
}

/* -- awaiting -- */

static int collect(const struct zygotes *zygotes, struct pollfd *polls, struct zygote **ret, bool *ret_unfit)
{
        struct zygote *zygote;
        int n = 0;

        *ret_unfit = false;
        TAILQ_FOREACH (zygote, &zygotes->all, link) {
                *ret_unfit |= zygote->unfit;
                if (zygote_progress(zygote) != ZYGOTE_LOADS || n == LIMIT_POOLS)
                        continue;
                bool waits = output_size(&zygote->channel.output) > 0; /* what it is to load is long */
                polls[n] = (struct pollfd){.fd = zygote->channel.fd,
                                           .events = waits ? POLLIN | POLLOUT : POLLIN};
                ret[n++] = zygote;
        }
        return n;
}

int zygotes_await(struct zygotes *zygotes)
{
        struct daemon *daemon = zygotes->daemon;
        int64_t deadline = daemon->now + daemon->config->start_timeout;
        struct zygote *loading[LIMIT_POOLS];
        struct pollfd polls[LIMIT_POOLS];
        bool unfit;

        for (;;) {
                zygotes_flush(zygotes);
                int n_loading = collect(zygotes, polls, loading, &unfit);
                if (n_loading == 0 || unfit)
                        return 0;
                int64_t left = deadline - daemon->now;
                int n = left <= 0 ? 0
                                  : poll(polls, (nfds_t)n_loading, (int)(left / (CORE_SECOND / 1000)) + 1);
                if (n < 0 && errno != EINTR)
                        return -errno;
                daemon_update_now(daemon);
                for (int i = 0; i < n_loading; i++) {
                        if (n == 0)
                                zygote_on_timer(-1, EV_TIMEOUT, loading[i]);
                        if (n > 0 && polls[i].revents & POLLOUT)
                                channel_flush(&loading[i]->channel);
                        if (n > 0 && polls[i].revents & ~POLLOUT)
                                channel_read(&loading[i]->channel, true);
                }
        }
}

/* -- by pid -- */

static struct zygote *by_pid(const struct zygotes *zygotes, pid_t pid)
{
        struct zygote *zygote;

        TAILQ_FOREACH (zygote, &zygotes->all, link)
                if (zygote->pid == pid)
                        return zygote;
        return NULL;
}

bool zygotes_is_child(const struct zygotes *zygotes, pid_t pid)
{
        return by_pid(zygotes, pid) != NULL;
}

bool zygotes_reaped(struct zygotes *zygotes, pid_t pid, int status)
{
        struct zygote *zygote = by_pid(zygotes, pid);
        if (zygote)
                zygote_on_reaped(zygote, status);
        return zygote != NULL;
}

void zygotes_stopped(struct zygotes *zygotes, pid_t pid)
{
        struct zygote *zygote = by_pid(zygotes, pid);
        if (zygote)
                zygote_on_stopped(zygote);
}

void zygotes_reap(struct zygotes *zygotes)
{
        struct zygote *zygote, *next;
        int status;

        for (zygote = TAILQ_FIRST(&zygotes->all); zygote; zygote = next) {
                next = TAILQ_NEXT(zygote, link);
                if (zygote->pid > 0 && waitpid(zygote->pid, &status, WNOHANG) == zygote->pid)
                        zygote_on_reaped(zygote, status);
        }
}

void zygotes_flush(struct zygotes *zygotes)
{
        channels_flush(&zygotes->flush);
}

/* -- what each brings -- */

uint64_t zygote_serial(const struct zygote *zygote)
{
        return zygote->serial;
}

uint32_t zygote_n_functions(const struct zygote *zygote)
{
        return zygote->n_functions;
}

struct pool_function *zygote_function(const struct zygote *zygote, uint32_t number)
{
        return &zygote->functions[number];
}
