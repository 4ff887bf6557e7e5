/* SPDX-License-Identifier: MIT */
/*
 * What workers say, and their end. Every message is held against what stands in the worker's slots: it can
 * only be about the first run, for a worker deals with them in the order in which they were sent. What does
 * not fit makes a bad worker. What each message means in each state of a worker is one table.
 */
#include "daemon/core/core_private.h"

enum hand_event { EVENT_HELLO, EVENT_ANSWER, N_HAND_EVENTS };
enum reaction { BAD, TAKE, IGNORE };

/* A killed worker's answers still count: what they say was done before it died. */
static const enum reaction reactions[WORKER_STUCK + 1][N_HAND_EVENTS] = {
        [WORKER_STARTING] = {[EVENT_HELLO] = TAKE, [EVENT_ANSWER] = BAD},
        [WORKER_IDLE] = {[EVENT_HELLO] = BAD, [EVENT_ANSWER] = BAD},
        [WORKER_BUSY] = {[EVENT_HELLO] = BAD, [EVENT_ANSWER] = TAKE},
        [WORKER_STOPPING] = {[EVENT_HELLO] = BAD, [EVENT_ANSWER] = TAKE},
#ifdef SEEDED_BUG_VERDICT_BEFORE_DRAINED
        [WORKER_KILLED] = {[EVENT_HELLO] = IGNORE, [EVENT_ANSWER] = IGNORE},
#else
        [WORKER_KILLED] = {[EVENT_HELLO] = IGNORE, [EVENT_ANSWER] = TAKE},
#endif
        [WORKER_STUCK] = {[EVENT_HELLO] = IGNORE, [EVENT_ANSWER] = IGNORE},
};

static enum reaction reaction(const struct hand *hand, enum hand_event event)
{
        return hand->condemned ? IGNORE : reactions[hand->state][event];
}

int core_worker_hello(struct core *core, uint32_t worker, pid_t pid, uint32_t n_slots, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        assert(hand);
        core_update_now(core, now);
        enum reaction r = reaction(hand, EVENT_HELLO);
        if (r != TAKE)
                return r == IGNORE ? 0 : hand_condemn(hand);
        if (n_slots > LIMIT_SLOTS)
                return hand_condemn(hand);
        struct pool *pool = hand->pool;
        hand->pid = pid;
        hand->has_area = n_slots > 0;
        hand->n_slots = n_slots ? n_slots : 1;
        hand->free_slots = hand->n_slots == 64 ? UINT64_MAX : (UINT64_C(1) << hand->n_slots) - 1;
        hand->born = now;
        pool->n_workers_started++;
        if (pool->n_young_deaths && pool->recover_at == CORE_NEVER)
                pool->recover_at = now + RECOVERED_NS;
        hand_set_state(hand, WORKER_IDLE);
        pool_resume_aside(pool);
        if (hand->generation != pool->generation)
                hand_retire(hand);
        hand_settle(hand);
        return 0;
}

static struct run *head_of(struct hand *hand, uint64_t task)
{
        struct run *run = TAILQ_FIRST(&hand->runs);
        return run && task_id(run->task) == task ? run : NULL;
}

/* What the worker measured is without the ways to it and back. That it lies can cost others RUN_LONG_NS a
 * task, as can a function that takes long once. */
static void measure(struct run *run, int64_t took, int64_t seen, uint64_t n)
{
        struct hand *hand = run->hand;
        if (took <= 0 || !hand->has_area) {
                hand_measure(hand, run->task->function, seen, n);
                return;
        }
        if (took > hand->core->now - hand->born)
                took = hand->core->now - hand->born;
        function_measure(task_function(hand->core, run->task), took / (int64_t)n, n);
}

static void plain_result(struct run *run, const struct core_result *result)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        struct task *task = run->task;
        bool stopping = run->state == RUN_STOPPING;
        struct bad_end verdict = run->verdict;
        enum core_cause cause = stopping ? verdict.cause : result->failed ? CAUSE_FUNCTION : CAUSE_NONE;
        bool again = run_may_retry(run, cause);
        if (stopping || run->has_waited)
                function_record_run(task_function(core, task), core->now - run->since);
        else
                measure(run, result->took, core->now - run->since, 1);
        hand->n_done++;
        run_leave(run);
        hand_settle(hand);
        if (again) {
                task_try_again(core, task);
        } else if (stopping) {
                task->bad = verdict;
                task_end(core, task, cause_state(verdict.cause), PAYLOAD_NONE, 0);
        } else if (result->failed) {
                task->bad.cause = CAUSE_FUNCTION;
                task_end(core, task, TASK_FAILED, PAYLOAD_CURRENT, result->size_bytes);
        } else {
                task_end(core, task, TASK_SUCCEEDED, PAYLOAD_CURRENT, result->size_bytes);
        }
}

