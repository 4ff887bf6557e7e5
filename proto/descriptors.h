/* SPDX-License-Identifier: MIT */
/*
 * File descriptors beside bytes, on Unix stream sockets: receiving (always with room, always CLOEXEC),
 * sending (all of a message's descriptors with its first byte and no byte of another message beside it), and
 * the queue in which received ones wait for the message that claims them.
 *
 * The rule: the n-th ext value of type 71 in a message claims the n-th descriptor; after each message nothing
 * may be left that arrived in a read that ended at or before the message's end.
 */
#ifndef PROTO_DESCRIPTORS_H
#define PROTO_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proto/buffer.h"
#include "proto/limits.h"

#define EXT_DESCRIPTOR            71 /* "G": kind and size, 9 bytes */
#define EXT_DESCRIPTOR_SIZE_BYTES 9
enum descriptor_kind { DESCRIPTOR_VALUE = 0, DESCRIPTOR_SHARED = 1, DESCRIPTOR_OPEN = 2 };

/* Received descriptors not yet claimed, oldest first. */
struct fd_queue {
        struct fd_arrival *items; /* a small vector */
        uint32_t n, capacity;
        void (*close_fd)(int fd); /* for what nobody claims (a close may block); NULL: close(2) */
};
struct fd_arrival {
        int fd;
        uint64_t read_end; /* position in the stream behind the read that it came in */
};

enum receive_result {
        /* Descriptors were lost on the way (more than fit, or this process may open no more), or more wait
         * than LIMIT_RECV_DESCRIPTORS: all that came now are closed, the peer is to be dropped. */
        RECEIVE_TRUNCATED = 1,
};

/* One recvmsg into the buffer's free room (reserved by the caller), of at most so many bytes, blocking if the
 * socket does. Descriptors go to the queue, as arrived at the position *stream_at behind this read, which is
 * advanced. ret_ucred (may be NULL) gets SCM_CREDENTIALS, its pid is 0 if none came. Bytes read in *ret (0:
 * end of file) and 0, or -errno
 * (-EAGAIN; -ENOMEM: what came is closed, the peer is to be dropped), or RECEIVE_TRUNCATED. */
struct ucred;
int fds_receive_most(int fd, struct buffer *b, size_t most_bytes, uint64_t *stream_at, struct fd_queue *queue,
                     size_t *ret, struct ucred *ret_ucred);
/* The same with all of the free room. */
int fds_receive(int fd, struct buffer *b, uint64_t *stream_at, struct fd_queue *queue, size_t *ret,
                struct ucred *ret_ucred);
/* Duplicates of all of them, or -errno and none. */
int fds_duplicate(const int *fds, uint32_t n, int *ret);
/* Takes the n oldest into ret; false: there are fewer (nothing taken). */
bool fd_queue_take(struct fd_queue *q, uint32_t n, int *ret);
/* The same for a message that is taken ahead of others, which claim the `n_before` oldest. */
bool fd_queue_take_behind(struct fd_queue *q, uint32_t n_before, uint32_t n, int *ret);
/* Whether one is left that the message which ended at `message_end` should have claimed. */
bool fd_queue_left_over(const struct fd_queue *q, uint64_t message_end);
/* Closes all that are left and frees the memory. */
void fd_queue_deinit(struct fd_queue *q);

/* Output with marks: bytes, and which descriptors go with which message. The sink owns the descriptors from
 * output_mark() on and closes them when sent. */
struct output {
        struct buffer bytes;
        uint64_t sent;                    /* position in the stream of bytes.begin */
        uint64_t beside_bytes;            /* that marks hold: files to be sent, and values that ride along */
        STAILQ_HEAD(, output_mark) marks; /* in order of position */
        void (*close_fd)(int fd);         /* for what was sent (a close may block); NULL: close(2) */
};
struct output_mark {
        STAILQ_ENTRY(output_mark) link; /* output.marks */
        uint64_t at, end;               /* positions of the message's first byte and behind its last one */
        uint64_t beside_bytes;
        bool is_file;       /* the content of fds[0] is sent at `at` … */
        uint64_t file_sent; /* … of which so much is gone */
        uint32_t n_fds;
        int fds[];
};

void output_init(struct output *o);
void output_deinit(struct output *o);
/* Bytes that wait in the buffer, which positions count. */
static inline size_t output_size(const struct output *o)
{
        return buffer_size(&o->bytes);
}
/* Bytes that wait in all, what lies in descriptors too. */
static inline uint64_t output_waiting(const struct output *o)
{
        return buffer_size(&o->bytes) + o->beside_bytes;
}
/* Descriptors that wait. */
uint32_t output_fds(const struct output *o);
/* Says that the message which was just appended (its last `message_bytes` bytes) carries these descriptors
 * (at most LIMIT_DESCRIPTORS; none: no mark). To be said before any of it is flushed. On success they belong
 * to the output; -ENOMEM: they stay the caller's. */
int output_mark(struct output *o, size_t message_bytes, const int *fds, uint32_t n_fds);
/* The same for descriptors that are values in memfds, of so many bytes in all. */
int output_mark_values(struct output *o, size_t message_bytes, const int *fds, uint32_t n_fds,
                       uint64_t values_bytes);
/* The content of a sealed memfd of that size (> 0) is sent where the buffer ends now. On success the
 * descriptor belongs to the output; -ENOMEM: it stays the caller's. */
int output_file(struct output *o, int fd, uint64_t size_bytes);
/* Sends what can be sent without blocking (MSG_NOSIGNAL). 0: all gone; 1: something is left (wait until
 * writable); -errno: the connection is lost. */
int output_flush(struct output *o, int fd);

#endif
