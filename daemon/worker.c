/* SPDX-License-Identifier: MIT */
/*
 * The life of a worker, from the spawn to its loss. It is finished when it has been reaped: then its channel
 * is read to the end, then the core is told. A process whose pid is not known is finished when its channel
 * ended and the zygote's report cannot come any more.
 */
#include "daemon/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/connection.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/message_ids.h"
#include "daemon/task_log.h"
#include "daemon/worker_private.h"
#include "proto/process_tree.h"

#define HUNG_GRACE_US 100000 /* between the end of its channel and its own */
#define HUNG_GRACES_MOST                                                                                     \
        20 /* of one that the kernel is about to end: it may wait for a processor to end on */

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

const char *worker_pool_name(const struct worker *worker)
{
        return pools_name(worker->owner->daemon->pools, worker->pool);
}

static bool is_our_child(pid_t pid)
{
        siginfo_t info;
        return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

int worker_signal(const struct worker *worker, int number)
{
        if (worker->pidfd >= 0)
                return pidfd_send_signal(worker->pidfd, number, NULL, 0);
        if (worker->pid > 0 && is_our_child(worker->pid)) /* not reaped: the number is still its own */
                return kill(worker->pid, number);
        errno = ESRCH;
        return -1;
}

void worker_doom(struct worker *worker)
{
        /* With all that its task started; what gets away comes to us as an orphan. */
        if (worker_signal(worker, SIGSTOP) == 0)
                process_tree_kill(worker->pid, NULL, NULL);
        if (worker_signal(worker, SIGKILL) < 0 && errno != ESRCH)
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.worker = worker->pid), "cannot kill: %s",
                         strerror(errno));
        worker->doomed = true;
}

void worker_bad(struct worker *worker, const char *why)
{
        struct daemon *daemon = worker->owner->daemon;

        if (worker->bad)
                return;
        worker->bad = true;
        if (worker->channel.error > 0)
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.worker = worker->pid, .pool = worker_pool_name(worker)),
                         "the worker is killed, by no fault of its own: %s: %s", why,
                         strerror(worker->channel.error));
        else
                log_with(LOG_LEVEL_ERROR,
                         LOG_FIELDS(.worker = worker->pid, .pool = worker_pool_name(worker),
                                    .message_id = MESSAGE_WORKER_BAD),
                         "the worker broke the protocol and is killed: %s", why);
        worker_doom(worker);
        core_worker_bad(daemon->core, worker->index, daemon->now);
}

void worker_forget_process(struct worker *worker)
{
        if (worker->pid > 0)
                HASH_DEL(worker->owner->by_pid, worker);
        if (worker->pidfd >= 0)
                close(worker->pidfd);
        if (worker->statm >= 0)
                close(worker->statm);
        worker->pidfd = worker->statm = -1;
}

void worker_obituary(struct workers *workers, uint32_t index, enum log_level level, uint64_t task,
                     const char *function)
{
        static struct log_limit by_level[N_LOG_LEVELS];
        struct worker *worker = worker_at(workers, index);

        assert(worker && worker->life == LIFE_OVER && !worker->mourned);
        by_level[level].burst = LOG_LIMIT_EVENTS;
        worker->mourned = true;
        char how[64];
        const char *name = sigabbrev_np(worker->end.status);
        if (worker->doomed)
                snprintf(how, sizeof(how), "was killed by gangerd");
        else if (worker->end.by_signal)
                snprintf(how, sizeof(how), "died of signal %d (SIG%s)", worker->end.status,
                         name ? name : "?");
        else
                snprintf(how, sizeof(how), "exited with status %d", worker->end.status);
        log_limited(&by_level[level], level,
                    LOG_FIELDS(.task = task, .worker = worker->pid, .pool = worker_pool_name(worker),
                               .function = function,
                               .message_id = level < LOG_LEVEL_INFO ? MESSAGE_WORKER_LOST : NULL),
                    "the worker %s after %.3f s%s", how, (double)worker->end.lived / CORE_SECOND,
                    worker->end.over_limit ? ": an allocation failed under memory_limit" : "");
}

