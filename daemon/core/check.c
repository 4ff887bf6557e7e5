/* SPDX-License-Identifier: MIT */
/*
 * Every invariant of the core, asserted: each object is in the container that its state says, what is counted
 * is what is there, accounts are the sums of what is held. For tests and the simulator; it looks at
 * everything, so it costs accordingly. Shared objects are in object_check.c.
 */
#include "daemon/core/core_private.h"

struct tally {
        uint64_t tasks[LIMIT_POOLS][N_TASK_STATES], fed[LIMIT_POOLS];
        size_t n_unfinished, n_held, n_parked, n_aside, n_in_lanes, n_in_lines, n_timers;
        uint64_t bytes;
};

static void check_timer(const struct core *core, const struct timer *timer, struct tally *tally)
{
        if (!timer->place)
                return;
        tally->n_timers++;
        assert(timer->place <= core->timers.n);
        assert(core->timers.heap[timer->place].timer == timer);
        if (timer->place > 1)
                assert(core->timers.heap[timer->place / 2].at <= core->timers.heap[timer->place].at);
}

static uint64_t n_again(const struct again *tree)
{
        uint64_t n = 0;
        for (; tree; tree = tree->right)
                n += 1 + n_again(tree->left);
        return n;
}

static void check_map(const struct core *core, const struct task *task, struct tally *tally)
{
        const struct map *map = task->map;
        const struct run *run;
        const struct range *range;
        const struct segment *segment;
        uint64_t n_returned = 0, n_at_work = 0, n_left = 0, n_waiting = map->n_waiting;
        uint32_t n_chunks = 0, n_spare = 0;
        uint64_t *n = tally->tasks[task->pool];
        TAILQ_FOREACH (run, &map->chunks, of_map) {
                uint64_t rest = run->first + run->n_items - run->next;
                assert(run->task == task && run->n_items > 0 && run->next <= run->first + run->n_items);
                n[run->state == RUN_SENT ? TASK_SENT : TASK_RUNNING] += rest;
                n_at_work += rest;
                n_chunks++;
        }
        uint64_t end = 0;
        TAILQ_FOREACH (range, &map->returned, link) {
                assert(range->n > 0 && range->first >= end && range->first + range->n <= map->cursor);
                end = range->first + range->n;
                n_returned += range->n;
        }
        TAILQ_FOREACH (range, &map->spare, link) {
                n_spare++;
        }
        assert(n_again(map->waiting) == n_waiting && n_again(map->due) == map->n_due);
        assert(!n_waiting || (task->state == TASK_RUNNING && task->timer.place));
        TAILQ_FOREACH (segment, &map->segments, link) {
                n_left += segment->n_left;
                tally->bytes += segment_cost_bytes(segment->size_bytes);
        }
        assert(n_chunks == map->n_chunks && n_spare == map->n_spare && n_spare >= n_chunks);
        assert(n_returned == map->n_returned && map->n_confirmed <= map->n_delivered);
        uint64_t n_ended = map->n_succeeded + map->n_failed + map->n_cancelled;
        bool waits = task->bad.cause == CAUSE_NONE && map->n_items < map->n_fed;
        assert(map->n_items <= map->n_fed && (map->line != NULL) == (waits && n_ended == map->n_items));
        assert(n_ended + n_at_work + n_waiting + map_n_ready(map) == map->n_items);
        if (task->bad.cause == CAUSE_NONE)
                assert(n_left == map->n_fed - n_ended);
        n[task->state == TASK_DELAYED ? TASK_DELAYED : TASK_READY] += map_n_ready(map);
        tally->fed[task->pool] += map->may_wait ? map->n_items - n_ended : 0;
        tally->n_in_lines += map->line != NULL;
        n[TASK_DELAYED] += n_waiting;
        struct map_chunk chunk;
        if (!TASK_IS_END(task->state) && task->state != TASK_DELAYED) {
                bool some = map_next(core, task, &chunk);
                if (!map->ordered) /* else it depends on what its user holds */
                        assert(task->place == PLACE_HELD || task->place == PLACE_ASIDE ||
                               (task->place == PLACE_LANE) == some);
                else
                        assert(!some || task->place != PLACE_NONE);
                assert(map->n_chunks || task->bad.cause == CAUSE_NONE); /* else it had ended */
        }
        tally->bytes += map->held_bytes + map->cost_bytes + map->collected_bytes;
}

