/* SPDX-License-Identifier: MIT */
/* The units of the daemon that was looked for, as systemctl shows them: which they are follows from the
 * socket's path. Where there is no systemd, there are none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/doctor/doctor.h"

#define SYSTEM_DIRECTORY "/run/ganger/"
#define SOCKET_FILE      "ganger.sock"

/* "ganger" for /run/ganger/ganger.sock, "ganger@NAME" for /run/ganger/NAME/ganger.sock, "ganger" of the
 * user's systemd for $XDG_RUNTIME_DIR/ganger/ganger.sock; false: another path, whose units nobody knows. */
static bool units_of(const char *path, char *ret, size_t size_bytes, bool *ret_of_user)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR"), *rest;

        *ret_of_user = false;
        snprintf(ret, size_bytes, "ganger");
        if (runtime != NULL && *runtime && strncmp(path, runtime, strlen(runtime)) == 0 &&
            strcmp(path + strlen(runtime), "/ganger/" SOCKET_FILE) == 0) {
                *ret_of_user = true;
                return true;
        }
        if (strncmp(path, SYSTEM_DIRECTORY, strlen(SYSTEM_DIRECTORY)) != 0)
                return false;
        rest = path + strlen(SYSTEM_DIRECTORY);
        if (strcmp(rest, SOCKET_FILE) == 0)
                return true;
        size_t n = strcspn(rest, "/");
        snprintf(ret, size_bytes, "ganger@%.*s", (int)n, rest);
        return rest[n] == '/' && strcmp(rest + n + 1, SOCKET_FILE) == 0;
}

bool doctor_line(const char *text, const char *key, char *ret, size_t size_bytes)
{
        size_t n = strlen(key);

        *ret = 0;
        for (const char *at = text; at != NULL && *at; at = strchr(at, '\n'), at += at != NULL)
                if (strncmp(at, key, n) == 0 && at[n] == '=') {
                        at += n + 1;
                        snprintf(ret, size_bytes, "%.*s", (int)strcspn(at, "\n"), at);
                        return true;
                }
        return false;
}

static uint64_t limit_line(const char *text, const char *key)
{
        char value[32];

        doctor_line(text, key, value, sizeof value);
        return *value >= '0' && *value <= '9' ? strtoull(value, NULL, 10) : DOCTOR_UNLIMITED;
}

/* NULL: it is not installed, or nobody can be asked. */
static char *show(const char *unit, bool of_user)
{
        char program[] = "systemctl", user[] = "--user", system[] = "--system", verb[] = "show";
        char name[DOCTOR_NAME_BYTES + 16], load[24], *text = NULL;
        char *const argv[] = {program, of_user ? user : system, verb, name, NULL};
        int status;

        snprintf(name, sizeof name, "%s", unit);
        if (doctor_run(&(struct doctor_run){.argv = argv}, &text, &status) < 0)
                return NULL;
        doctor_line(text, "LoadState", load, sizeof load);
        if (status == 0 && strcmp(load, "loaded") == 0)
                return text;
        free(text);
        return NULL;
}

static void take_unit(struct doctor_unit *ret, const char *name, const char *text)
{
        snprintf(ret->name, sizeof ret->name, "%s", name);
        doctor_line(text, "ActiveState", ret->active, sizeof ret->active);
        doctor_line(text, "UnitFileState", ret->file_state, sizeof ret->file_state);
        doctor_line(text, "Result", ret->result, sizeof ret->result);
        doctor_line(text, "FragmentPath", ret->fragment, sizeof ret->fragment);
}

/* "{ path=/usr/bin/gangerd ; argv[]=/usr/bin/gangerd --config FILE ; …" */
static void take_command(struct doctor_units *units, const char *text)
{
        char command[2 * PATH_MAX], *words;
        const char *path;

        doctor_line(text, "ExecStart", command, sizeof command);
        path = strstr(command, "path=");
        if (path != NULL)
                snprintf(units->program, sizeof units->program, "%.*s", (int)strcspn(path + 5, " ;"),
                         path + 5);
        units->program_is_there = access(units->program, X_OK) == 0;
        words = strstr(command, "argv[]=");
        if (words == NULL)
                return;
        words[strcspn(words, ";")] = 0;
        size_t n = strlen(words);
        for (char *at = words; *at; at++)
                if (*at == ' ')
                        *at = 0;
        for (const char *at = words; at < words + n; at += strlen(at) + 1)
                if (strcmp(at, "--config") == 0)
                        doctor_config_word(at, n - (size_t)(at - words), units->config, sizeof units->config);
}

/* A path may look otherwise from where the process runs. */
static bool runs_program(const struct doctor_units *units)
{
        struct stat installed, running;
        char path[64];

        snprintf(path, sizeof path, "/proc/%d/exe", (int)units->main_pid);
        return units->main_pid > 0 && stat(path, &running) == 0 && stat(units->program, &installed) == 0 &&
               running.st_dev == installed.st_dev && running.st_ino == installed.st_ino;
}

static void take_service(struct doctor_units *units, const char *name, const char *text)
{
        char value[32];

        take_unit(&units->service, name, text);
        take_command(units, text);
        doctor_line(text, "MainPID", value, sizeof value);
        units->main_pid = (pid_t)atoi(value);
        units->program_runs = runs_program(units);
        doctor_line(text, "ExecMainStatus", value, sizeof value);
        units->exit_status = atoi(value);
        doctor_line(text, "NeedDaemonReload", value, sizeof value);
        units->needs_reload = strcmp(value, "yes") == 0;
        doctor_line(text, "User", units->user, sizeof units->user);
        doctor_line(text, "DropInPaths", units->drop_ins, sizeof units->drop_ins);
        units->nofile = limit_line(text, "LimitNOFILE");
        units->nproc = limit_line(text, "LimitNPROCSoft");
        units->tasks = limit_line(text, "TasksMax");
        units->memory_max = limit_line(text, "MemoryMax");
}

/* The socket that was reached, else the one that is looked for last: the system's. */
void doctor_gather_units(struct doctor_facts *facts)
{
        struct doctor_units *units = &facts->units;
        char base[DOCTOR_NAME_BYTES], name[DOCTOR_NAME_BYTES + 16], *text;
        int i = facts->connected >= 0 ? facts->connected : facts->n_sockets - 1;

        if (i < 0 || !units_of(facts->sockets[i].path, base, sizeof base, &units->of_user))
                return;
        snprintf(name, sizeof name, "%s.service", base);
        text = show(name, units->of_user);
        if (text == NULL)
                return;
        take_service(units, name, text);
        free(text);
        snprintf(name, sizeof name, "%s.socket", base);
        text = show(name, units->of_user);
        if (text != NULL)
                take_unit(&units->socket, name, text);
        free(text);
}
