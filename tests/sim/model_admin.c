/* SPDX-License-Identifier: MIT */
/*
 * What admins do to pools: scale, pause, drain, renew, reload (new limits, new functions, closed or open
 * again). And the ledger's page for it: how many workers there may be, what may be given to which, when a
 * worker may go, when a drain or a renewal may be answered. All by what the operations were told and what the
 * workers truly do.
 */
#include "tests/sim/client.h"

static bool is_there(const struct model_worker *w, uint32_t pool)
{
        return w->life != LIFE_NONE && w->pool == pool && !w->killed && !w->told_stop;
}

/* -- acts -- */

static void scale(struct sim *s, uint32_t pool)
{
        struct model_pool *p = &s->pools[pool];
        uint32_t n = (uint32_t)random_below(&s->random, 7);

        if (p->config.closed)
                return;
        MEET(s, events, EVENT_pool_scale);
        TRACE(s, "scale", pool, n);
        p->config.max_workers = n;
        p->config.min_workers = p->least_workers < n && p->elastic ? p->least_workers : n;
        core_pool_scale(s->core, pool, n, s->now);
}

static void pause(struct sim *s, uint32_t pool)
{
        struct model_pool *p = &s->pools[pool];

        MEET(s, events, EVENT_pool_pause);
        TRACE(s, "pause", pool);
        p->paused = true;
        core_pool_pause(s->core, pool, true, s->now);
        sim_schedule(s, (int64_t)random_between(&s->random, 1, 20) * MILLISECOND, HAPPEN_RESUME, pool, 0);
}

void admin_resume(struct sim *s, uint32_t pool)
{
        MEET(s, events, EVENT_pool_resume);
        TRACE(s, "resume", pool);
        s->pools[pool].paused = false;
        core_pool_pause(s->core, pool, false, s->now);
}

static struct request *ask(struct sim *s, uint32_t connection, int kind, uint32_t pool)
{
        struct request *r =
                request_open(s, connection, s->connections[connection].next_msgid++, kind, NO_ENTRY);

        r->pool = pool;
        return r;
}

static void check_asked(struct sim *s, const struct core_request id, int r)
{
        if (r == 0)
                return;
        request_answer(s, id);
        MEET(s, events, EVENT_refused_quota);
        if (r != CORE_QUOTA)
                sim_fail(s, "a drain, or waiting for a renewal, is refused with %d", r);
}

static void drain(struct sim *s, uint32_t pool, uint32_t connection)
{
        struct request *request = ask(s, connection, REQUEST_DRAIN, pool);
        struct core_request id = {connection, request->msgid};
        bool at_once = random_chance(&s->random, 300);
        int64_t timeout = at_once ? 0
                          : random_chance(&s->random, 500)
                                  ? CORE_NEVER
                                  : (int64_t)random_below(&s->random, MILLISECOND * 30);
        int r;

        if (at_once)
                MEET(s, faults, FAULT_drain_at_once);
        request->timeout_at = timeout == CORE_NEVER ? CORE_NEVER : s->now + timeout;
        MEET(s, events, EVENT_pool_drain);
        TRACE(s, "drain", pool, id.connection, id.msgid, (uint64_t)timeout);
        r = core_pool_drain(s->core, id, pool, timeout, s->now);
        check_asked(s, id, r);
        if (r != 0)
                return;
        s->pools[pool].paused = true;
        sim_schedule(s, (int64_t)random_between(&s->random, 1, 40) * MILLISECOND, HAPPEN_RESUME, pool, 0);
}

static void renew(struct sim *s, uint32_t pool, uint32_t connection)
{
        MEET(s, events, EVENT_pool_renew);
        TRACE(s, "renew", pool);
        for (uint32_t i = 0; i < MAX_WORKERS; i++)
                if (s->workers[i].pool == pool)
                        sim_meet_worker(s, i, WORKER_EVENT_renew);
        s->pools[pool].renewals++;
        core_pool_renew(s->core, pool, s->now);
        if (random_chance(&s->random, 500)) {
                uint32_t which = random_chance(&s->random, 300) ? CORE_NO_POOL : pool;
                struct core_request id = {connection, ask(s, connection, REQUEST_RENEWAL, which)->msgid};
                MEET(s, events, EVENT_pool_await_renewal);
                check_asked(s, id, core_pool_await_renewal(s->core, id, which, s->now));
        }
}

