/* SPDX-License-Identifier: MIT */
/*
 * Values of the configuration: for each type of the table, text → field and field → text. A value is either
 * taken whole or refused with a sentence that says what would be taken. Numbers are config_number.c's.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_address.h"
#include "daemon/config_ids.h"
#include "daemon/config_value_private.h"
#include "daemon/configuration.h"

int config_refuse(const struct config_value_in *in, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(in->why, in->why_bytes, format, args);
        va_end(args);
        return 1;
}

int config_refuse_type(const struct config_value_in *in)
{
        return config_refuse(in, "not %s", config_type_help(in->key->type));
}

static int set_path(const struct config_value_in *in, void *field)
{
        char *copy;

        if (in->text[0] != '/')
                return config_refuse_type(in);
        copy = strdup(in->text);
        if (copy == NULL)
                return -ENOMEM;
        *(char **)field = copy;
        return 0;
}

static int set_mode(const struct config_value_in *in, void *field)
{
        char *end;
        unsigned long mode = strtoul(in->text, &end, 8);

        if (!isdigit((unsigned char)in->text[0]) || *end != 0 || mode > 0777)
                return config_refuse_type(in);
        *(mode_t *)field = (mode_t)mode;
        return 0;
}

static int set_group(const struct config_value_in *in, void *field)
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
                        return config_refuse(in, "there is no such group");
                group.gid = found->gr_gid;
        }
        *(struct config_group *)field = group;
        return 0;
}

static int set_choice(const struct config_value_in *in, void *field)
{
        if (strcmp(in->text, "yes") == 0)
                *(enum config_choice *)field = CONFIG_YES;
        else if (strcmp(in->text, "no") == 0)
                *(enum config_choice *)field = CONFIG_NO;
        else
                return config_refuse_type(in);
        return 0;
}

static int set_log_level(const struct config_value_in *in, void *field)
{
        enum log_level level = log_level_from_name(in->text);

        if (level == N_LOG_LEVELS)
                return config_refuse_type(in);
        *(enum log_level *)field = level;
        return 0;
}

static int set_log_format(const struct config_value_in *in, void *field)
{
        if (strcmp(in->text, "text") == 0)
                *(enum log_format *)field = LOG_FORMAT_TEXT;
        else if (strcmp(in->text, "json") == 0)
                *(enum log_format *)field = LOG_FORMAT_JSON;
        else
                return config_refuse_type(in);
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

static int set_list(const struct config_value_in *in, void *field)
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
                        config_refuse(in, "'%s' is not %s", list[n - 1], config_type_help(in->key->type));
                        list_free(list);
                        return 1;
                }
                at += size;
        }
        *(char ***)field = list;
        return 0;
}

static int set_users(const struct config_value_in *in, void *field)
{
        return config_ids_read(in->text, false, field, in->why, in->why_bytes);
}

static int set_groups(const struct config_value_in *in, void *field)
{
        return config_ids_read(in->text, true, field, in->why, in->why_bytes);
}

static int set_cpus(const struct config_value_in *in, void *field)
{
        return config_cpus_read(in->text, field, in->why, in->why_bytes);
}

static int set_scheduling(const struct config_value_in *in, void *field)
{
        for (enum config_scheduling s = CONFIG_SCHEDULING_OTHER; s <= CONFIG_SCHEDULING_IDLE; s++)
                if (strcmp(in->text, config_scheduling_name(s)) == 0) {
                        *(enum config_scheduling *)field = s;
                        return 0;
                }
        return config_refuse_type(in);
}

static int set_address(const struct config_value_in *in, void *field)
{
        return config_address_read(in->text, field, in->why, in->why_bytes);
}

static void print_text(const void *field, FILE *f)
{
        const char *text = *(char *const *)field;

        fputs(text == NULL ? "" : text, f);
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

static void print_cpus(const void *field, FILE *f)
{
        config_cpus_print(*(struct config_cpus *const *)field, f);
}

static void print_scheduling(const void *field, FILE *f)
{
        fputs(config_scheduling_name(*(const enum config_scheduling *)field), f);
}

static void print_address(const void *field, FILE *f)
{
        config_address_print(*(struct config_address *const *)field, f);
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
        int (*set)(const struct config_value_in *, void *field);
        void (*print)(const void *field, FILE *);
        void (*clear)(void *field); /* NULL: it holds nothing */
} types[N_CONFIG_TYPES] = {
        [CONFIG_TYPE_PATH] = {"an absolute path", set_path, print_text, clear_text},
        [CONFIG_TYPE_COUNT] = {"a whole number", config_set_count, config_print_count},
        [CONFIG_TYPE_COUNT64] = {"a whole number", config_set_count64, config_print_count64},
        [CONFIG_TYPE_COUNT_OR_NONE] = {"a whole number or none", config_set_count_or_none,
                                       config_print_count_or_none},
        [CONFIG_TYPE_WORKERS] = {"a whole number or auto", config_set_workers, config_print_workers},
        [CONFIG_TYPE_BOUND] = {"a whole number or workers", config_set_bound, config_print_bound},
        [CONFIG_TYPE_INTEGER] = {"a whole number", config_set_integer, config_print_integer},
        [CONFIG_TYPE_SIZE] = {"a size: bytes, or with K, M, G", config_set_size, config_print_size},
        [CONFIG_TYPE_SIZE_OR_NONE] = {"a size (bytes, or with K, M, G) or none", config_set_size_or_none,
                                      config_print_size_or_none},
        [CONFIG_TYPE_TIME] = {"a time: seconds, or with ms, s, min, h, d", config_set_time,
                              config_print_time},
        [CONFIG_TYPE_TIME_OR_NONE] = {"a time (seconds, or with ms, s, min, h, d) or none",
                                      config_set_time_or_none, config_print_time_or_none},
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
        [CONFIG_TYPE_CPUS] = {"all, or CPUs as in 0 2-3 5", set_cpus, print_cpus, clear_text},
        [CONFIG_TYPE_SCHEDULING] = {"one of other, batch, idle", set_scheduling, print_scheduling},
        [CONFIG_TYPE_ADDRESS] = {"an IP address with a port, an absolute path, or none", set_address,
                                 print_address, clear_text},
};

const char *config_type_help(enum config_type type)
{
        return types[type].help;
}

int config_key_set(const struct config_key *key, void *object, const char *text, char *why, size_t why_bytes)
{
        const struct config_type_info *type = &types[key->type];
        const struct config_value_in in = {key, text, why, why_bytes};
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
