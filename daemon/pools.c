/* SPDX-License-Identifier: MIT */
#include "daemon/pools.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_core.h"
#include "daemon/configuration.h"
#include "daemon/core/core.h"
#include "daemon/daemon.h"
#include "daemon/hash.h"
#include "daemon/zygote.h"
#include "proto/limits.h"

struct member { /* a function of a generation */
        uint32_t function;
        UT_hash_handle hh; /* generation.by_name; the key is the pool's */
};

struct generation {
        uint32_t n_refs, pool;
        uint32_t *numbers; /* the zygote's, by the core's; UINT32_MAX: it has none such */
        uint32_t n_numbers;
        struct member *members, *by_name;
};

struct entry {
        char *name;
        const struct pool_configuration *configuration; /* NULL: not in force */
        struct zygote *zygote;
        struct generation *generation;
        struct pool_function *functions; /* by the core's number */
        uint32_t n_functions;
};

struct pools {
        struct daemon *daemon;
        struct entry at[LIMIT_POOLS];
        uint32_t n;
};

int pools_new(struct daemon *daemon, struct pools **ret)
{
        struct pools *pools = calloc(1, sizeof(*pools));
        if (!pools)
                return -ENOMEM;
        pools->daemon = daemon;
        *ret = pools;
        return 0;
}

static void function_deinit(struct pool_function *function)
{
        free(function->name);
        free(function->module);
        free(function->summary);
}

struct pools *pools_free(struct pools *pools)
{
        if (!pools)
                return NULL;
        for (uint32_t i = 0; i < pools->n; i++) {
                struct entry *entry = &pools->at[i];
                for (uint32_t f = 0; f < entry->n_functions; f++)
                        function_deinit(&entry->functions[f]);
                free(entry->functions);
                generation_unref(entry->generation);
                free(entry->name);
        }
        free(pools);
        return NULL;
}

/* -- which there are -- */

uint32_t pools_end(const struct pools *pools)
{
        return pools->n;
}

const struct pool_configuration *pools_configuration(const struct pools *pools, uint32_t pool)
{
        return pool < pools->n ? pools->at[pool].configuration : NULL;
}

const char *pools_name(const struct pools *pools, uint32_t pool)
{
        return pool < pools->n ? pools->at[pool].name : NULL;
}

struct zygote *pools_zygote(const struct pools *pools, uint32_t pool)
{
        return pool < pools->n ? pools->at[pool].zygote : NULL;
}

uint32_t pools_find(const struct pools *pools, const char *name, size_t size_bytes)
{
        for (uint32_t i = 0; i < pools->n; i++)
                if (pools->at[i].configuration && strlen(pools->at[i].name) == size_bytes &&
                    memcmp(pools->at[i].name, name, size_bytes) == 0)
                        return i;
        return CORE_NO_POOL;
}

/* -- functions -- */

const struct pool_function *pools_function(const struct pools *pools, uint32_t pool, uint32_t function)
{
        if (pool >= pools->n || function >= pools->at[pool].n_functions)
                return NULL;
        return &pools->at[pool].functions[function];
}

uint32_t pools_functions_end(const struct pools *pools, uint32_t pool)
{
        return pool < pools->n ? pools->at[pool].n_functions : 0;
}

bool pools_has_function(const struct pools *pools, uint32_t pool, uint32_t function)
{
        const struct generation *generation = pool < pools->n ? pools->at[pool].generation : NULL;
        return generation && function < generation->n_numbers && generation->numbers[function] != UINT32_MAX;
}

static struct member *member(const struct generation *generation, const char *name, size_t size_bytes)
{
        struct member *found = NULL;
        if (generation)
                HASH_FIND(hh, generation->by_name, name, size_bytes, found);
        return found;
}

uint32_t pools_function_number(const struct pools *pools, uint32_t pool, const char *name, size_t size_bytes)
{
        const struct member *found =
                pool < pools->n ? member(pools->at[pool].generation, name, size_bytes) : NULL;
        return found ? found->function : UINT32_MAX;
}