static void add_function(struct sim *s, uint32_t pool)
{
        struct model_pool *p = &s->pools[pool];

        if (p->n_functions == MAX_FUNCTIONS)
                return;
        MEET(s, events, EVENT_function_add);
        if (core_function_add(s->core, pool, &p->functions[p->n_functions]) != 0 ||
            p->functions[p->n_functions] != p->n_functions)
                sim_fail(s, "a function could not be added to pool %u", pool);
        p->n_functions++;
}

static void reload(struct sim *s, uint32_t pool, uint32_t connection)
{
        struct model_pool *p = &s->pools[pool];
        bool was_closed = p->config.closed;
        uint64_t n = 0;

        for (uint32_t i = 0; i < s->n_entries; i++)
                n += s->entries[i].pool == pool && !s->entries[i].n_ends;
        if (core_pool_unfinished(s->core, pool, UINT32_MAX) != n)
                sim_fail(s, "pool %u has %llu unfinished tasks", pool, (unsigned long long)n);
        pool_draw(s, p);
        p->config.closed = n == 0 && random_chance(&s->random, 700);
        MEET(s, events, EVENT_pool_configure);
        if (p->config.closed)
                MEET(s, events, EVENT_pool_close);
        else if (was_closed)
                MEET(s, events, EVENT_pool_reopen);
        TRACE(s, "reload", pool, p->config.min_workers, p->config.max_workers, p->config.closed);
        if (random_chance(&s->random, 500))
                add_function(s, pool);
        core_pool_configure(s->core, pool, &p->config);
        if (p->config.closed)
                p->config.workers = p->config.min_workers = p->config.max_workers = 0;
        renew(s, pool, connection);
}

void admin_act(struct sim *s, uint32_t connection)
{
        uint32_t pool = (uint32_t)random_below(&s->random, s->n_pools);

        if (!s->connections[connection].open)
                return;
        switch (random_below(&s->random, 6)) {
        case 0:
                scale(s, pool);
                break;
        case 1:
                pause(s, pool);
                break;
        case 2:
                drain(s, pool, connection);
                break;
        case 3:
                renew(s, pool, connection);
                break;
        default:
                reload(s, pool, connection);
        }
}

void admin_finish(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_pools; i++) {
                struct model_pool *p = &s->pools[i];
                if (p->paused)
                        admin_resume(s, i);
                if (p->config.max_workers > 0 || p->config.closed)
                        continue;
                p->config.max_workers = 1;
                p->config.min_workers = p->least_workers < 1 && p->elastic ? p->least_workers : 1;
                core_pool_scale(s->core, i, 1, s->now);
        }
}

/* -- what may be -- */

uint32_t pool_n_waiting(const struct sim *s, uint32_t pool)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < MAX_WORKERS; i++)
                n += s->workers[i].life != LIFE_NONE && s->workers[i].pool == pool &&
                     s->connections[MAX_CLIENTS + i].open && requests_open(s, MAX_CLIENTS + i) > 0;
        return n;
}

/* Under a verdict, or so it may be: when its next task had begun nobody was told. */
static bool may_be_stopping(const struct sim *s, const struct model_worker *w)
{
        if (w->under_verdict || w->claimed_ahead)
                return true;
        for (uint32_t i = 0; i < s->n_entries; i++) {
                const struct entry *e = &s->entries[i];
                if (e->sent_out && e->worker == w->index &&
                    (e->cancel_asked || (e->timeout && s->now >= e->sent_at + e->timeout)))
                        return true;
        }
        return false;
}

