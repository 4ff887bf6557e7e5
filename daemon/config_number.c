/* SPDX-License-Identifier: MIT */
/*
 * Numbers of the configuration, with their units and bounds. Whatever is a number of something is read as a
 * double, which is exact for whole numbers below 2^53.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_value_private.h"
#include "daemon/configuration.h"
#include "proto/limits.h"
#include "proto/size_text.h"

struct unit {
        const char *name;
        double factor;
};
static const struct unit size_units[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL}};
static const struct unit time_units[] = {{"", 1},     {"ms", 1e-3}, {"s", 1}, {"min", 60},
                                         {"h", 3600}, {"d", 86400}, {NULL}};
static const struct unit no_units[] = {{"", 1}, {NULL}};

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

static int number_check(const struct config_value_in *in, const struct unit *units, bool whole, double *ret)
{
        if (!number_read(in->text, units, ret) || (whole && *ret != floor(*ret)))
                return config_refuse_type(in);
        if (*ret < in->key->min)
                return config_refuse(in, "the least is %.17g", in->key->min);
        if (*ret > in->key->max)
                return config_refuse(in, "the most is %.17g", in->key->max);
        return 0;
}

int config_set_count(const struct config_value_in *in, void *field)
{
        double value;
        int r = number_check(in, no_units, true, &value);

        if (r == 0)
                *(uint32_t *)field = (uint32_t)value;
        return r;
}

int config_set_workers(const struct config_value_in *in, void *field)
{
        if (strcmp(in->text, "auto") != 0)
                return config_set_count(in, field);
        *(uint32_t *)field = 0;
        return 0;
}

int config_set_bound(const struct config_value_in *in, void *field)
{
        if (strcmp(in->text, "workers") != 0)
                return config_set_count(in, field);
        *(uint32_t *)field = CONFIG_AS_WORKERS;
        return 0;
}

int config_set_count_or_none(const struct config_value_in *in, void *field)
{
        if (strcmp(in->text, "none") != 0)
                return config_set_count(in, field);
        *(uint32_t *)field = 0;
        return 0;
}

int config_set_count64(const struct config_value_in *in, void *field)
{
        double value;
        int r = number_check(in, no_units, true, &value);

        if (r == 0)
                *(uint64_t *)field = (uint64_t)value;
        return r;
}

int config_set_integer(const struct config_value_in *in, void *field)
{
        double value;
        int r = number_check(in, no_units, true, &value);

        if (r == 0)
                *(int *)field = (int)value;
        return r;
}

int config_set_size(const struct config_value_in *in, void *field)
{
        double value;
        int r = number_check(in, size_units, true, &value);

        if (r == 0)
                *(uint64_t *)field = (uint64_t)value;
        return r;
}

int config_set_size_or_none(const struct config_value_in *in, void *field)
{
        if (strcmp(in->text, "none") != 0)
                return config_set_size(in, field);
        *(uint64_t *)field = 0;
        return 0;
}

int config_set_time(const struct config_value_in *in, void *field)
{
        double seconds = 0;
        int r = number_check(in, time_units, false, &seconds);

        if (r == 0)
                *(int64_t *)field = (int64_t)(seconds * 1e9);
        return r;
}

int config_set_time_or_none(const struct config_value_in *in, void *field)
{
        if (strcmp(in->text, "none") != 0)
                return config_set_time(in, field);
        *(int64_t *)field = 0;
        return 0;
}

void config_print_count(const void *field, FILE *f)
{
        fprintf(f, "%" PRIu32, *(const uint32_t *)field);
}

void config_print_workers(const void *field, FILE *f)
{
        if (*(const uint32_t *)field == 0)
                fputs("auto", f);
        else
                config_print_count(field, f);
}

void config_print_bound(const void *field, FILE *f)
{
        if (*(const uint32_t *)field == CONFIG_AS_WORKERS)
                fputs("workers", f);
        else
                config_print_count(field, f);
}

void config_print_count_or_none(const void *field, FILE *f)
{
        if (*(const uint32_t *)field == 0)
                fputs("none", f);
        else
                config_print_count(field, f);
}

void config_print_count64(const void *field, FILE *f)
{
        fprintf(f, "%" PRIu64, *(const uint64_t *)field);
}

void config_print_integer(const void *field, FILE *f)
{
        fprintf(f, "%d", *(const int *)field);
}

void config_print_size(const void *field, FILE *f)
{
        char text[SIZE_TEXT_BYTES];

        fputs(size_text(*(const uint64_t *)field, text), f);
}

void config_print_size_or_none(const void *field, FILE *f)
{
        if (*(const uint64_t *)field == 0)
                fputs("none", f);
        else
                config_print_size(field, f);
}

void config_print_time(const void *field, FILE *f)
{
        fprintf(f, "%.10gs", (double)*(const int64_t *)field / 1e9);
}

void config_print_time_or_none(const void *field, FILE *f)
{
        if (*(const int64_t *)field == 0)
                fputs("none", f);
        else
                config_print_time(field, f);
}
