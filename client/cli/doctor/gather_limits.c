/* SPDX-License-Identifier: MIT */
/* What gangerd may have: as its process has it, else as its unit would get it, else as this session has it.
 * /proc shows both of the first to everybody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client/cli/doctor/doctor.h"

#define CGROUPS "/sys/fs/cgroup"

static uint64_t number(const char *text)
{
        return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : DOCTOR_UNLIMITED;
}

static void lower(uint64_t *limit, uint64_t other)
{
        if (other < *limit)
                *limit = other;
}

/* gangerd raises its soft limit of descriptors to the hard one; that of processes it leaves. */
static void read_limits(struct doctor_limits *limits, FILE *f)
{
        char line[256], soft[32], hard[32];

        while (fgets(line, sizeof line, f) != NULL)
                if (sscanf(line, "Max open files %31s %31s", soft, hard) == 2)
                        limits->nofile = number(hard);
                else if (sscanf(line, "Max processes %31s %31s", soft, hard) == 2)
                        limits->nproc = number(soft);
}

static uint64_t read_group(const char *group, const char *name)
{
        char path[2 * PATH_MAX], text[32];
        FILE *f;

        snprintf(path, sizeof path, CGROUPS "%.*s/%s", PATH_MAX, group, name);
        f = fopen(path, "re");
        if (f == NULL)
                return DOCTOR_UNLIMITED;
        if (fgets(text, sizeof text, f) == NULL)
                *text = 0;
        fclose(f);
        return number(text);
}

/* The tightest of its group and of all above it. */
static void read_groups(struct doctor_limits *limits, FILE *f)
{
        char line[PATH_MAX + 64], *group = NULL, *slash;

        while (group == NULL && fgets(line, sizeof line, f) != NULL)
                if (strncmp(line, "0::", 3) == 0)
                        group = line + 3;
        if (group == NULL)
                return;
        group[strcspn(group, "\n")] = 0;
        do {
                lower(&limits->tasks, read_group(group, "pids.max"));
                lower(&limits->memory_max, read_group(group, "memory.max"));
                slash = strrchr(group, '/');
                if (slash != NULL)
                        *slash = 0;
        } while (slash != NULL);
}

static void with_file(const char *process, const char *name, struct doctor_limits *limits,
                      void (*read_file)(struct doctor_limits *, FILE *))
{
        char path[64];
        FILE *f;

        snprintf(path, sizeof path, "/proc/%s/%s", process, name);
        f = fopen(path, "re");
        if (f == NULL)
                return;
        read_file(limits, f);
        fclose(f);
}

static void of_unit(struct doctor_limits *limits, const struct doctor_units *units)
{
        limits->nofile = units->nofile;
        limits->nproc = units->nproc;
        limits->tasks = units->tasks;
        limits->memory_max = units->memory_max;
        limits->of_root = !*units->user || strcmp(units->user, "root") == 0;
        snprintf(limits->whose, sizeof limits->whose, "%s", units->service.name);
}

void doctor_gather_limits(struct doctor_facts *facts)
{
        struct doctor_limits *limits = &facts->limits;
        char process[16] = "self";

        *limits = (struct doctor_limits){.nofile = DOCTOR_UNLIMITED,
                                         .nproc = DOCTOR_UNLIMITED,
                                         .tasks = DOCTOR_UNLIMITED,
                                         .memory_max = DOCTOR_UNLIMITED};
        limits->memory_total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        if (facts->process.pid == 0 && *facts->units.service.name) {
                of_unit(limits, &facts->units);
                return;
        }
        limits->of_root = facts->is_root;
        snprintf(limits->whose, sizeof limits->whose, "this session");
        if (facts->process.pid != 0) {
                limits->of_root = facts->process.uid == 0;
                snprintf(limits->whose, sizeof limits->whose, "gangerd (pid %d)", (int)facts->process.pid);
                snprintf(process, sizeof process, "%d", (int)facts->process.pid);
        }
        with_file(process, "limits", limits, read_limits);
        with_file(process, "cgroup", limits, read_groups);
        if (facts->process.pid != 0 && facts->process.pid == facts->units.main_pid) {
                lower(&limits->tasks,
                      facts->units.tasks); /* wherever the kernel's older hierarchy has them */
                lower(&limits->memory_max, facts->units.memory_max);
        }
}