/* False: it makes no sense. */
static bool chunk_result(struct run *run, const struct core_result *result)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        struct task *task = run->task;
        bool stopping = run->state == RUN_STOPPING;
        uint32_t n_done = (uint32_t)(run->next - run->first);
        if (!stopping && (result->failed || n_done < run->n_items))
                return false;
        if (!stopping && !run->has_waited)
                measure(run, result->took, core->now - run->began, n_done);
        if (stopping && run->verdict_index == run->next && n_done < run->n_items)
                map_item_end(core, task, run, PAYLOAD_NONE, 0, &run->verdict);
        map_leave(core, task, run);
        run_leave(run);
        hand_settle(hand);
        map_update(core, task);
        return true;
}

int core_worker_result(struct core *core, uint32_t worker, uint32_t slot, uint64_t task, uint32_t attempt,
                       const struct core_result *result, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        assert(hand);
        core_update_now(core, now);
        enum reaction r = reaction(hand, EVENT_ANSWER);
        if (r != TAKE)
                return r == IGNORE ? 0 : hand_condemn(hand);
        struct run *run = head_of(hand, task);
        if (!run || run != &hand->runs_at[slot % LIMIT_SLOTS] || slot >= LIMIT_SLOTS ||
            run->attempt != attempt)
                return hand_condemn(hand);
        hand_end_requests(hand);
        hand->consumed_sequence = run->sequence;
        hand->awaits_answer = false;
        run->claimed = true;
        if (!run->n_items)
                plain_result(run, result);
        else if (!chunk_result(run, result))
                return hand_condemn(hand);
        pool_on_health(hand->pool);
        return 0;
}

int core_worker_item(struct core *core, uint32_t worker, uint64_t task, uint32_t attempt, uint64_t index,
                     const struct core_result *result, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        assert(hand);
        core_update_now(core, now);
        enum reaction r = reaction(hand, EVENT_ANSWER);
        if (r != TAKE)
                return r == IGNORE ? 0 : hand_condemn(hand);
        struct run *run = head_of(hand, task);
        if (!run || !run->n_items || run->attempt != attempt || index != run->next ||
            index >= run->first + run->n_items)
                return hand_condemn(hand);
        const struct bad_end failed = {.cause = CAUSE_FUNCTION, .exit_status = -1};
        bool stopping = run->state == RUN_STOPPING;
        hand_end_requests(hand);
        run->claimed = true;
        hand->n_done++;
        /* The item that a verdict was about ends so, whatever it says. */
        if (stopping && run->verdict_index == index)
                map_item_end(core, run->task, run, PAYLOAD_NONE, 0, &run->verdict);
        else
                map_item_end(core, run->task, run, PAYLOAD_CURRENT, result->size_bytes,
                             result->failed ? &failed : NULL);
        if (run->state == RUN_RUNNING) {
                run->since = now;
                run->begin_read = false;
                run_arm(run);
        }
        map_update(core, run->task);
        return 0;
}

int core_worker_progress(struct core *core, uint32_t worker, uint64_t task, double done, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        assert(hand);
        core_update_now(core, now);
        enum reaction r = reaction(hand, EVENT_ANSWER);
        if (r != TAKE)
                return r == IGNORE ? 0 : hand_condemn(hand);
        struct run *run = head_of(hand, task);
        if (!run)
                return hand_condemn(hand);
        run->claimed = true;
        run->task->progress = (float)done;
        return 0;
}

int core_worker_bad(struct core *core, uint32_t worker, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        assert(hand);
        core_update_now(core, now);
        return hand_condemn(hand);
}

void core_worker_lost(struct core *core, uint32_t worker, const struct core_exit *end, int64_t now)
{
        struct hand *hand = hand_at(core, worker);
        struct run *run;
        assert(hand);
        core_update_now(core, now);
        struct pool *pool = hand->pool;
        bool was_starting = hand->pid == 0;
        bool by_order = hand->asked_to_stop || hand->n_stopping;
        bool killed_by_us = hand->state == WORKER_KILLED || hand->state == WORKER_STUCK;
        bool is_young = !by_order && !hand->was_told &&
                        (was_starting || (hand->n_done == 0 && now - hand->born < YOUNG_NS));
        run = TAILQ_FIRST(&hand->runs);
        if (!by_order && !was_starting) {
                struct core_record record;
                if (run)
                        task_record(core, run->task, &record);
                pool->n_workers_lost++;
                core->ops.note(core->ctx, NOTE_WORKER_LOST, pool->index, worker, run ? &record : NULL);
        }
        if (hand->state != WORKER_KILLED && hand->state != WORKER_STUCK)
                hand_set_state(hand, WORKER_KILLED);
        hand_end_requests(hand);
        /* The last first: so each comes back before those that were sent after it. */
        while ((run = TAILQ_LAST(&hand->runs, run_list)))
                run_lost(run, end, killed_by_us, run == TAILQ_FIRST(&hand->runs));
        hand_free(hand);
        if (is_young && !core->stopping)
                pool_on_young_death(pool);
}
