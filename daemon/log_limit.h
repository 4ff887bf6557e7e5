/* SPDX-License-Identifier: MIT */
/*
 * One cause's share of the log: so many messages an interval, what is above is counted. Static, all zero. The
 * count is said with the next message that is let through, or when the interval is over, whichever is first.
 */
#ifndef DAEMON_LOG_LIMIT_H
#define DAEMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#define LOG_LIMIT_BURST      10  /* where nothing else is said */
#define LOG_LIMIT_EVENTS     100 /* of what is worth a line each, as long as there are not too many */
#define LOG_LIMIT_INTERVAL_S 10
#define LOG_LIMIT_LIKE_BYTES 128

struct log_limit {
        uint32_t burst; /* 0: LOG_LIMIT_BURST */
        uint32_t n;     /* let through in the interval */
        int64_t since;  /* its begin, CLOCK_MONOTONIC, ns */
        uint64_t suppressed;
        char like[LOG_LIMIT_LIKE_BYTES]; /* the first one suppressed, or what its sort is called */
        unsigned level;                  /* of the last one */
        bool has_uid;                    /* the same */
        uid_t uid;                       /* the same */
        bool owes;                       /* suppressed > 0 */
        LIST_ENTRY(log_limit) owing;     /* log.c's list of those that owe their count */
};

/* Whether a message of the cause may be written now; if not it is counted. */
bool log_limit_take(struct log_limit *, int64_t now);
/* When its interval ends. */
int64_t log_limit_ends(const struct log_limit *);

/* A cause that has a share for each user, so that one's flood hides nobody else's messages. Users whose ids
 * fall together share one. */
#define LOG_LIMIT_SHARES 64
struct log_limits {
        uint32_t burst;
        struct log_limit shares[LOG_LIMIT_SHARES];
};
struct log_limit *log_limit_of(struct log_limits *, uid_t);

#endif