/* -- generations -- */

struct generation *pools_generation(const struct pools *pools, uint32_t pool)
{
        struct generation *generation = pool < pools->n ? pools->at[pool].generation : NULL;
        if (generation)
                generation->n_refs++;
        return generation;
}

struct generation *generation_unref(struct generation *generation)
{
        if (!generation || --generation->n_refs > 0)
                return NULL;
        HASH_CLEAR(hh, generation->by_name);
        free(generation->members);
        free(generation->numbers);
        free(generation);
        return NULL;
}

uint32_t generation_function(const struct generation *generation, uint32_t function)
{
        assert(function < generation->n_numbers && generation->numbers[function] != UINT32_MAX);
        return generation->numbers[function];
}

static bool brings(const struct zygote *zygote, const char *name)
{
        for (uint32_t i = 0; i < zygote_n_functions(zygote); i++)
                if (strcmp(zygote_function(zygote, i)->name, name) == 0)
                        return true;
        return false;
}

bool pools_would_lose(const struct pools *pools, uint32_t pool, const struct zygote *zygote,
                      const char **ret_function, uint64_t *ret_n_tasks)
{
        for (uint32_t i = 0; i < pools_functions_end(pools, pool); i++) {
                *ret_function = pools->at[pool].functions[i].name;
                if (!pools_has_function(pools, pool, i) || brings(zygote, *ret_function))
                        continue;
                *ret_n_tasks = core_pool_unfinished(pools->daemon->core, pool, i);
                if (*ret_n_tasks > 0)
                        return true;
        }
        return false;
}

/* -- preparing -- */

static struct entry *entry_by_name(struct pools *pools, const char *name)
{
        for (uint32_t i = 0; i < pools->n; i++)
                if (strcmp(pools->at[i].name, name) == 0)
                        return &pools->at[i];
        return NULL;
}

/* One that is not in force: in the core it takes no tasks and needs no workers. */
static int entry_new(struct pools *pools, const struct configuration *configuration, const char *name,
                     struct entry **ret)
{
        const struct core_pool_config closed = config_core_closed(configuration);
        uint32_t index;

        if (pools->n == LIMIT_POOLS)
                return POOLS_FULL;
        char *copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        int r = core_pool_add(pools->daemon->core, &closed, &index);
        if (r < 0) {
                free(copy);
                return r;
        }
        assert(index == pools->n);
        *ret = &pools->at[pools->n++];
        (*ret)->name = copy;
        return 0;
}

static char *copy_of(const char *text, int *r)
{
        char *copy = text ? strdup(text) : NULL;
        if (text && !copy)
                *r = -ENOMEM;
        return copy;
}

/* A further number for what the zygote brings. */
static int function_new(struct pools *pools, uint32_t pool, const struct pool_function *its, uint32_t *ret)
{
        struct entry *entry = &pools->at[pool];
        struct pool_function *larger =
                reallocarray(entry->functions, entry->n_functions + 1, sizeof(*larger));
        int r = 0;

        if (!larger)
                return -ENOMEM;
        entry->functions = larger;
        struct pool_function new = {
                .name = copy_of(its->name, &r),
                .module = copy_of(its->module, &r),
                .summary = copy_of(its->summary, &r),
        };
        if (r == 0)
                r = core_function_add(pools->daemon->core, pool, ret);
        if (r < 0) {
                function_deinit(&new);
                return r;
        }
        assert(*ret == entry->n_functions);
        entry->functions[entry->n_functions++] = new;
        return 0;
}

/* A function that the pool has now keeps its number. */
static int number_of(struct pools *pools, uint32_t pool, const struct pool_function *its, uint32_t *ret)
{
        *ret = pools_function_number(pools, pool, its->name, strlen(its->name));
        return *ret != UINT32_MAX ? 0 : function_new(pools, pool, its, ret);
}

