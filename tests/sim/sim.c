/* SPDX-License-Identifier: MIT */
/*
 * One run: its world is drawn from the seed, then happenings are taken from a queue in the order of virtual
 * time, the core gets its turn as from the daemon's loop (events → turn → flush), and everything is checked.
 * At the end the clients begin nothing more, faults stop, everything must drain, and the core is freed.
 */
#include "tests/sim/objects.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_BOUND (300 * CORE_SECOND) /* virtual: longest body, stuck workers, lifetimes of results */
#define SPIN_LIMIT  1000
#define SAME_LOOP   (50 * MICROSECOND) /* what happens within it may be noted before one turn */

/* -- the queue of happenings: a binary heap -- */

static bool sooner(const struct happening_entry *a, const struct happening_entry *b)
{
        return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct happening_entry *a, struct happening_entry *b)
{
        struct happening_entry t = *a;
        *a = *b;
        *b = t;
}

void sim_schedule(struct sim *s, int64_t in, enum happening what, uint32_t subject, uint32_t generation)
{
        uint32_t i = s->n_queue;

        if (s->n_queue == s->queue_capacity) {
                s->queue_capacity = s->queue_capacity ? 2 * s->queue_capacity : 256;
                s->queue = realloc(s->queue, s->queue_capacity * sizeof(*s->queue));
                if (!s->queue)
                        abort();
        }
        s->queue[s->n_queue++] = (struct happening_entry){s->now + in, s->order++, what, subject, generation};
        for (; i > 0 && sooner(&s->queue[i], &s->queue[(i - 1) / 2]); i = (i - 1) / 2)
                swap(&s->queue[i], &s->queue[(i - 1) / 2]);
}

static struct happening_entry take_first(struct sim *s)
{
        struct happening_entry first = s->queue[0];
        uint32_t i = 0;

        s->queue[0] = s->queue[--s->n_queue];
        for (;;) {
                uint32_t least = i, left = 2 * i + 1, right = left + 1;
                if (left < s->n_queue && sooner(&s->queue[left], &s->queue[least]))
                        least = left;
                if (right < s->n_queue && sooner(&s->queue[right], &s->queue[least]))
                        least = right;
                if (least == i)
                        return first;
                swap(&s->queue[i], &s->queue[least]);
                i = least;
        }
}

static void wake_in(struct sim *s, struct model_worker *w, int64_t in)
{
        if (w->wake_set && w->wake_at <= s->now + in)
                return;
        w->wake_set = true;
        w->wake_at = s->now + in;
        sim_schedule(s, in, HAPPEN_WAKE, w->index, w->generation);
}

void sim_wake_soon(struct sim *s, uint32_t worker)
{
        wake_in(s, &s->workers[worker], (int64_t)random_below(&s->random, 30) * MICROSECOND);
}

void sim_wake(struct sim *s, uint32_t worker)
{
        struct model_worker *w = &s->workers[worker];
        bool works = w->busy && !w->answered && w->until > s->now && !w->n_to_write && !w->unwritten_bytes &&
                     (!w->told_task || w->ignores);

        if (works)
                wake_in(s, w, w->until - s->now);
        else
                sim_wake_soon(s, worker);
}

/* -- what happens -- */

static void zygote_up(struct sim *s, uint32_t pool)
{
        struct model_pool *p = &s->pools[pool];

        p->zygote_up = p->zygote_told = true;
        p->generation++;
        MEET(s, events, EVENT_zygote_ready);
        core_zygote_ready(s->core, pool, s->now);
}

/* It is gone, and those of its children that were not on their own yet with it. */
static void zygote_down(struct sim *s, uint32_t pool, uint32_t generation)
{
        struct model_pool *p = &s->pools[pool];

        if (!p->zygote_up || (generation != ANY_GENERATION && p->generation != generation))
                return;
        MEET(s, faults, FAULT_zygote_dies);
        p->zygote_up = p->zygote_told = false;
        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                struct model_worker *w = &s->workers[i];
                if (w->life == LIFE_NONE || w->pool != pool)
                        continue;
                sim_meet_worker(s, i, WORKER_EVENT_zygote_lost);
                if (w->life == LIFE_FORKING && (w->silent || random_chance(&s->random, 500)))
                        worker_die(s, w, false, 1);
        }
        MEET(s, events, EVENT_zygote_lost);
        core_zygote_lost(s->core, pool, s->now);
        sim_schedule(s, (int64_t)random_between(&s->random, 1, 30) * MILLISECOND, HAPPEN_ZYGOTE_UP, pool, 0);
}

static void deliver(struct sim *s, uint32_t worker, uint32_t generation)
{
        struct model_worker *w = &s->workers[worker];
        uint64_t n = random_between(&s->random, 1, 6);

        if (w->generation != generation || w->life == LIFE_NONE)
                return;
        w->deliver_set = false;
        for (; n > 0 && w->n_outbox > 0; n--)
                worker_deliver_one(s, w);
        if (w->n_outbox > 0) {
                w->deliver_set = true;
                sim_schedule(s, 10 * MICROSECOND, HAPPEN_DELIVER, worker, generation);
        }
}

