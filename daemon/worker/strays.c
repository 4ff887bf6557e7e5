/* SPDX-License-Identifier: MIT */
/*
 * A killed stray's own children come to us in turn, so this goes round until there are none. Signals go to
 * children that have not been reaped, whose numbers therefore cannot have been reused.
 */
#include "daemon/worker/strays.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/worker.h"

#define STRAYS_BOUND_NS INT64_C(1000000000)

enum { PAUSE_FIRST_NS = 100000, PAUSE_MOST_NS = 10000000 };

/* Reaps what is dead; true: there is no child at all. */
static bool reap_all(void)
{
        for (;;) {
                siginfo_t info = {.si_pid = 0};
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0) {
                        if (errno == EINTR)
                                continue;
                        return true; /* ECHILD */
                }
                if (info.si_pid == 0)
                        return false;
        }
}

/* Kills the children of one of our threads; false: this kernel does not list them. */
static bool kill_children_of(const char *thread)
{
        char path[64];
        long pid;
        FILE *list;

        snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", thread);
        list = fopen(path, "re");
        if (!list)
                return errno != ENOENT;
        while (fscanf(list, "%ld", &pid) == 1)
                if (pid > 1)
                        kill((pid_t)pid, SIGKILL);
        fclose(list);
        return true;
}

static bool kill_listed(void)
{
        DIR *threads = opendir("/proc/self/task");
        struct dirent *entry;
        bool listed = false;

        if (!threads)
                return false;
        while ((entry = readdir(threads)))
                if (entry->d_name[0] != '.')
                        listed = kill_children_of(entry->d_name) || listed;
        closedir(threads);
        return listed;
}

/* The parent of a process; -1: it is gone. */
static pid_t parent_of(const char *pid)
{
        char path[64];
        int parent = -1;
        FILE *stat;

        snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
        stat = fopen(path, "re");
        if (!stat)
                return -1;
        /* The name in parentheses may hold anything, also parentheses: the last one counts. */
        char line[512];
        size_t n = fread(line, 1, sizeof(line) - 1, stat);
        fclose(stat);
        line[n] = '\0';
        for (char *at = line + n; at > line; at--)
                if (*at == ')')
                        return sscanf(at + 1, " %*c %d", &parent) == 1 ? parent : -1;
        return -1;
}

/* Where the kernel lists no children: looks at every process. */
static void kill_by_search(void)
{
        pid_t self = getpid();
        DIR *processes = opendir("/proc");
        struct dirent *entry;

        if (!processes)
                return;
        while ((entry = readdir(processes))) {
                char *end;
                long pid = strtol(entry->d_name, &end, 10);
                if (*end == '\0' && pid > 1 && parent_of(entry->d_name) == self)
                        kill((pid_t)pid, SIGKILL);
        }
        closedir(processes);
}

bool strays_end(void)
{
        struct timespec pause = {.tv_nsec = PAUSE_FIRST_NS};
        int64_t deadline;

        if (reap_all())
                return true;
        deadline = now_ns() + STRAYS_BOUND_NS;
        do {
                if (!kill_listed())
                        kill_by_search();
                nanosleep(&pause, NULL);
                if (pause.tv_nsec < PAUSE_MOST_NS)
                        pause.tv_nsec *= 2;
                if (reap_all())
                        return true;
        } while (now_ns() < deadline);
        return false;
}