static int add_members(struct pools *pools, struct generation *generation, const struct zygote *zygote)
{
        const struct entry *entry = &pools->at[generation->pool];
        uint32_t n = zygote_n_functions(zygote);

        generation->members = calloc(n ? n : 1, sizeof(*generation->members));
        if (!generation->members)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                struct member *new = &generation->members[i];
                int r = number_of(pools, generation->pool, zygote_function(zygote, i), &new->function);
                if (r < 0)
                        return r;
                const char *name = entry->functions[new->function].name;
                HASH_ADD_KEYPTR(hh, generation->by_name, name, strlen(name), new);
                if (!HASH_ADDED(new))
                        return -ENOMEM;
        }
        generation->n_numbers = entry->n_functions;
        generation->numbers = calloc(generation->n_numbers + 1, sizeof(*generation->numbers));
        if (!generation->numbers)
                return -ENOMEM;
        memset(generation->numbers, 0xff, generation->n_numbers * sizeof(*generation->numbers));
        for (uint32_t i = 0; i < n; i++)
                generation->numbers[generation->members[i].function] = i;
        return 0;
}

int pools_prepare(struct pools *pools, const struct configuration *configuration, const char *name,
                  const struct zygote *zygote, struct generation **ret)
{
        struct entry *entry = entry_by_name(pools, name);
        int r = entry ? 0 : entry_new(pools, configuration, name, &entry);
        if (r != 0)
                return r;
        struct generation *generation = calloc(1, sizeof(*generation));
        if (!generation)
                return -ENOMEM;
        generation->n_refs = 1;
        generation->pool = (uint32_t)(entry - pools->at);
        r = add_members(pools, generation, zygote);
        if (r < 0) {
                generation_unref(generation);
                return r;
        }
        *ret = generation;
        return 0;
}

/* -- succession -- */

/* What is said of a function may have changed. */
static void take_words(struct pool_function *function, struct pool_function *its)
{
        struct pool_function old = *function;

        function->module = its->module;
        function->summary = its->summary;
        its->module = old.module;
        its->summary = old.summary;
}

void pools_commit(struct pools *pools, struct generation *generation, struct zygote *zygote,
                  const struct configuration *configuration,
                  const struct pool_configuration *pool_configuration)
{
        struct daemon *daemon = pools->daemon;
        uint32_t pool = generation->pool;
        struct entry *entry = &pools->at[pool];
        struct core_pool_config settings = config_core_pool(configuration, pool_configuration);

        if (!entry->configuration)
                core_pool_pause(daemon->core, pool, false, daemon->now);
        if (entry->configuration != pool_configuration)
                core_pool_configure(daemon->core, pool, &settings);
        entry->configuration = pool_configuration;
        for (uint32_t i = 0; i < entry->n_functions; i++)
                if (i < generation->n_numbers && generation->numbers[i] != UINT32_MAX)
                        take_words(&entry->functions[i], zygote_function(zygote, generation->numbers[i]));
        generation_unref(entry->generation);
        entry->generation = generation;
        core_pool_renew(daemon->core, pool, daemon->now);
        if (entry->zygote)
                zygote_dismiss(entry->zygote);
        entry->zygote = zygote;
        zygote_serve(zygote, pool);
}

void pools_close(struct pools *pools, uint32_t pool, const struct configuration *configuration)
{
        struct daemon *daemon = pools->daemon;
        struct entry *entry = &pools->at[pool];
        const struct core_pool_config closed = config_core_closed(configuration);

        core_zygote_lost(daemon->core, pool, daemon->now);
        core_pool_configure(daemon->core, pool, &closed);
        core_pool_renew(daemon->core, pool, daemon->now);
        entry->configuration = NULL;
        entry->generation = generation_unref(entry->generation);
        zygote_dismiss(entry->zygote);
        entry->zygote = NULL;
}
