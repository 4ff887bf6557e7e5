/* SPDX-License-Identifier: MIT */
/*
 * Values of the configuration: for each type of the table, text → field and field → text. A value is either
 * taken whole or refused with a sentence that says what would be taken.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_ids.h"
#include "daemon/config_table.h"
#include "daemon/configuration.h"
#include "proto/limits.h"

struct value_in {
        const struct config_key *key;
        const char *text;
        char *why;
        size_t why_bytes;
};

struct unit {
        const char *name;
        double factor;
};
static const struct unit size_units[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL}};
static const struct unit time_units[] = {{"", 1},     {"ms", 1e-3}, {"s", 1}, {"min", 60},
                                         {"h", 3600}, {"d", 86400}, {NULL}};
static const struct unit no_units[] = {{"", 1}, {NULL}};

static int refuse(const struct value_in *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(const struct value_in *in, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(in->why, in->why_bytes, format, args);
        va_end(args);
        return 1;
}

static int refuse_type(const struct value_in *in)
{
        return refuse(in, "not %s", config_type_help(in->key->type));
}

/* A decimal number with a unit: "1.5h", "64 M". strtod alone would take hex, inf and nan. */
static bool number_read(const char *text, const struct unit *units, double *ret)
{
        char *end;
        double value;

        if (strspn(text, "+-.0123456789") == 0)
                return false;
        if (text[strspn(text, "+-")] == '0' && tolower((unsigned char)text[strspn(text, "+-") + 1]) == 'x')
                return false;
        value = strtod(text, &end);
        if (end == text || !isfinite(value))
                return false;
        while (*end == ' ')
                end++;
        for (; units->name != NULL; units++)
                if (strcmp(units->name, end) == 0) {
                        *ret = value * units->factor;
                        return true;
                }
        return false;
}

static int number_check(const struct value_in *in, const struct unit *units, bool whole, double *ret)
{
        if (!number_read(in->text, units, ret) || (whole && *ret != floor(*ret)))
                return refuse_type(in);
        if (*ret < in->key->min)
                return refuse(in, "the least is %.17g", in->key->min);
        if (*ret > in->key->max)
                return refuse(in, "the most is %.17g", in->key->max);
        return 0;
}

static int set_path(const struct value_in *in, void *field)
{
        char *copy;

        if (in->text[0] != '/')
                return refuse_type(in);
        copy = strdup(in->text);
        if (copy == NULL)
                return -ENOMEM;
        *(char **)field = copy;
        return 0;
}

static int set_count(const struct value_in *in, void *field)
{
        double value;
        int r = number_check(in, no_units, true, &value);

        if (r == 0)
                *(uint32_t *)field = (uint32_t)value;
        return r;
}

static int set_workers(const struct value_in *in, void *field)
{
        if (strcmp(in->text, "auto") != 0)
                return set_count(in, field);
        *(uint32_t *)field = 0;
        return 0;
}

static int set_count64(const struct value_in *in, void *field)
{
        double value;
        int r = number_check(in, no_units, true, &value);

        if (r == 0)
                *(uint64_t *)field = (uint64_t)value;
        return r;
}

static int set_integer(const struct value_in *in, void *field)
{
        double value;
        int r = number_check(in, no_units, true, &value);

        if (r == 0)
                *(int *)field = (int)value;
        return r;
}

static int set_size(const struct value_in *in, void *field)
{
        double value;
        int r = number_check(in, size_units, true, &value);

        if (r == 0)
                *(uint64_t *)field = (uint64_t)value;
        return r;
}

static int set_time(const struct value_in *in, void *field)
{
        struct config_key bounded = *in->key;
        struct value_in with_bound = *in;
        double seconds = 0;
        int r;

        if (in->key->max == 0) {
                if (strcmp(in->text, "none") == 0) {
                        *(int64_t *)field = 0;
                        return 0;
                }
                bounded.min = 1e-3;
                bounded.max = LIMIT_SECONDS;
                with_bound.key = &bounded;
        }
        r = number_check(&with_bound, time_units, false, &seconds);
        if (r == 0)
                *(int64_t *)field = (int64_t)(seconds * 1e9);
        return r;
}

static int set_mode(const struct value_in *in, void *field)
{
        char *end;
        unsigned long mode = strtoul(in->text, &end, 8);

        if (!isdigit((unsigned char)in->text[0]) || *end != 0 || mode > 0777)
                return refuse_type(in);
        *(mode_t *)field = (mode_t)mode;
        return 0;
}

