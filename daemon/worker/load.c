/* SPDX-License-Identifier: MIT */
/*
 * Loads the modules of a pool. Whatever is wrong with one is a mistake in the configuration or the module and
 * ends the zygote, with a sentence that names the module, its file and what to do: nothing is undone here,
 * the process is over.
 */
#include "daemon/worker/load.h"

#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/worker/core_module.h"
#include "proto/limits.h"

#define KILL_GRACE_DEFAULT_NS INT64_C(2000000000)

/* The message `load`; readers are over the values, texts point into the message. */
struct request {
        struct reader modules, module_path, settings;
        uint32_t n_modules, n_module_path, n_settings;
        bool exec;
        int64_t kill_grace_ns;
        struct confinement confinement;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct load_error *error, const char *module,
                                                        const char *format, ...)
{
        va_list ap;

        snprintf(error->module, sizeof(error->module), "%s", module);
        va_start(ap, format);
        vsnprintf(error->message, sizeof(error->message), format, ap);
        va_end(ap);
        return LOAD_FAILED;
}

static bool name_is_valid(const char *name)
{
        size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") : 0;
        return n > 0 && n <= LIMIT_NAME_BYTES / 2 && name[n] == '\0';
}

static bool text_is(const char *text, size_t size_bytes, const char *expected)
{
        return size_bytes == strlen(expected) && memcmp(text, expected, size_bytes) == 0;
}

/* Workers are forked from this process: of several threads only one would live on in them. */
static int count_threads(void)
{
        struct dirent *entry;
        int n = 0;
        DIR *tasks = opendir("/proc/self/task");

        if (!tasks)
                return -errno;
        while ((entry = readdir(tasks)))
                n += entry->d_name[0] != '.';
        closedir(tasks);
        return n;
}

static int check_threads(const char *name, const char *path, struct load_error *error)
{
        int n = count_threads();

        if (n < 0)
                return refuse(error, name, "cannot count the threads of this process in /proc/self/task: %s",
                              strerror(-n));
        if (n == 1)
                return 0;
        return refuse(
                error, name,
                "module %s (%s) starts a thread while it is loaded; workers are forked from the process that "
                "loads it and would not have that thread: start it in the module's start() instead",
                name, path);
}

static int check_functions(const struct ganger_module *module, const char *path, struct load_error *error)
{
        if (module->n_functions > 0 && !module->functions)
                return refuse(error, module->name,
                              "module %s (%s) says that it has functions but has no table", module->name,
                              path);
        for (size_t i = 0; i < module->n_functions; i++) {
                const struct ganger_function *function = &module->functions[i];
                if (!name_is_valid(function->name) || !function->run)
                        return refuse(
                                error, module->name,
                                "module %s (%s): function number %zu has no run() or a name that is not made "
                                "of letters, digits and '_'",
                                module->name, path, i);
                for (size_t k = 0; k < i; k++)
                        if (strcmp(module->functions[k].name, function->name) == 0)
                                return refuse(error, module->name,
                                              "module %s (%s) has two functions named %s; rename one",
                                              module->name, path, function->name);
        }
        return 0;
}

static int check_module(const struct ganger_module *module, const char *name, const char *path,
                        struct load_error *error)
{
        if (module->abi != GANGER_MODULE_ABI)
                return refuse(
                        error, name,
                        "module %s (%s) was built for module ABI %u, this ganger has ABI %d: build it again "
                        "with this ganger's ganger_module.h",
                        name, path, module->abi, GANGER_MODULE_ABI);
        if (module->size_bytes < sizeof(struct ganger_module))
                return refuse(
                        error, name,
                        "module %s (%s) describes itself in %u bytes where at least %zu are needed: build it "
                        "again with this ganger's ganger_module.h",
                        name, path, module->size_bytes, sizeof(struct ganger_module));
        if (!module->name || strcmp(module->name, name) != 0)
                return refuse(error, name,
                              "the file %s holds the module %s: a module's file is named NAME.so", path,
                              module->name ? module->name : "without a name");
        return check_functions(module, path, error);
}

static int run_load(struct loaded_module *loaded, const char *path, struct load_error *error)
{
        const struct ganger_module *module = loaded->module;
        char said[512] = "";
        int r;

        if (!module->load) {
                if (loaded->n_settings == 0)
                        return 0;
                return refuse(error, module->name,
                              "module %s (%s) has no settings, but %s is set in [module %s]", module->name,
                              path, loaded->settings[0].key, module->name);
        }
        r = module->load(&loaded->state, loaded->settings, loaded->n_settings, said, sizeof(said));
        if (r == 0)
                return 0;
        said[sizeof(said) - 1] = '\0';
        return refuse(error, module->name, "module %s (%s) could not be loaded: %s", module->name, path,
                      said[0] ? said
                      : r < 0 ? strerror(-r)
                              : "its load() does not say why");
}

