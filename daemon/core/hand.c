/* SPDX-License-Identifier: MIT */
/*
 * A hand: one worker process as the core knows it, from the moment when it is asked for until it is reaped.
 * Owned by its pool. Its state is the list of the pool in which it stands; what it may be given is the offer
 * (free: nothing stands in its slots; room: something may be sent ahead), which hand_settle() computes anew
 * after every change, as it does with the one timer.
 */
#include "daemon/core/core_private.h"

/* Those that began together shall not be replaced together. */
static uint32_t max_tasks_of(const struct pool *pool)
{
        struct core *core = pool->core;
        uint32_t most = pool->config.max_tasks;
        return most ? most - (uint32_t)(MAX_TASKS_JITTER * most * core->ops.random(core->ctx)) : 0;
}

int hand_new(struct core *core, struct pool *pool, struct hand **ret)
{
        size_t index = 0;
        while (index < core->n_hands && core->hands[index])
                index++;
        int r = pointers_reserve(&core->hands, &core->n_hands, index);
        if (r < 0)
                return r;
        struct hand *hand = calloc(1, sizeof(*hand));
        if (!hand)
                return -ENOMEM;
        if (timers_reserve(&core->timers, 1 + LIMIT_SLOTS) < 0) {
                free(hand);
                return -ENOMEM;
        }
        hand->core = core;
        hand->index = (uint32_t)index;
        hand->pool = pool;
        hand->state = WORKER_STARTING;
        hand->generation = pool->generation;
        hand->n_functions = pool->n_functions;
        hand->max_tasks = max_tasks_of(pool);
        hand->since = core->now;
        hand->timer.kind = TIMER_HAND;
        TAILQ_INIT(&hand->runs);
        for (unsigned i = 0; i < LIMIT_SLOTS; i++) {
                hand->runs_at[i].hand = hand;
                hand->runs_at[i].timer.kind = TIMER_RUN;
        }
        TAILQ_INSERT_TAIL(&pool->hands[WORKER_STARTING], hand, link);
        pool->n_hands[WORKER_STARTING]++;
        core->hands[index] = hand;
        timer_set(core, &hand->timer, core->now + pool->config.start_timeout);
        *ret = hand;
        return 0;
}

static void set_offer(struct hand *hand, enum hand_offer offer)
{
        struct pool *pool = hand->pool;
        if (hand->offer == offer)
                return;
        if (hand->offer == OFFER_FREE)
                TAILQ_REMOVE(&pool->free, hand, offer_link);
        else if (hand->offer == OFFER_ROOM)
                TAILQ_REMOVE(&pool->room, hand, offer_link);
        hand->offer = offer;
        /* The one that was busy last is the warmest; one that is to be replaced is the last choice. */
        if (offer == OFFER_FREE && hand->is_retiring)
                TAILQ_INSERT_TAIL(&pool->free, hand, offer_link);
        else if (offer == OFFER_FREE)
                TAILQ_INSERT_HEAD(&pool->free, hand, offer_link);
        else if (offer == OFFER_ROOM)
                TAILQ_INSERT_TAIL(&pool->room, hand, offer_link);
}

static bool is_to_be_replaced(const struct hand *hand)
{
        return hand->is_retiring && (hand->state == WORKER_IDLE || hand->state == WORKER_BUSY);
}

void hand_retire(struct hand *hand)
{
        struct pool *pool = hand->pool;
        if (hand->is_retiring)
                return;
        hand->is_retiring = true;
        pool->n_retiring += is_to_be_replaced(hand);
        pool->is_dirty = true;
        if (hand->offer == OFFER_FREE) { /* to the end */
                set_offer(hand, OFFER_NONE);
                set_offer(hand, OFFER_FREE);
        }
}

/* Whether it has done enough, or has grown too large. */
static bool is_worn(struct hand *hand)
{
        struct core *core = hand->core;
        uint64_t most = hand->pool->config.max_rss_bytes;
        if (hand->max_tasks && hand->n_done >= hand->max_tasks)
                return true;
        if (!most || hand->n_done == 0 || (hand->state == WORKER_BUSY && core->now < hand->rss_at + RSS_NS))
                return false;
        hand->rss_at = core->now;
        return core->ops.rss(core->ctx, hand->index) > most;
}

struct hand *hand_free(struct hand *hand)
{
        struct core *core = hand->core;
        assert(TAILQ_EMPTY(&hand->runs) && hand->n_ahead == 0);
        set_offer(hand, OFFER_NONE);
        timer_clear(core, &hand->timer);
        timers_unreserve(&core->timers, 1 + LIMIT_SLOTS);
        TAILQ_REMOVE(&hand->pool->hands[hand->state], hand, link);
        hand->pool->n_hands[hand->state]--;
        hand->pool->n_retiring -= is_to_be_replaced(hand);
        hand->pool->is_dirty = true;
        core->hands[hand->index] = NULL;
        free(hand);
        return NULL;
}

struct hand *hand_at(const struct core *core, uint32_t worker)
{
        return worker < core->n_hands ? core->hands[worker] : NULL;
}

void hand_set_state(struct hand *hand, enum worker_state state)
{
        struct pool *pool = hand->pool;
        if (hand->peer && state != WORKER_BUSY)
                peer_stop_waiting(hand->peer);
        TAILQ_REMOVE(&pool->hands[hand->state], hand, link);
        pool->n_hands[hand->state]--;
        pool->n_retiring -= is_to_be_replaced(hand);
        hand->state = state;
        pool->n_retiring += is_to_be_replaced(hand);
        hand->since = hand->core->now;
        TAILQ_INSERT_HEAD(&pool->hands[state], hand, link);
        pool->n_hands[state]++;
        pool->is_dirty = true;
}

