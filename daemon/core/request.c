/* SPDX-License-Identifier: MIT */
/*
 * What clients ask for: submit, call, result, attach, cancel, cancel_request. Each first finds out whether it
 * can be done at all, then does it; a refusal has changed nothing.
 */
#include "daemon/core/core_private.h"
#include "proto/options.h"

int core_submit(struct core *core, uint32_t connection, const struct core_spec *spec, int64_t now,
                uint64_t *ret_id)
{
        struct peer *peer = peer_at(core, connection);
        struct task *task;
        assert(peer);
        core_update_now(core, now);
        int r = key_find(peer, spec, &task);
        if (r)
                return r;
        if (task) {
                key_join(core, task, spec);
                *ret_id = task_id(task);
                return 0;
        }
        r = task_new(peer, spec, 1, now, &task);
        if (r)
                return r;
        task_accept(core, task);
        *ret_id = task_id(task);
        return 0;
}

/* A call that joins waits as one who is attached. */
static int call_joins(struct core *core, struct core_request request, struct task *task,
                      const struct core_spec *spec)
{
        struct peer *peer = peer_at(core, request.connection);
        struct waiter *waiter;
        if (waiter_find(core, request))
                return CORE_MISUSE;
        if (peer_would_deadlock(peer, task))
                return CORE_DEADLOCK;
        if (!task->settled) {
                int r = awaited_reserve(peer, task->pool);
                if (!r)
                        r = waiter_new(peer, request.msgid, WAITER_ATTACH, &waiter);
                if (r)
                        return r;
                waiter->streams = spec->streams;
                waiter_watch(waiter, &waiter->watch, task, 0);
        }
        key_join(core, task, spec);
        if (task->settled)
                task_answer(core, task, request, false);
        return 0;
}

int core_call(struct core *core, struct core_request request, const struct core_spec *spec, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct waiter *waiter;
        struct task *task;
        assert(peer);
        core_update_now(core, now);
        int r = key_find(peer, spec, &task);
        if (r)
                return r;
        if (task)
                return call_joins(core, request, task, spec);
        r = waiter_new(peer, request.msgid, WAITER_CALL, &waiter);
        if (r)
                return r;
        r = task_new(peer, spec, 1, now, &task);
        if (r) {
                waiter_free(core, waiter);
                return r;
        }
        task->is_call = true;
        waiter->streams = spec->streams;
        waiter_watch(waiter, &waiter->watch, task, 0);
        task_accept(core, task);
        return 0;
}

static struct task *visible_task(const struct core *core, const struct peer *peer, uint64_t id)
{
        struct task *task = task_find(core, id);
        return task && peer_sees(peer, user_uid(task->user)) ? task : NULL;
}

static bool visible_record(const struct core *core, const struct peer *peer, uint64_t id,
                           struct core_record *ret)
{
        return history_find(&core->history, id, ret) && peer_sees(peer, ret->uid);
}

/* What history knows: how it failed, but no result. */
static int answer_from_history(struct core *core, const struct peer *peer, struct core_request request,
                               uint64_t id)
{
        struct core_record record;
        if (!visible_record(core, peer, id, &record) || record.state == TASK_SUCCEEDED)
                return CORE_UNKNOWN_TASK;
        core->ops.answer_record(core->ctx, request, &record);
        return 0;
}

int core_result(struct core *core, struct core_request request, uint64_t id, int64_t timeout, bool keep,
                int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        struct waiter *waiter;
        assert(peer);
        core_update_now(core, now);
        if (waiter_find(core, request))
                return CORE_MISUSE;
        struct task *task = visible_task(core, peer, id);
        if (!task)
                return answer_from_history(core, peer, request, id);
        if (task->settled) {
                bool is_last = !keep && !task_key(task);
                if (task_answer(core, task, request, is_last) && is_last)
                        task_forget(core, task);
                return 0;
        }
        if (timeout <= 0) {
                core->ops.answer_refusal(core->ctx, request, CORE_NOT_READY);
                return 0;
        }
        if (peer_would_deadlock(peer, task))
                return CORE_DEADLOCK;
        int r = awaited_reserve(peer, task->pool);
        if (!r)
                r = waiter_new(peer, request.msgid, WAITER_RESULT, &waiter);
        if (r)
                return r;
        waiter->keep = keep;
        waiter_watch(waiter, &waiter->watch, task, 0);
        if (timeout < CORE_NEVER - now)
                timer_set(core, &waiter->timer, now + timeout);
        return 0;
}

