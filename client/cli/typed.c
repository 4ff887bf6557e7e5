/* SPDX-License-Identifier: MIT */
/* What is typed: times, numbers, ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "proto/limits.h"

bool cli_seconds(const char *text, double *ret)
{
        static const struct {
                const char *unit;
                double seconds;
        } units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}};
        char *end;
        double value = strtod(text, &end);

        if (end == text || !(value >= 0))
                return false;
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
                if (strcmp(end, units[i].unit) == 0) {
                        *ret = value * units[i].seconds;
                        return *ret <= LIMIT_SECONDS;
                }
        return false;
}

bool cli_integer(const char *text, int64_t min, int64_t max, int64_t *ret)
{
        char *end;

        errno = 0;
        long long value = strtoll(text, &end, 10);
        if (errno != 0 || end == text || *end || value < min || value > max)
                return false;
        *ret = value;
        return true;
}

bool cli_id(const char *text, uint64_t *ret)
{
        int64_t value;

        if (!cli_integer(text, 1, (int64_t)LIMIT_TASK_ID - 1, &value))
                return false;
        *ret = (uint64_t)value;
        return true;
}
