/* SPDX-License-Identifier: MIT */
/*
 * What a listening socket does when descriptors run out. It rests for a while instead of being told so by
 * every turn of the loop, which costs a CPU; one descriptor in reserve serves to turn callers away in the
 * meantime. Embedded in its owner, which does the accepting.
 */
#ifndef DAEMON_EXHAUSTION_H
#define DAEMON_EXHAUSTION_H

#include <event2/event_struct.h>
#include <stdbool.h>

struct exhaustion {
        int fd;         /* it listens; the owner's */
        int reserve_fd; /* -1: used up */
        bool resting;   /* the owner accepts nobody */
        bool has_event;
        struct event rest_event;
        void (*on_change)(void *userdata); /* resting became something else */
        void *userdata;
};

#define EXHAUSTION_INIT                                                                                      \
        {                                                                                                    \
                .fd = -1, .reserve_fd = -1                                                                   \
        }

/* 0 or -errno. */
int exhaustion_init(struct exhaustion *, struct event_base *, int fd, void (*on_change)(void *userdata),
                    void *userdata);
/* Takes what was never initialised, if it is an EXHAUSTION_INIT. */
void exhaustion_deinit(struct exhaustion *);
/* accept() failed with this. True: descriptors have run out, and it rests. Else it is that caller's trouble.
 */
bool exhaustion_begins(struct exhaustion *, int error);
/* A descriptor was freed: it need not rest longer. */
void exhaustion_end(struct exhaustion *);

#endif