static int set_group(const struct value_in *in, void *field)
{
        struct config_group group = {.said = strcmp(in->text, "none") != 0};
        char *end;
        unsigned long number = strtoul(in->text, &end, 10);
        const struct group *found;

        if (group.said && isdigit((unsigned char)in->text[0]) && *end == 0 && number < UINT32_MAX) {
                group.gid = (gid_t)number;
        } else if (group.said) {
                found = getgrnam(in->text);
                if (found == NULL)
                        return refuse(in, "there is no such group");
                group.gid = found->gr_gid;
        }
        *(struct config_group *)field = group;
        return 0;
}

static int set_choice(const struct value_in *in, void *field)
{
        if (strcmp(in->text, "yes") == 0)
                *(enum config_choice *)field = CONFIG_YES;
        else if (strcmp(in->text, "no") == 0)
                *(enum config_choice *)field = CONFIG_NO;
        else
                return refuse_type(in);
        return 0;
}

static int set_log_level(const struct value_in *in, void *field)
{
        enum log_level level = log_level_from_name(in->text);

        if (level == N_LOG_LEVELS)
                return refuse_type(in);
        *(enum log_level *)field = level;
        return 0;
}

static int set_log_format(const struct value_in *in, void *field)
{
        if (strcmp(in->text, "text") == 0)
                *(enum log_format *)field = LOG_FORMAT_TEXT;
        else if (strcmp(in->text, "json") == 0)
                *(enum log_format *)field = LOG_FORMAT_JSON;
        else
                return refuse_type(in);
        return 0;
}

static char **list_free(char **list)
{
        for (size_t i = 0; list != NULL && list[i] != NULL; i++)
                free(list[i]);
        free(list);
        return NULL;
}

/* Whether an element of a list may be one. */
static bool element_fits(enum config_type type, const char *text)
{
        const char *equals = strchr(text, '=');

        if (type == CONFIG_TYPE_PATHS)
                return text[0] == '/';
        if (type == CONFIG_TYPE_VARIABLES)
                return equals != NULL && equals != text;
        return text[0] == '/' || strchr(text, '/') == NULL;
}

static int set_list(const struct value_in *in, void *field)
{
        size_t n = 0;
        char **list = calloc(strlen(in->text) / 2 + 2, sizeof *list);

        if (list == NULL)
                return -ENOMEM;
        for (const char *at = in->text; *(at += strspn(at, " \t")) != 0;) {
                size_t size = strcspn(at, " \t");
                list[n] = strndup(at, size);
                if (list[n] == NULL) {
                        list_free(list);
                        return -ENOMEM;
                }
                if (!element_fits(in->key->type, list[n++])) {
                        refuse(in, "'%s' is not %s", list[n - 1], config_type_help(in->key->type));
                        list_free(list);
                        return 1;
                }
                at += size;
        }
        *(char ***)field = list;
        return 0;
}

static int set_users(const struct value_in *in, void *field)
{
        return config_ids_read(in->text, false, field, in->why, in->why_bytes);
}

static int set_groups(const struct value_in *in, void *field)
{
        return config_ids_read(in->text, true, field, in->why, in->why_bytes);
}

static void print_text(const void *field, FILE *f)
{
        const char *text = *(char *const *)field;

        fputs(text == NULL ? "" : text, f);
}

static void print_count(const void *field, FILE *f)
{
        fprintf(f, "%" PRIu32, *(const uint32_t *)field);
}

static void print_workers(const void *field, FILE *f)
{
        if (*(const uint32_t *)field == 0)
                fputs("auto", f);
        else
                print_count(field, f);
}

static void print_count64(const void *field, FILE *f)
{
        fprintf(f, "%" PRIu64, *(const uint64_t *)field);
}

static void print_integer(const void *field, FILE *f)
{
        fprintf(f, "%d", *(const int *)field);
}

static void print_size(const void *field, FILE *f)
{
        uint64_t size = *(const uint64_t *)field;
        unsigned unit = 0;

        while (unit < 3 && size != 0 && size % 1024 == 0) {
                size /= 1024;
                unit++;
        }
        fprintf(f, "%" PRIu64 "%s", size, size_units[unit].name);
}

static void print_time(const void *field, FILE *f)
{
        int64_t ns = *(const int64_t *)field;

        if (ns == 0)
                fputs("none", f);
        else
                fprintf(f, "%.10gs", (double)ns / 1e9);
}

