/* SPDX-License-Identifier: MIT */
/*
 * The world of a run, drawn from its seed: limits, pools, users, connections, and how often what goes wrong.
 * Each fault is absent from a good part of the seeds, so that rare ones are not drowned by the others.
 */
#include "tests/sim/objects.h"

#include <inttypes.h>

static unsigned draw(struct sim *s, unsigned most)
{
        return random_chance(&s->random, 400) ? 0 : (unsigned)random_between(&s->random, 1, most);
}

static void draw_intensity(struct sim *s)
{
        struct random *r = &s->random;

        s->intensity = (struct intensity){
                .poke = (unsigned)random_below(r, 6),
                .crash = draw(s, 12),
                .outside = draw(s, 12),
                .ignores = draw(s, 500),
                .deaf = draw(s, 20),
                .evil = random_chance(r, 600) ? 0 : 300,
                .no_area = draw(s, 200),
                .spawn_refused = draw(s, 100),
                .spawn_failed = draw(s, 150),
                .spawn_silent = random_chance(r, 700) ? 0 : 60,
                .zygote_dies = random_chance(r, 600) ? 0 : 300,
                .slow = draw(s, 600),
                .cancel = draw(s, 100),
                .leaves = draw(s, 25),
                .no_memory = random_chance(r, 700) ? 0 : 30,
                .dies_late = random_chance(r, 600) ? 0 : 400,
                .fails = draw(s, 200),
                .streams = random_chance(r, 300) ? 600 : draw(s, 100),
                .skip_turn = draw(s, 600),
                .bad_client = draw(s, 30),
                .asks = random_chance(r, 500) ? 0 : (unsigned)random_between(r, 1, 800),
                .admin = draw(s, 50),
                .shared = random_chance(r, 500) ? 0 : (unsigned)random_between(r, 1, 700),
                .too_large = random_chance(r, 500) ? 0 : 200,
                .shares = 700,
                .memory = 3 * MILLISECOND,
        };
}

/* Some worlds are made for what is seldom met in all others: deep trees of tasks, and tasks that die about
 * shared objects. */
static void draw_leaning(struct sim *s)
{
        struct random *r = &s->random;

        switch (random_below(r, 8)) {
        case 0:
                s->intensity.asks = 950;
                s->intensity.nests = 800;
                s->intensity.shares = 100;
                break;
        case 1:
                s->intensity.asks = 950;
                s->intensity.shared = (unsigned)random_between(r, 300, 700);
                s->intensity.shares = 950;
                s->intensity.crash = s->intensity.outside = 60;
                s->intensity.memory = 200 * MILLISECOND;
                break;
        default:
                break;
        }
}

/* What a configuration says of it. */
void pool_draw(struct sim *s, struct model_pool *pool)
{
        struct random *r = &s->random;
        uint32_t workers = (uint32_t)random_between(r, 1, 4);

        pool->config = (struct core_pool_config){
                .workers = workers,
                .min_workers = workers,
                .max_workers = workers,
                .idle_timeout = (int64_t)random_between(r, 1, 300) * MILLISECOND,
                .nesting_limit = (uint32_t)random_below(r, random_chance(r, 500) ? 3 : 9),
                .max_tasks = random_chance(r, 700) ? 0 : (uint32_t)random_between(r, 1, 40),
                .max_rss_bytes = random_chance(r, 700) ? 0 : 200000,
                .window = random_chance(r, 300) ? 1 : (uint32_t)random_between(r, 1, LIMIT_SLOTS),
                .queue_limit = random_chance(r, 200) ? 20 : 10000,
                .timeout = random_chance(r, 200) ? 80 * MILLISECOND : 0,
                .kill_grace = (int64_t)random_between(r, 1, 300) * MILLISECOND,
                .start_timeout = 200 * MILLISECOND,
        };
        if (random_chance(r, 400)) {
                pool->config.min_workers = (uint32_t)random_below(r, workers + 1);
                pool->config.max_workers = (uint32_t)random_between(r, workers, 6);
        }
        pool->least_workers = pool->config.min_workers;
        pool->elastic = pool->config.min_workers < pool->config.max_workers;
        if (pool->most_nesting < pool->config.nesting_limit)
                pool->most_nesting = pool->config.nesting_limit;
}

