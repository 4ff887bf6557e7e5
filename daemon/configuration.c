/* SPDX-License-Identifier: MIT */
/*
 * Reading the configuration's files. inih takes the lines apart; which section a line stands in, and which
 * line it is, is known here, because inih cuts section names and does not tell of sections without keys. The
 * first mistake ends the reading: what is half understood is never put in force.
 */
#include "daemon/configuration.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "daemon/config_name.h"
#include "daemon/config_table.h"
#include "daemon/shortage.h"
#include "proto/limits.h"

#define FILE_BYTES (1 << 20)
#define LINE_BYTES 65536

#define CONFIG_FILE      GANGER_SYSCONFDIR "/ganger/ganger.conf"
#define CONFIG_DIRECTORY GANGER_SYSCONFDIR "/ganger/ganger.conf.d"

struct reading {
        struct configuration *config;
        struct configuration_problem *problem;
        const char *at;  /* the next character to be handed to inih */
        bool in_line;    /* `at` is not at the beginning of a line */
        unsigned line;   /* the one that is read */
        char title[300]; /* of the section: "pool images"; empty: none yet */
        struct module_configuration *module;
        enum config_section section; /* if module is NULL … */
        void *object;                /* … what its keys set */
        int result;                  /* 0, CONFIGURATION_BAD, -ENOMEM */
};

static int fail(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct reading *r, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(r->problem->text, sizeof r->problem->text, format, args);
        va_end(args);
        r->problem->line = r->line;
        r->result = CONFIGURATION_BAD;
        return r->result;
}

static int fail_memory(struct reading *r)
{
        fail(r, "out of memory");
        r->result = -ENOMEM;
        return r->result;
}

static int set_fallbacks(struct reading *r, enum config_section section, void *object)
{
        char why[256];
        int result = 0;

        for (size_t i = 0; i < n_config_table && result == 0; i++) {
                const struct config_key *key = &config_table[i];
                if (key->section == section && key->fallback != NULL)
                        result = config_key_set(key, object, key->fallback, why, sizeof why);
        }
        assert(result <= 0); /* the table's own values are right */
        return result == 0 ? 0 : fail_memory(r);
}

static int pool_section(struct reading *r, const char *name)
{
        struct configuration *config = r->config;
        struct pool_configuration *pools, *pool;

        r->section = CONFIG_POOL;
        for (uint32_t i = 0; i < config->n_pools; i++)
                if (strcmp(config->pools[i].name, name) == 0) {
                        r->object = &config->pools[i];
                        return 0;
                }
        if (config->n_pools == LIMIT_POOLS)
                return fail(r, "more than %d pools", LIMIT_POOLS);
        pools = reallocarray(config->pools, config->n_pools + 1, sizeof *pools);
        if (pools == NULL)
                return fail_memory(r);
        config->pools = pools;
        pool = &pools[config->n_pools];
        *pool = (struct pool_configuration){.name = strdup(name)};
        if (pool->name == NULL)
                return fail_memory(r);
        config->n_pools++;
        r->object = pool;
        return set_fallbacks(r, CONFIG_POOL, pool);
}

static int module_section(struct reading *r, const char *name)
{
        struct configuration *config = r->config;
        struct module_configuration *modules;

        for (uint32_t i = 0; i < config->n_modules; i++)
                if (strcmp(config->modules[i].name, name) == 0) {
                        r->module = &config->modules[i];
                        return 0;
                }
        modules = reallocarray(config->modules, config->n_modules + 1, sizeof *modules);
        if (modules == NULL)
                return fail_memory(r);
        config->modules = modules;
        r->module = &modules[config->n_modules];
        *r->module = (struct module_configuration){
                .name = strdup(name), .file = strdup(r->problem->file), .line = r->line};
        config->n_modules++;
        return r->module->name == NULL || r->module->file == NULL ? fail_memory(r) : 0;
}

