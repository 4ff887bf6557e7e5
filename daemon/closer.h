/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that strangers sent, from the moment they arrive to the moment they are closed. Closing one can
 * block for as long as its sender likes (a file of his own FUSE file system), so a thread does it; one for
 * each user that has some to close, so that he holds up nobody but himself. All that a user has here is
 * counted, those that wait to be closed included, and past a bound nothing more is taken from him.
 *
 * One for the process, because a close function has no argument but the descriptor. The threads touch nothing
 * but their own queue.
 */
#ifndef DAEMON_CLOSER_H
#define DAEMON_CLOSER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLOSER_IDLE_S 5 /* a thread without work ends after this */

enum closer_result {
        CLOSER_LIMIT = 1, /* the user has as many as he may */
};

/* Before the first descriptor; may be called again. */
void closer_init(uint32_t limit_per_user);
/* Notes that this descriptor came from this user; it is to be closed by closer_close() whatever is returned.
 * 0, CLOSER_LIMIT, -ENOMEM. */
int closer_adopt(int fd, uid_t uid);
/* The same of a duplicate: it is whose the other one is, if anybody's. 0 or -ENOMEM. */
int closer_adopt_copy(int copy, int fd);
/* Closes it, at once if that takes no time, else as soon as that user's thread comes to it. */
void closer_close(int fd);
/* Ends a user's connection and closes its socket, elsewhere if something in it is unread: that may be
 * descriptors, which are closed with it. */
void closer_close_socket(int fd, uid_t uid);
/* Whether the user has more than he may, so that nothing is to be received from him. */
bool closer_is_over(uid_t uid);
/* How many the user has, closing ones included. */
uint32_t closer_held(uid_t uid);

#endif
