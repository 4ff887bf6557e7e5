/* SPDX-License-Identifier: MIT */
/*
 * The connection of a task that asks for something itself. Its messages come in by its worker's channel and
 * what it is answered goes out there, so nothing here reads or flushes. It begins with the task's first
 * request and is over when the core says so; then its number is free at the loop's end, like a client's.
 *
 * It is the task's user's, who is no admin here, whatever he was when he submitted it; pools are open to it
 * as they were to the connection that brought the task's arguments.
 */
#include <assert.h>

#include "daemon/connection_private.h"
#include "daemon/core/core_look.h"
#include "daemon/daemon.h"

static void discard(struct connection *c)
{
        struct connections *cs = c->owner;

        c->closed = true;
        TAILQ_REMOVE(&cs->open, c, link);
        TAILQ_INSERT_TAIL(&cs->graveyard, c, link);
        if (c->flush_listed)
                TAILQ_REMOVE(&cs->flush, c, flush_link);
        c->flush_listed = false;
        daemon_turn_again(cs->daemon);
}

/* Whose task it is that the worker runs. */
static void learn_user(struct connection *c, uint32_t worker)
{
        const struct core *core = c->owner->daemon->core;
        struct core_worker_status status;
        struct core_record record;
        bool runs = core_worker_status(core, c->index, worker, &status);

        assert(runs && status.visible);
        int r = core_task(core, c->index, status.task, &record);
        assert(r == 0);
        c->uid = record.uid;
        c->task = record.id;
}

int connection_open_task(struct connections *cs, struct channel *channel, uint32_t worker, pid_t pid,
                         struct connection **ret)
{
        struct connection *c;
        int r = connection_new(cs, &c);

        if (r < 0)
                return r;
        cs->n_tasks++;
        c->channel = channel;
        c->pid = pid;
        r = core_connection_open_task(cs->daemon->core, c->index, worker, cs->daemon->now);
        if (r != 0) {
                discard(c);
                return r;
        }
        learn_user(c, worker);
        *ret = c;
        return 0;
}

void connection_task_over(struct connection *c)
{
        struct connections *cs = c->owner;

        assert(c->channel != NULL && !c->closed && !c->announced);
        discard(c);
        cs->callbacks->on_over(cs->userdata, c);
}

void connection_task_flushed(struct connection *c)
{
        size_t left = output_size(&c->channel->output);

        if (c->owed_bytes > left)
                c->owed_bytes = left;
        connection_tell_output(c, c->owed_bytes);
}
