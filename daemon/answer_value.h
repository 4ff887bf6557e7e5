/* SPDX-License-Identifier: MIT */
/*
 * Results on their way to who waits. Values in memfds ride with the message to a peer that takes descriptors;
 * for others, and for one that leaves too much of them unread, their bytes are sent in place.
 */
#ifndef DAEMON_ANSWER_VALUE_H
#define DAEMON_ANSWER_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/core.h"

struct daemon;
struct connection;

/* Answers the request with the task's result. False: it is too large for this peer, which was told so. */
bool answer_value(struct daemon *, struct connection *, uint32_t msgid, uint64_t task, payload_t result);

#endif
