/* SPDX-License-Identifier: MIT */
/*
 * What the configuration leaves to the circumstances, what it holds when it is printed, and its end. A CPU
 * that a worker may use is one that the affinity mask names; where a cgroup grants less time than that, the
 * quota decides.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/config_table.h"
#include "daemon/config_trial.h"
#include "daemon/configuration.h"
#include "daemon/message_ids.h"
#include "proto/limits.h"

/* Descriptors of gangerd's own, beside those of connections and workers: listeners, loop, log, reserves, and
 * LIMIT_METRICS_READERS. */
#define DESCRIPTORS_OWN 64

/* CPUs of the affinity mask, however many the kernel knows. */
static unsigned affinity_cpus(void)
{
        for (unsigned n = 1024; n <= 1u << 20; n *= 2) {
                cpu_set_t *set = CPU_ALLOC(n);
                size_t size = CPU_ALLOC_SIZE(n);
                if (set == NULL)
                        return 1;
                int r = sched_getaffinity(0, size, set);
                unsigned count = r == 0 ? (unsigned)CPU_COUNT_S(size, set) : 0;
                int error = errno;
                CPU_FREE(set);
                if (r == 0)
                        return count;
                if (error != EINVAL)
                        return 1;
        }
        return 1;
}

/* cpu.max of one group: "QUOTA PERIOD" or "max PERIOD". */
static double group_cpus(const char *path)
{
        char file[2 * PATH_MAX];
        double quota, period;
        FILE *f;
        int n;

        snprintf(file, sizeof file, "/sys/fs/cgroup%.*s/cpu.max", PATH_MAX, path);
        f = fopen(file, "re");
        if (f == NULL)
                return 0;
        n = fscanf(f, "%lf %lf", &quota, &period);
        fclose(f);
        return n == 2 && quota > 0 && period > 0 ? quota / period : 0;
}

/* The tightest quota of our group and of all above it; 0: none. */
static double quota_cpus(void)
{
        char line[PATH_MAX + 64], *slash;
        double least = 0, here;
        FILE *f = fopen("/proc/self/cgroup", "re");
        bool found = false;

        while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
                found = strncmp(line, "0::", 3) == 0;
        if (f != NULL)
                fclose(f);
        if (!found)
                return 0;
        line[strcspn(line, "\n")] = 0;
        for (char *path = line + 3;;) {
                here = group_cpus(strcmp(path, "/") == 0 ? "" : path);
                if (here > 0 && (least == 0 || here < least))
                        least = here;
                slash = strrchr(path, '/');
                if (slash == NULL)
                        return least;
                *slash = 0;
        }
}

static uint32_t auto_workers(const struct config_cpus *affinity)
{
        double cpus = affinity->all ? affinity_cpus() : config_cpus_count(affinity), quota = quota_cpus();

        if (quota > 0 && quota < cpus)
                cpus = quota;
        if (cpus < 1)
                return 1;
        return cpus > LIMIT_WORKERS ? LIMIT_WORKERS : (uint32_t)cpus;
}