static int add_functions(struct pool *pool, const struct loaded_module *owner, bool exec)
{
        const struct ganger_module *module = owner->module;
        struct function *functions =
                realloc(pool->functions, (pool->n_functions + module->n_functions + 1) * sizeof(*functions));

        if (!functions)
                return -ENOMEM;
        pool->functions = functions;
        for (size_t i = 0; i < module->n_functions; i++) {
                struct function *f = &functions[pool->n_functions];
                if (module == &core_module && !exec && strcmp(module->functions[i].name, "exec") == 0)
                        continue;
                /* What is always there goes by its bare name. */
                const char *prefix = module == &core_module ? "" : module->name;
                if (asprintf(&f->name, "%s%s%s", prefix, *prefix ? "." : "", module->functions[i].name) < 0)
                        return -ENOMEM;
                f->function = &module->functions[i];
                f->owner = owner;
                pool->n_functions++;
        }
        return 0;
}

/* Finds NAME.so in the directories of module_path; -ENOENT: in none, `tried` lists them. */
static int search(const struct request *request, const char *name, char **ret, char *tried, size_t tried_size)
{
        struct reader path = request->module_path;
        size_t used = 0;

        tried[0] = '\0';
        for (uint32_t i = 0; i < request->n_module_path; i++) {
                const char *directory;
                size_t size_bytes;
                struct stat st;
                int r = reader_str(&path, &directory, &size_bytes);
                if (r < 0)
                        return -EBADMSG;
                if (asprintf(ret, "%.*s/%s.so", (int)size_bytes, directory, name) < 0)
                        return -ENOMEM;
                if (stat(*ret, &st) == 0)
                        return 0;
                if (used < tried_size)
                        used += (size_t)snprintf(tried + used, tried_size - used, " %s", *ret);
                free(*ret);
                *ret = NULL;
        }
        return -ENOENT;
}

/* The module's name and its file: a name is looked for, an absolute path names itself. */
static int find(const struct request *request, const char *text, char **ret_name, char **ret_path,
                struct load_error *error)
{
        char tried[1024];
        int r;

        if (text[0] == '/') {
                const char *base = strrchr(text, '/') + 1;
                size_t n = strlen(base);
                if (n < 4 || strcmp(base + n - 3, ".so") != 0)
                        return refuse(error, text, "the module %s is not a path that ends in /NAME.so", text);
                *ret_name = strndup(base, n - 3);
                *ret_path = strdup(text);
                if (!*ret_name || !*ret_path)
                        return -ENOMEM;
                if (access(text, F_OK) < 0)
                        return refuse(error, *ret_name, "there is no module %s: %s", text, strerror(errno));
                return 0;
        }
        if (!name_is_valid(text))
                return refuse(error, text,
                              "\"%s\" is no module: wanted is a name of letters, digits and '_', or an "
                              "absolute path",
                              text);
        *ret_name = strdup(text);
        if (!*ret_name)
                return -ENOMEM;
        r = search(request, text, ret_path, tried, sizeof(tried));
        if (r != -ENOENT)
                return r;
        if (request->n_module_path == 0)
                return refuse(error, text, "module %s was not found: the key module_path names no directory",
                              text);
        return refuse(error, text,
                      "module %s was not found; looked for%s: check the keys modules and module_path", text,
                      tried);
}

static char *read_text(struct reader *reader)
{
        const char *text;
        size_t size_bytes;

        if (reader_str(reader, &text, &size_bytes) < 0)
                return NULL;
        return strndup(text, size_bytes);
}

/* The settings of one module, copied: the module may keep them. */
static int copy_settings(struct loaded_module *loaded, struct reader *reader)
{
        uint32_t n;

        if (reader_map(reader, &n) < 0)
                return -EBADMSG;
        loaded->settings = calloc((size_t)n + 1, sizeof(*loaded->settings));
        if (!loaded->settings)
                return -ENOMEM;
        for (; loaded->n_settings < n; loaded->n_settings++) {
                struct ganger_setting *setting = &loaded->settings[loaded->n_settings];
                setting->key = read_text(reader);
                setting->value = read_text(reader);
                if (!setting->key || !setting->value)
                        return -EBADMSG;
        }
        return 0;
}

static int find_settings(struct loaded_module *loaded, const struct request *request, const char *name)
{
        struct reader reader = request->settings;

        for (uint32_t i = 0; i < request->n_settings; i++) {
                const char *module;
                size_t size_bytes;
                if (reader_str(&reader, &module, &size_bytes) < 0)
                        return -EBADMSG;
                if (text_is(module, size_bytes, name))
                        return copy_settings(loaded, &reader);
                if (reader_skip(&reader, NULL, NULL, NULL) < 0)
                        return -EBADMSG;
        }
        return 0;
}

