/* SPDX-License-Identifier: MIT */
/*
 * How processes end. gangerd is a subreaper: its children are workers, zygotes, and what dead workers left
 * behind, which is killed. A newborn worker may be a child before its pid is known (the zygote's report and
 * its own hello are on their way), so nobody unknown is touched while one may exist.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/worker_private.h"
#include "daemon/zygote.h"
#include "proto/limits.h"
#include "proto/process_tree.h"

#define FLAG_EXITING 0x4 /* PF_EXITING of <linux/sched.h>, as in /proc/PID/stat */

static struct worker *by_pid(const struct workers *workers, pid_t pid)
{
        struct worker *worker;
        HASH_FIND(hh, workers->by_pid, &pid, sizeof(pid), worker);
        return worker;
}

/* Reaps this child if it is dead. */
static bool reap(struct workers *workers, pid_t pid)
{
        struct worker *worker = by_pid(workers, pid);
        struct rusage usage;
        int status;

        if (wait4(pid, &status, WNOHANG, &usage) != pid)
                return false;
        if (worker) {
                worker->max_rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
                worker_on(worker, EVENT_REAPED, status);
                workers->orphans_suspected = true;
        } else if (!zygotes_reaped(workers->daemon->zygotes, pid, status)) {
                log_debug("reaped process %d, which a dead worker left behind", pid);
                workers->orphans_suspected = true; /* it may have had children */
        }
        return true;
}

/* The dead child that waitid() names first may be a newborn, and hides the others. */
static void reap_known(struct workers *workers)
{
        for (uint32_t i = 0; i < workers->n_at; i++)
                if (workers->at[i] && workers->at[i]->pid > 0)
                        reap(workers, workers->at[i]->pid);
        zygotes_reap(workers->daemon->zygotes);
}

static bool is_no_orphan(void *userdata, pid_t pid)
{
        const struct workers *workers = userdata;
        return by_pid(workers, pid) || zygotes_is_child(workers->daemon->zygotes, pid);
}

void workers_end_orphans(struct workers *workers)
{
        assert(!workers_expect_newborn(workers));
        static struct log_limit limit = {.burst = LOG_LIMIT_EVENTS};
        workers->orphans_suspected = false;
        unsigned n = process_tree_kill(getpid(), is_no_orphan, workers);
        if (n > 0)
                log_limited(&limit, LOG_LEVEL_INFO, NULL,
                            "%u process%s that a dead worker left behind %s killed", n, n == 1 ? "" : "es",
                            n == 1 ? "is" : "are");
}

/* -- who is stopped from outside -- */

/* Of a worker that stands still no word in its area changes any more. */
static bool is_at_a_task(const struct worker *worker)
{
        if (!worker->shares_area)
                return worker->life == LIFE_UP && worker->lone_task != 0;
        for (unsigned i = 0; i < LIMIT_SLOTS; i++)
                if (slot_word_state(atomic_load(&worker->area->slots[i].word)) == SLOT_CLAIMED)
                        return true;
        return false;
}

/* One that is at a task may be continued by who stopped it, and its `timeout` holds as ever; any other would
 * only keep what it is sent, and is replaced. */
static void worker_stopped(struct worker *worker, int number)
{
        static struct log_limit limit = {.burst = LOG_LIMIT_EVENTS};
        const struct log_fields *fields = LOG_FIELDS(.worker = worker->pid, .pool = worker_pool_name(worker));

        if (worker->doomed || worker->life == LIFE_OVER)
                return;
        if (is_at_a_task(worker)) {
                log_limited(
                        &limit, LOG_LEVEL_WARNING, fields,
                        "the worker was stopped from outside (SIG%s) in the middle of a task, which stands "
                        "still until SIGCONT or its timeout",
                        sigabbrev_np(number));
                return;
        }
        log_limited(&limit, LOG_LEVEL_WARNING, fields,
                    "the worker was stopped from outside (SIG%s) and is replaced; it had no task",
                    sigabbrev_np(number));
        worker_doom(worker);
}

