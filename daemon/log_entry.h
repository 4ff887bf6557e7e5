/* SPDX-License-Identifier: MIT */
/*
 * One message of the log between who writes it and who puts it out. The texts lie behind the entry (in the
 * ring) or in a buffer beside it; they end with a 0 byte and are not escaped yet.
 */
#ifndef DAEMON_LOG_ENTRY_H
#define DAEMON_LOG_ENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "daemon/log.h"

#define LOG_MESSAGE_BYTES 2048 /* of the message as it is written; what is longer is cut */
#define LOG_NAME_BYTES    256  /* of a pool's, function's, file's name */

struct log_entry {
        struct timespec time; /* CLOCK_REALTIME */
        enum log_level level;
        const struct log_origin *origin;
        const char *message_id; /* static, or NULL */
        const char *stream;     /* the same */
        uint64_t task;
        pid_t worker;
        bool has_uid;
        uid_t uid;
        int line;                                     /* of `file` */
        const char *message, *pool, *function, *file; /* NULL: none, but `message` */
        uint64_t dropped;                             /* so many before it found no room */
};

#endif
