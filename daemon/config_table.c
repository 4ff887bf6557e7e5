/* SPDX-License-Identifier: MIT */
/*
 * The table of keys, and how to find one. How the values of each type are read and written is
 * config_value.c's.
 */
#include "daemon/config_table.h"

#include <string.h>

#include "config.h"
#include "daemon/configuration.h"
#include "proto/limits.h"

#define HELP_COLUMN 28 /* where help begins */

#define DAEMON_KEY(key, member, kind)                                                                        \
        .name = key, .section = CONFIG_DAEMON, .type = CONFIG_TYPE_##kind,                                   \
        .offset = offsetof(struct configuration, member)
#define POOL_KEY(key, member, kind)                                                                          \
        .name = key, .section = CONFIG_POOL, .type = CONFIG_TYPE_##kind,                                     \
        .offset = offsetof(struct pool_configuration, member)

const struct config_key config_table[] = {
        {DAEMON_KEY("socket", socket, PATH), .help = "the socket's path (default: the usual one)",
         .for_life = true},
        {DAEMON_KEY("socket_mode", socket_mode, MODE), .fallback = "0600", .help = "who may connect",
         .max = 0777, .for_life = true},
        {DAEMON_KEY("socket_group", socket_group, GROUP), .fallback = "none", .help = "the socket's group",
         .for_life = true},
        {DAEMON_KEY("admin_group", admin_group, GROUP), .fallback = "none",
         .help = "whose members are admins"},
        {DAEMON_KEY("log_level", log_level, LOG_LEVEL), .fallback = "info",
         .help = "the least that is logged: error, warning, info, debug"},
        {DAEMON_KEY("log_format", log_format, LOG_FORMAT), .fallback = "text",
         .help = "how a line of the log looks: text, json; the journal gets fields instead"},
        {DAEMON_KEY("max_connections", max_connections, COUNT), .fallback = "16384",
         .help = "connections at once", .min = 1, .max = 1 << 20,
         .said_offset = offsetof(struct configuration, max_connections_said)},
        {DAEMON_KEY("max_requests", max_requests, COUNT), .fallback = "16384",
         .help = "open requests of one connection", .min = 1, .max = 1 << 20},
        {DAEMON_KEY("max_message", max_message_bytes, SIZE), .fallback = "64M", .help = "size of one message",
         .min = LIMIT_MESSAGE_FLOOR_BYTES, .max = 1u << 30},
        {DAEMON_KEY("output_limit", output_limit_bytes, SIZE), .fallback = "1M",
         .help = "unread output of a connection above which nothing more is read from it", .min = 4096,
         .max = 1u << 30},
        {DAEMON_KEY("memory_limit", memory_limit_bytes, SIZE), .fallback = "1G",
         .help = "memory for all users' tasks together", .min = 1 << 20, .max = 1e15},
        {DAEMON_KEY("user_connections", user_connections, COUNT64), .fallback = "4096",
         .help = "connections of one user", .min = 1, .max = 1 << 20},
        {DAEMON_KEY("user_tasks", user_tasks, COUNT64), .fallback = "100000",
         .help = "unfinished tasks of one user", .min = 1, .max = 1e9},
        {DAEMON_KEY("user_descriptors", user_descriptors, COUNT64), .fallback = "1024",
         .help = "descriptors held for one user: of tasks, of shared objects", .min = 0, .max = 1 << 20},
        {DAEMON_KEY("user_objects", user_objects, COUNT64), .fallback = "100000",
         .help = "shared objects of one user", .min = 0, .max = 1e9},
        {DAEMON_KEY("user_memory", user_memory_bytes, SIZE), .fallback = "256M",
         .help = "memory for one user's input, arguments, results, unread output", .min = 64 << 10,
         .max = 1e15},
        {DAEMON_KEY("stop_timeout", stop_timeout, TIME), .fallback = "10",
         .help = "time that running tasks have to finish when gangerd stops", .max = 86400},
        {DAEMON_KEY("start_timeout", start_timeout, TIME), .fallback = "10",
         .help = "time that a zygote has to load and a worker to start", .min = 0.1, .max = 86400},
        {DAEMON_KEY("message_timeout", message_timeout, TIME), .fallback = "10",
         .help = "time that a message has to arrive in full", .min = 0.1, .max = 86400},
        {DAEMON_KEY("client_timeout", client_timeout, TIME), .fallback = "600",
         .help = "time after which a client that takes no byte of its output is dropped", .min = 0.1,
         .max = 30 * 86400},
        {DAEMON_KEY("history", history, COUNT), .fallback = "10000", .help = "records of ended tasks kept",
         .min = 0, .max = 10000000, .for_life = true},
        {DAEMON_KEY("module_path", module_path, PATHS), .fallback = GANGER_MODULEDIR,
         .help = "directories in which modules are looked for"},
        {DAEMON_KEY("metrics", metrics, ADDRESS), .fallback = "none",
         .help = "where Prometheus reads by HTTP, as 127.0.0.1:9464, [::1]:9464 or an absolute path",
         .for_life = true},

        {POOL_KEY("workers", workers, WORKERS), .fallback = "auto",
         .help = "worker processes; auto: one for each CPU that may be used", .min = 1, .max = LIMIT_WORKERS},
        {POOL_KEY("min_workers", min_workers, BOUND), .fallback = "workers",
         .help = "what their number may fall to while they idle", .min = 0, .max = LIMIT_WORKERS},
        {POOL_KEY("max_workers", max_workers, BOUND), .fallback = "workers",
         .help = "what their number may rise to while tasks wait", .min = 1, .max = LIMIT_WORKERS},
        {POOL_KEY("idle_timeout", idle_timeout, TIME), .fallback = "60",
         .help = "time that a worker idles before there is one less", .min = 0.01, .max = 30 * 86400},
        {POOL_KEY("modules", modules, NAMES), .fallback = "core",
         .help = "modules, by name or absolute path (core is always there)"},
        {POOL_KEY("exec", exec_said, CHOICE),
         .help = "whether exec exists: yes, no (default: where nobody but the daemon's user may connect)"},
        {POOL_KEY("max_tasks", max_tasks, COUNT_OR_NONE), .fallback = "none",
         .help = "tasks after which a worker is replaced", .min = 1, .max = 1e9},
        {POOL_KEY("max_rss", max_rss_bytes, SIZE_OR_NONE), .fallback = "none",
         .help = "resident memory above which a worker is replaced when its task has ended", .min = 1 << 20,
         .max = 1e15},
        {POOL_KEY("memory_limit", memory_limit_bytes, SIZE_OR_NONE), .fallback = "none",
         .help = "address space that a worker may map beyond what its zygote loaded; a program: in all",
         .min = 16 << 20, .max = 1e15},
        {POOL_KEY("timeout", timeout, TIME_OR_NONE), .fallback = "none", .help = "time that a task may run",
         .min = 1e-3, .max = LIMIT_SECONDS},
        {POOL_KEY("kill_grace", kill_grace, TIME), .fallback = "2",
         .help = "time between asking a task to end and killing it", .max = 86400},
        {POOL_KEY("queue_limit", queue_limit, COUNT), .fallback = "100000",
         .help = "unfinished tasks that wait for the pool", .min = 1, .max = 1e9},
        {POOL_KEY("nesting_limit", nesting_limit, COUNT), .fallback = "128",
         .help = "workers beyond those, for tasks that running tasks wait for", .min = 0,
         .max = LIMIT_WORKERS},
        {POOL_KEY("allow_users", allow_users, USERS), .fallback = "all",
         .said_offset = offsetof(struct pool_configuration, allow_users_said),
         .help = "users who may use the pool (default: all who may connect, or none if allow_groups is "
                 "said)"},
        {POOL_KEY("allow_groups", allow_groups, GROUPS), .fallback = "none",
         .said_offset = offsetof(struct pool_configuration, allow_groups_said),
         .help = "groups whose members may use it too"},
        {POOL_KEY("nice", nice, INTEGER), .min = -20, .max = 19,
         .said_offset = offsetof(struct pool_configuration, nice_said),
         .help = "the workers' nice value (default: 0, or gangerd's own if that is higher)"},
        {POOL_KEY("cpu_affinity", cpu_affinity, CPUS), .fallback = "all",
         .help = "the CPUs that the workers run on, as 0 2-3 5; all: those of gangerd"},
        {POOL_KEY("scheduling", scheduling, SCHEDULING),
         .help = "other, batch or idle, as in sched(7) (default: other, or gangerd's own if it is one of the "
                 "others)"},
        {POOL_KEY("env", env, VARIABLES), .fallback = "", .help = "NAME=VALUE for the workers' environment"},
        {POOL_KEY("directory", directory, PATH), .fallback = "/", .help = "the workers' working directory"},
        {POOL_KEY("zygote", zygote, PATH), .fallback = GANGER_LIBEXECDIR "/ganger-zygote",
         .help = "the program that forks the workers"},
};
const size_t n_config_table = sizeof config_table / sizeof config_table[0];

const struct config_key *config_key_find(enum config_section section, const char *name)
{
        for (size_t i = 0; i < n_config_table; i++)
                if (config_table[i].section == section && strcmp(config_table[i].name, name) == 0)
                        return &config_table[i];
        return NULL;
}

static void print_row(const struct config_key *key, FILE *f)
{
        const char *fallback = key->fallback != NULL ? key->fallback : "";
        int width = fprintf(f, "  %s%s%s", key->name, *fallback != 0 ? " = " : "", fallback);

        if (width > HELP_COLUMN)
                width = fprintf(f, "\n") - 1;
        fprintf(f, "%*s  %s\n", HELP_COLUMN - width, "", key->help);
}

void config_table_print(FILE *f)
{
        static const char *const titles[] = {[CONFIG_DAEMON] = "[daemon]", [CONFIG_POOL] = "[pool NAME]"};

        for (enum config_section section = CONFIG_DAEMON; section <= CONFIG_POOL; section++) {
                fprintf(f, "%s%s\n", section == CONFIG_DAEMON ? "" : "\n", titles[section]);
                for (size_t i = 0; i < n_config_table; i++)
                        if (config_table[i].section == section)
                                print_row(&config_table[i], f);
        }
}
