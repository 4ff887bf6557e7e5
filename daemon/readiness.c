/* SPDX-License-Identifier: MIT */
/*
 * The line is looked at once a second at the most, and only after turns of the loop: an idle gangerd sleeps.
 * What only counts changes every FIGURES_EVERY; a pool's state, and ours, at the next look.
 */
#include "daemon/readiness.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/core/core_look.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/message_ids.h"
#include "daemon/pools.h"
#include "daemon/systemd.h"
#include "proto/limits.h"

#define LOOK_EVERY    (CORE_SECOND)
#define FIGURES_EVERY (5 * CORE_SECOND)
#define STOP_MARGIN   (10 * CORE_SECOND) /* answers that clients still take; a worker that is slow to die */
#define LINE_BYTES    400

/* What the line says. Without padding: it is compared as bytes. */
struct figures {
        uint64_t running, waiting, n_pools, workers, target;
        struct figures_state {
                uint64_t unserved, degraded, paused; /* pools, by bit */
                uint64_t ready, stopping;
        } state;
};
_Static_assert(LIMIT_POOLS <= 64, "a bit for each pool");

struct readiness {
        struct daemon *daemon;
        int64_t until;     /* pools without a worker are waited for; 0: not counted yet */
        int64_t looked_at; /* at the figures */
        int64_t said_at;
        struct figures said;
        bool greeted[LIMIT_POOLS];
};

int readiness_new(struct daemon *daemon, struct readiness **ret)
{
        struct readiness *readiness = calloc(1, sizeof(*readiness));
        if (!readiness)
                return -ENOMEM;
        readiness->daemon = daemon;
        *ret = readiness;
        return 0;
}

struct readiness *readiness_free(struct readiness *readiness)
{
        free(readiness);
        return NULL;
}

void readiness_hello(struct readiness *readiness, uint32_t pool)
{
        assert(pool < pools_end(readiness->daemon->pools));
        readiness->greeted[pool] = true;
}

/* -- the line -- */

static void look(const struct readiness *readiness, struct figures *ret)
{
        const struct daemon *daemon = readiness->daemon;

        *ret = (struct figures){.state = {.ready = daemon->ready, .stopping = daemon->stopping}};
        for (uint32_t i = 0; i < pools_end(daemon->pools); i++) {
                struct core_pool_status pool;
                core_pool_status(daemon->core, i, &pool);
                ret->running += pool.running;
                ret->waiting += pool.ready + pool.delayed;
                ret->workers += pool.idle + pool.busy;
                if (!pools_configuration(daemon->pools, i))
                        continue;
                ret->n_pools++;
                ret->target += pool.target;
                if (pool.target > 0 && pool.idle + pool.busy == 0)
                        ret->state.unserved |= UINT64_C(1) << i;
                if (pool.degraded)
                        ret->state.degraded |= UINT64_C(1) << i;
                if (pool.paused)
                        ret->state.paused |= UINT64_C(1) << i;
        }
}

struct line {
        char text[LINE_BYTES];
        size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int n = vsnprintf(line->text + line->size, sizeof(line->text) - line->size, format, args);
        va_end(args);
        line->size += n > 0 ? (size_t)n : 0;
        if (line->size >= sizeof(line->text))
                line->size = sizeof(line->text) - 1;
}

static void add_pools(struct line *line, const struct readiness *readiness, const char *what, uint64_t pools)
{
        const char *before = what;

        for (uint32_t i = 0; i < LIMIT_POOLS; i++)
                if (pools >> i & 1) {
                        add(line, "%s %s", before, pools_name(readiness->daemon->pools, i));
                        before = ",";
                }
}