static void check_place(const struct task *task)
{
        switch ((enum task_state)task->state) {
        case TASK_DELAYED:
                assert(task->place == PLACE_DELAYED && !task->run);
                break;
        case TASK_READY:
                assert(!task->run);
                if (!task->map)
                        assert(task->place == PLACE_LANE || task->place == PLACE_HELD ||
                               task->place == PLACE_PARKED || task->place == PLACE_ASIDE);
                break;
        case TASK_SENT:
                assert(task->place == PLACE_NONE && task->run->state == RUN_SENT);
                break;
        case TASK_RUNNING:
                if (!task->map)
                        assert(task->place == PLACE_NONE && task->run->state == RUN_RUNNING);
                break;
        case TASK_STOPPING:
                assert(task->place == PLACE_NONE);
                if (!task->map)
                        assert(task->run->state == RUN_STOPPING);
                break;
        case TASK_SUCCEEDED:
        case TASK_FAILED:
        case TASK_CANCELLED:
        case TASK_EXPIRED:
                assert(task->place == PLACE_NONE && !task->run && !task->lane);
                break;
        case TASK_WAITING:
                assert(!task->map && task->run->state == RUN_RUNNING && task->run->hand->peer->is_waiting);
                break;
        case N_TASK_STATES:
                abort();
        }
        assert(TASK_IS_END(task->state) || task->lane);
        assert((task->state == TASK_FAILED || task->state == TASK_CANCELLED || task->state == TASK_EXPIRED) ==
               (TASK_IS_END(task->state) && task->bad.cause != CAUSE_NONE));
}

static void check_watches(const struct task *task)
{
        const struct watch *watch;
        LIST_FOREACH (watch, &task->watches, link) {
                const struct peer *peer = watch->waiter->peer;
                bool is_other = peer->run && !(task->extra && task->extra->parent == peer);
                assert(watch->task == task);
                assert((watch->awaited != NULL) == (is_other && task->place == PLACE_LANE));
                assert(!peer->run || task->map || task->place != PLACE_PARKED);
        }
}

static void check_tasks(const struct core *core, struct tally *tally)
{
        const struct task *task;
        uint64_t last = 0;
        size_t n = 0;
        TAILQ_FOREACH (task, &core->all_tasks, all) {
                assert(task_id(task) > last && task_find(core, task_id(task)) == task);
                last = task_id(task);
                n++;
                check_place(task);
                check_watches(task);
                check_timer(core, &task->timer, tally);
                tally->n_held += task->place == PLACE_HELD;
                tally->n_aside += task->place == PLACE_ASIDE;
                tally->n_parked += task->place == PLACE_PARKED;
                tally->n_in_lanes += task->place == PLACE_LANE;
                tally->bytes += task->tail_bytes;
                if (task->result_charged)
                        tally->bytes += task->result_size_bytes;
                if (task->map)
                        check_map(core, task, tally);
                if (TASK_IS_END(task->state))
                        continue;
                tally->n_unfinished++;
                if (!task->map) {
                        tally->tasks[task->pool][task->state]++;
                        tally->bytes += task->args_size_bytes;
                }
        }
        assert(n == core->tasks.n && tally->n_unfinished == core->n_unfinished);
}

static void check_lane(const struct lane *lane, const struct level *level, struct tally *tally)
{
        const struct task *task;
        uint64_t order = 0;
        assert(lane->level == level && lane->in_ring && !lane->merged_into && !TAILQ_EMPTY(&lane->tasks));
        TAILQ_FOREACH (task, &lane->tasks, link) {
                assert(task->lane == lane && task->place == PLACE_LANE && task->order > order);
                order = task->order;
                tally->n_in_lanes--;
        }
}

static void check_turn(const struct turn *turn, struct tally *tally)
{
        const struct level *level;
        const struct lane *lane;
        int priority = PRIORITY_MAX + 1;
        TAILQ_FOREACH (level, &turn->active, active) {
                assert(level->priority < priority && level->is_active);
                priority = level->priority;
                assert(!TAILQ_EMPTY(&level->lanes));
                TAILQ_FOREACH (lane, &level->lanes, ring) {
                        check_lane(lane, level, tally);
                }
        }
}

static void check_queue(const struct pool *pool, struct tally *tally)
{
        const struct turn *turn;
        for (unsigned i = 0; i < N_RANKS; i++) {
                bool active = pool->queue.active[i / 64] >> (i % 64) & 1;
                assert(active == !TAILQ_EMPTY(&pool->queue.ranks[i]));
                TAILQ_FOREACH (turn, &pool->queue.ranks[i], ring) {
                        assert(turn->in_ring && !TAILQ_EMPTY(&turn->active));
                        check_turn(turn, tally);
                }
        }
}

