/* SPDX-License-Identifier: MIT */
/*
 * Walks a map of options by a table. The table's order is the order in which a message lists what is known.
 */
#include "daemon/modules/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/modules/text_form.h"

static void list_names(char *ret, size_t size_bytes, const struct option *options, size_t n_options)
{
        size_t used = 0;

        ret[0] = '\0';
        for (size_t i = 0; i < n_options && used < size_bytes; i++)
                used += (size_t)snprintf(ret + used, size_bytes - used, "%s%s", i ? ", " : "",
                                         options[i].name);
}

static int wrong_type(struct ganger_task *task, const struct option *option, const char *wanted,
                      const struct ganger_value *value)
{
        return ganger_fail(task, "option %s is %s; wanted is %s", option->name, type_name(value->type),
                           wanted);
}

static int read_choice(struct ganger_task *task, const struct option *option,
                       const struct ganger_value *value, int *ret)
{
        char known[256], quoted[QUOTED_SIZE];
        size_t used = 0;

        known[0] = '\0';
        for (int i = 0; option->choices[i]; i++) {
                const char *choice = option->choices[i];
                if (value->type == GANGER_STR && value->size_bytes == strlen(choice) &&
                    memcmp(value->data, choice, value->size_bytes) == 0) {
                        *ret = i;
                        return 0;
                }
                if (used < sizeof(known))
                        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
                                                 choice);
        }
        if (value->type != GANGER_STR)
                return wrong_type(task, option, known, value);
        return ganger_fail(task, "option %s is %s; wanted is one of: %s", option->name,
                           quote(quoted, value->data, value->size_bytes), known);
}

static int read_number(struct ganger_task *task, const struct option *option,
                       const struct ganger_value *value, double *ret)
{
        double number;

        if (value->type == GANGER_DOUBLE)
                number = value->as.d;
        else if (value->type == GANGER_INT)
                number = (double)value->as.i;
        else if (value->type == GANGER_UINT)
                number = (double)value->as.u;
        else
                return wrong_type(task, option, "a number", value);
        if (!(number >= option->min && number <= option->max)) /* so that it catches a NaN */
                return ganger_fail(task, "option %s is %g; wanted is a number from %g to %g", option->name,
                                   number, option->min, option->max);
        *ret = number;
        return 0;
}

static int read_uint(struct ganger_task *task, const struct option *option, const struct ganger_value *value,
                     uint64_t *ret)
{
        if (value->type != GANGER_INT && value->type != GANGER_UINT)
                return wrong_type(task, option, "an integer of at least 0", value);
        if (value->type == GANGER_INT && value->as.i < 0)
                return ganger_fail(task, "option %s is %lld; wanted is an integer of at least 0",
                                   option->name, (long long)value->as.i);
        *ret = value->as.u;
        return 0;
}

static int read_option(struct ganger_task *task, const struct option *option, void *into)
{
        void *field = (char *)into + option->offset;
        struct ganger_value value;
        int r;

        if (option->kind == OPTION_OWN)
                return option->read(task, field);
        r = ganger_next(task, &value);
        if (r < 0)
                return r;
        switch (option->kind) {
        case OPTION_BOOL:
                if (value.type != GANGER_BOOL)
                        return wrong_type(task, option, "a boolean", &value);
                *(bool *)field = value.as.boolean;
                return 0;
        case OPTION_UINT:
                return read_uint(task, option, &value, field);
        case OPTION_NUMBER:
                return read_number(task, option, &value, field);
        case OPTION_CHOICE:
                return read_choice(task, option, &value, field);
        case OPTION_OWN:
                break; /* read above */
        }
        return -EINVAL;
}

static int find_option(struct ganger_task *task, const struct ganger_value *name,
                       const struct option *options, size_t n_options, size_t *ret)
{
        char quoted[QUOTED_SIZE], known[256];

        if (name->type != GANGER_STR && name->type != GANGER_BIN)
                return ganger_fail(task, "the name of an option is %s; wanted is a string",
                                   type_name(name->type));
        for (size_t i = 0; i < n_options; i++) {
                if (strlen(options[i].name) == name->size_bytes &&
                    memcmp(options[i].name, name->data, name->size_bytes) == 0) {
                        *ret = i;
                        return 0;
                }
        }
        list_names(known, sizeof(known), options, n_options);
        return ganger_fail(task, "unknown option %s; known are: %s",
                           quote(quoted, name->data, name->size_bytes), known);
}

int options_read(struct ganger_task *task, const struct option *options, size_t n_options, void *into,
                 uint32_t *ret_given)
{
        struct ganger_value map, name;
        size_t i = 0;

        *ret_given = 0;
        int r = ganger_next(task, &map);
        if (r == -ENODATA)
                return 0;
        if (r < 0)
                return r;
        if (map.type != GANGER_MAP)
                return ganger_fail(task, "the last argument is %s; wanted is a map of options",
                                   type_name(map.type));
        for (uint32_t n = 0; n < map.count; n++) {
                r = ganger_next(task, &name);
                if (r < 0)
                        return r;
                r = find_option(task, &name, options, n_options, &i);
                if (r != 0)
                        return r;
                if (*ret_given & UINT32_C(1) << i)
                        return ganger_fail(task, "option %s is given twice", options[i].name);
                *ret_given |= UINT32_C(1) << i;
                r = read_option(task, &options[i], into);
                if (r != 0)
                        return r;
        }
        return options_none(task);
}

int options_none(struct ganger_task *task)
{
        struct ganger_value value;
        int r = ganger_next(task, &value);

        if (r == -ENODATA)
                return 0;
        return r < 0 ? r : ganger_fail(task, "one argument too many: %s", type_name(value.type));
}
