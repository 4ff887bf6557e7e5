/* SPDX-License-Identifier: MIT */
/*
 * What would bite, in three steps that know each other only by this: facts are gathered (gather_….c: they
 * look at the machine and ask the daemon, and judge nothing), judged (judge_….c: pure), and the findings
 * printed. A fact that is not known is its member's zero or empty text unless said otherwise.
 */
#ifndef CLI_DOCTOR_DOCTOR_H
#define CLI_DOCTOR_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/search.h"

/* -- findings -- */

enum doctor_state { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_PROBLEM };

struct doctor_finding {
        const char *check; /* what was looked at: a word */
        enum doctor_state state;
        char *found, *remedy; /* remedy: NULL where nothing need be done */
};

struct doctor_findings {
        struct doctor_finding *at;
        size_t n;
        bool incomplete; /* there was no memory for one */
};

/* Adds one without a remedy. */
void doctor_find(struct doctor_findings *, const char *check, enum doctor_state, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* What to do about the last one. */
void doctor_remedy(struct doctor_findings *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doctor_findings_deinit(struct doctor_findings *);

/* -- facts -- */

#define DOCTOR_NAME_BYTES 64
#define DOCTOR_UNLIMITED  UINT64_MAX /* of limits: there is none */

struct doctor_group {
        char name[DOCTOR_NAME_BYTES]; /* empty: there is none to look at */
        bool in_session, in_files;    /* whether the caller has it; whether the next session would */
};

struct doctor_caller {
        uid_t uid;
        char name[DOCTOR_NAME_BYTES];
};

struct doctor_socket {
        char path[LIMIT_SOCKET_PATH_BYTES + 1];
        int error; /* connect()'s; 0: somebody listens */
        bool exists, is_socket;
        mode_t mode;
        uid_t uid;
        char owner[DOCTOR_NAME_BYTES];
        struct doctor_group group;
        char closed[PATH_MAX]; /* the first directory on its way that the caller may not enter */
};

struct doctor_pool {
        char name[DOCTOR_NAME_BYTES];
        bool degraded, paused;
        uint64_t target, there, starting, queued;
};

/* How much of what he may the caller has of the daemon: "user_tasks". */
struct doctor_use {
        char what[DOCTOR_NAME_BYTES];
        uint64_t used, limit;
};
#define DOCTOR_USES 8

struct doctor_daemon {
        enum { ANSWER_NONE, ANSWER_SILENT, ANSWER_REFUSED, ANSWER_FOREIGN, ANSWER_GIVEN } answer;
        char words[256]; /* refused: why */
        char version[32], state[16];
        pid_t pid;
        struct doctor_pool *pools;
        size_t n_pools, n_uses;
        struct doctor_use uses[DOCTOR_USES];
        uint64_t log_dropped;
};

/* What the limits are that gangerd runs under, or would. */
struct doctor_limits {
        char whose[DOCTOR_NAME_BYTES + 16]; /* "gangerd (pid 1)", "ganger.service", "this session" */
        bool of_root;                       /* RLIMIT_NPROC does not hold */
        uint64_t nofile, nproc, tasks, memory_max, memory_total;
};

struct doctor_process {
        pid_t pid; /* 0: no process is known */
        uid_t uid;
        char user[DOCTOR_NAME_BYTES];
        char program[PATH_MAX], config[PATH_MAX]; /* empty: not to be seen; not said */
        bool replaced, stopped;
};

/* One of gangerd --check. */
struct doctor_complaint {
        const char *about, *pool, *message; /* pool: NULL: none */
};

struct doctor_pool_plan {
        const char *name;
        uint64_t max_workers, queue_limit, memory_limit;
};

struct doctor_plan {
        char program[PATH_MAX], config[PATH_MAX]; /* which gangerd, which --config */
        char failure[256];                        /* why it could not check */
        char user[DOCTOR_NAME_BYTES];             /* as whom it was tried */
        bool by_daemons_user;                     /* that is who gangerd would run as */
        const char *version, *admin_group;
        bool is_read; /* the rest is known */
        const char *socket;
        uint64_t descriptors, least_descriptors, processes, least_processes, memory_limit;
        struct doctor_complaint *complaints;
        size_t n_complaints;
        struct doctor_pool_plan *pools;
        size_t n_pools;
        void *owner; /* of the texts */
};

struct doctor_unit {
        char name[DOCTOR_NAME_BYTES + 16]; /* "ganger.service"; empty: it is not installed */
        char active[16], file_state[24], result[24], fragment[PATH_MAX];
};

struct doctor_units {
        bool of_user; /* systemctl --user */
        struct doctor_unit service, socket;
        pid_t main_pid;
        int exit_status;
        bool needs_reload;
        char program[PATH_MAX], config[PATH_MAX], user[DOCTOR_NAME_BYTES], drop_ins[512];
        bool program_is_there;
        bool program_runs; /* it is the process' own file, by whatever path that shows */
        uint64_t nofile, nproc, tasks, memory_max;
};

struct doctor_facts {
        const char *version; /* of this program */
        bool is_root;
        bool chosen; /* the socket was named with --socket or $GANGER_SOCKET */
        struct doctor_caller caller;
        struct doctor_socket sockets[SEARCH_CANDIDATES];
        int n_sockets, connected; /* connected: -1: to none */
        int search_error;
        struct doctor_group admin_group;
        struct doctor_daemon daemon;
        struct doctor_process process;
        struct doctor_limits limits;
        struct doctor_plan plan;
        struct doctor_units units;
};

/* What the command line says. */
struct doctor_options {
        const char *socket; /* NULL: the usual search */
        enum search_scope scope;
        const char *config, *gangerd; /* NULL: as the daemon has it, or would */
};

/* -- the steps, in this order -- */

void doctor_gather_sockets(struct doctor_facts *, const struct doctor_options *, int *ret_fd);
/* Takes the descriptor (-1: none). */
void doctor_gather_daemon(struct doctor_facts *, int fd);
void doctor_gather_process(struct doctor_facts *);
void doctor_gather_units(struct doctor_facts *);
void doctor_gather_limits(struct doctor_facts *);
void doctor_gather_plan(struct doctor_facts *, const struct doctor_options *);
void doctor_facts_deinit(struct doctor_facts *);

void doctor_judge_access(const struct doctor_facts *, struct doctor_findings *);
void doctor_judge_daemon(const struct doctor_facts *, struct doctor_findings *);
void doctor_judge_plan(const struct doctor_facts *, struct doctor_findings *);
void doctor_judge_units(const struct doctor_facts *, struct doctor_findings *);

/* -- for gathering -- */

/* The name of a user, a group; the number where there is no name. */
void doctor_user_name(uid_t, char ret[DOCTOR_NAME_BYTES]);
void doctor_group_look(struct doctor_group *ret, const struct doctor_caller *, gid_t);
/* Who runs a program for its output, of at most max_bytes. */
struct doctor_run {
        char *const *argv;
        bool drops; /* becomes this user before; root only */
        uid_t uid;
        int nice; /* with drops */
};
/* Its standard output as text (free it), and its wait status. 0 or -errno. */
int doctor_run(const struct doctor_run *, char **ret, int *ret_status);
/* The value behind `key` in lines of "key=value", in ret; false: none. */
bool doctor_line(const char *text, const char *key, char *ret, size_t size_bytes);
/* The argument behind `--config` among n words that end with 0 bytes; empty: none. */
void doctor_config_word(const char *words, size_t size_bytes, char *ret, size_t ret_bytes);

#endif
