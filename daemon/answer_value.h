/* SPDX-License-Identifier: MIT */
/*
 * Results on their way to who waits. Values in memfds ride with the message to a peer that takes descriptors;
 * for others, and for one that leaves too much of them unread, their bytes are sent in place.
 */
#ifndef DAEMON_ANSWER_VALUE_H
#define DAEMON_ANSWER_VALUE_H

#include <stdint.h>

#include "daemon/core/core.h"

struct daemon;
struct connection;

/* Answers the request with the payload. */
void answer_value(struct daemon *, struct connection *, uint32_t msgid, payload_t);

#endif