/* Reaped: its channel is read to its end, then its loss is told. */
static void reap(struct sim *s, uint32_t worker, uint32_t generation)
{
        struct model_worker *w = &s->workers[worker];

        if (w->generation != generation || w->life != LIFE_DEAD)
                return;
        while (w->n_outbox > 0)
                worker_deliver_one(s, w);
        MEET(s, events, EVENT_worker_lost);
        shared_hear(s, worker, true);
        sim_meet_worker(s, worker, WORKER_EVENT_lost);
        for (uint32_t i = 0; i < s->n_entries; i++) {
                struct entry *e = &s->entries[i];
                if (e->sent_out && e->worker == worker) {
                        sim_meet_task(s, e, TASK_EVENT_worker_lost);
                        ledger_attempt_over(s, e);
                }
        }
        task_lets_go(s, worker);
        core_worker_lost(s->core, worker, &w->exit, s->now);
        shared_heard(s);
        w->life = LIFE_NONE;
}

static void stop(struct sim *s)
{
        if (s->stopping) {
                MEET(s, events, EVENT_core_stop_again);
                core_stop(s->core, s->now);
                return;
        }
        s->stopping = true;
        for (uint32_t i = 0; i < s->n_entries; i++) {
                struct entry *e = &s->entries[i];
                if (e->n_ends)
                        continue;
                MEET(s, faults, FAULT_stop_with_work);
                sim_meet_task(s, e, TASK_EVENT_stop);
                if (s->pools[e->pool].paused)
                        MEET(s, faults, FAULT_stop_while_paused);
                e->end_by = s->now + s->config.stop_timeout + 2 * CORE_SECOND +
                            s->pools[e->pool].config.kill_grace;
        }
        for (uint32_t i = 0; i < MAX_WORKERS; i++)
                sim_meet_worker(s, i, WORKER_EVENT_core_stop);
        for (uint32_t i = 0; i < s->n_pools; i++)
                if (pool_n_waiting(s, i) > 0)
                        MEET(s, faults, FAULT_stop_with_waiting);
        MEET(s, events, EVENT_core_stop);
        core_stop(s->core, s->now);
        if (!core_is_stopping(s->core))
                sim_fail(s, "the core was stopped and does not say so");
        admin_check_stopped(s);
}

static void act(struct sim *s, uint32_t connection)
{
        struct random *r = &s->random;

        if (s->n_acts_left == 0 || s->drained)
                return;
        s->n_acts_left--;
        for (uint64_t n = random_chance(r, 100) ? random_between(r, 2, 12) : 1; n > 0; n--)
                client_act(s, connection);
        if (random_chance(r, 30)) {
                struct model_connection *c = &s->connections[connection];
                MEET(s, events, EVENT_connection_input);
                if (c->open && core_connection_input(s->core, connection, random_below(r, 2000)) != 0)
                        MEET(s, events, EVENT_refused_quota);
        }
        if (random_chance(r, s->intensity.admin))
                admin_act(s, connection);
        if (s->n_acts_left > 0)
                sim_schedule(s, (int64_t)random_below(r, (uint64_t)s->act_pause * 2), HAPPEN_ACT, connection,
                             0);
        else
                sim_schedule(s, (int64_t)random_below(r, 50) * MILLISECOND, HAPPEN_LAST, 0, 0);
}

/* True: the core was not touched, so it needs no turn. */
static bool happen(struct sim *s, const struct happening_entry *h)
{
        switch (h->what) {
        case HAPPEN_ACT:
                act(s, h->subject);
                break;
        case HAPPEN_OPEN:
                client_open(s, h->subject);
                break;
        case HAPPEN_DRAIN:
                if (s->connections[h->subject].generation == h->generation)
                        client_drain(s, h->subject);
                break;
        case HAPPEN_WAKE:
        case HAPPEN_HELLO:
        case HAPPEN_READS_AGAIN:
                worker_happen(s, h->what, h->subject, h->generation);
                return true;
        case HAPPEN_DELIVER:
                deliver(s, h->subject, h->generation);
                break;
        case HAPPEN_REAP:
                reap(s, h->subject, h->generation);
                break;
        case HAPPEN_ZYGOTE_UP:
                zygote_up(s, h->subject);
                break;
        case HAPPEN_ZYGOTE_DOWN:
                zygote_down(s, h->subject, h->generation);
                break;
        case HAPPEN_RESUME:
                admin_resume(s, h->subject);
                break;
        case HAPPEN_MEMORY:
                shared_memory(s, h->subject);
                break;
        case HAPPEN_STOP:
                stop(s);
                break;
        case HAPPEN_LAST:
                s->ending = s->faults_over = true;
                break;
        }
        return false;
}

/* At every moment the totals say the same: what was submitted has ended or is somewhere. */
static void check_totals(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_pools; i++) {
                struct core_pool_status p;
                const struct core_totals *t = &p.totals;
                core_pool_status(s->core, i, &p);
                if (t->submitted !=
                    t->succeeded + t->failed + t->cancelled + t->expired + p.ready + p.delayed + p.running)
                        sim_fail(s, "pool %u: the sum of all states is not what was submitted", i);
        }
}