/* A line that begins with '['. */
static int section_line(struct reading *r, const char *line, size_t size)
{
        const char *end = memchr(line, ']', size);
        char kind[16] = "", name[LIMIT_NAME_BYTES + 1] = "", rest;

        if (end == NULL || (size_t)(end - line) >= sizeof r->title)
                return fail(r, "no [section]: its closing bracket is missing, or it is too long");
        snprintf(r->title, sizeof r->title, "%.*s", (int)(end - line - 1), line + 1);
        r->module = NULL;
        int n = sscanf(r->title, " %15s %255s %c", kind, name, &rest);
        if (n == 1 && strcmp(kind, "daemon") == 0) {
                r->section = CONFIG_DAEMON;
                r->object = r->config;
                return 0;
        }
        if (strcmp(kind, "pool") != 0 && strcmp(kind, "module") != 0)
                return fail(r, "unknown section [%s]; known: [daemon], [pool NAME], [module NAME]", r->title);
        if (n != 2 || !config_name_valid(name))
                return fail(r, "[%s]: a section [%s NAME] needs one name of letters, digits and . _ -",
                            r->title, kind);
        return strcmp(kind, "pool") == 0 ? pool_section(r, name) : module_section(r, name);
}

/* A new line begins: what only this file knows of it. */
static int line_begin(struct reading *r)
{
        size_t size = strcspn(r->at, "\n");
        const char *text = r->at + strspn(r->at, " \t\r\f\v");

        r->line++;
        if (size > LINE_BYTES - 8)
                return fail(r, "the line is longer than %d characters", LINE_BYTES - 8);
        if (*text == '[')
                return section_line(r, text, size - (size_t)(text - r->at));
        return 0;
}

/* fgets for inih, from memory. */
static char *read_line(char *str, int num, void *stream)
{
        struct reading *r = stream;
        int n = 0;

        if (*r->at == 0 || (!r->in_line && line_begin(r) != 0))
                return NULL;
        r->in_line = true;
        while (n < num - 1 && *r->at != 0 && r->in_line) {
                r->in_line = *r->at != '\n';
                str[n++] = *r->at++;
        }
        str[n] = 0;
        return str;
}

static int module_setting(struct reading *r, const char *name, const char *value)
{
        struct module_configuration *m = r->module;
        struct module_setting *settings, new = {0};

        for (uint32_t i = 0; i < m->n_settings; i++)
                if (strcmp(m->settings[i].key, name) == 0) {
                        new.value = strdup(value);
                        if (new.value == NULL)
                                return fail_memory(r);
                        free(m->settings[i].value);
                        m->settings[i].value = new.value;
                        return 0;
                }
        settings = reallocarray(m->settings, m->n_settings + 1, sizeof *settings);
        if (settings == NULL)
                return fail_memory(r);
        m->settings = settings;
        new = (struct module_setting){strdup(name), strdup(value)};
        if (new.key == NULL || new.value == NULL) {
                free(new.key);
                free(new.value);
                return fail_memory(r);
        }
        settings[m->n_settings++] = new;
        return 0;
}

static int unknown_key(struct reading *r, const char *name)
{
        char known[768];
        const char *nearest = config_name_nearest(r->section, name);

        config_name_list(r->section, known, sizeof known);
        if (nearest != NULL)
                return fail(r, "unknown key '%.64s' in [%.64s]: is %s meant? Known: %s", name, r->title,
                            nearest, known);
        return fail(r, "unknown key '%.64s' in [%.64s]; known: %s", name, r->title, known);
}

/* inih's handler: 0 means an error there. */
static int on_value(void *userdata, const char *section, const char *name, const char *value)
{
        struct reading *r = userdata;
        const struct config_key *key;
        char why[256];

        if (r->module != NULL)
                return module_setting(r, name, value) == 0;
        if (r->object == NULL) {
                fail(r, "'%.64s' stands before the first [section]", name);
                return 0;
        }
        key = config_key_find(r->section, name);
        if (key == NULL) {
                unknown_key(r, name);
                return 0;
        }
        int result = config_key_set(key, r->object, value, why, sizeof why);
        if (result < 0)
                fail_memory(r);
        else if (result > 0)
                fail(r, "[%.64s] %s = %.128s: %s", r->title, name, value, why);
        else if (key->said_offset != 0)
                *(bool *)((char *)r->object + key->said_offset) = true;
        return result == 0;
}

static void inih_setup(void)
{
        ini_use_stack = false;
        ini_allow_realloc = true;
        ini_max_line = LINE_BYTES;
        ini_allow_inline_comments = false;
        ini_allow_multiline = false;
        ini_stop_on_first_error = true;
}

