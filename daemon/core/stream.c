/* SPDX-License-Identifier: MIT */
/*
 * What programs of running tasks write: relayed to the requests that stream it, kept as the task's tail,
 * counted against the task's credit. A run may have LIMIT_STREAM_CREDIT_BYTES on the way; what arrived is
 * granted anew, in grains, unless somebody who streams it is blocked. So the core never has to stop a worker,
 * and a slow reader holds up only the task that writes to him.
 */
#include "daemon/core/core_private.h"
#include "proto/options.h"

static bool is_withheld(const struct task *task)
{
        const struct watch *watch;
        LIST_FOREACH (watch, &task->watches, link) {
                if (watch->waiter->peer->blocked && watch->waiter->streams & (STREAM_STDOUT | STREAM_STDERR))
                        return true;
        }
        return false;
}

static void grant(struct run *run)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        uint32_t bytes = run->consumed_bytes;
        if (bytes < CREDIT_GRAIN_BYTES || hand->state == WORKER_KILLED || hand->state == WORKER_STUCK ||
            is_withheld(run->task))
                return;
        run->consumed_bytes = 0;
        run->credit_bytes += bytes;
        assert(run->credit_bytes <= LIMIT_STREAM_CREDIT_BYTES);
        core->ops.credit(core->ctx, hand->index, task_id(run->task), bytes);
}

void task_resume_stream(struct task *task)
{
        if (task->run && task->run->state != RUN_SENT)
                grant(task->run);
}

void streams_resume(struct peer *peer)
{
        struct waiter *waiter;
        TAILQ_FOREACH (waiter, &peer->waiters, link) {
                if (waiter->streams && waiter->watch.task)
                        task_resume_stream(waiter->watch.task);
        }
}

static void keep_tail(struct core *core, struct task *task, unsigned kind)
{
        uint32_t grown = core->ops.tail_keep(core->ctx, task_id(task), kind);
        task->has_tail = true;
        task->tail_bytes += grown;
        user_charge(task->user, ACCOUNT_BYTES, grown);
}

bool task_shrink_tail(struct core *core, struct task *task)
{
        if (!task->has_tail)
                return false;
        user_release(task->user, ACCOUNT_BYTES, task->tail_bytes);
        task->tail_bytes = 0;
        task->has_tail = false;
        return core->ops.tail_shrink(core->ctx, task_id(task));
}

void task_drop_tail(struct core *core, struct task *task)
{
        if (!task->has_tail)
                return;
        core->ops.tail_drop(core->ctx, task_id(task));
        user_release(task->user, ACCOUNT_BYTES, task->tail_bytes);
        task->tail_bytes = 0;
        task->has_tail = false;
}

static void relay(struct core *core, struct task *task, unsigned kind)
{
        struct watch *watch;
        LIST_FOREACH (watch, &task->watches, link) {
                struct waiter *waiter = watch->waiter;
                /* Progress is only news: who reads slowly misses some. */
                if (waiter->streams & kind && !(kind == STREAM_PROGRESS && waiter->peer->blocked))
                        core->ops.stream(core->ctx, waiter_request(waiter), kind);
        }
}

int core_worker_stream(struct core *core, uint32_t worker, uint64_t id, unsigned kind, uint32_t size_bytes,
                       int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        assert(hand);
        core_update_now(core, now);
        if (hand->condemned || hand->state == WORKER_STUCK)
                return 0;
        struct run *run = TAILQ_FIRST(&hand->runs);
        if (!run || task_id(run->task) != id)
                return hand_condemn(hand);
        struct task *task = run->task;
        bool has_credit = kind == STREAM_STDOUT || kind == STREAM_STDERR;
        if (has_credit && size_bytes > run->credit_bytes)
                return hand_condemn(hand);
        run->claimed = true;
        if (has_credit) {
                run->credit_bytes -= size_bytes;
                run->consumed_bytes += size_bytes;
                if (!task->map)
                        keep_tail(core, task, kind);
        }
        relay(core, task, kind);
        if (has_credit)
                grant(run);
        return 0;
}
