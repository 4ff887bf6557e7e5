/* SPDX-License-Identifier: MIT */
/*
 * Names in the configuration. Nearness is the number of letters to be put in, left out, replaced or swapped
 * with their neighbour; more than a third of the name is not near.
 */
#include "daemon/config_name.h"

#include <string.h>

#define NAME_BYTES 32

bool config_name_valid(const char *name)
{
        static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

        return name[0] != 0 && name[0] != '.' && name[strspn(name, fit)] == 0;
}

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b)
{
        unsigned rows[3][NAME_BYTES + 1];
        size_t n_a = strlen(a), n_b = strlen(b);

        if (n_a > NAME_BYTES || n_b > NAME_BYTES)
                return NAME_BYTES;
        for (unsigned j = 0; j <= n_b; j++)
                rows[0][j] = j;
        for (unsigned i = 1; i <= n_a; i++) {
                unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *top = rows[(i + 1) % 3];
                row[0] = i;
                for (unsigned j = 1; j <= n_b; j++) {
                        row[j] =
                                least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = least(row[j], top[j - 2] + 1);
                }
        }
        return rows[n_a % 3][n_b];
}

const char *config_name_nearest(enum config_section section, const char *name)
{
        const char *nearest = NULL;
        unsigned least_yet = (unsigned)strlen(name) / 3 + 1;

        for (size_t i = 0; i < n_config_table; i++) {
                if (config_table[i].section != section)
                        continue;
                unsigned d = distance(name, config_table[i].name);
                if (d < least_yet) {
                        least_yet = d;
                        nearest = config_table[i].name;
                }
        }
        return nearest;
}

void config_name_list(enum config_section section, char *ret, size_t size_bytes)
{
        size_t used = 0;

        ret[0] = 0;
        for (size_t i = 0; i < n_config_table; i++) {
                const char *name = config_table[i].name;
                size_t needed = strlen(name) + 3;
                if (config_table[i].section != section || used + needed > size_bytes)
                        continue;
                if (used > 0)
                        used = (size_t)(stpcpy(ret + used, ", ") - ret);
                used = (size_t)(stpcpy(ret + used, name) - ret);
        }
}
