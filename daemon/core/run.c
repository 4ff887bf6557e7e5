/* SPDX-License-Identifier: MIT */
/*
 * A run: what stands in one slot of a worker, a task or a chunk of a map. It is sent, it begins (the first of
 * those not answered is taken to run; whether it truly does, only its slot knows), it leaves. Before it has
 * begun it can be taken back: won, then it never will begin there; lost, then it has begun.
 */
#include "daemon/core/core_private.h"
#include "proto/options.h"

static uint32_t slot_of(const struct run *run)
{
        return (uint32_t)(run - run->hand->runs_at);
}

/* Whether a message that was taken back from this slot may still wait unread. */
static bool has_unread(const struct run *run)
{
        return run->revoked_sequence > run->hand->consumed_sequence;
}

/* Such a message would claim the slot if the same task stood there again: too early, and of a map that may be
 * another chunk. One for each slot is remembered, so another task gets it only if there is no other slot, and
 * is not taken back. */
static struct run *pick_slot(struct hand *hand, uint64_t task)
{
        struct run *last_resort = NULL;
        for (uint64_t bits = hand->free_slots; bits; bits &= bits - 1) {
                struct run *run = &hand->runs_at[__builtin_ctzll(bits)];
                if (!has_unread(run))
                        return run;
                if (!hand->n_runs && run->revoked_task != task)
                        last_resort = run;
        }
        return last_resort;
}

bool hand_has_slot(struct hand *hand, const struct task *task)
{
        return pick_slot(hand, task_id(task)) != NULL;
}

static void stand(struct run *run, struct task *task, const struct core_dispatch *dispatch,
                  const struct map_chunk *chunk)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        uint32_t n = dispatch->is_chunk ? dispatch->n_items : 1;
        run->task = task;
        run->state = RUN_SENT;
        run->sequence = ++hand->sequence;
        run->order = task->order;
        run->expected_ns = task_function(core, task)->mean_ns * n;
        run->segment = chunk->segment;
        run->again = chunk->again;
        run->first = run->next = dispatch->first;
        run->n_items = dispatch->n_items;
        run->attempt = dispatch->attempt;
        run->used_turn = task->used_turn;
        run->credit_bytes = LIMIT_STREAM_CREDIT_BYTES;
        run->consumed_bytes = 0;
        run->claimed = run->begin_read = run->has_waited = false;
        run->stays = has_unread(run);
        run->verdict_index = UINT64_MAX;
        hand->free_slots &= ~(UINT64_C(1) << slot_of(run));
        TAILQ_INSERT_TAIL(&hand->runs, run, link);
        hand->n_runs++;
        if (hand->n_ahead++ == 0)
                TAILQ_INSERT_TAIL(&hand->pool->ahead, hand, ahead_link);
        hand->ahead_ns += run->expected_ns;
}

int run_send(struct hand *hand, struct task *task)
{
        struct core *core = hand->core;
        struct map_chunk chunk = {0};
        struct core_dispatch dispatch = {
                .task = task_id(task),
                .attempt = task->attempt,
                .function = task->function,
                .args = task->args,
                .streams = (task->streams & (STREAM_STDOUT | STREAM_STDERR)) != 0,
        };
        struct run *run = pick_slot(hand, task_id(task));
        /* Of a free worker too: of its last slot the message was read, or it is of a task that has ended. */
        assert(run);
        if (task->map) {
                bool some = map_next(core, task, &chunk);
                assert(some);
                if (map_reserve_chunk(task->map) < 0)
                        return -ENOMEM;
                dispatch.is_chunk = true;
                dispatch.attempt = chunk.again ? chunk.again->attempt : task_first_attempt(task);
                dispatch.first = chunk.first;
                dispatch.n_items = chunk.n_items;
                dispatch.args = chunk.segment->payload;
                dispatch.payload_first = chunk.first - chunk.segment->first;
        }
        dispatch.slot = slot_of(run);
        int r = core->ops.send(core->ctx, hand->index, &dispatch);
        if (r)
                return r;
        stand(run, task, &dispatch, &chunk);
        if (task->map) {
                map_take(core, task, run);
        } else {
                task->run = run;
                task_set_state(core, task, TASK_SENT);
        }
        return 0;
}

