/* SPDX-License-Identifier: MIT */
/*
 * What a zygote is told to load, and the functions that it then has. Their numbers are its workers' too: the
 * place in the first list. One that is started again and brings another list is refused, because what serves
 * the pool is known by the first one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/configuration.h"
#include "daemon/core/core.h"
#include "daemon/zygote_private.h"
#include "proto/pack.h"

static void pack_list(struct packer *packer, char *const *list)
{
        size_t n = 0;
        while (list && list[n])
                n++;
        pack_array(packer, n);
        for (size_t i = 0; i < n; i++)
                pack_str(packer, list[i]);
}

static void pack_settings(struct packer *packer, const struct configuration *config)
{
        pack_map(packer, config->n_modules);
        for (uint32_t i = 0; i < config->n_modules; i++) {
                const struct module_configuration *module = &config->modules[i];
                pack_str(packer, module->name);
                pack_map(packer, module->n_settings);
                for (uint32_t k = 0; k < module->n_settings; k++) {
                        pack_str(packer, module->settings[k].key);
                        pack_str(packer, module->settings[k].value);
                }
        }
}

/* What each worker applies to itself. */
static void pack_worker(struct packer *packer, const struct pool_configuration *pool)
{
        bool sets_nice = pool->nice_said || getpriority(PRIO_PROCESS, 0) < 0;
        bool sets_cpus = !pool->cpu_affinity->all, sets_memory = pool->memory_limit_bytes > 0;

        pack_map(packer, 1u + sets_nice + sets_cpus + sets_memory);
        pack_str(packer, "scheduling");
        pack_str(packer, config_scheduling_name(pool->scheduling));
        if (sets_nice) {
                pack_str(packer, "nice");
                pack_int(packer, pool->nice);
        }
        if (sets_memory) {
                pack_str(packer, "memory_limit");
                pack_uint(packer, pool->memory_limit_bytes);
        }
        if (!sets_cpus)
                return;
        pack_str(packer, "cpu_affinity");
        pack_array(packer, config_cpus_count(pool->cpu_affinity));
        for (uint32_t cpu = 0; cpu < LIMIT_CPUS; cpu++)
                if (config_cpus_has(pool->cpu_affinity, cpu))
                        pack_uint(packer, cpu);
}

int zygote_send_load(struct zygote *zygote)
{
        const struct configuration *config = zygote->configuration;
        const struct pool_configuration *pool = zygote->pool_configuration;
        struct packer packer;

        channel_message_begin(&zygote->channel, &packer);
        pack_request(&packer, 0, "load", 1);
        pack_map(&packer, 7);
        pack_str(&packer, "pool");
        pack_str(&packer, pool->name);
        pack_str(&packer, "modules");
        pack_list(&packer, pool->modules);
        pack_str(&packer, "module_path");
        pack_list(&packer, config->module_path);
        pack_str(&packer, "exec");
        pack_bool(&packer, pool->exec);
        pack_str(&packer, "kill_grace");
        pack_double(&packer, (double)pool->kill_grace / CORE_SECOND);
        pack_str(&packer, "worker");
        pack_worker(&packer, pool);
        pack_str(&packer, "settings");
        pack_settings(&packer, config);
        return channel_message_end(&zygote->channel, &packer, NULL, 0);
}

/* A string, or nil where it may be; to be freed. */
static int string_next(struct reader *reader, bool may_be_nil, char **ret)
{
        const char *text;
        size_t size_bytes;

        *ret = NULL;
        if (may_be_nil && reader_nil(reader))
                return 0;
        int r = reader_str(reader, &text, &size_bytes);
        if (r < 0)
                return r;
        *ret = strndup(text, size_bytes);
        return *ret ? 0 : -ENOMEM;
}

static void function_deinit(struct pool_function *function)
{
        free(function->name);
        free(function->module);
        free(function->summary);
        *function = (struct pool_function){0};
}

