/* SPDX-License-Identifier: MIT */
/*
 * Processes that there are not: zygotes and workers as gangerd sees them, by their channels, pids, pidfds and
 * wait statuses. Their pids are above what the kernel gives out, so nothing that goes wrong can hit a real
 * one. A zygote forks at once what it is asked for; a worker says hello, reads what comes, and does what
 * whoever steps it says: what it was told (model_worker_obey), or whatever the input says.
 */
#ifndef TESTS_FUZZ_MODEL_PROCESS_H
#define TESTS_FUZZ_MODEL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proto/descriptors.h"
#include "proto/scan.h"

struct area;

/* What a worker was sent and has not answered. */
struct model_run {
        uint32_t slot, attempt;
        uint64_t task, function;
        uint8_t *args; /* one whole value */
        size_t args_size_bytes;
        bool is_chunk, begun;
        uint64_t first;
        TAILQ_ENTRY(model_run) link; /* model_process.runs */
};

struct model_process {
        pid_t pid;
        bool is_zygote, is_stranger; /* a stranger's hello waits for whoever steps it */
        int fd;                      /* its end of the channel; -1: closed */
        bool dead, reaped;
        int wait_status;
        bool told; /* SIGTERM came */
        struct area *area;
        bool uses_area;
        struct buffer input;
        struct scan scan;
        uint64_t stream_at;
        struct fd_queue fds;
        uint32_t n_asked;
        bool is_asking;
        TAILQ_HEAD(, model_run) runs;
        TAILQ_ENTRY(model_process) link;
};

/* The functions of every pool, in this order. */
enum model_function {
        MODEL_ECHO, /* its arguments */
        MODEL_FAIL,
        MODEL_HOLD, /* until it is told to end */
        MODEL_DIE,  /* of SIGSEGV */
        MODEL_TALK, /* streams of all kinds, then as echo */
        MODEL_ASK,  /* its arguments are a method and its parameters; gives what is answered */
        N_MODEL_FUNCTIONS
};

/* Workers born from here on say no hello of their own. */
void model_processes_begin(bool workers_are_strangers);
/* One turn of all: reads what came; zygotes act, workers only if they obey. */
void model_processes_step(bool workers_obey);
/* All are gone; called when gangerd has ended. */
void model_processes_end(void);
/* The n-th living worker, counted round; NULL: there is none. */
struct model_process *model_worker(unsigned n);
/* Does the next thing that a good worker would do. */
void model_worker_obey(struct model_process *);
/* Bytes of its own, as they are. */
void model_process_write(struct model_process *, const void *data, size_t size_bytes);
void model_process_die(struct model_process *, int wait_status);

#endif
