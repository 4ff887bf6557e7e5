/* SPDX-License-Identifier: MIT */
/*
 * The configuration in force: read from files, whole or not at all, then never changed but for what
 * configuration_settle() fills in; a reload puts another one in its place. Owned by struct daemon. Which keys
 * there are, how they are read and what they are without being said is one table, config_table.c; a key that
 * is not there is refused by name.
 *
 * Times are nanoseconds, 0 where the file says `none`; sizes are bytes.
 */
#ifndef DAEMON_CONFIGURATION_H
#define DAEMON_CONFIGURATION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "daemon/config_address.h"
#include "daemon/config_cpus.h"
#include "daemon/config_ids.h"
#include "daemon/log.h"

/* yes, no, or what the rest of the configuration makes of it. */
enum config_choice { CONFIG_UNSAID, CONFIG_NO, CONFIG_YES };

/* How the kernel's scheduler treats a worker: sched(7). */
enum config_scheduling {
        CONFIG_SCHEDULING_UNSAID,
        CONFIG_SCHEDULING_OTHER,
        CONFIG_SCHEDULING_BATCH,
        CONFIG_SCHEDULING_IDLE
};

/* Of min_workers and max_workers: what `workers` is. */
#define CONFIG_AS_WORKERS UINT32_MAX

struct config_group {
        bool said;
        gid_t gid;
};

struct pool_configuration {
        char *name;
        uint32_t workers; /* 0: auto, until configuration_settle() */
        /* CONFIG_AS_WORKERS until configuration_settle(); then min_workers ≤ workers ≤ max_workers */
        uint32_t min_workers, max_workers;
        int64_t idle_timeout;        /* before there is one worker less */
        uint32_t nesting_limit;      /* workers above max_workers, for tasks that others wait for */
        uint32_t max_tasks;          /* of one worker; 0: none */
        uint64_t max_rss_bytes;      /* the same */
        uint64_t memory_limit_bytes; /* of a worker's address space, beyond what its zygote loaded; 0: none */
        char **modules;              /* names or absolute paths; ends with NULL, as every list here */
        enum config_choice exec_said;
        bool exec; /* what is in force, after configuration_settle() */
        int64_t timeout;
        int64_t kill_grace;
        uint32_t queue_limit;
        struct config_ids *allow_users, *allow_groups; /* who may use it: whom either names, and admins */
        bool allow_users_said, allow_groups_said;
        int nice; /* of its workers; not said: 0, or gangerd's own if that is higher */
        bool nice_said;
        struct config_cpus *cpu_affinity;
        enum config_scheduling scheduling; /* unsaid until configuration_settle() */
        char **env;                        /* NAME=VALUE, added to the allow list's */
        char *directory;
        char *zygote; /* the program */
};

struct module_setting {
        char *key, *value;
};

/* A section [module NAME]: for the module's load hook. */
struct module_configuration {
        char *name;
        char *file; /* where it stands first; empty: in none */
        unsigned line;
        struct module_setting *settings;
        uint32_t n_settings;
};

struct configuration {
        /* [daemon] */
        char *socket; /* NULL: not said */
        mode_t socket_mode;
        struct config_group socket_group, admin_group;
        enum log_level log_level;
        enum log_format log_format;
        uint32_t max_connections;
        bool max_connections_said; /* else lowered to what RLIMIT_NOFILE has room for */
        uint32_t max_requests;
        uint64_t max_message_bytes;
        uint64_t output_limit_bytes;
        uint64_t memory_limit_bytes;
        uint64_t user_connections, user_tasks, user_descriptors, user_memory_bytes, user_objects;
        int64_t stop_timeout, start_timeout, message_timeout, client_timeout;
        uint32_t history;
        char **module_path;
        struct config_address *metrics;
        /* [pool NAME]; without any, one `default` */
        struct pool_configuration *pools;
        uint32_t n_pools;
        /* [module NAME] */
        struct module_configuration *modules;
        uint32_t n_modules;
};

enum configuration_result {
        CONFIGURATION_BAD = 1, /* the files say what cannot be: the problem tells */
};

/* What is wrong and where. */
struct configuration_problem {
        char file[PATH_MAX]; /* empty: no file's fault */
        unsigned line;       /* 0: the file as a whole */
        char text[1024];     /* names the section, the key, what is known */
};

#define CONFIGURATION_PROBLEM_BYTES (PATH_MAX + 1100)
/* FILE:LINE: text. */
void configuration_problem_text(const struct configuration_problem *, char *ret, size_t size_bytes);
void configuration_log_problem(const struct configuration_problem *);

/* Reads ganger.conf and ganger.conf.d/... (none is fine), or only `path` (which must be there). 0,
 * CONFIGURATION_BAD, or -errno (the problem is filled in then too). */
int configuration_load(const char *path, struct configuration **ret, struct configuration_problem *problem);
struct configuration *configuration_free(struct configuration *);
/* The two steps of that, for tests: what is in force without any file, but for the pools; and one file's text
 * (ended by a 0 byte behind size_bytes) on top of it. */
int configuration_new(struct configuration **ret, struct configuration_problem *problem);
int configuration_parse(struct configuration *, const char *text, size_t size_bytes,
                        struct configuration_problem *problem);

/* "other", "batch", "idle", and SCHED_…; of what is not said, those of other. */
const char *config_scheduling_name(enum config_scheduling);
int config_scheduling_policy(enum config_scheduling);

/* Decides what waits for the circumstances: `workers = auto`; `exec` where it is not said (only where nobody
 * but the daemon's own user may connect); allow_users where only allow_groups is said; how many descriptors
 * there may be, by which max_connections that nobody said and nesting_limit become less; nice and scheduling
 * where they are not said. CONFIGURATION_BAD if it does not fit, or the kernel does not let us. */
int configuration_settle(struct configuration *, bool shared, uint64_t max_descriptors,
                         struct configuration_problem *problem);

#define CONFIG_DESCRIPTORS_PER_WORKER 4 /* channel, area, pidfd; and the pair while it is being born */
/* How many descriptors all that it allows needs, but for connections. */
uint64_t configuration_descriptors(const struct configuration *);

/* Whether the settled `next` can come into force in a gangerd that runs with `now`. CONFIGURATION_BAD: it
 * changes what holds for the process' whole life. -ENOMEM. */
int configuration_may_follow(const struct configuration *now, const struct configuration *next,
                             struct configuration_problem *);

/* Everything that is in force, as a file that would say so. */
void configuration_print(const struct configuration *, FILE *);

/* The settings of a module; NULL if there is no such section. */
const struct module_configuration *configuration_module(const struct configuration *, const char *name);
/* Logs what is no mistake and yet does nothing: a module's section that no pool loads. */
void configuration_log_unused(const struct configuration *);

#endif
