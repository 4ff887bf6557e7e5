/* SPDX-License-Identifier: MIT */
/*
 * Waiters: the open requests of clients. Each is known by connection and msgid until it is answered, stands
 * in its peer's list, and watches one task, or several (wait.c). It is freed before its answer goes out, so
 * a request is never answered twice.
 */
#include "daemon/core/core_private.h"

#define CALLERS_BYTES 128 /* what the caller of the core may have of its own for such a request */

struct waiter *waiter_find(const struct core *core, struct core_request request)
{
        struct table_link *link = table_find(&core->waiters, request_key(request));
        return link ? CONTAINER_OF(link, struct waiter, by_request) : NULL;
}

bool core_request_is_open(const struct core *core, struct core_request request)
{
        return waiter_find(core, request) != NULL;
}

/* What an open request costs its user. A connection has some for nothing, so that who holds too much can
 * still go about what frees it. */
static uint32_t cost_of(const struct peer *peer, enum waiter_kind kind)
{
        uint32_t more = kind == WAITER_OBJECT    ? sizeof(struct object_wait)
                        : kind == WAITER_CALLERS ? CALLERS_BYTES
                                                 : 0;
        return peer->n_waiters < WAITERS_FREE ? 0 : sizeof(struct waiter) + more;
}

int waiter_new(struct peer *peer, uint32_t msgid, enum waiter_kind kind, struct waiter **ret)
{
        struct core *core = peer->core;
        struct core_request request = {peer->index, msgid};
        uint32_t cost_bytes = cost_of(peer, kind);
        if (waiter_find(core, request))
                return CORE_MISUSE;
        int r = peer_admit_waiting(peer);
        if (!r && cost_bytes)
                r = user_admit(peer->user, ACCOUNT_BYTES, cost_bytes);
        if (r)
                return r;
        if (peer->n_waiters >= core->config.max_requests) {
                core->quota = (struct core_quota){"max_requests", peer->n_waiters, core->config.max_requests};
                return CORE_QUOTA;
        }
        if (timers_reserve(&core->timers, 1) < 0)
                return -ENOMEM;
        struct waiter *waiter = core->spare_waiters;
        if (waiter) {
                core->spare_waiters = (struct waiter *)waiter->by_request.next;
                core->n_spare_waiters--;
        } else if (!(waiter = malloc(sizeof(*waiter)))) {
                timers_unreserve(&core->timers, 1);
                return -ENOMEM;
        }
        memset(waiter, 0, sizeof(*waiter));
        waiter->peer = peer;
        waiter->kind = kind;
        waiter->timer.kind = TIMER_WAITER;
        waiter->reserved_bytes = cost_bytes;
        user_charge(peer->user, ACCOUNT_BYTES, cost_bytes);
        table_add(&core->waiters, &waiter->by_request, request_key(request));
        TAILQ_INSERT_TAIL(&peer->waiters, waiter, link);
        peer->n_waiters++;
        peer_update_waiting(peer);
        *ret = waiter;
        return 0;
}

int core_request_begin(struct core *core, struct core_request request, struct core_ticket *ret)
{
        struct waiter *waiter;
        if (core->drained)
                return CORE_STOPPING;
        int r = waiter_new(peer_at(core, request.connection), request.msgid, WAITER_CALLERS, &waiter);
        if (r != 0)
                return r;
        waiter->serial = ++core->last_ticket;
        *ret = (struct core_ticket){.request = request, .serial = waiter->serial};
        return 0;
}

bool core_request_end(struct core *core, const struct core_ticket *ticket)
{
        struct waiter *waiter = waiter_find(core, ticket->request);
        if (!waiter || waiter->kind != WAITER_CALLERS || waiter->serial != ticket->serial)
                return false;
        waiter_free(core, waiter);
        return true;
}

void waiter_watch(struct waiter *waiter, struct watch *watch, struct task *task, size_t index)
{
        watch->waiter = waiter;
        watch->index = index;
        watch_begin(watch, task);
        /* Who waits may be what his user's memory waits for. */
        if (waiter->peer->run && task->place == PLACE_PARKED && !task->map)
                task_unpark(task);
}