static void look_for_stopped(struct workers *workers)
{
        siginfo_t info = {0};

        while (waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid != 0) {
                struct worker *worker = by_pid(workers, info.si_pid);
                if (worker)
                        worker_stopped(worker, info.si_status);
                else
                        zygotes_stopped(workers->daemon->zygotes, info.si_pid);
                info.si_pid = 0;
        }
}

void workers_reap(struct daemon *daemon)
{
        struct workers *workers = daemon->workers;

        look_for_stopped(workers);
        for (;;) {
                siginfo_t info = {0};
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
                        break;
                bool known = by_pid(workers, info.si_pid) || zygotes_is_child(daemon->zygotes, info.si_pid);
                if (!known && workers_expect_newborn(workers)) {
                        workers->orphans_suspected = true;
                        reap_known(workers);
                        break;
                }
                if (!reap(workers, info.si_pid))
                        break;
        }
        if (workers->orphans_suspected && !workers_expect_newborn(workers))
                workers_end_orphans(workers);
}

bool worker_fault_is_said(const struct workers *workers, uint32_t index)
{
        const struct worker *worker = worker_at(workers, index);

        return worker && (worker->bad || workers->speaking == worker);
}

/* -- what a living one uses -- */

static bool read_proc(pid_t pid, const char *name, char *ret, size_t size_bytes)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        ssize_t n = read(fd, ret, size_bytes - 1);
        close(fd);
        if (n <= 0)
                return false;
        ret[n] = 0;
        return true;
}

bool process_rss(pid_t pid, uint64_t *ret_bytes)
{
        char text[256];
        unsigned long long pages;

        if (!read_proc(pid, "statm", text, sizeof(text)) || sscanf(text, "%*u %llu", &pages) != 1)
                return false;
        *ret_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
        return true;
}

/* The open file stands for the process: when that is gone it can be read no more, whoever has its number. */
uint64_t worker_rss_now(struct workers *workers, uint32_t index)
{
        struct worker *worker = worker_at(workers, index);
        unsigned long long pages = 0;
        char text[128], path[32];

        if (!worker || worker->pid <= 0 || worker->life == LIFE_OVER)
                return 0;
        if (worker->statm < 0) {
                snprintf(path, sizeof(path), "/proc/%d/statm", (int)worker->pid);
                worker->statm = open(path, O_RDONLY | O_CLOEXEC);
        }
        ssize_t n = worker->statm < 0 ? -1 : pread(worker->statm, text, sizeof(text) - 1, 0);
        if (n <= 0)
                return 0;
        text[n] = 0;
        const char *second = strchr(text, ' ');
        if (second)
                pages = strtoull(second, NULL, 10);
        return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool process_is_ending(pid_t pid)
{
        char text[1024];
        unsigned flags;

        if (!read_proc(pid, "stat", text, sizeof(text)))
                return false;
        const char *behind_name = strrchr(text, ')');
        return behind_name && sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
               (flags & FLAG_EXITING) != 0;
}

static bool process_cpu(pid_t pid, double *ret_s)
{
        char text[1024];
        unsigned long long user, kernel;

        if (!read_proc(pid, "stat", text, sizeof(text)))
                return false;
        const char *behind_name = strrchr(text, ')');
        if (!behind_name || sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                                   &user, &kernel) != 2)
                return false;
        *ret_s = (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
        return true;
}

pid_t worker_pid(const struct workers *workers, uint32_t index)
{
        const struct worker *worker = worker_at(workers, index);

        return worker && worker->pid > 0 ? worker->pid : 0;
}

bool worker_usage(struct workers *workers, uint32_t index, struct worker_usage *ret)
{
        struct worker *worker = worker_at(workers, index);
        int64_t now = workers->daemon->now;

        if (!worker || worker->pid <= 0 || worker->life == LIFE_OVER)
                return false;
        if (worker->usage_at == 0 || now - worker->usage_at >= CORE_SECOND) {
                if (!process_rss(worker->pid, &worker->usage.rss_bytes) ||
                    !process_cpu(worker->pid, &worker->usage.cpu_s))
                        return false;
                worker->usage_at = now;
        }
        *ret = worker->usage;
        return true;
}