static int function_next(struct reader *reader, struct pool_function *ret)
{
        uint32_t n;

        *ret = (struct pool_function){0};
        int r = reader_array(reader, &n);
        if (r == 0 && n != 3)
                r = -EBADMSG;
        if (r == 0)
                r = string_next(reader, false, &ret->name);
        if (r == 0 && strlen(ret->name) > LIMIT_NAME_BYTES)
                r = -EBADMSG;
        if (r == 0)
                r = string_next(reader, true, &ret->module);
        if (r == 0)
                r = string_next(reader, true, &ret->summary);
        if (r < 0)
                function_deinit(ret);
        return r;
}

void zygote_drop_functions(struct zygote *zygote)
{
        for (uint32_t i = 0; i < zygote->n_functions; i++)
                function_deinit(&zygote->functions[i]);
        free(zygote->functions);
        zygote->functions = NULL;
        zygote->n_functions = 0;
}

static bool has(const struct zygote *zygote, const char *name)
{
        for (uint32_t i = 0; i < zygote->n_functions; i++)
                if (strcmp(zygote->functions[i].name, name) == 0)
                        return true;
        return false;
}

static const char *first_list(struct zygote *zygote, struct reader reader, uint32_t n)
{
        zygote->functions = calloc(n ? n : 1, sizeof(*zygote->functions));
        if (!zygote->functions)
                return "there is no memory for its functions";
        for (uint32_t i = 0; i < n; i++) {
                struct pool_function function;
                if (function_next(&reader, &function) < 0)
                        return "its list of functions makes no sense";
                if (has(zygote, function.name)) {
                        function_deinit(&function);
                        return "its list of functions names one twice";
                }
                zygote->functions[zygote->n_functions++] = function;
        }
        zygote->has_functions = true;
        return NULL;
}

static const char *same_list(struct zygote *zygote, struct reader reader, uint32_t n)
{
        bool same = n == zygote->n_functions;

        for (uint32_t i = 0; same && i < n; i++) {
                struct pool_function function;
                if (function_next(&reader, &function) < 0)
                        return "its list of functions makes no sense";
                same = strcmp(function.name, zygote->functions[i].name) == 0;
                function_deinit(&function);
        }
        return same ? NULL : "its modules have other functions than before: the pool must be reloaded";
}

/* The value of a key in a map; false: it is not there. */
static bool find(struct reader map, const char *wanted, struct reader *ret)
{
        const char *key;
        size_t size_bytes;
        uint32_t n;

        if (reader_map(&map, &n) < 0)
                return false;
        for (; n > 0; n--) {
                if (reader_str(&map, &key, &size_bytes) < 0)
                        return false;
                if (size_bytes == strlen(wanted) && memcmp(key, wanted, size_bytes) == 0) {
                        *ret = map;
                        return true;
                }
                if (reader_skip(&map, NULL, NULL, NULL) < 0)
                        return false;
        }
        return false;
}

static const char *take_refusal(struct zygote *zygote, struct reader error)
{
        struct reader at;
        const char *text = "it does not say why", *module = NULL;
        size_t text_size_bytes = strlen(text), module_size_bytes = 0;

        if (find(error, "message", &at))
                reader_str(&at, &text, &text_size_bytes);
        if (find(error, "module", &at))
                reader_str(&at, &module, &module_size_bytes);
        zygote_fail(zygote, 0, "cannot load %s%.*s%s%.*s", module ? "module " : "", (int)module_size_bytes,
                    module ? module : "", module ? ": " : "",
                    (int)(text_size_bytes < 1000 ? text_size_bytes : 1000), text);
        return NULL;
}

const char *zygote_take_loaded(struct zygote *zygote, const struct envelope *envelope)
{
        struct reader error = envelope->error, list;
        uint32_t n;

        if (!reader_nil(&error))
                return take_refusal(zygote, error);
        if (!find(envelope->result, "functions", &list) || reader_array(&list, &n) < 0)
                return "its answer to load names no functions";
        return zygote->has_functions ? same_list(zygote, list, n) : first_list(zygote, list, n);
}