static int misfit(struct configuration_problem *problem, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
static int misfit(struct configuration_problem *problem, const char *format, ...)
{
        va_list args;

        problem->file[0] = 0;
        problem->line = 0;
        va_start(args, format);
        vsnprintf(problem->text, sizeof problem->text, format, args);
        va_end(args);
        return CONFIGURATION_BAD;
}

static const struct {
        const char *name;
        int policy;
} schedulings[] = {
        [CONFIG_SCHEDULING_UNSAID] = {"other", SCHED_OTHER},
        [CONFIG_SCHEDULING_OTHER] = {"other", SCHED_OTHER},
        [CONFIG_SCHEDULING_BATCH] = {"batch", SCHED_BATCH},
        [CONFIG_SCHEDULING_IDLE] = {"idle", SCHED_IDLE},
};

const char *config_scheduling_name(enum config_scheduling scheduling)
{
        return schedulings[scheduling].name;
}

int config_scheduling_policy(enum config_scheduling scheduling)
{
        return schedulings[scheduling].policy;
}

/* What workers inherit from gangerd stays where it is modest, and nobody said otherwise. */
static int settle_process(struct pool_configuration *pool, struct configuration_problem *problem)
{
        int own_nice = getpriority(PRIO_PROCESS, 0), own = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
        char why[512];

        if (!config_trial(pool, why, sizeof why))
                return misfit(problem, "[pool %s] %s", pool->name, why);
        if (!pool->nice_said)
                pool->nice = own_nice > 0 ? own_nice : 0;
        if (pool->scheduling == CONFIG_SCHEDULING_UNSAID)
                pool->scheduling = own == SCHED_BATCH  ? CONFIG_SCHEDULING_BATCH
                                   : own == SCHED_IDLE ? CONFIG_SCHEDULING_IDLE
                                                       : CONFIG_SCHEDULING_OTHER;
        return 0;
}

/* `auto` keeps to bounds that are said; numbers that are said must fit each other. */
static int settle_workers(struct pool_configuration *pool, struct configuration_problem *problem)
{
        bool is_auto = pool->workers == 0;

        if (is_auto)
                pool->workers = auto_workers(pool->cpu_affinity);
        if (is_auto && pool->min_workers != CONFIG_AS_WORKERS && pool->workers < pool->min_workers)
                pool->workers = pool->min_workers;
        if (is_auto && pool->workers > pool->max_workers)
                pool->workers = pool->max_workers;
        if (pool->min_workers == CONFIG_AS_WORKERS)
                pool->min_workers = pool->workers;
        if (pool->max_workers == CONFIG_AS_WORKERS)
                pool->max_workers = pool->workers;
        if (pool->min_workers > pool->workers)
                return misfit(problem, "[pool %s] min_workers = %" PRIu32 " is more than workers = %" PRIu32,
                              pool->name, pool->min_workers, pool->workers);
        if (pool->max_workers < pool->workers)
                return misfit(problem, "[pool %s] max_workers = %" PRIu32 " is less than workers = %" PRIu32,
                              pool->name, pool->max_workers, pool->workers);
        return 0;
}

/* What of this room all workers for nesting may use; each pool the same share, what one does not want is the
 * others'. Returns what they use. */
static uint64_t settle_nesting(struct configuration *config, uint64_t room)
{
        uint64_t used = 0;

        for (uint32_t i = 0; i < config->n_pools; i++) {
                uint64_t most = (room - used) / (config->n_pools - i) / CONFIG_DESCRIPTORS_PER_WORKER;
                if (config->pools[i].nesting_limit > most)
                        config->pools[i].nesting_limit = (uint32_t)most;
                used += (uint64_t)config->pools[i].nesting_limit * CONFIG_DESCRIPTORS_PER_WORKER;
        }
        return used;
}

uint64_t configuration_descriptors(const struct configuration *config)
{
        uint64_t n = DESCRIPTORS_OWN + config->user_descriptors;

        for (uint32_t i = 0; i < config->n_pools; i++)
                n += (uint64_t)config->pools[i].max_workers * CONFIG_DESCRIPTORS_PER_WORKER + 1;
        return n;
}

/* What must be there, then workers for nesting, then connections; of the last two the first may take half of
 * the room, and each is content with less. */
static int settle_descriptors(struct configuration *config, uint64_t max_descriptors,
                              struct configuration_problem *problem)
{
        uint64_t others = configuration_descriptors(config), room;

        if (others >= max_descriptors ||
            (config->max_connections_said && others + config->max_connections > max_descriptors))
                return misfit(problem,
                              "max_connections = %" PRIu32 ", the workers and user_descriptors need %" PRIu64
                              " descriptors, RLIMIT_NOFILE allows %" PRIu64,
                              config->max_connections, others + config->max_connections, max_descriptors);
        room = max_descriptors - others;
        if (config->max_connections_said || config->max_connections < room / 2)
                settle_nesting(config, room - config->max_connections);
        else
                room -= settle_nesting(config, room / 2);
        if (config->max_connections > room)
                config->max_connections = (uint32_t)room;
        return 0;
}

int configuration_settle(struct configuration *config, bool shared, uint64_t max_descriptors,
                         struct configuration_problem *problem)
{
        for (uint32_t i = 0; i < config->n_pools; i++) {
                struct pool_configuration *pool = &config->pools[i];
                int r = settle_process(pool, problem);
                if (r == 0)
                        r = settle_workers(pool, problem);
                if (r != 0)
                        return r;
                if (pool->exec_said == CONFIG_UNSAID)
                        pool->exec_said = shared ? CONFIG_NO : CONFIG_YES;
                pool->exec = pool->exec_said == CONFIG_YES;
                if (pool->allow_groups_said && !pool->allow_users_said)
                        pool->allow_users->all = false;
        }
        if (config->max_message_bytes > config->user_memory_bytes)
                return misfit(problem,
                              "max_message is more than user_memory: such a message could never arrive");
        if (config->user_memory_bytes > config->memory_limit_bytes)
                return misfit(problem, "user_memory is more than memory_limit");
        return settle_descriptors(config, max_descriptors, problem);
}

static int print_key(const struct config_key *key, const struct configuration *config, char **ret)
{
        size_t size_bytes;
        FILE *f = open_memstream(ret, &size_bytes);

        if (f == NULL)
                return -ENOMEM;
        config_key_print(key, config, f);
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

static int key_may_follow(const struct config_key *key, const struct configuration *now,
                          const struct configuration *next, struct configuration_problem *problem)
{
        char *was = NULL, *is = NULL;
        int r = print_key(key, now, &was);

        if (r == 0)
                r = print_key(key, next, &is);
        if (r == 0 && strcmp(was, is) != 0)
                r = misfit(problem,
                           "[daemon] %s = %s: it cannot change from %s while gangerd runs: restart gangerd",
                           key->name, is, was);
        free(was);
        free(is);
        return r;
}

int configuration_may_follow(const struct configuration *now, const struct configuration *next,
                             struct configuration_problem *problem)
{
        int r = 0;

        for (size_t i = 0; i < n_config_table && r == 0; i++)
                if (config_table[i].for_life)
                        r = key_may_follow(&config_table[i], now, next, problem);
        return r;
}

void configuration_problem_text(const struct configuration_problem *problem, char *ret, size_t size_bytes)
{
        if (problem->line != 0)
                snprintf(ret, size_bytes, "%s:%u: %s", problem->file, problem->line, problem->text);
        else if (problem->file[0] != 0)
                snprintf(ret, size_bytes, "%s: %s", problem->file, problem->text);
        else
                snprintf(ret, size_bytes, "%s", problem->text);
}

void configuration_log_problem(const struct configuration_problem *problem)
{
        char text[CONFIGURATION_PROBLEM_BYTES];

        configuration_problem_text(problem, text, sizeof text);
        log_with(LOG_LEVEL_ERROR, LOG_FIELDS(.message_id = MESSAGE_CONFIGURATION_BAD), "%s%s",
                 problem->file[0] != 0 ? "" : "configuration: ", text);
}

static void print_section(enum config_section section, const void *object, FILE *f)
{
        for (size_t i = 0; i < n_config_table; i++) {
                const struct config_key *key = &config_table[i];
                if (key->section != section)
                        continue;
                fprintf(f, "%s = ", key->name);
                config_key_print(key, object, f);
                fputc('\n', f);
        }
}

void configuration_print(const struct configuration *config, FILE *f)
{
        fputs("[daemon]\n", f);
        print_section(CONFIG_DAEMON, config, f);
        for (uint32_t i = 0; i < config->n_pools; i++) {
                fprintf(f, "\n[pool %s]\n", config->pools[i].name);
                print_section(CONFIG_POOL, &config->pools[i], f);
        }
        for (uint32_t i = 0; i < config->n_modules; i++) {
                const struct module_configuration *m = &config->modules[i];
                fprintf(f, "\n[module %s]\n", m->name);
                for (uint32_t j = 0; j < m->n_settings; j++)
                        fprintf(f, "%s = %s\n", m->settings[j].key, m->settings[j].value);
        }
}

const struct module_configuration *configuration_module(const struct configuration *config, const char *name)
{
        for (uint32_t i = 0; i < config->n_modules; i++)
                if (strcmp(config->modules[i].name, name) == 0)
                        return &config->modules[i];
        return NULL;
}

/* As a fork server finds its settings: by the name, which is also the path's without the ".so". */
static bool is_module(const char *module, const char *name)
{
        const char *slash = strrchr(module, '/');
        size_t size = strlen(name);

        if (slash == NULL)
                return strcmp(module, name) == 0;
        return strncmp(slash + 1, name, size) == 0 && strcmp(slash + 1 + size, ".so") == 0;
}

static bool is_loaded(const struct configuration *config, const char *name)
{
        for (uint32_t i = 0; i < config->n_pools; i++)
                for (char **module = config->pools[i].modules; module != NULL && *module != NULL; module++)
                        if (is_module(*module, name))
                                return true;
        return false;
}

void configuration_log_unused(const struct configuration *config)
{
        for (uint32_t i = 0; i < config->n_modules; i++) {
                const struct module_configuration *m = &config->modules[i];
                if (!is_loaded(config, m->name))
                        log_warning("%s:%u: [module %s] is for no pool: none has \"%s\" in its modules",
                                    m->file, m->line, m->name, m->name);
        }
}

static void clear_section(enum config_section section, void *object)
{
        for (size_t i = 0; i < n_config_table; i++)
                if (config_table[i].section == section)
                        config_key_clear(&config_table[i], object);
}

struct configuration *configuration_free(struct configuration *config)
{
        if (config == NULL)
                return NULL;
        for (uint32_t i = 0; i < config->n_modules; i++) {
                struct module_configuration *m = &config->modules[i];
                for (uint32_t j = 0; j < m->n_settings; j++) {
                        free(m->settings[j].key);
                        free(m->settings[j].value);
                }
                free(m->settings);
                free(m->file);
                free(m->name);
        }
        free(config->modules);
        for (uint32_t i = 0; i < config->n_pools; i++) {
                clear_section(CONFIG_POOL, &config->pools[i]);
                free(config->pools[i].name);
        }
        free(config->pools);
        clear_section(CONFIG_DAEMON, config);
        free(config);
        return NULL;
}