static void check_parked(const struct core *core, struct tally *tally)
{
        const struct user *user;
        const struct task *task;
        TAILQ_FOREACH (user, &core->parked_users, link) {
                assert(!TAILQ_EMPTY(&user->parked));
                TAILQ_FOREACH (task, &user->parked, link) {
                        assert(task->user == user && task->place == PLACE_PARKED);
                        assert(!task->map || task->map->ordered);
                        tally->n_parked--;
                }
        }
}

/* Of a user or a pool: maps that wait for room there. */
static void check_line(const struct map_line *line, struct tally *tally)
{
        const struct map *map;
        TAILQ_FOREACH (map, line, of_line) {
                assert(map->line == line && map->may_wait);
                tally->n_in_lines--;
        }
}

static void check_overfed_users(const struct core *core, struct tally *tally)
{
        const struct user *user;
        TAILQ_FOREACH (user, &core->overfed_users, overfed_link) {
                assert(!TAILQ_EMPTY(&user->overfed));
                check_line(&user->overfed, tally);
        }
}

static void check_hand(const struct core *core, const struct hand *hand, struct tally *tally)
{
        const struct run *run;
        uint32_t n_runs = 0, n_ahead = 0, n_stopping = 0;
        int64_t ahead_ns = 0;
        uint64_t busy = 0, sequence = 0;
        TAILQ_FOREACH (run, &hand->runs, link) {
                assert(run->hand == hand && run->task && run->state != RUN_FREE);
                assert(run->sequence > sequence);
                assert(n_ahead == 0 || run->state == RUN_SENT);
                assert(run->task->map ? run->n_items > 0 : run->task->run == run);
                sequence = run->sequence;
                busy |= UINT64_C(1) << (run - hand->runs_at);
                n_runs++;
                n_ahead += run->state == RUN_SENT;
                n_stopping += run->state == RUN_STOPPING;
                if (run->state == RUN_SENT)
                        ahead_ns += run->expected_ns;
                check_timer(core, &run->timer, tally);
        }
        assert(n_runs == hand->n_runs && n_ahead == hand->n_ahead && n_stopping == hand->n_stopping);
        assert(ahead_ns == hand->ahead_ns && !(busy & hand->free_slots));
        assert(!n_ahead || hand->state == WORKER_BUSY);
        assert(hand->state != WORKER_IDLE || !n_runs);
        assert(hand->state != WORKER_BUSY || (n_runs && !n_stopping));
        assert(hand->state != WORKER_STARTING || !n_runs);
        assert(hand->state != WORKER_STUCK || !n_runs);
        assert(hand->state != WORKER_STOPPING || hand->asked_to_stop == !n_runs);
        if (hand->offer == OFFER_FREE)
                assert(hand->state == WORKER_IDLE && !hand->clogged);
        if (hand->offer == OFFER_ROOM)
                assert(hand->state == WORKER_BUSY && !hand->awaits_answer && !hand->clogged);
        check_timer(core, &hand->timer, tally);
}

/* What stands in a lane is in its groups, and nothing else is. */
static void check_awaited(const struct peer *peer)
{
        const struct awaited *group;
        const struct task_extra *extra;
        const struct watch *watch;
        SLIST_FOREACH (group, &peer->awaited, of_peer) {
                bool some = !TAILQ_EMPTY(&group->children) || !TAILQ_EMPTY(&group->watched);
                assert(group->peer == peer && group->is_listed == (some && peer->is_waiting));
                TAILQ_FOREACH (extra, &group->children, of_ready) {
                        assert(extra->parent == peer && extra->is_ready);
                        assert(extra->task->pool == group->pool->index);
                }
                TAILQ_FOREACH (watch, &group->watched, of_awaited) {
                        assert(watch->awaited == group && watch->waiter->peer == peer);
                        assert(watch->task->pool == group->pool->index && watch->task->place == PLACE_LANE);
                }
        }
}