static int open_module(const char *name, const char *path, const struct ganger_module **ret,
                       struct load_error *error)
{
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (!handle)
                return refuse(error, name, "%s is no module that can be loaded: %s", path, dlerror());
        *ret = dlsym(handle, "ganger_module");
        if (!*ret)
                return refuse(
                        error, name,
                        "%s is a shared object but no ganger module: it does not export ganger_module, which "
                        "GANGER_MODULE() of ganger_module.h defines",
                        path);
        return 0;
}

static int load_one(struct pool *pool, const struct request *request, const char *text,
                    struct load_error *error)
{
        struct loaded_module *loaded = &pool->modules[pool->n_modules];
        char *name = NULL, *path = NULL;
        int r = find(request, text, &name, &path, error);

        assert(r != 0 || (name && path));
        for (size_t i = 0; r == 0 && i < pool->n_modules; i++)
                if (strcmp(pool->modules[i].module->name, name) == 0)
                        r = refuse(error, name, "module %s is named twice in the pool's key modules", name);
        if (r == 0)
                r = open_module(name, path, &loaded->module, error);
        if (r == 0)
                r = check_threads(name, path, error);
        if (r == 0)
                r = check_module(loaded->module, name, path, error);
        if (r == 0)
                r = find_settings(loaded, request, name);
        if (r == 0)
                r = run_load(loaded, path, error);
        if (r == 0)
                r = check_threads(name, path, error);
        free(name);
        free(path);
        if (r != 0)
                return r;
        pool->n_modules++;
        return add_functions(pool, loaded, false);
}

static int skip_values(struct reader *reader, uint64_t n)
{
        for (; n > 0; n--)
                if (reader_skip(reader, NULL, NULL, NULL) < 0)
                        return -EBADMSG;
        return 0;
}

static int read_modules(struct request *request, struct reader *params)
{
        int r = reader_array(params, &request->n_modules);

        request->modules = *params;
        return r < 0 ? r : skip_values(params, request->n_modules);
}

static int read_module_path(struct request *request, struct reader *params)
{
        int r = reader_array(params, &request->n_module_path);

        request->module_path = *params;
        return r < 0 ? r : skip_values(params, request->n_module_path);
}

static int read_settings(struct request *request, struct reader *params)
{
        int r = reader_map(params, &request->n_settings);

        request->settings = *params;
        return r < 0 ? r : skip_values(params, 2 * (uint64_t)request->n_settings);
}

static int read_exec(struct request *request, struct reader *params)
{
        return reader_bool(params, &request->exec);
}

static int read_kill_grace(struct request *request, struct reader *params)
{
        double seconds;
        int r = reader_double(params, &seconds);

        if (r < 0 || !(seconds >= 0 && seconds <= LIMIT_SECONDS))
                return -EBADMSG;
        request->kill_grace_ns = (int64_t)(seconds * 1e9);
        return 0;
}

static int read_worker(struct request *request, struct reader *params)
{
        return confinement_read(&request->confinement, params);
}

static const struct {
        const char *name;
        int (*read)(struct request *request, struct reader *params);
} keys[] = {
        {"modules", read_modules}, {"module_path", read_module_path}, {"settings", read_settings},
        {"exec", read_exec},       {"kill_grace", read_kill_grace},   {"worker", read_worker},
};

/* Keys that are not known are what a later gangerd may say beside. */
static int request_parse(struct request *ret, struct reader *params)
{
        uint32_t n_keys;
        int r = reader_map(params, &n_keys);

        for (uint32_t i = 0; r == 0 && i < n_keys; i++) {
                const char *key;
                size_t size_bytes, k = 0;
                r = reader_str(params, &key, &size_bytes);
                if (r < 0)
                        break;
                while (k < sizeof(keys) / sizeof(keys[0]) && !text_is(key, size_bytes, keys[k].name))
                        k++;
                r = k < sizeof(keys) / sizeof(keys[0]) ? keys[k].read(ret, params)
                                                       : reader_skip(params, NULL, NULL, NULL);
        }
        return r < 0 ? -EBADMSG : 0;
}

int pool_load(struct pool *pool, struct reader *params, struct load_error *error)
{
        struct request request = {.kill_grace_ns = KILL_GRACE_DEFAULT_NS};
        int r = request_parse(&request, params);

        if (r < 0)
                return r;
        pool->kill_grace_ns = request.kill_grace_ns;
        pool->confinement = request.confinement;
        /* All at once: functions point into it. */
        pool->modules = calloc((size_t)request.n_modules + 1, sizeof(*pool->modules));
        if (!pool->modules)
                return -ENOMEM;
        pool->modules[pool->n_modules++].module = &core_module;
        r = add_functions(pool, &pool->modules[0], request.exec);
        for (uint32_t i = 0; r == 0 && i < request.n_modules; i++) {
                char *text = read_text(&request.modules);
                if (!text)
                        return -EBADMSG;
                if (strcmp(text, core_module.name) != 0)
                        r = load_one(pool, &request, text, error);
                free(text);
        }
        pool->loaded = r == 0;
        return r;
}
