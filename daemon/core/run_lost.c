/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a run whose worker is dead. Its channel was read to the end, so what has ended is known:
 * only the first that is left can have been running. The slot says whether it had begun; since the worker
 * could write there, a word that makes no sense counts as begun for the first and as not begun for others.
 */
#include <signal.h>

#include "daemon/core/core_private.h"

static enum core_cause cause_of(const struct core_exit *end, bool killed_by_us)
{
        if (killed_by_us)
                return CAUSE_WORKER;
        assert(end); /* only a worker that we killed is not reaped */
        if (end->over_limit)
                return CAUSE_LIMIT;
        if (!end->by_signal)
                return CAUSE_WORKER;
        switch (end->status) {
        case SIGSEGV:
        case SIGBUS:
        case SIGFPE:
        case SIGILL:
        case SIGABRT:
        case SIGSYS:
        case SIGTRAP:
                return CAUSE_WORKER;
        default:
                return CAUSE_OUTSIDE;
        }
}

static struct bad_end describe(const struct run *run, const struct core_exit *end, bool killed_by_us)
{
        struct bad_end bad = {.cause = cause_of(end, killed_by_us)};
        if (run->state == RUN_STOPPING &&
            (run->verdict_index == UINT64_MAX || run->verdict_index == run->next))
                bad = run->verdict;
        bad.exit_status = end ? (int16_t)end->status : -1;
        bad.exited_by_signal = end && end->by_signal;
        bad.max_rss_kib = end ? (uint32_t)(end->max_rss_bytes / 1024) : 0;
        return bad;
}

static bool has_begun(const struct run *run, const struct core_slot *slot, bool is_head)
{
        bool is_ours = slot->task == task_id(run->task);
        if (run->state == RUN_STOPPING || run->claimed)
                return true;
        if (is_ours && (slot->state == SLOT_SENT || slot->state == SLOT_REVOKED))
                return is_head && ++run->task->n_unbegun_losses > UNBEGUN_LOSSES_MAX;
        return is_head || (is_ours && (slot->state == SLOT_CLAIMED || slot->state == SLOT_DONE));
}

/* The item at the cursor is lost, unless its result is here already and the next had not begun. */
static void chunk_lost(struct run *run, const struct core_slot *slot, const struct bad_end *bad, bool begun)
{
        struct core *core = run->hand->core;
        struct task *task = run->task;
        uint64_t order = run->order;
        bool is_between = run->hand->has_area && run->verdict_index != run->next && run->next > run->first &&
                          slot->index == run->next - 1;
        bool has_more = run->next < run->first + run->n_items;
        if (begun && has_more && !is_between && task->state != TASK_STOPPING)
                map_item_end(core, task, run, PAYLOAD_NONE, 0, bad);
        map_leave(core, task, run);
        run_leave(run);
        map_put_back(core, task, order);
}

void run_lost(struct run *run, const struct core_exit *end, bool killed_by_us, bool is_head)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        struct task *task = run->task;
        uint64_t order = run->order;
        struct bad_end bad = describe(run, end, killed_by_us);
        struct core_slot slot = {0};
        core->ops.read_slot(core->ctx, hand->index, (uint32_t)(run - hand->runs_at), &slot);
        bool begun = has_begun(run, &slot, is_head);
        if (begun && run->state == RUN_SENT)
                run_begin(run);
        run->claimed = begun;
        if (task->map) {
                chunk_lost(run, &slot, &bad, begun);
                return;
        }
        bool again = begun && run_may_retry(run, bad.cause);
        if (begun)
                function_record_run(task_function(core, task), core->now - run->since);
        run_leave(run);
        if (again) {
                task_try_again(core, task);
        } else if (begun) {
                task->bad = bad;
                task_end(core, task, cause_state(bad.cause), PAYLOAD_NONE, 0);
        } else {
                task_put_back(core, task, order);
        }
}
