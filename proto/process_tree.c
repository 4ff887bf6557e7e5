/* SPDX-License-Identifier: MIT */
/*
 * Stopping goes from the top down, so that who is stopped forks no more; killing from the bottom up: a group
 * that is orphaned with stopped members is sent SIGCONT by the kernel, and would fork on. Nobody waits until
 * the stopped stand still, which on a busy machine takes them a while: a fork does not come about once a
 * signal is pending (copy_process() looks for one last), so who was sent SIGSTOP has had its last child.
 */
#include "proto/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum {
        DEPTH_MOST = 48,    /* each level is a stack frame; what is deeper comes up when its parents die */
        VISITS_MOST = 1024, /* a walk; a task that has forked more is ended in several */
        ROUNDS_MOST = 16,   /* until a walk finds nothing new */
};

struct pids {
        pid_t *at;
        size_t n, capacity;
};

struct walk {
        int signal;
        unsigned visits_left;
        unsigned n_alive, n_ran; /* seen alive; of these not sent SIGSTOP before */
        struct pids *stopped;    /* who was */
        process_tree_spares spares;
        void *userdata;
};

static void pids_add(struct pids *pids, long pid)
{
        if (pid <= 1)
                return;
        if (pids->n == pids->capacity) {
                size_t capacity = pids->capacity ? 2 * pids->capacity : 16;
                pid_t *at = realloc(pids->at, capacity * sizeof(*at));
                if (!at)
                        return; /* whom we miss now is found by the next call */
                pids->at = at;
                pids->capacity = capacity;
        }
        pids->at[pids->n++] = (pid_t)pid;
}

struct process {
        char state; /* 'T' stopped, 'Z' dead and not reaped ... */
        int parent, group;
};

/* False: it is gone. */
static bool process_read(pid_t pid, struct process *ret)
{
        char path[32], line[512];

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        ssize_t n = read(fd, line, sizeof(line) - 1);
        close(fd);
        line[n > 0 ? n : 0] = '\0';
        /* The name in parentheses may hold anything, also parentheses: the last one counts. */
        const char *behind_name = strrchr(line, ')');
        return behind_name &&
               sscanf(behind_name + 1, " %c %d %d", &ret->state, &ret->parent, &ret->group) == 3;
}

static void add_children_of_thread(pid_t pid, const char *thread, struct pids *ret)
{
        char path[96];
        long child;

        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, thread);
        FILE *list = fopen(path, "re");
        if (!list)
                return;
        while (fscanf(list, "%ld", &child) == 1)
                pids_add(ret, child);
        fclose(list);
}

static void add_children_listed(pid_t pid, struct pids *ret)
{
        char path[32];
        struct dirent *entry;

        snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        DIR *threads = opendir(path);
        if (!threads)
                return;
        while ((entry = readdir(threads)))
                if (entry->d_name[0] != '.')
                        add_children_of_thread(pid, entry->d_name, ret);
        closedir(threads);
}

/* Where the kernel lists no children (CONFIG_PROC_CHILDREN): looks at every process. */
static void add_children_by_search(pid_t pid, struct pids *ret)
{
        struct dirent *entry;
        DIR *processes = opendir("/proc");

        if (!processes)
                return;
        while ((entry = readdir(processes))) {
                char *end;
                long other = strtol(entry->d_name, &end, 10);
                struct process process;
                if (*end == '\0' && other > 1 && process_read((pid_t)other, &process) &&
                    process.parent == pid)
                        pids_add(ret, other);
        }
        closedir(processes);
}

static void add_children(pid_t pid, struct pids *ret)
{
        if (access("/proc/thread-self/children", R_OK) == 0)
                add_children_listed(pid, ret);
        else
                add_children_by_search(pid, ret);
}

/* Whether it is to be stopped: neither stands it still, nor was it sent the signal. */
static bool runs(const struct walk *walk, pid_t pid, const struct process *process)
{
        for (size_t i = walk->stopped->n; i-- > 0;)
                if (walk->stopped->at[i] == pid)
                        return false;
        return process->state != 'T';
}

/* Signals the child if it lives and is not stopped yet, or is to be killed. The pidfd is opened first: if it
 * can still be signalled afterwards, it was that process that was read. */
static void signal_child(struct walk *walk, pid_t parent, pid_t child, struct process *ret)
{
        int pidfd = pidfd_open(child, 0);
        bool to_stop;

        *ret = (struct process){.state = 'Z'};
        if (pidfd < 0)
                return;
        if (process_read(child, ret) && ret->parent == parent && ret->state != 'Z' && ret->state != 'X') {
                to_stop = walk->signal == SIGSTOP && runs(walk, child, ret);
                if (to_stop || walk->signal == SIGKILL)
                        pidfd_send_signal(pidfd, walk->signal, NULL, 0);
                /* A group is signalled in one piece, no fork gets away from that. It was the child's group a
                 * moment ago, and cannot be ours: strays are in sessions of their own. */
                if (to_stop && ret->group > 1 && ret->group != getpgrp())
                        kill(-ret->group, SIGSTOP);
                if (to_stop)
                        pids_add(walk->stopped, child);
                walk->n_ran += to_stop;
        } else
                ret->state = 'Z';
        close(pidfd);
}

static void walk_below(struct walk *walk, pid_t parent, unsigned depth)
{
        struct pids children = {0};
        struct process child;

        add_children(parent, &children);
        /* The newest first: among the old ones there may be many that are dead. */
        for (size_t i = children.n; i-- > 0 && walk->visits_left > 0;) {
                pid_t pid = children.at[i];
                if (depth == 0 && walk->spares && walk->spares(walk->userdata, pid))
                        continue;
                walk->visits_left--;
                if (walk->signal == SIGSTOP) {
                        signal_child(walk, parent, pid, &child);
                        if (child.state == 'Z')
                                continue;
                        walk->n_alive++;
                }
                if (depth < DEPTH_MOST)
                        walk_below(walk, pid, depth + 1);
                if (walk->signal == SIGKILL)
                        signal_child(walk, parent, pid, &child);
        }
        free(children.at);
}

static struct walk walk_all(pid_t root, int number, struct pids *stopped, process_tree_spares spares,
                            void *userdata)
{
        struct walk walk = {.signal = number,
                            .visits_left = VISITS_MOST,
                            .stopped = stopped,
                            .spares = spares,
                            .userdata = userdata};

        walk_below(&walk, root, 0);
        return walk;
}

unsigned process_tree_kill(pid_t root, process_tree_spares spares, void *userdata)
{
        struct pids stopped = {0};
        struct walk walk;

        for (int round = 0; round < ROUNDS_MOST; round++) {
                walk = walk_all(root, SIGSTOP, &stopped, spares, userdata);
                if (walk.n_ran == 0)
                        break;
        }
        if (walk.n_alive > 0)
                walk_all(root, SIGKILL, &stopped, spares, userdata);
        free(stopped.at);
        return walk.n_alive;
}