int configuration_parse(struct configuration *config, const char *text, size_t size_bytes,
                        struct configuration_problem *problem)
{
        struct reading r = {.config = config, .problem = problem, .at = text};
        int n;

        if (memchr(text, 0, size_bytes) != NULL)
                return fail(&r, "not a text: it holds a 0 byte");
        inih_setup();
        if (strncmp(r.at, "\xef\xbb\xbf", 3) == 0)
                r.at += 3;
        n = ini_parse_stream(read_line, &r, on_value, &r);
        if (r.result != 0)
                return r.result;
        if (n == -2)
                return fail_memory(&r);
        if (n != 0)
                return fail(&r, "not a line KEY = VALUE");
        return 0;
}

/* The whole file, ended by a 0 byte. */
static int file_read(const char *path, char **ret, size_t *ret_size)
{
        char *text = malloc(FILE_BYTES + 1);
        size_t size = 0;
        ssize_t n = 0;
        int fd, r = 0;

        if (text == NULL)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                r = -errno;
        while (r == 0 && size <= FILE_BYTES && (n = read(fd, text + size, FILE_BYTES + 1 - size)) > 0)
                size += (size_t)n;
        if (r == 0 && n < 0)
                r = -errno;
        if (r == 0 && size > FILE_BYTES)
                r = -EFBIG;
        if (fd >= 0)
                close(fd);
        if (r != 0) {
                free(text);
                return r;
        }
        text[size] = 0;
        *ret = text;
        *ret_size = size;
        return 0;
}

static int cannot_read(struct configuration_problem *problem, int error)
{
        const char *remedy = shortage_remedy(error);

        snprintf(problem->text, sizeof problem->text, "%s%s%s", strerror(error), remedy ? "; " : "",
                 remedy ? remedy : "");
        return remedy ? -error : CONFIGURATION_BAD;
}

static int file_load(struct configuration *config, const char *path, bool optional,
                     struct configuration_problem *problem)
{
        char *text = NULL;
        size_t size = 0;
        int r = file_read(path, &text, &size);

        if (r == -ENOENT && optional)
                return 0;
        snprintf(problem->file, sizeof problem->file, "%s", path);
        if (r < 0) {
                return cannot_read(problem, -r);
        }
        r = configuration_parse(config, text, size, problem);
        free(text);
        if (r == 0)
                problem->file[0] = 0;
        return r;
}

static int is_conf(const struct dirent *entry)
{
        size_t size = strlen(entry->d_name);

        return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

static int directory_load(struct configuration *config, const char *path,
                          struct configuration_problem *problem)
{
        struct dirent **entries;
        char file[PATH_MAX];
        int r = 0, n = scandir(path, &entries, is_conf, alphasort);

        if (n < 0 && errno == ENOENT)
                return 0;
        if (n < 0) {
                snprintf(problem->file, sizeof problem->file, "%s", path);
                return cannot_read(problem, errno);
        }
        for (int i = 0; i < n; i++) {
                snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
                if (r == 0)
                        r = file_load(config, file, false, problem);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int configuration_new(struct configuration **ret, struct configuration_problem *problem)
{
        struct configuration *config = calloc(1, sizeof *config);
        struct reading r = {.config = config, .problem = problem};

        *problem = (struct configuration_problem){0};
        if (config == NULL)
                return fail_memory(&r);
        if (set_fallbacks(&r, CONFIG_DAEMON, config) < 0) {
                configuration_free(config);
                return -ENOMEM;
        }
        *ret = config;
        return 0;
}

int configuration_load(const char *path, struct configuration **ret, struct configuration_problem *problem)
{
        struct configuration *config;
        struct reading r = {.problem = problem};
        int result = configuration_new(&config, problem);

        if (result < 0)
                return result;
        if (path != NULL) {
                result = file_load(config, path, false, problem);
        } else {
                result = file_load(config, CONFIG_FILE, true, problem);
                if (result == 0)
                        result = directory_load(config, CONFIG_DIRECTORY, problem);
        }
        r.config = config;
        if (result == 0 && config->n_pools == 0)
                result = pool_section(&r, "default");
        if (result != 0) {
                configuration_free(config);
                return result;
        }
        *ret = config;
        return 0;
}
