/* SPDX-License-Identifier: MIT */
#include "daemon/config_cpus.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Digits, and nothing else up to `end`; strtoul alone would take signs and blanks. */
static bool number_read(const char *text, char **end, uint32_t *ret)
{
        unsigned long number = strtoul(text, end, 10);

        *ret = (uint32_t)number;
        return isdigit((unsigned char)text[0]) && number < LIMIT_CPUS;
}

/* N or N-M, of so many characters. */
static bool range_read(const char *text, size_t size_bytes, uint32_t *first, uint32_t *last)
{
        const char *behind = text + size_bytes;
        char *end;

        if (!number_read(text, &end, first))
                return false;
        *last = *first;
        if (end < behind && *end == '-')
                return number_read(end + 1, &end, last) && end == behind && *last >= *first;
        return end == behind;
}

static int take_ranges(const char *text, struct config_cpus *cpus, char *why, size_t why_bytes)
{
        static const char apart[] = " \t,";
        uint32_t first, last;

        for (const char *at = text; *(at += strspn(at, apart)) != 0;) {
                size_t size_bytes = strcspn(at, apart);
                if (!range_read(at, size_bytes, &first, &last)) {
                        snprintf(why, why_bytes, "'%.*s' is not a CPU or a range of CPUs below %d",
                                 (int)(size_bytes < 64 ? size_bytes : 64), at, LIMIT_CPUS);
                        return 1;
                }
                for (uint32_t cpu = first; cpu <= last; cpu++)
                        CPU_SET_S(cpu, sizeof cpus->set, cpus->set);
                at += size_bytes;
        }
        if (config_cpus_count(cpus) > 0)
                return 0;
        snprintf(why, why_bytes, "it names no CPU");
        return 1;
}

int config_cpus_read(const char *text, struct config_cpus **ret, char *why, size_t why_bytes)
{
        struct config_cpus *cpus = calloc(1, sizeof *cpus);
        int r = 0;

        if (cpus == NULL)
                return -ENOMEM;
        cpus->all = strcmp(text, "all") == 0;
        if (!cpus->all)
                r = take_ranges(text, cpus, why, why_bytes);
        if (r == 0)
                *ret = cpus;
        else
                free(cpus);
        return r;
}

void config_cpus_print(const struct config_cpus *cpus, FILE *f)
{
        const char *before = "";

        if (cpus->all)
                fputs("all", f);
        for (uint32_t first = 0, last; first < LIMIT_CPUS; first = last + 1) {
                last = first;
                if (!config_cpus_has(cpus, first))
                        continue;
                while (last + 1 < LIMIT_CPUS && config_cpus_has(cpus, last + 1))
                        last++;
                fprintf(f, "%s%" PRIu32, before, first);
                if (last > first)
                        fprintf(f, "-%" PRIu32, last);
                before = " ";
        }
}

uint32_t config_cpus_count(const struct config_cpus *cpus)
{
        return (uint32_t)CPU_COUNT_S(sizeof cpus->set, cpus->set);
}

bool config_cpus_has(const struct config_cpus *cpus, uint32_t cpu)
{
        return CPU_ISSET_S(cpu, sizeof cpus->set, cpus->set) != 0;
}