/* A worker that has nothing gets something: it needs a place. */
static void check_place(struct sim *s, const struct model_worker *w)
{
        uint32_t most = s->pools[w->pool].config.max_workers, n = 0, n_waiting = 0;

        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                const struct model_worker *other = &s->workers[i];
                if (other == w || !is_there(other, w->pool) || other->n_held == 0 ||
                    may_be_stopping(s, other))
                        continue;
                n++;
                n_waiting += s->connections[MAX_CLIENTS + i].open && requests_open(s, MAX_CLIENTS + i) > 0;
        }
        if (n - n_waiting >= most)
                sim_fail(s, "worker %u of pool %u is given something, and %u of %u run already", w->index,
                         w->pool, n - n_waiting, most);
        if (n >= most)
                MEET(s, faults, FAULT_lent_place);
}

void admin_check_send(struct sim *s, const struct model_worker *w, const struct entry *e, uint32_t attempt)
{
        struct core_account account;

        if (s->pools[w->pool].paused)
                sim_fail(s, "task %llu begins in pool %u, which is paused", (unsigned long long)e->id,
                         w->pool);
        if (e->function >= w->n_functions)
                sim_fail(s, "worker %u does not have function %u", w->index, e->function);
        if (w->n_held == 0)
                check_place(s, w);
        core_account(s->core, s->users[e->user].uid, &account);
        if (e->kind == ENTRY_SUBMIT && attempt == 1 && account.bytes > s->config.user_memory_bytes &&
            !requests_of_tasks_want(s, ledger_index(s, e)))
                sim_fail(s, "task %llu begins, and its user holds too much", (unsigned long long)e->id);
}

void admin_check_spawn(struct sim *s, uint32_t pool)
{
        const struct model_pool *p = &s->pools[pool];
        uint32_t n = 0;

        for (uint32_t i = 0; i < MAX_WORKERS; i++)
                n += is_there(&s->workers[i], pool) && !may_be_stopping(s, &s->workers[i]);
        if (n > p->config.max_workers + p->most_nesting && n > pool_n_waiting(s, pool) + 1)
                sim_fail(s, "pool %u has %u workers, and one more is asked for", pool, n);
}

/* One that idles is asked to go when others are there. */
void admin_check_stop(struct sim *s, const struct model_worker *w)
{
        uint32_t n = 0;

        if (s->stopping)
                return;
        for (uint32_t i = 0; i < MAX_WORKERS; i++)
                n += &s->workers[i] != w && is_there(&s->workers[i], w->pool) && s->workers[i].hello_heard;
        if (n < s->pools[w->pool].config.min_workers)
                sim_fail(s, "worker %u is asked to go, and only %u others are there", w->index, n);
}

static bool is_of(const struct model_worker *w, uint32_t pool)
{
        return w->life != LIFE_NONE && (pool == CORE_NO_POOL || w->pool == pool);
}

static bool runs_truly(const struct model_worker *w)
{
        return w->life == LIFE_ALIVE && !w->killed && !w->evil && w->busy && !w->answered &&
               w->until != INT64_MIN;
}

void admin_check_done(struct sim *s, const struct request *r)
{
        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                const struct model_worker *w = &s->workers[i];
                if (!is_of(w, r->pool))
                        continue;
                if (r->kind == REQUEST_DRAIN && runs_truly(w))
                        sim_fail(s, "pool %u is said to be drained, but worker %u runs", r->pool, i);
                if (r->kind == REQUEST_RENEWAL && !w->killed && w->renewal != s->pools[w->pool].renewals)
                        sim_fail(s, "pool %u is said to be renewed, but worker %u is an old one", r->pool, i);
        }
}

void admin_check_stopped(struct sim *s)
{
        for (uint32_t i = 0; i < s->n_entries; i++) {
                const struct entry *e = &s->entries[i];
                if (!e->n_ends && !e->sent_out && !e->tainted && e->kind != ENTRY_MAP)
                        sim_fail(s, "task %llu has not begun and outlives the stop",
                                 (unsigned long long)e->id);
        }
}

bool admin_is_done(const struct sim *s, const struct request *r)
{
        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                const struct model_worker *w = &s->workers[i];
                if (is_of(w, r->pool) &&
                    (r->kind == REQUEST_DRAIN ? w->n_held > 0 || w->evil
                                              : w->renewal != s->pools[w->pool].renewals))
                        return false;
        }
        return true;
}