static void draw_pools(struct sim *s)
{
        struct random *r = &s->random;

        s->n_pools = (unsigned)random_between(r, 1, MAX_POOLS);
        for (uint32_t i = 0; i < s->n_pools; i++) {
                struct model_pool *pool = &s->pools[i];
                uint32_t index;
                pool_draw(s, pool);
                if (core_pool_add(s->core, &pool->config, &index) != 0 || index != i)
                        sim_fail(s, "pool %u could not be added", i);
                pool->n_functions = (uint32_t)random_between(r, 1, 4);
                for (uint32_t f = 0; f < pool->n_functions; f++)
                        if (core_function_add(s->core, i, &pool->functions[f]) != 0)
                                sim_fail(s, "a function could not be added");
                sim_schedule(s, (int64_t)random_between(r, 0, 3000) * MICROSECOND, HAPPEN_ZYGOTE_UP, i, 0);
                if (random_chance(r, s->intensity.zygote_dies))
                        sim_schedule(s, (int64_t)random_between(r, 3, 60) * MILLISECOND, HAPPEN_ZYGOTE_DOWN,
                                     i, 1);
                if (random_chance(r, s->intensity.zygote_dies))
                        sim_schedule(s, (int64_t)random_between(r, 4, 15) * CORE_SECOND, HAPPEN_ZYGOTE_DOWN,
                                     i, ANY_GENERATION);
        }
}

static void draw_clients(struct sim *s)
{
        struct random *r = &s->random;

        s->n_users = (unsigned)random_between(r, 1, MAX_USERS - 1) + 1;
        s->users[0] = (struct model_user){.uid = OBSERVER_UID, .admin = true};
        for (uint32_t i = 1; i < s->n_users; i++)
                s->users[i] = (struct model_user){.uid = 1000 + i, .admin = random_chance(r, 100)};
        s->n_connections = (unsigned)random_between(r, 2, MAX_CLIENTS);
        for (uint32_t i = MAX_CLIENTS; i < MAX_CONNECTIONS; i++)
                s->connections[i].entry = NO_ENTRY;
        for (uint32_t i = 0; i < s->n_connections; i++) {
                s->connections[i].user = i == OBSERVER ? 0 : 1 + i % (s->n_users - 1);
                s->connections[i].next_msgid = (uint32_t)random_below(r, 1000);
        }
        client_open(s, OBSERVER);
        for (uint32_t i = 1; i < s->n_connections; i++) {
                sim_schedule(s, (int64_t)random_below(r, 500) * MICROSECOND, HAPPEN_OPEN, i, 0);
                sim_schedule(s, 600 * MICROSECOND, HAPPEN_ACT, i, 0);
        }
        s->n_acts_left = (uint32_t)random_between(r, 20, s->intensity.shared ? 440 : 320);
        s->act_pause = random_chance(r, 500) ? (int64_t)random_between(r, 1, 40) * MICROSECOND
                                             : (int64_t)random_between(r, 100, 3000) * MICROSECOND;
}

void world_begin(struct sim *s, uint64_t seed)
{
        struct random *r = &s->random;

        s->seed = seed;
        s->now = CORE_SECOND;
        s->deadline = s->now;
        s->accepting = s->asking = NO_ENTRY;
        random_seed(r, seed);
        shared_init(s);
        draw_intensity(s);
        draw_leaning(s);
        s->config = (struct core_config){
                .first_id = 1000 + random_below(r, UINT64_C(1) << 50),
                .history = (uint32_t)(random_chance(r, 300) ? random_below(r, 10) : 1000),
                .max_requests = random_chance(r, 200) ? 8 : 1000,
                .output_limit_bytes = random_between(r, 500, 20000),
                .memory_limit_bytes = random_chance(r, 100) ? 100000 : 1 << 30,
                .max_answer_bytes = random_chance(r, 300) ? 3000 : 1 << 26,
                .user_connections = random_chance(r, 100) ? 2 : 100,
                .user_tasks = random_chance(r, 150) ? 12 : 100000,
                .user_descriptors = random_chance(r, 150) ? 3 : 1000,
                .user_objects = random_chance(r, 150) ? 3 : 1000,
                .user_memory_bytes = random_chance(r, 250) ? random_between(r, 5000, 25000) : 1 << 28,
                .stop_timeout = (int64_t)random_between(r, 1, 3000) * MILLISECOND,
        };
        if (core_new(&s->config, &sim_ops, s, &s->core) != 0)
                sim_fail(s, "there is no core");
        draw_pools(s);
        draw_clients(s);
        s->stop_planned = random_chance(r, 250);
        if (s->stop_planned)
                sim_schedule(s, (int64_t)random_between(r, 1, 100) * MILLISECOND, HAPPEN_STOP, 0, 0);
}

void world_check_accounts(struct sim *s)
{
        for (unsigned i = 0; i < s->n_users; i++) {
                struct core_account a;
                core_account(s->core, s->users[i].uid, &a);
                if (a.connections || a.tasks || a.descriptors || a.bytes || a.objects)
                        sim_fail(s,
                                 "at the end user %u holds %" PRIu64 " connections, %" PRIu64
                                 " tasks, %" PRIu64 " descriptors, %" PRIu64 " bytes, %" PRIu64 " objects",
                                 s->users[i].uid, a.connections, a.tasks, a.descriptors, a.bytes, a.objects);
        }
}