static void check_children(const struct peer *peer)
{
        const struct task_extra *extra;
        TAILQ_FOREACH (extra, &peer->children, of_parent) {
                const struct task *task = extra->task;
                assert(extra->parent == peer && !TASK_IS_END(task->state));
                assert(extra->is_ready == (task->place == PLACE_LANE) && extra->depth == peer->depth + 1);
        }
        if (peer->run)
                assert(peer->run->hand->peer == peer && TAILQ_FIRST(&peer->run->hand->runs) == peer->run);
        else
                assert(TAILQ_EMPTY(&peer->children) && !peer->is_waiting && SLIST_EMPTY(&peer->awaited));
        check_awaited(peer);
}

static void check_peers(const struct core *core, struct tally *tally)
{
        size_t n_waiters = 0;
        for (size_t i = 0; i < core->n_peers; i++) {
                const struct peer *peer = core->peers[i];
                const struct waiter *waiter;
                const struct task *task;
                uint32_t n = 0;
                if (!peer)
                        continue;
                tally->bytes += peer->unsent_bytes + peer->input_bytes;
                TAILQ_FOREACH (waiter, &peer->waiters, link) {
                        n++;
                        assert(waiter_find(core, waiter_request(waiter)) == waiter);
                        assert(!waiter->watch.task || !TASK_IS_END(waiter->watch.task->state) ||
                               !waiter->watch.task->settled);
                        if (waiter->wait)
                                tally->bytes += waiter->wait->cost_bytes;
                        tally->bytes += waiter->reserved_bytes;
                        check_timer(core, &waiter->timer, tally);
                }
                TAILQ_FOREACH (task, &peer->held, link) {
                        assert(peer->blocked && task->place == PLACE_HELD && task->lane->peer == peer);
                        tally->n_held--;
                }
                check_children(peer);
                assert(n == peer->n_waiters);
                n_waiters += n;
        }
        assert(n_waiters == core->waiters.n);
}

static void check_crew(const struct core *core, const struct pool *pool)
{
        const struct hand *hand;
        const struct peer *peer;
        const struct awaited *group;
        uint32_t n_retiring = 0, n_waiting = 0, depth = UINT32_MAX;
        for (unsigned state = WORKER_IDLE; state <= WORKER_BUSY; state++)
                TAILQ_FOREACH (hand, &pool->hands[state], link) {
                        n_retiring += hand->is_retiring;
                        assert(hand->is_retiring || hand->generation == pool->generation);
                }
        TAILQ_FOREACH (peer, &pool->waiting, waiting_link) {
                assert(peer->is_waiting && peer->n_waiters > 0 && peer->run->hand->state == WORKER_BUSY);
                n_waiting++;
        }
        TAILQ_FOREACH (group, &pool->awaited, link) {
                assert(group->is_listed && group->pool == pool && group->peer->depth <= depth);
                depth = group->peer->depth;
        }
        assert(n_retiring == pool->n_retiring && n_waiting == pool->n_waiting);
        assert(pool->target <= pool->config.max_workers || core->stopping);
}

static void check_pool(const struct core *core, const struct pool *pool, struct tally *tally)
{
        const struct task *task;
        uint64_t sum = 0;
        for (unsigned state = 0; state < N_TASK_STATES; state++) {
                sum += pool->n_tasks[state];
                uint64_t n = tally->tasks[pool->index][state];
                if (state == TASK_RUNNING || state == TASK_STOPPING || !TASK_IS_END(state))
                        assert(n == pool->n_tasks[state]);
        }
        assert(sum == pool->n_submitted && tally->fed[pool->index] == pool->n_fed);
        check_line(&pool->overfed, tally);
        TAILQ_FOREACH (task, &pool->aside, link) {
                assert(task->pool == pool->index && task->place == PLACE_ASIDE);
                tally->n_aside--;
        }
        check_crew(core, pool);
        check_timer(core, &pool->timer, tally);
        check_queue(pool, tally);
}

void core_check(const struct core *core)
{
        struct tally tally = {0};
        check_tasks(core, &tally);
        for (uint32_t i = 0; i < core->n_pools; i++)
                check_pool(core, core->pools[i], &tally);
        for (size_t i = 0; i < core->n_hands; i++)
                if (core->hands[i])
                        check_hand(core, core->hands[i], &tally);
        check_parked(core, &tally);
        check_overfed_users(core, &tally);
        check_peers(core, &tally);
        tally.bytes += objects_check(core);
        check_timer(core, &core->stop_timer, &tally);
        assert(tally.n_in_lanes == 0 && tally.n_held == 0 && tally.n_parked == 0 && tally.n_aside == 0 &&
               tally.n_in_lines == 0);
        assert(tally.n_timers == core->timers.n);
        assert(tally.bytes == core->bytes);
}