static void say(struct readiness *readiness, const struct figures *now)
{
        struct line line = {.size = 0};

        if (now->state.stopping)
                add(&line, "Stopping: ");
        else if (!now->state.ready)
                add(&line, "Starting: ");
        if (!now->state.stopping)
                add(&line, "%" PRIu64 " of %" PRIu64 " workers in %" PRIu64 " pool%s; ", now->workers,
                    now->target, now->n_pools, now->n_pools == 1 ? "" : "s");
        add(&line, "tasks: %" PRIu64 " running, %" PRIu64 " waiting", now->running, now->waiting);
        if (!now->state.stopping) {
                add_pools(&line, readiness, "; degraded:", now->state.degraded);
                add_pools(&line, readiness, "; without a worker:", now->state.unserved);
                add_pools(&line, readiness, "; paused:", now->state.paused);
        }
        systemd_status("%s", line.text);
        readiness->said = *now;
        readiness->said_at = readiness->daemon->now;
}

/* Returns when to look again; CORE_NEVER: after the next turn. */
static int64_t keep_current(struct readiness *readiness)
{
        struct figures now;
        int64_t due = readiness->looked_at + LOOK_EVERY;

        if (readiness->daemon->now < due)
                return due;
        readiness->looked_at = readiness->daemon->now;
        look(readiness, &now);
        if (memcmp(&now, &readiness->said, sizeof(now)) == 0)
                return CORE_NEVER;
        due = readiness->said_at + FIGURES_EVERY;
        if (memcmp(&now.state, &readiness->said.state, sizeof(now.state)) == 0 &&
            readiness->daemon->now < due)
                return due;
        say(readiness, &now);
        return CORE_NEVER;
}

static void say_now(struct readiness *readiness)
{
        struct figures now;

        look(readiness, &now);
        readiness->looked_at = readiness->daemon->now;
        say(readiness, &now);
}

/* -- ready -- */

/* A pool that lacks its first worker; CORE_NO_POOL. */
static uint32_t awaited(const struct readiness *readiness)
{
        const struct pools *pools = readiness->daemon->pools;

        for (uint32_t i = 0; i < pools_end(pools); i++)
                if (pools_configuration(pools, i) && !readiness->greeted[i])
                        return i;
        return CORE_NO_POOL;
}

static void become_ready(struct readiness *readiness)
{
        struct daemon *daemon = readiness->daemon;

        daemon->ready = true;
        say_now(readiness);
        systemd_ready();
        log_info("ready: %" PRIu64 " of %" PRIu64 " workers", readiness->said.workers,
                 readiness->said.target);
}

/* Returns until when it waits. */
static int64_t look_ready(struct readiness *readiness)
{
        struct daemon *daemon = readiness->daemon;
        uint32_t pool = awaited(readiness);

        if (readiness->until == 0)
                readiness->until = daemon->now + daemon->config->start_timeout;
        if (pool != CORE_NO_POOL && daemon->now < readiness->until)
                return readiness->until;
        if (pool != CORE_NO_POOL)
                log_with(LOG_LEVEL_ERROR,
                         LOG_FIELDS(.pool = pools_name(daemon->pools, pool),
                                    .message_id = MESSAGE_POOL_UNSERVED),
                         "no worker was ready within start_timeout; gangerd serves what it can");
        become_ready(readiness);
        return CORE_NEVER;
}

int64_t readiness_turn(struct readiness *readiness)
{
        const struct daemon *daemon = readiness->daemon;
        int64_t next = CORE_NEVER;

        if (!daemon->ready && !daemon->stopping)
                next = look_ready(readiness);
        int64_t look_at = keep_current(readiness);
        return look_at < next ? look_at : next;
}

void readiness_stop(struct readiness *readiness)
{
        const struct daemon *daemon = readiness->daemon;
        int64_t grace = 0;

        assert(daemon->stopping);
        for (uint32_t i = 0; i < pools_end(daemon->pools); i++) {
                const struct pool_configuration *pool = pools_configuration(daemon->pools, i);
                if (pool && pool->kill_grace > grace)
                        grace = pool->kill_grace;
        }
        systemd_stopping();
        systemd_extend(daemon->config->stop_timeout + grace + STOP_MARGIN);
        say_now(readiness);
}
