/* SPDX-License-Identifier: MIT */
/*
 * exec, in three parts: what is asked for (exec_options.c), the program's start (exec_start.c), its life
 * and output (exec_io.c); exec.c puts them together and makes the result. One struct exec per call, on
 * core_exec()'s stack.
 */
#ifndef DAEMON_WORKER_EXEC_H
#define DAEMON_WORKER_EXEC_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "daemon/worker/worker.h"
#include "proto/buffer.h"

#define EXEC_OUTPUT_LIMIT_BYTES      (UINT64_C(1) << 20)  /* default of output_limit */
#define EXEC_OUTPUT_LIMIT_MOST_BYTES (UINT64_C(24) << 20) /* two of them fit into one message */

/* One output of the program. */
struct exec_output {
        const char *name; /* "stdout", "stderr": of the stream, the option, the result's key */
        const char *truncated_key;
        int given_fd; /* where it goes by the option; -1: it is captured */
        int fd;       /* our end of the pipe; -1: closed or none */
        struct buffer kept;
        bool truncated; /* something before what is kept was dropped */
};

struct exec {
        struct run *run;
        /* what is asked for */
        char **argv;
        size_t n_argv;
        char **env; /* of the option, "NAME=VALUE" */
        size_t n_env;
        char *cwd;    /* NULL: the worker's */
        int stdin_fd; /* -1: /dev/null or the bytes */
        const char *stdin_bytes;
        size_t stdin_size_bytes;
        bool has_stdin_bytes, check;
        int umask; /* -1: the worker's */
        uint64_t output_limit_bytes;
        struct exec_output output[2]; /* stdout, stderr */
        /* its life */
        pid_t pid;
        sigset_t mask;                            /* before: what is let in while waiting */
        int64_t started_ns, ended_ns, kill_at_ns; /* kill_at_ns 0: it was not told to end */
        bool killed;
        int wait_status;
        struct rusage usage;
};

/* Reads the arguments; 0, or what run() is to return. */
int exec_options_read(struct exec *x);
void exec_options_deinit(struct exec *x);

/* Why a program did not start. */
struct exec_failure {
        enum { EXEC_FAILED_SETUP, EXEC_FAILED_CWD, EXEC_FAILED_PROGRAM } stage;
        int error; /* errno */
};
enum exec_result { EXEC_NOT_STARTED = 1 };
/* Starts the program in a process group of its own; 0, EXEC_NOT_STARTED (the failure says why), or -errno. */
int exec_start(struct exec *x, struct exec_failure *ret);

/* Sees the program to its end: its output, credit, the task's cancellation, strays. 0 or -errno. */
int exec_watch(struct exec *x);
/* Closes the pipes and frees what is kept. */
void exec_output_deinit(struct exec_output *output);

#endif
