/* SPDX-License-Identifier: MIT */
/*
 * The inbox: whole messages out of a blocking stream socket, one after another, with the descriptors that
 * they claim. Owned by the zygote (control socket) and by each worker (channel).
 *
 * The bytes of the message at hand stay where they are until inbox_done(), also when inbox_look() or
 * inbox_await() read on in the meantime: a running task's arguments point into them.
 */
#ifndef DAEMON_WORKER_INBOX_H
#define DAEMON_WORKER_INBOX_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/descriptors.h"
#include "proto/envelope.h"
#include "proto/scan.h"

enum inbox_result {
        INBOX_END = 1, /* the peer has closed; no whole message is left */
};

struct message {
        struct envelope envelope;
        int fds[LIMIT_DESCRIPTORS]; /* closed by inbox_done(); -1: somebody took it */
        uint32_t n_fds;
};

struct inbox {
        int fd;
        struct buffer bytes;     /* what has come; the message at hand first, unless it is in `held` */
        struct buffer held;      /* the message at hand, when reading on had to move the rest */
        size_t current_bytes;    /* of the message at hand, in `bytes` */
        size_t found_bytes;      /* at the beginning of `bytes` that are known to be whole messages */
        uint32_t found_fds;      /* that those claim */
        struct scan scan;        /* of the message behind them */
        struct fd_queue arrived; /* descriptors not yet claimed */
        uint64_t stream_at;      /* bytes received in all */
        bool ended;              /* end of file was read */
        int lost;                /* -errno: some of what came had to be dropped, nothing fits together now */
};

void inbox_init(struct inbox *inbox, int fd);
void inbox_deinit(struct inbox *inbox);
/* Nothing that came is left: inbox_next() would wait, or read. */
static inline bool inbox_is_empty(const struct inbox *inbox)
{
        return buffer_size(&inbox->bytes) == 0;
}
/* The next message, waiting for it. 0, INBOX_END, or -errno (-EBADMSG: the peer does not speak the protocol).
 */
int inbox_next(struct inbox *inbox, struct message *ret);
/* The message at hand is dealt with: its descriptors are closed, its bytes are gone. */
void inbox_done(struct inbox *inbox, struct message *message);
/* Reads what is there without waiting, and shows each message that became whole; it stays for inbox_next().
 */
int inbox_look(struct inbox *inbox, void (*on_message)(void *userdata, const struct envelope *),
               void *userdata);

enum inbox_fate {
        INBOX_KEEP, /* it stays for inbox_next() */
        INBOX_DROP,
        INBOX_TAKE, /* it is what was waited for */
};
/* A message that was taken from among others, on its own. */
struct taken {
        struct buffer bytes;
        int fds[LIMIT_DESCRIPTORS]; /* the owner's, closed by taken_reset() */
        uint32_t n_fds;
};
/* Empty again; keeps the memory. */
void taken_reset(struct taken *);
/* Waits for one message ahead of all others: shows each that comes, until one is taken; it is in *ret, which
 * was empty. Meanwhile signals are let in by `mask`. 0, INBOX_END, or -errno (-EINTR: a signal came;
 * to be called again). */
int inbox_await(struct inbox *inbox, const sigset_t *mask,
                enum inbox_fate (*on_message)(void *userdata, const struct envelope *), void *userdata,
                struct taken *ret);

/* Whether the envelope's method is this one. */
bool envelope_is(const struct envelope *envelope, const char *method);

#endif