static void no_longer_ahead(struct run *run)
{
        struct hand *hand = run->hand;
        hand->ahead_ns -= run->expected_ns;
        if (--hand->n_ahead == 0)
                TAILQ_REMOVE(&hand->pool->ahead, hand, ahead_link);
}

void run_begin(struct run *run)
{
        struct task *task = run->task;
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        assert(run->state == RUN_SENT);
        no_longer_ahead(run);
        run->state = RUN_RUNNING;
        run->since = run->began = core->now;
        task->worker_pid = hand->pid;
        if (task->map)
                pool_count(hand->pool, TASK_SENT, TASK_RUNNING, run->n_items);
        if (!task->map || task->state == TASK_READY) {
                task->started = core->now;
                function_record_wait(task_function(core, task), core->now - task->due);
                task_set_state(core, task, TASK_RUNNING);
        }
        run_arm(run);
}

void run_arm(struct run *run)
{
        int64_t timeout = run->task->timeout;
        timer_set(run->hand->core, &run->timer, timeout > 0 ? run->since + timeout : CORE_NEVER);
}

void run_leave(struct run *run)
{
        struct hand *hand = run->hand;
        assert(run->state != RUN_FREE);
        timer_clear(hand->core, &run->timer);
        if (run->state == RUN_SENT)
                no_longer_ahead(run);
        else if (run->state == RUN_STOPPING)
                hand->n_stopping--;
        TAILQ_REMOVE(&hand->runs, run, link);
        hand->n_runs--;
        hand->free_slots |= UINT64_C(1) << slot_of(run);
        run->task->used_turn = run->used_turn;
        if (!run->task->map)
                run->task->run = NULL;
        run->task = NULL;
        run->state = RUN_FREE;
}

/* What was sent before a run that has begun is done, and its answers are on the way. */
static void begin_all_before(struct run *run)
{
        while ((run = TAILQ_PREV(run, run_list, link)))
                if (run->state == RUN_SENT) {
                        run->claimed = true;
                        run_begin(run);
                }
}

bool run_take_back(struct run *run)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        struct task *task = run->task;
        assert(run->state == RUN_SENT || run->state == RUN_RUNNING);
        if (run->claimed || run->stays)
                return false;
        bool won = core->ops.take_back(core->ctx, hand->index, slot_of(run), task_id(task));
#ifdef SEEDED_BUG_LOST_CAS_AS_WON
        won = true;
#endif
        if (!won) {
                run->claimed = true;
                if (run->state == RUN_SENT) {
                        begin_all_before(run);
                        run_begin(run);
                }
                return false;
        }
        if (task->n_descriptors) /* a worker goes that is left with one whose close might wait */
                hand->was_told = true;
        run->revoked_task = task_id(task);
        run->revoked_sequence = run->sequence;
        if (task->map)
                map_leave(core, task, run);
        run_leave(run);
        return true;
}

void task_put_back(struct core *core, struct task *task, uint64_t order)
{
        if (task->map) {
                map_put_back(core, task, order);
                return;
        }
        task_set_state(core, task, TASK_READY);
#ifdef SEEDED_BUG_TAKE_BACK_USES_ATTEMPT
        task->attempt++;
#endif
        if (core->stopping) {
                const struct bad_end shutdown = {.cause = CAUSE_SHUTDOWN, .exit_status = -1};
                task_verdict(core, task, &shutdown);
                return;
        }
        queue_put_back(task, order);
}

