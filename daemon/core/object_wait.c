/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for something of a shared object: in its lists, first come, first served.
 */
#include "daemon/core/core_private.h"

static struct object_waits *list_of(struct object *object, const struct object_wait *wait)
{
        switch (wait->kind) {
        case WAIT_CONDITION:
                return wait->wants_lock ? &object->waits : &object->others;
        case WAIT_PUT:
                return &object->others;
        case WAIT_JOIN:
                return &object->joins;
        case WAIT_ACQUIRE:
        case WAIT_EVENT:
        case WAIT_BARRIER:
        case WAIT_GET:
        case WAIT_CHANGE:
                break;
        }
        return &object->waits;
}

int object_wait_new(struct peer *peer, uint32_t msgid, struct object *object, enum object_wait_kind kind,
                    int64_t timeout, struct object_wait **ret)
{
        struct core *core = peer->core;
        if (core->drained)
                return CORE_STOPPING;
        struct object_wait *wait = calloc(1, sizeof(*wait));
        if (!wait)
                return -ENOMEM;
        int r = waiter_new(peer, msgid, WAITER_OBJECT, &wait->waiter);
        if (r) {
                free(wait);
                return r;
        }
        wait->kind = kind;
        wait->object = object;
        wait->waiter->object_wait = wait;
        TAILQ_INIT(&wait->items);
        TAILQ_INSERT_TAIL(list_of(object, wait), wait, link);
        object->n_waiting++;
        if (timeout < CORE_NEVER - core->now)
                timer_set(core, &wait->waiter->timer, core->now + timeout);
        *ret = wait;
        return 0;
}

void object_wait_free(struct core *core, struct object_wait *wait)
{
        struct object *object = wait->object;
        enum object_wait_kind kind = wait->kind;
        bool is_answered = wait->notified;
        bool is_unheard = kind == WAIT_CONDITION && wait->notified && wait->hold;
        TAILQ_REMOVE(list_of(object, wait), wait, link);
        object->n_waiting--;
        wait->waiter->object_wait = NULL;
        if (kind == WAIT_PUT)
                queue_put_free(wait);
        free(wait->hold);
        free(wait);
        if (object->is_going || core->drained)
                return;
        if (kind == WAIT_BARRIER)
                barrier_break(object);
        else if (kind == WAIT_PUT && !is_answered)
                queue_settle(object);
        else if (is_unheard)
                condition_pass_on(object);
}

void answer_shared(struct core *core, struct core_request request, const struct core_shared_answer *answer)
{
        core->ops.answer_shared(core->ctx, request, answer);
}

void object_wait_answer(struct object_wait *wait, const struct core_shared_answer *answer)
{
        struct waiter *waiter = wait->waiter;
        struct core *core = waiter->peer->core;
        struct core_request request = waiter_request(waiter);
        waiter_free(core, waiter);
        answer_shared(core, request, answer);
}

/* A put that was done in part says how far it came. */
void object_wait_end(struct core *core, struct object_wait *wait, enum core_refusal refusal)
{
        if (wait->kind == WAIT_PUT && wait->n_done > 0)
                object_wait_answer(wait,
                                   &(struct core_shared_answer){.kind = ANSWER_COUNT, .count = wait->n_done});
        else
                waiter_refuse(core, wait->waiter, refusal);
}

void object_wait_on_timer(struct core *core, struct object_wait *wait)
{
        switch (wait->kind) {
        case WAIT_EVENT:
                object_wait_answer(wait, &(struct core_shared_answer){.kind = ANSWER_FLAG, .flag = false});
                break;
        case WAIT_CONDITION:
                condition_return(wait);
                break;
        case WAIT_BARRIER:
                waiter_refuse(core, wait->waiter, CORE_BROKEN);
                break;
        case WAIT_ACQUIRE:
        case WAIT_GET:
        case WAIT_PUT:
        case WAIT_JOIN:
        case WAIT_CHANGE:
                object_wait_end(core, wait, CORE_NOT_READY);
                break;
        }
}
