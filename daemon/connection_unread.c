/* SPDX-License-Identifier: MIT */
/*
 * Values in memfds that a client was sent and has not read. A message that carries one is small, so a socket
 * holds hundreds, and each pins its memory. The kernel says how much of a socket is unread, but not when that
 * changes: so it is asked, at each of the connection's turns and by a timer, ever more seldom while nothing
 * happens.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "daemon/connection_private.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"

#define FIRST_PAUSE (CORE_SECOND / 1000)
#define MOST_PAUSE  (CORE_SECOND / 4)

static bool is_read(const struct connection *c)
{
        int unread = 0;

        return c->output.beside_bytes == 0 && ioctl(c->fd, SIOCOUTQ, &unread) == 0 && unread == 0;
}

void connection_forget_unread(struct connection *c)
{
        if (c->pinned.listed)
                TAILQ_REMOVE(&c->owner->pinned, c, pinned.link);
        c->pinned.listed = false;
        c->pinned.bytes = 0;
}

uint64_t connection_pending_bytes(struct connection *c)
{
        if (c->pinned.bytes == 0)
                return output_waiting(&c->output);
        if (is_read(c)) {
                connection_forget_unread(c);
                return output_waiting(&c->output);
        }
        if (!c->pinned.listed) {
                TAILQ_INSERT_TAIL(&c->owner->pinned, c, pinned.link);
                c->pinned.listed = true;
                c->pinned.pause = FIRST_PAUSE;
                c->pinned.look_at = c->owner->daemon->now + c->pinned.pause;
        }
        return output_size(&c->output) + c->pinned.bytes;
}

int64_t connections_look_unread(struct connections *cs, int64_t now)
{
        struct connection *c;
        int64_t next = CORE_NEVER;

        TAILQ_FOREACH (c, &cs->pinned, pinned.link) {
                if (c->pinned.look_at <= now) {
                        c->pinned.pause = 2 * c->pinned.pause < MOST_PAUSE ? 2 * c->pinned.pause : MOST_PAUSE;
                        c->pinned.look_at = now + c->pinned.pause;
                        if (is_read(c)) {
                                connection_flush_later(c);
                                daemon_turn_again(cs->daemon);
                        }
                }
                if (c->pinned.look_at < next)
                        next = c->pinned.look_at;
        }
        return next;
}