/* Each gets its own copy of what the task writes, as much as there is credit for before anybody is known to
 * be blocked: many of them on one task would multiply that. */
static int watch_unended(struct peer *peer, uint32_t msgid, struct task *task, unsigned streams)
{
        bool copies_output = streams & (STREAM_STDOUT | STREAM_STDERR);
        uint32_t reserved_bytes = copies_output ? LIMIT_STREAM_CREDIT_BYTES : 0;
        struct waiter *waiter;
        if (peer_would_deadlock(peer, task))
                return CORE_DEADLOCK;
        int r = awaited_reserve(peer, task->pool);
        if (!r && copies_output)
                r = user_admit(peer->user, ACCOUNT_BYTES, reserved_bytes);
        if (!r)
                r = waiter_new(peer, msgid, WAITER_ATTACH, &waiter);
        if (r)
                return r;
        user_charge(peer->user, ACCOUNT_BYTES, reserved_bytes);
        waiter->reserved_bytes += reserved_bytes;
        waiter->streams = streams;
        waiter_watch(waiter, &waiter->watch, task, 0);
        return 0;
}

int core_attach(struct core *core, struct core_request request, uint64_t id, unsigned streams,
                uint32_t tail_bytes, int64_t now)
{
        struct peer *peer = peer_at(core, request.connection);
        assert(peer);
        core_update_now(core, now);
        if (waiter_find(core, request))
                return CORE_MISUSE;
        struct task *task = visible_task(core, peer, id);
        if (!task)
                return answer_from_history(core, peer, request, id);
        if (!task->settled) {
                int r = watch_unended(peer, request.msgid, task, streams);
                if (r)
                        return r;
        }
        if (streams && tail_bytes && task->has_tail)
                core->ops.stream_tail(core->ctx, request, id, streams, tail_bytes);
        if (task->settled)
                task_answer(core, task, request, false);
        return 0;
}

int core_cancel(struct core *core, uint32_t connection, const uint64_t *ids, size_t n, int64_t now,
                size_t *ret_n)
{
        struct peer *peer = peer_at(core, connection);
        assert(peer);
        core_update_now(core, now);
        const struct bad_end by_client = {.cause = CAUSE_CLIENT,
                                          .exit_status = -1,
                                          .by_uid = user_uid(peer->user),
                                          .by_pid = peer->pid};
        *ret_n = 0;
        for (size_t i = 0; i < n; i++) {
                struct task *task = visible_task(core, peer, ids[i]);
                struct core_record record;
                if (task && !TASK_IS_END(task->state))
                        *ret_n += task_verdict(core, task, &by_client);
                else if (!task && n == 1 && !visible_record(core, peer, ids[i], &record))
                        return CORE_UNKNOWN_TASK;
        }
        return 0;
}

int core_cancel_request(struct core *core, struct core_request request, int64_t now)
{
        struct waiter *waiter = waiter_find(core, request);
        core_update_now(core, now);
        if (!waiter)
                return CORE_NOT_OPEN;
        struct task *task = waiter->watch.task;
        const struct bad_end by_client = {.cause = CAUSE_CLIENT,
                                          .exit_status = -1,
                                          .by_uid = user_uid(waiter->peer->user),
                                          .by_pid = waiter->peer->pid};
        switch (waiter->kind) {
        case WAITER_CALL:
        case WAITER_MAP:
                if (!task_is_of_caller(task))
                        waiter_refuse(core, waiter, CORE_CANCELLED);
                else if (!TASK_IS_END(task->state))
                        task_verdict(core, task, &by_client);
                break;
        case WAITER_RESULT:
        case WAITER_ATTACH:
        case WAITER_WAIT:
        case WAITER_DRAIN:
        case WAITER_RENEWAL:
        case WAITER_CALLERS:
        case WAITER_OBJECT:
                waiter_give_up(core, waiter);
                break;
        }
        return 0;
}