void waiter_free(struct core *core, struct waiter *waiter)
{
        struct peer *peer = waiter->peer;
        struct task *task = waiter->watch.task;
        if (task) {
                watch_end(&waiter->watch);
                /* It may be the slow one for whose sake credit was withheld. */
                if (waiter->streams)
                        task_resume_stream(task);
        }
        if (waiter->wait)
                wait_free(core, waiter);
        if (waiter->object_wait)
                object_wait_free(core, waiter->object_wait);
        if (waiter->kind == WAITER_DRAIN || waiter->kind == WAITER_RENEWAL)
                LIST_REMOVE(waiter, of_pool);
        user_release(peer->user, ACCOUNT_BYTES, waiter->reserved_bytes);
        timer_clear(core, &waiter->timer);
        timers_unreserve(&core->timers, 1);
        table_remove(&core->waiters, &waiter->by_request);
        TAILQ_REMOVE(&peer->waiters, waiter, link);
        peer->n_waiters--;
        if (core->n_spare_waiters >= RESERVE_MAX) {
                free(waiter);
        } else {
                waiter->by_request.next = (struct table_link *)core->spare_waiters;
                core->spare_waiters = waiter;
                core->n_spare_waiters++;
        }
        peer_update_waiting(peer);
}

void waiter_refuse(struct core *core, struct waiter *waiter, enum core_refusal refusal)
{
        struct core_request request = waiter_request(waiter);
        bool is_over = waiter->peer->is_over; /* nobody is there to be told */
        waiter_free(core, waiter);
        if (!is_over)
                core->ops.answer_refusal(core->ctx, request, refusal);
}

bool task_answer(struct core *core, struct task *task, struct core_request request, bool is_last)
{
        struct core_record record;
        if (task->map) {
                map_answer(core, task, request);
        } else if (task->result_lost) {
                core->ops.answer_refusal(core->ctx, request, CORE_OUT_OF_MEMORY);
        } else if (task->state == TASK_SUCCEEDED && !is_last &&
                   core_connection_admit_output(core, request.connection, task->result_size_bytes)) {
                core->ops.answer_refusal(core->ctx, request, CORE_QUOTA);
        } else if (task->state == TASK_SUCCEEDED) {
                return core->ops.answer_result(core->ctx, request, task_id(task), task->result);
        } else {
                task_record(core, task, &record);
                core->ops.answer_record(core->ctx, request, &record);
        }
        return true;
}

void waiter_answer(struct core *core, struct waiter *waiter, struct task *task)
{
        struct core_request request = waiter_request(waiter);
        bool is_caller = waiter->kind == WAITER_CALL;
        bool takes = waiter->kind == WAITER_RESULT && !waiter->keep && !task_key(task);
        bool is_own_call = waiter->kind == WAITER_CALL && !task_key(task);
        if (waiter->kind == WAITER_MAP)
                task->map->waiter = NULL;
        if (takes && task->taken) {
                waiter_refuse(core, waiter, CORE_UNKNOWN_TASK);
                return;
        }
        waiter_free(core, waiter);
        if (task_answer(core, task, request, takes || is_own_call))
                task->taken |= takes;
        else if (is_caller)
                task->is_call = false; /* kept from now on, as if it had been submitted */
}

void waiter_give_up(struct core *core, struct waiter *waiter)
{
        if (waiter->object_wait)
                object_wait_end(core, waiter->object_wait, CORE_CANCELLED);
        else
                waiter_refuse(core, waiter, CORE_CANCELLED);
}

void waiter_stop(struct core *core, struct waiter *waiter)
{
        if (waiter->object_wait)
                object_wait_end(core, waiter->object_wait, CORE_STOPPING);
        else
                waiter_refuse(core, waiter, CORE_STOPPING);
}

void waiter_on_timer(struct core *core, struct waiter *waiter)
{
        timer_clear(core, &waiter->timer);
        if (waiter->wait)
                wait_answer(core, waiter);
        else if (waiter->object_wait)
                object_wait_on_timer(core, waiter->object_wait);
        else
                waiter_refuse(core, waiter, CORE_NOT_READY);
}
