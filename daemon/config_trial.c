/* SPDX-License-Identifier: MIT */
#include "daemon/config_trial.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/config_cpus.h"
#include "daemon/configuration.h"

enum { LIST_BYTES = 256 };

struct trial {
        const struct pool_configuration *pool;
        char *why;
        size_t why_bytes;
        bool passed;
};

static void list(const struct config_cpus *cpus, char ret[LIST_BYTES])
{
        FILE *f = fmemopen(ret, LIST_BYTES, "w");

        ret[0] = 0;
        if (f == NULL)
                return;
        config_cpus_print(cpus, f);
        fclose(f);
        ret[LIST_BYTES - 1] = 0;
}

/* The kernel leaves out of a set what there is not, or what is not ours, and complains only if nothing is
 * left. */
static bool try_cpus(const struct trial *trial)
{
        const struct config_cpus *wanted = trial->pool->cpu_affinity;
        struct config_cpus there = {0}, missing = {0};
        char missing_text[LIST_BYTES], there_text[LIST_BYTES];

        memset(there.set, 0xff, sizeof there.set);
        if (sched_setaffinity(0, sizeof there.set, there.set) < 0 ||
            sched_getaffinity(0, sizeof there.set, there.set) < 0) {
                snprintf(trial->why, trial->why_bytes, "cpu_affinity cannot be set: %s", strerror(errno));
                return false;
        }
        for (uint32_t cpu = 0; cpu < LIMIT_CPUS; cpu++)
                if (config_cpus_has(wanted, cpu) && !config_cpus_has(&there, cpu))
                        CPU_SET_S(cpu, sizeof missing.set, missing.set);
        if (config_cpus_count(&missing) == 0)
                return true;
        list(&missing, missing_text);
        list(&there, there_text);
        snprintf(trial->why, trial->why_bytes,
                 "cpu_affinity names CPU %s, which gangerd cannot use; it can use %s", missing_text,
                 there_text);
        return false;
}

static bool try_nice(const struct trial *trial)
{
        if (setpriority(PRIO_PROCESS, 0, trial->pool->nice) == 0)
                return true;
        snprintf(trial->why, trial->why_bytes, "nice = %d: %s", trial->pool->nice, strerror(errno));
        return false;
}

static bool try_scheduling(const struct trial *trial)
{
        const struct sched_param none = {0};
        enum config_scheduling scheduling = trial->pool->scheduling;

        if (sched_setscheduler(0, config_scheduling_policy(scheduling), &none) == 0)
                return true;
        snprintf(trial->why, trial->why_bytes, "scheduling = %s: %s", config_scheduling_name(scheduling),
                 strerror(errno));
        return false;
}

static void *run(void *userdata)
{
        struct trial *trial = userdata;

        if (!trial->pool->cpu_affinity->all)
                trial->passed = try_cpus(trial);
        if (trial->passed && trial->pool->nice_said)
                trial->passed = try_nice(trial);
        if (trial->passed && trial->pool->scheduling != CONFIG_SCHEDULING_UNSAID)
                trial->passed = try_scheduling(trial);
        return NULL;
}

bool config_trial(const struct pool_configuration *pool, char *why, size_t why_bytes)
{
        struct trial trial = {.pool = pool, .why = why, .why_bytes = why_bytes, .passed = true};
        sigset_t every, before;
        pthread_t thread;

        if (pool->cpu_affinity->all && !pool->nice_said && pool->scheduling == CONFIG_SCHEDULING_UNSAID)
                return true; /* a reload need not wait until a thread has had its turn */
        sigfillset(&every);
        pthread_sigmask(SIG_SETMASK, &every, &before); /* they are for the thread that waits for them */
        if (pthread_create(&thread, NULL, run, &trial) == 0)
                pthread_join(thread, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return trial.passed;
}
