/* SPDX-License-Identifier: MIT */
/*
 * The worker process: one channel, one area, one task at a time. struct worker lives as long as the process,
 * struct run as long as one task (or one item of a map). The one invariant worth knowing: an answer has left
 * the process before the next task is claimed.
 */
#ifndef DAEMON_WORKER_WORKER_H
#define DAEMON_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "daemon/worker/confine.h"
#include "daemon/worker/ganger_module.h"
#include "daemon/worker/inbox.h"
#include "daemon/worker/load.h"
#include "daemon/worker/mapped.h"
#include "proto/area.h"
#include "proto/buffer.h"
#include "proto/pack.h"
#include "proto/reader.h"
#include "proto/ring.h"

enum {
        RUN_MESSAGE_BYTES = 4096, /* of a failure's text */
        RUN_CODE_BYTES = 64,
};

#define RUN_FLAG_STREAMS UINT64_C(1) /* what programs write is wanted as streams */
#define RUN_FLAG_STDERR  UINT64_C(2) /* what goes to standard error is wanted as a stream, if nothing else */

/* The last answer that was an error, as text. */
struct refusal {
        char code[RUN_CODE_BYTES];
        char function_code[RUN_CODE_BYTES]; /* of a function's own */
        char message[RUN_MESSAGE_BYTES];
};

/* A large value of the result, in a memfd. */
struct part {
        int fd;
        void *address; /* NULL: it is sealed */
        size_t size_bytes;
};

struct worker {
        const struct pool *pool;
        pid_t pid;
        int channel;
        struct area *area;
        struct ring *ring; /* NULL: there is none */
        struct inbox inbox;
        struct buffer head;   /* of the message being sent; reused */
        struct buffer result; /* of the task; reused */
        struct part parts[LIMIT_DESCRIPTORS];
        uint32_t n_parts;      /* that the result claims, in this order */
        struct buffer request; /* what the task asks */
        struct taken reply;    /* the whole message of the answer */
        uint32_t last_msgid;   /* of what was asked */
        struct refusal refusal;
        struct confine_refusals refusals; /* told in the hello */
        int64_t latest_ns;      /* not 0: the time of a moment ago; no system call has been made since */
        uint64_t unlooked_task; /* not 0: the last whose strays were not looked for, being short */
        bool leaving; /* something is left of a task that cannot be killed: exit, gangerd sees to it */
};

struct run {
        struct ganger_task task; /* what the module sees; first, so that it can be turned back */
        struct worker *worker;
        const struct function *function;
        uint64_t id;
        uint32_t attempt;
        unsigned slot;
        int64_t began_ns;  /* the task, or the chunk */
        int64_t called_ns; /* its function, for this item; */
        int64_t ended_ns;  /* when that returned */
        uint64_t flags;
        int64_t credit_bytes; /* of stream data that may still be sent */

        struct reader args; /* over the elements of the args array */
        const int *fds;     /* that the arguments claim */
        uint32_t n_fds, next_fd;
        struct mapped *mapped; /* of them, those that are values */
        int *opened;           /* by open_input(), closed when the run ends */
        size_t n_opened;

        struct packer packer;  /* into worker->result */
        struct packer request; /* into worker->request */
        struct packer *put;    /* that one of these two into which is put */
        struct reader reply;   /* over the answer: its result, or its error if it … */
        bool was_refused;
        uint32_t next_reply_fd;      /* of worker->reply */
        struct mapped *reply_mapped; /* of its descriptors */
        bool is_item;                /* of a map */
        bool failed;
        bool has_detail; /* worker->result holds one */
        char code[RUN_CODE_BYTES];
        char message[RUN_MESSAGE_BYTES];
        int64_t progress_at_ns; /* when progress was last sent */
};

static inline struct run *run_of(struct ganger_task *task)
{
        return (struct run *)task;
}

/* What modules call; api.c. */
extern const struct ganger_api worker_api;

/* CLOCK_MONOTONIC. */
int64_t now_ns(void);

/* Serves tasks until gangerd is gone or says stop; loop.c. 0 or -errno (-EBADMSG: gangerd talks nonsense). */
int worker_serve(struct worker *worker);
/* Whether gangerd wants the run to end. */
bool run_is_cancelled(const struct run *run);
/* Marks the run as failed; what was put as a result becomes its detail if it is one whole value. Returns a
 * positive number. */
int run_fail(struct run *run, const char *code, const char *format, va_list ap)
        __attribute__((format(printf, 3, 0)));
int run_failf(struct run *run, const char *code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Whether the message is credit; then this run has taken what is for it. */
bool run_take_one_credit(struct run *run, const struct envelope *envelope);
/* Reads what gangerd has sent meanwhile, for credit to this run. 0 or -errno. */
int run_take_credit(struct run *run);

/* -- what the task asks for, request.c -- */

/* From now on what is put are the parameters of a request, until request_end(). */
int request_begin(struct run *run, const char *method, uint32_t n_params);
/* Sends it and waits for the answer. 0: run->reply is the result; 1: the error; or -errno (-ECANCELED: the
 * task was told to end). */
int request_end(struct run *run);
/* What the put functions call before they pack so many bytes more: 0 or -EMSGSIZE. */
int request_reserve(struct run *run, size_t size_bytes);
/* Gives up what was begun, and what was answered. */
void request_forget(struct run *run);

/* Asks for a value or array and maps it, shared.c: as request_end(); the view is the module's. */
int shared_open(struct run *run, struct ganger_shared *ret, const char *name,
                const struct ganger_shared_options *options);

/* -- messages out, answer.c; 0 or -errno: the channel is lost -- */

/* Makes the result ready to be put. */
void answer_begin(struct run *run);
/* What the put functions call before they pack so many bytes more: 0 or -EMSGSIZE. */
int answer_reserve(struct run *run, size_t size_bytes);
/* Puts a bin that is large enough to go beside the message, and returns where to write it; NULL: it is to be
 * put as others are. */
void *answer_put_part(struct run *run, size_t size_bytes);
/* The same for one that is in a sealed memfd already, which stays the caller's: whether it was put. */
bool answer_put_sealed(struct run *run, int fd, size_t size_bytes);
/* Whether what was put is one whole value that fits into `outer` arrays and maps. */
bool answer_is_whole(const struct run *run, unsigned outer);
/* Answers for the task; one send. */
int answer_send(struct run *run);
/* Reports one item of a chunk; one send. */
int answer_send_item(struct run *run, uint64_t index);
/* One piece of a stream whose kind's data is a bin. */
int stream_send_bin(struct run *run, const char *kind, const void *data, size_t size_bytes);
int stream_send_progress(struct run *run, double done, const char *text);
int stream_send_log(struct run *run, int level, const char *file, int line, const char *text);
int hello_send(struct worker *worker);

/* Sends one message to gangerd, by the ring if it fits there and has no descriptors; sendall.c. 0 or -errno.
 */
int message_send(struct worker *worker, struct iovec *iov, size_t n, const int *fds, uint32_t n_fds);
/* Sends all of it, waiting as long as it takes, the descriptors with its first byte. 0 or -errno. */
int send_all(int fd, struct iovec *iov, size_t n, const int *fds, uint32_t n_fds);

/* Cuts text to what a MessagePack str may hold: bytes that are no UTF-8 become '?'. */
void text_mend(char *text);

#endif