static void check(struct sim *s)
{
        if (!s->trace.unchecked)
                core_check(s->core);
        check_totals(s);
        shared_check(s);
}

/* The core's turn, and after it what the daemon's loop does. */
static void turn(struct sim *s)
{
        bool changed = clients_flush(s);
        int64_t before = s->now;

        shared_time(s);
        s->deadline = core_turn(s->core, s->now);
        TRACE(s, "turn", (uint64_t)s->deadline);
        changed |= clients_flush(s);
        if (changed && s->deadline > s->now + MICROSECOND)
                s->deadline = s->now + MICROSECOND; /* a reader may be below its mark again */
        s->n_spins = s->deadline <= before && !changed ? s->n_spins + 1 : 0;
        if (s->n_spins > SPIN_LIMIT)
                sim_fail(s, "the core wants its turn at once, again and again");
        requests_check(s);
        check(s);
        if (++s->n_turns % 16 == 0)
                ledger_check_bounds(s);
}

static bool step(struct sim *s)
{
        bool due = s->deadline != CORE_NEVER && (s->n_queue == 0 || s->deadline <= s->queue[0].at);
        struct happening_entry h;

        if (due) {
                int64_t late =
                        random_chance(&s->random, 300) ? (int64_t)random_below(&s->random, MILLISECOND) : 0;
                s->now = (s->deadline > s->now ? s->deadline : s->now) + late;
        } else if (s->n_queue == 0) {
                return false;
        }
        if (!due || (s->n_queue > 0 && s->queue[0].at <= s->now)) {
                h = take_first(s);
                s->now = h.at > s->now ? h.at : s->now;
                if (happen(s, &h) && !due)
                        return true;
                if (random_chance(&s->random, s->intensity.skip_turn)) {
                        if (s->deadline > s->now + SAME_LOOP)
                                s->deadline = s->now + SAME_LOOP;
                        check(s);
                        return true;
                }
        }
        turn(s);
        return true;
}

/* -- the end -- */

static bool all_ended(const struct sim *s)
{
        for (uint32_t i = 0; i < s->n_entries; i++)
                if (!s->entries[i].n_ends)
                        return false;
        return s->n_requests == 0;
}

static void drain_until(struct sim *s, bool (*reached)(const struct sim *), const char *what)
{
        int64_t bound = s->now + DRAIN_BOUND;

        while (!reached(s)) {
                if (!step(s) || s->n_queue == 0) {
                        clients_finish(s);
                        s->now += MILLISECOND;
                        turn(s);
                } else if (random_chance(&s->random, 100)) {
                        clients_finish(s);
                }
                if (s->now > bound) {
                        for (uint32_t i = 0; i < s->n_entries; i++)
                                if (!s->entries[i].n_ends)
                                        sim_fail(s, "%s: task %" PRIu64 " hangs for ever", what,
                                                 s->entries[i].id);
                        sim_fail(s, "%s: never", what);
                }
        }
}

static bool is_drained(const struct sim *s)
{
        for (uint32_t i = 0; i < MAX_WORKERS; i++)
                if (s->workers[i].life != LIFE_NONE)
                        return false;
        return s->drained;
}

static bool is_forgotten(const struct sim *s)
{
        return s->deadline == CORE_NEVER;
}

static void end_run(struct sim *s)
{
        bool leave_first = random_chance(&s->random, 300);

        if (!leave_first)
                drain_until(s, all_ended, "ending");
        for (uint32_t i = 0; i < s->n_connections; i++)
                if (i != OBSERVER && s->connections[i].open)
                        client_close(s, i);
        turn(s);
        if (random_chance(&s->random, 500))
                drain_until(s, all_ended, "ending after all left");
        stop(s);
        turn(s);
        drain_until(s, is_drained, "draining");
        ledger_check_bounds(s);
        shared_finish(s, true);
        client_close(s, OBSERVER);
        turn(s);
        drain_until(s, is_forgotten, "forgetting");
        ledger_close(s);
        world_check_accounts(s);
        s->core = core_free(s->core);
        if (payloads_count(s) != 0)
                sim_fail(s, "%zu payloads are left at the end", payloads_count(s));
}

static void release(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_entries; i++)
                free(s->entries[i].items);
        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                free(s->workers[i].inbox);
                free(s->workers[i].outbox);
        }
        shared_deinit(s);
        free(s->entries);
        free(s->requests);
        free(s->queue);
        free(s->payloads);
        free(s->free_payloads);
        free(s);
}

uint64_t sim_run(uint64_t seed, bool printed, bool unchecked, struct coverage *coverage)
{
        struct sim *s = calloc(1, sizeof(*s));
        uint64_t hash;

        if (!s)
                abort();
        s->coverage = coverage;
        s->trace = (struct trace){.printed = printed, .unchecked = unchecked, .hash = seed};
        world_begin(s, seed);
        while (!s->ending && step(s))
                continue;
        end_run(s);
        hash = s->trace.hash;
        release(s);
        return hash;
}