void run_take_back_ahead(struct hand *hand, uint32_t n)
{
        struct core *core = hand->core;
        struct run *run, *previous;
        for (run = TAILQ_LAST(&hand->runs, run_list); run && n && run->state == RUN_SENT; run = previous) {
                struct task *task = run->task;
                uint64_t order = run->order;
                previous = TAILQ_PREV(run, run_list, link);
                if (!run_take_back(run))
                        return;
                hand->awaits_answer = hand->n_runs > 0;
                task_put_back(core, task, order);
                n--;
        }
}

void run_verdict(struct run *run, const struct bad_end *bad)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        struct task *task = run->task;
        assert(run->state == RUN_RUNNING);
        run_take_back_ahead(hand, UINT32_MAX);
        run->state = RUN_STOPPING;
        run->verdict = *bad;
        run->verdict_index = bad->cause == CAUSE_TIMEOUT ? run->next : UINT64_MAX;
        hand->n_stopping++;
        if (!task->map)
                task_set_state(core, task, TASK_STOPPING);
        if (hand->peer && hand->peer->run == run)
                peer_on_verdict(hand->peer);
        /* If the next one has begun, this one is done and its answer on the way: telling would hit the next.
         */
        struct run *next = TAILQ_NEXT(run, link);
        bool is_alive = hand->state == WORKER_BUSY || hand->state == WORKER_STOPPING;
        if (is_alive && !next) {
                hand->was_told = true;
                core->ops.tell(core->ctx, hand->index, task_id(task));
        }
        timer_set(core, &run->timer, is_alive ? core->now + hand->pool->config.kill_grace : CORE_NEVER);
}

bool run_replace_verdict(struct run *run, const struct bad_end *bad)
{
        if (!run_may_retry(run, run->verdict.cause))
                return false;
        run->verdict = *bad;
        run->verdict_index = UINT64_MAX;
        return true;
}

/* Whether the worker is at the task, or of a chunk at the item that is to be answered next. */
static bool has_reached(const struct run *run, const struct core_slot *slot)
{
        if (!run->claimed && slot->state == SLOT_SENT)
                return false;
        return !run->hand->has_area || run->next == run->first || slot->index != run->next - 1;
}

/* The slot says when it truly began; a word that makes no sense counts as begun. True: its time is not over.
 */
static bool has_time_left(struct run *run)
{
        struct core *core = run->hand->core;
        struct task *task = run->task;
        struct core_slot slot = {0};
        if (run->begin_read)
                return false;
        core->ops.read_slot(core->ctx, run->hand->index, slot_of(run), &slot);
        bool is_ours = slot.task == task_id(task);
        if (is_ours && core->now < run->since + task->timeout + UNBEGUN_NS && !has_reached(run, &slot)) {
                timer_set(core, &run->timer,
                          core->now + (task->timeout > MILLISECOND ? task->timeout : MILLISECOND));
                return true;
        }
        bool has_begun = is_ours && (slot.state == SLOT_CLAIMED || slot.state == SLOT_DONE);
        if (has_begun && slot.begin > run->since && slot.begin <= core->now) {
                run->since = slot.begin;
                if (run->next == run->first)
                        run->began = slot.begin;
                if (!task->map)
                        task->started = slot.begin;
        }
        run->begin_read = true;
        run->claimed = run->claimed || !is_ours || slot.state != SLOT_SENT;
        if (!run->claimed || run->since + task->timeout <= core->now)
                return false;
        run_arm(run);
        return true;
}

void run_on_timer(struct run *run)
{
        struct hand *hand = run->hand;
        struct core *core = hand->core;
        struct task *task = run->task;
        uint64_t order = run->order;
        timer_clear(core, &run->timer);
        if (run->state == RUN_STOPPING) {
                hand_kill(hand);
                return;
        }
        assert(run->state == RUN_RUNNING);
        if (has_time_left(run))
                return;
        if (run_take_back(run)) {
                /* All that time the worker has not begun it: another one may. */
                task_put_back(core, task, order);
                hand_condemn(hand);
        } else {
                run_verdict(run, &(struct bad_end){.cause = CAUSE_TIMEOUT, .exit_status = -1});
                hand_settle(hand);
        }
}