/* The end of a life: the core is told, the rest waits for the loop's end. `exit`: NULL if it never was. */
static void finish(struct worker *worker, const struct core_exit *exit)
{
        struct workers *workers = worker->owner;

        worker->life = LIFE_OVER;
        event_del(&worker->hung_timer);
        channel_stop(&worker->channel); /* its end may be the next that the loop comes to */
        worker->end.lived = workers->daemon->now - worker->born;
        worker_forget_process(worker);
        core_worker_lost(workers->daemon->core, worker->index,
                         exit ? exit : &(struct core_exit){.status = EXIT_FAILURE}, workers->daemon->now);
        if (exit && !worker->mourned)
                worker_obituary(workers, worker->index, LOG_LEVEL_DEBUG, 0, NULL);
        assert(workers->at[worker->index] == worker);
        workers->at[worker->index] = NULL;
        TAILQ_INSERT_TAIL(&workers->graveyard, worker, dead_link);
        daemon_turn_again(workers->daemon);
}

/* -- what an event does in a state -- */

static void nothing(struct worker *worker, int value)
{
}

static void cannot_be(struct worker *worker, int value)
{
        assert(!"an event that cannot be in this state of a worker");
}

/* Mostly it is dying and its end is a moment away: what it dies of shall not be our own signal. */
static void hung(struct worker *worker, int value)
{
        const struct timeval grace = {.tv_usec = HUNG_GRACE_US};
        worker->life = LIFE_HUNG;
        worker->n_graces = 1;
        event_add(&worker->hung_timer, &grace);
}

void worker_on_hung_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct worker *worker = userdata;
        const struct timeval grace = {.tv_usec = HUNG_GRACE_US};
        daemon_update_now(worker->owner->daemon);
        workers_reap(worker->owner->daemon); /* gangerd itself may have stood still for that long */
        if (worker->life != LIFE_HUNG || worker->doomed)
                return;
        if (process_is_ending(worker->pid) && worker->n_graces++ < HUNG_GRACES_MOST)
                event_add(&worker->hung_timer, &grace);
        else
                worker_bad(worker, "it closed its channel and lives on");
}

/* The kernel named the process: from here on it can be killed and reaped. For want of a descriptor it goes
 * without a pidfd. */
static bool learn_pid(struct worker *worker, pid_t pid)
{
        struct worker *other;

        HASH_FIND(hh, worker->owner->by_pid, &pid, sizeof(pid), other);
        if (other || pid <= 0)
                return false;
        worker->pidfd = pidfd_open(pid, 0);
        if (worker->pidfd < 0 && (errno == ESRCH || errno == EINVAL))
                return false;
        worker->pid = pid;
        HASH_ADD(hh, worker->owner->by_pid, pid, sizeof(worker->pid), worker);
        if (!HASH_ADDED(worker)) {
                worker->pid = 0; /* it is nobody's, and ends as an orphan */
                if (worker->pidfd >= 0)
                        close(worker->pidfd);
                worker->pidfd = -1;
                return false;
        }
        if (worker->doomed)
                worker_doom(worker);
        return true;
}

/* Nobody can have reaped the newborn but us, and we only reap who is known: if it cannot be opened, it is
 * none. */
static void born(struct worker *worker, int pid)
{
        if (!learn_pid(worker, pid)) {
                log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = worker_pool_name(worker)),
                         "the zygote reports process %d as a worker, which it is not", pid);
                worker->life = LIFE_STRAY;
                return;
        }
        worker->life = LIFE_BORN;
}

static void born_shut(struct worker *worker, int pid)
{
        if (!learn_pid(worker, pid)) {
                finish(worker, NULL);
                return;
        }
        hung(worker, 0);
}

static void not_born(struct worker *worker, int error)
{
        log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.pool = worker_pool_name(worker)),
                 "the zygote cannot fork a worker: %s", strerror(error));
        finish(worker, NULL);
}

static void never_was(struct worker *worker, int value)
{
        finish(worker, NULL);
}

static void stray(struct worker *worker, int value)
{
        worker->life = LIFE_STRAY;
}

static void shut(struct worker *worker, int value)
{
        worker->life = LIFE_SHUT;
}

static void hello_first(struct worker *worker, int pid)
{
        if (learn_pid(worker, pid) && is_our_child(pid))
                worker->life = LIFE_UP;
        else
                worker_bad(worker, "its hello comes from no child of this daemon");
}