static enum hand_offer offer_of(const struct hand *hand)
{
        const struct run *head = TAILQ_FIRST(&hand->runs);
        uint32_t window = hand->pool->config.window;
        if (window > hand->n_slots)
                window = hand->n_slots;
        if (hand->clogged)
                return OFFER_NONE;
        if (hand->state == WORKER_IDLE)
                return OFFER_FREE;
        if (hand->state != WORKER_BUSY || hand->awaits_answer || hand->n_runs >= window ||
            (hand->peer && hand->peer->is_waiting))
                return OFFER_NONE;
        /* Behind a task that may run long nothing is put: it would only be taken back. */
        if (head->expected_ns == 0 || head->expected_ns > RUN_LONG_NS ||
            hand->core->now - head->since >= RUN_LONG_NS || hand->ahead_ns >= AHEAD_MAX_NS)
                return OFFER_NONE;
        return OFFER_ROOM;
}

void hand_settle(struct hand *hand)
{
        struct core *core = hand->core;
        struct run *head = TAILQ_FIRST(&hand->runs);
        bool works = hand->state == WORKER_IDLE || hand->state == WORKER_BUSY ||
                     (hand->state == WORKER_STOPPING && !hand->asked_to_stop);
        hand->pool->is_dirty = true;
        if (!head)
                hand_measure_end(hand);
        if (works) {
                if (head && head->state == RUN_SENT)
                        run_begin(head);
                enum worker_state state = !head              ? WORKER_IDLE
                                          : hand->n_stopping ? WORKER_STOPPING
                                                             : WORKER_BUSY;
                if (!head)
                        hand->awaits_answer = false;
                if (state != hand->state)
                        hand_set_state(hand, state);
                if (state == WORKER_IDLE && core->stopping) {
                        hand_stop(hand);
                        return;
                }
                if (!hand->is_retiring && is_worn(hand))
                        hand_retire(hand);
                timer_set(core, &hand->timer,
                          state == WORKER_BUSY && hand->n_ahead ? head->since + RUN_LONG_NS : CORE_NEVER);
        }
        set_offer(hand, offer_of(hand));
}

void hand_stop(struct hand *hand)
{
        struct core *core = hand->core;
        int64_t grace = hand->pool->config.kill_grace;
        assert(hand->state == WORKER_IDLE && !hand->n_runs);
        hand->asked_to_stop = true;
        hand_set_state(hand, WORKER_STOPPING);
        set_offer(hand, OFFER_NONE);
        core->ops.stop(core->ctx, hand->index);
        timer_set(core, &hand->timer, core->now + (grace > CORE_SECOND ? grace : CORE_SECOND));
}

void hand_kill(struct hand *hand)
{
        struct core *core = hand->core;
        if (hand->state == WORKER_KILLED || hand->state == WORKER_STUCK)
                return;
        run_take_back_ahead(hand, UINT32_MAX);
        hand_set_state(hand, WORKER_KILLED);
        set_offer(hand, OFFER_NONE);
        struct run *run;
        TAILQ_FOREACH (run, &hand->runs, link) {
                timer_clear(core, &run->timer);
        }
        timer_set(core, &hand->timer, core->now + STUCK_NS);
        core->ops.kill(core->ctx, hand->index);
}

int hand_condemn(struct hand *hand)
{
        struct core *core = hand->core;
        if (!hand->condemned) {
                hand->condemned = true;
                core->ops.note(core->ctx, NOTE_WORKER_BAD, hand->pool->index, hand->index, NULL);
                hand_kill(hand);
        }
        return CORE_BAD_WORKER;
}

/* It was killed and is not reaped: whoever waits for its task is told now. */
static void get_stuck(struct hand *hand)
{
        struct core *core = hand->core;
        struct run *run;
        hand_set_state(hand, WORKER_STUCK);
        hand_end_requests(hand);
        core->ops.note(core->ctx, NOTE_WORKER_STUCK, hand->pool->index, hand->index, NULL);
        while ((run = TAILQ_LAST(&hand->runs, run_list))) {
                struct task *task = run->task;
                uint64_t order = run->order;
                if (run->state == RUN_RUNNING && run_take_back(run))
                        task_put_back(core, task, order);
                else
                        run_lost(run, NULL, true, run == TAILQ_FIRST(&hand->runs));
        }
}

void hand_on_timer(struct hand *hand)
{
        struct core *core = hand->core;
        struct pool *pool = hand->pool;
        timer_clear(core, &hand->timer);
        switch (hand->state) {
        case WORKER_STARTING:
                core->ops.note(core->ctx, NOTE_SPAWN_TIMEOUT, pool->index, hand->index, NULL);
                if (pool->zygote_is_ready) {
                        pool->zygote_is_ready = false;
                        core->ops.kill_zygote(core->ctx, pool->index);
                }
                hand_kill(hand);
                break;
        case WORKER_BUSY:
                run_take_back_ahead(hand, UINT32_MAX);
                hand_settle(hand);
                break;
        case WORKER_STOPPING:
                hand_kill(hand);
                break;
        case WORKER_KILLED:
                get_stuck(hand);
                break;
        case WORKER_IDLE:
        case WORKER_STUCK:
                abort(); /* no timer is armed in these states */
        }
}
