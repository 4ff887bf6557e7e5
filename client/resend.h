/* SPDX-License-Identifier: MIT */
/*
 * What may be sent again on another connection, and how. A kept message is a copy of a request as it was
 * packed, with duplicates of its descriptors, owned by its open request. It is not repeated byte for byte:
 * times that count from when it was made have run on, and a task says that it is another attempt.
 */
#ifndef CLIENT_RESEND_H
#define CLIENT_RESEND_H

#include <stdbool.h>
#include <stdint.h>

#include "client/format.h"
#include "proto/methods.h"
#include "proto/reader.h"

enum resend {
        RESEND_NEVER = 0, /* whoever waits is told that the connection was lost; also a method unknown here */
        RESEND_SAME,      /* asks or sets something: twice is as good as once */
        RESEND_TASK,      /* brings a task: another attempt */
        RESEND_OBJECT,    /* about a shared object, or held by the connection: never, and it was let go of */
};
enum resend resend_of(enum method);

/* How many more locks and leased items a connection holds after this answer, or fewer. */
int64_t held_by_answer(enum method, struct reader result);

struct kept {
        enum method method;
        enum resend resend;
        uint32_t n_sent;
        int64_t made_ms;
        int64_t deadline_ms; /* INT64_MAX: none */
        struct buffer bytes;
        uint32_t n_fds;
        int fds[];
};

/* A copy of a whole request, which was made now. 0, or -ENOMEM, or -EMFILE and the like for want of a
 * descriptor. */
int kept_new(enum method, const uint8_t *data, size_t size_bytes, const int *fds, uint32_t n_fds,
             int64_t now_ms, struct kept **ret);
/* Takes NULL, returns NULL. */
struct kept *kept_free(struct kept *);
/* Writes it as it is to be sent now; its descriptors are duplicated once more. */
void kept_write(const struct kept *, int64_t now_ms, struct ganger_writer *);

#endif
