/* SPDX-License-Identifier: MIT */
#include "daemon/exhaustion.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/message_ids.h"

#define REST_MS 100

static int open_reserve(void)
{
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* With the reserve one caller can be told so at least: he sees his connection close. */
static void turn_away(struct exhaustion *e)
{
        int fd;

        if (e->reserve_fd < 0)
                return;
        close(e->reserve_fd);
        fd = accept4(e->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
                close(fd);
        e->reserve_fd = open_reserve();
}

static void rest(struct exhaustion *e, int error)
{
        static struct log_limit limit;
        static const struct timeval pause = {.tv_usec = REST_MS * 1000};

        bool is_memory = error == ENOMEM || error == ENOBUFS;

        log_limited(&limit, LOG_LEVEL_WARNING,
                    LOG_FIELDS(.message_id = is_memory ? NULL : MESSAGE_NO_DESCRIPTORS),
                    "no %s left for new connections; callers are turned away",
                    is_memory ? "memory is" : "descriptors are");
        e->resting = true;
        event_add(&e->rest_event, &pause);
        e->on_change(e->userdata);
}

bool exhaustion_begins(struct exhaustion *e, int error)
{
        if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
                return false;
        turn_away(e);
        rest(e, error);
        return true;
}

void exhaustion_end(struct exhaustion *e)
{
        if (!e->resting)
                return;
        e->resting = false;
        event_del(&e->rest_event);
        if (e->reserve_fd < 0)
                e->reserve_fd = open_reserve();
        e->on_change(e->userdata);
}

static void exhaustion_on_rested(evutil_socket_t unused, short events, void *arg)
{
        exhaustion_end(arg);
}

int exhaustion_init(struct exhaustion *e, struct event_base *base, int fd, void (*on_change)(void *userdata),
                    void *userdata)
{
        *e = (struct exhaustion){
                .fd = fd, .reserve_fd = open_reserve(), .on_change = on_change, .userdata = userdata};
        if (e->reserve_fd < 0)
                return -errno;
        if (event_assign(&e->rest_event, base, -1, 0, exhaustion_on_rested, e) < 0)
                return -EINVAL;
        e->has_event = true;
        return 0;
}

void exhaustion_deinit(struct exhaustion *e)
{
        if (e->has_event)
                event_del(&e->rest_event);
        if (e->reserve_fd >= 0)
                close(e->reserve_fd);
        *e = (struct exhaustion)EXHAUSTION_INIT;
}