static void hello(struct worker *worker, int pid)
{
        if (pid == worker->pid)
                worker->life = LIFE_UP;
        else
                worker_bad(worker, "its hello comes from another process than was reported");
        if (worker->doomed && worker->pidfd < 0)
                worker_doom(worker); /* it may not have been our child yet */
}

static void hello_again(struct worker *worker, int pid)
{
        worker_bad(worker, "it says hello twice");
}

/* The word is the worker's own; where there is no such limit it means nothing. */
static bool is_over_limit(const struct worker *worker)
{
        const struct pool_configuration *pool =
                pools_configuration(worker->owner->daemon->pools, worker->pool);

        return pool && pool->memory_limit_bytes > 0 && worker->shares_area &&
               atomic_load(&worker->area->over_limit) != 0;
}

static void dead(struct worker *worker, int status)
{
        channel_read(&worker->channel, true);
        task_log_output_ends(worker);
        struct core_exit exit = {
                .by_signal = WIFSIGNALED(status),
                .status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                .over_limit = is_over_limit(worker),
                .max_rss_bytes = worker->max_rss_bytes,
        };
        worker->end.over_limit = exit.over_limit && !worker->doomed;
        worker->end.by_signal = exit.by_signal;
        worker->end.status = exit.status;
        finish(worker, &exit);
}

static void (*const life_table[N_LIVES][N_WORKER_EVENTS])(struct worker *, int value) = {
        /*             spawned, spawn failed, zygote lost, hello, hangup, reaped */
        [LIFE_ASKED] = {born, not_born, stray, hello_first, shut, cannot_be},
        [LIFE_STRAY] = {nothing, nothing, never_was, hello_first, never_was, cannot_be},
        [LIFE_SHUT] = {born_shut, not_born, never_was, cannot_be, cannot_be, cannot_be},
        [LIFE_BORN] = {nothing, nothing, nothing, hello, hung, dead},
        [LIFE_UP] = {nothing, nothing, nothing, hello_again, hung, dead},
        [LIFE_HUNG] = {nothing, nothing, nothing, cannot_be, cannot_be, dead},
        [LIFE_OVER] = {cannot_be, cannot_be, cannot_be, cannot_be, cannot_be, cannot_be},
};

void worker_on(struct worker *worker, enum worker_event event, int value)
{
        struct workers *workers = worker->owner;

        assert(life_table[worker->life][event]);
        life_table[worker->life][event](worker, value);
        if (!workers->orphans_suspected)
                return;
        workers->reap_again = true;
        daemon_turn_again(workers->daemon);
        if (!workers_expect_newborn(workers))
                workers_end_orphans(workers);
}

/* -- its channel -- */

static const char *on_message(struct channel *channel, const struct envelope *envelope)
{
        return worker_on_message(CONTAINER_OF(channel, struct worker, channel), envelope);
}

static void on_bad(struct channel *channel, const char *why)
{
        struct worker *worker = CONTAINER_OF(channel, struct worker, channel);
        worker_bad(worker, why);
        if (worker->life == LIFE_ASKED || worker->life == LIFE_STRAY)
                worker_on(worker, EVENT_HANGUP, 0);
}

static void on_end(struct channel *channel)
{
        struct worker *worker = CONTAINER_OF(channel, struct worker, channel);
        worker_on(worker, EVENT_HANGUP, 0);
}

struct connection *worker_asks_by(const struct worker *worker)
{
        struct connection *c = connection_by_index(worker->owner->daemon->connections, worker->asks_by);
        return c && c->channel == &worker->channel ? c : NULL;
}

static void on_flushed(struct channel *channel)
{
        struct connection *c = worker_asks_by(CONTAINER_OF(channel, struct worker, channel));
        if (c)
                connection_task_flushed(c);
}

/* Also when it has nothing to say: a worker that woke gangerd takes it that gangerd looks by itself now. */
static void on_woken(struct channel *channel)
{
        worker_watch(CONTAINER_OF(channel, struct worker, channel));
}

const struct channel_callbacks worker_channel_callbacks = {.on_message = on_message,
                                                           .on_bad = on_bad,
                                                           .on_end = on_end,
                                                           .on_flushed = on_flushed,
                                                           .on_woken = on_woken};