static void print_mode(const void *field, FILE *f)
{
        fprintf(f, "%04o", (unsigned)*(const mode_t *)field);
}

static void print_group(const void *field, FILE *f)
{
        const struct config_group *group = field;
        const struct group *found = group->said ? getgrgid(group->gid) : NULL;

        if (group->said && found == NULL)
                fprintf(f, "%u", (unsigned)group->gid);
        else
                fputs(group->said ? found->gr_name : "none", f);
}

static void print_choice(const void *field, FILE *f)
{
        fputs(*(const enum config_choice *)field == CONFIG_YES ? "yes" : "no", f);
}

static void print_log_level(const void *field, FILE *f)
{
        fputs(log_level_name(*(const enum log_level *)field), f);
}

static void print_log_format(const void *field, FILE *f)
{
        fputs(*(const enum log_format *)field == LOG_FORMAT_JSON ? "json" : "text", f);
}

static void print_list(const void *field, FILE *f)
{
        char *const *list = *(char **const *)field;

        for (size_t i = 0; list != NULL && list[i] != NULL; i++)
                fprintf(f, "%s%s", i == 0 ? "" : " ", list[i]);
}

static void print_ids(const void *field, FILE *f)
{
        config_ids_print(*(struct config_ids *const *)field, f);
}

static void clear_text(void *field)
{
        free(*(char **)field);
        *(char **)field = NULL;
}

static void clear_list(void *field)
{
        *(char ***)field = list_free(*(char ***)field);
}

static const struct config_type_info {
        const char *help;
        int (*set)(const struct value_in *, void *field);
        void (*print)(const void *field, FILE *);
        void (*clear)(void *field); /* NULL: it holds nothing */
} types[N_CONFIG_TYPES] = {
        [CONFIG_TYPE_PATH] = {"an absolute path", set_path, print_text, clear_text},
        [CONFIG_TYPE_COUNT] = {"a whole number", set_count, print_count},
        [CONFIG_TYPE_COUNT64] = {"a whole number", set_count64, print_count64},
        [CONFIG_TYPE_WORKERS] = {"a whole number or auto", set_workers, print_workers},
        [CONFIG_TYPE_INTEGER] = {"a whole number", set_integer, print_integer},
        [CONFIG_TYPE_SIZE] = {"a size: bytes, or with K, M, G", set_size, print_size},
        [CONFIG_TYPE_TIME] = {"a time: seconds, or with ms, s, min, h, d", set_time, print_time},
        [CONFIG_TYPE_MODE] = {"an octal mode, as 0660", set_mode, print_mode},
        [CONFIG_TYPE_GROUP] = {"a group or none", set_group, print_group},
        [CONFIG_TYPE_CHOICE] = {"yes or no", set_choice, print_choice},
        [CONFIG_TYPE_LOG_LEVEL] = {"one of error, warning, info, debug", set_log_level, print_log_level},
        [CONFIG_TYPE_LOG_FORMAT] = {"one of text, json", set_log_format, print_log_format},
        [CONFIG_TYPE_NAMES] = {"a name or an absolute path", set_list, print_list, clear_list},
        [CONFIG_TYPE_PATHS] = {"an absolute path", set_list, print_list, clear_list},
        [CONFIG_TYPE_VARIABLES] = {"NAME=VALUE", set_list, print_list, clear_list},
        [CONFIG_TYPE_USERS] = {"all, none, or users by name or id", set_users, print_ids, clear_text},
        [CONFIG_TYPE_GROUPS] = {"all, none, or groups by name or id", set_groups, print_ids, clear_text},
};

const char *config_type_help(enum config_type type)
{
        return types[type].help;
}

int config_key_set(const struct config_key *key, void *object, const char *text, char *why, size_t why_bytes)
{
        const struct config_type_info *type = &types[key->type];
        const struct value_in in = {key, text, why, why_bytes};
        void *field = (char *)object + key->offset;
        void *value = NULL;
        int r;

        if (type->clear == NULL)
                return type->set(&in, field);
        r = type->set(&in, &value);
        if (r == 0) {
                type->clear(field);
                memcpy(field, &value, sizeof value);
        }
        return r;
}

void config_key_print(const struct config_key *key, const void *object, FILE *f)
{
        types[key->type].print((const char *)object + key->offset, f);
}

void config_key_clear(const struct config_key *key, void *object)
{
        if (types[key->type].clear != NULL)
                types[key->type].clear((char *)object + key->offset);
}
