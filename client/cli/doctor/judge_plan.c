/* SPDX-License-Identifier: MIT */
/* The configuration: what gangerd itself says against it, and what it needs against what it may have. */
#include <inttypes.h>
#include <string.h>

#include "client/cli/doctor/doctor.h"
#include "proto/size_text.h"

static bool is_of_unit(const struct doctor_facts *facts)
{
        const struct doctor_units *units = &facts->units;

        return *units->service.name && (facts->process.pid == 0 || units->main_pid == facts->process.pid);
}

/* How a limit of gangerd's is raised. */
static void raise_remedy(const struct doctor_facts *facts, const char *setting, const char *by_hand,
                         uint64_t value, const char *otherwise, struct doctor_findings *ret)
{
        if (is_of_unit(facts))
                doctor_remedy(ret, "%s%s edit %s: [Service] %s=%" PRIu64 "; then restart it",
                              facts->is_root || facts->units.of_user ? "" : "sudo ",
                              facts->units.of_user ? "systemctl --user" : "systemctl",
                              facts->units.service.name, setting, value);
        else
                doctor_remedy(ret, "%s %" PRIu64 " where gangerd is started, or %s", by_hand, value,
                              otherwise);
}

static void judge_descriptors(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_plan *plan = &facts->plan;
        uint64_t may = facts->limits.nofile;

        if (may <= plan->least_descriptors) {
                doctor_find(ret, "descriptors", DOCTOR_PROBLEM,
                            "workers, user_descriptors and max_connections need %" PRIu64
                            " at least, RLIMIT_NOFILE of %s allows %" PRIu64,
                            plan->least_descriptors, facts->limits.whose, may);
        } else if (may < plan->descriptors) {
                doctor_find(ret, "descriptors", DOCTOR_WARNING,
                            "all that is configured needs %" PRIu64 ", RLIMIT_NOFILE of %s allows %" PRIu64
                            ": max_connections or nesting_limit are less than said",
                            plan->descriptors, facts->limits.whose, may);
        } else {
                doctor_find(ret, "descriptors", DOCTOR_OK, "%" PRIu64 " are needed at most, %s has enough",
                            plan->descriptors, facts->limits.whose);
                return;
        }
        raise_remedy(facts, "LimitNOFILE", "ulimit -Hn", plan->descriptors + 1, "a lower max_connections",
                     ret);
}

static void judge_process_limit(const struct doctor_facts *facts, uint64_t may, const char *limit,
                                const char *setting, const char *by_hand, struct doctor_findings *ret)
{
        const struct doctor_plan *plan = &facts->plan;

        if (may >= plan->processes)
                return;
        doctor_find(ret, "processes", may < plan->least_processes ? DOCTOR_PROBLEM : DOCTOR_WARNING,
                    "workers need %" PRIu64 ", with nesting and the programs that they run %" PRIu64
                    "; %s of %s is %" PRIu64,
                    plan->least_processes, plan->processes, limit, facts->limits.whose, may);
        raise_remedy(facts, setting, by_hand, plan->processes, "fewer workers", ret);
}

static void judge_processes(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        size_t n = ret->n;

        if (!facts->limits.of_root)
                judge_process_limit(facts, facts->limits.nproc, "RLIMIT_NPROC", "LimitNPROC", "ulimit -Su",
                                    ret);
        judge_process_limit(facts, facts->limits.tasks, "the cgroup's pids.max", "TasksMax",
                            "pids.max of the cgroup:", ret);
        if (ret->n == n)
                doctor_find(ret, "processes", DOCTOR_OK, "%" PRIu64 " are needed at most, %s has enough",
                            facts->plan.processes, facts->limits.whose);
}

static void judge_memory(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_limits *limits = &facts->limits;
        bool by_cgroup = limits->memory_max < limits->memory_total;
        uint64_t may = by_cgroup ? limits->memory_max : limits->memory_total, workers = 0;
        char text[SIZE_TEXT_BYTES], may_text[SIZE_TEXT_BYTES];
        const char *of = by_cgroup ? "the cgroup's memory.max" : "the machine's memory";
        size_t n = ret->n;

        for (size_t i = 0; i < facts->plan.n_pools; i++)
                workers += facts->plan.pools[i].max_workers * facts->plan.pools[i].memory_limit;
        size_text(may >> 20 << 20, may_text);
        if (facts->plan.memory_limit > may) {
                doctor_find(ret, "memory", DOCTOR_WARNING,
                            "memory_limit of [daemon] is %s, %s is %s: gangerd would be killed before it "
                            "refuses",
                            size_text(facts->plan.memory_limit, text), of, may_text);
                doctor_remedy(ret, "a memory_limit in [daemon] well below %s", may_text);
        }
        if (workers > may) {
                doctor_find(ret, "memory", DOCTOR_WARNING,
                            "memory_limit of the pools allows all workers together %s, %s is %s",
                            size_text(workers >> 20 << 20, text), of, may_text);
                doctor_remedy(ret, "a lower memory_limit of pools, or fewer workers");
        }
        if (ret->n == n)
                doctor_find(ret, "memory", DOCTOR_OK, "the limits that are set fit into %s, %s", of,
                            may_text);
}

static void judge_complaint(const struct doctor_facts *facts, const struct doctor_complaint *complaint,
                            struct doctor_findings *ret)
{
        const struct doctor_plan *plan = &facts->plan;
        bool modules = strcmp(complaint->about, "modules") == 0, sure = plan->by_daemons_user;

        /* Of no configuration: that nobody listens is a finding of its own. */
        if (strcmp(complaint->about, "socket") == 0) {
                doctor_find(ret, "socket", DOCTOR_WARNING, "%s does not start so: %s", plan->program,
                            complaint->message);
                doctor_remedy(ret, "%s --socket PATH", plan->program);
                return;
        }
        doctor_find(ret, modules ? "modules" : "configuration", sure ? DOCTOR_PROBLEM : DOCTOR_WARNING,
                    "%s%s%s%s%s%s", complaint->pool != NULL ? "[pool " : "",
                    complaint->pool != NULL ? complaint->pool : "", complaint->pool != NULL ? "] " : "",
                    complaint->message, sure ? "" : ", tried as ", sure ? "" : plan->user);
        if (!sure)
                doctor_remedy(ret, "sudo ganger doctor, which tries it as gangerd's user");
        else
                doctor_remedy(ret, "mend it, then %s --check%s%s", plan->program,
                              *plan->config ? " --config " : "", plan->config);
}

/* Where it would listen, and nobody would look. */
static void judge_place(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const char *place = facts->plan.socket;

        if (facts->connected >= 0 || facts->chosen || facts->n_sockets == 0 || place == NULL)
                return;
        for (int i = 0; i < facts->n_sockets; i++)
                if (strcmp(place, facts->sockets[i].path) == 0)
                        return;
        doctor_find(ret, "configuration", DOCTOR_WARNING,
                    "gangerd would listen on %s, where clients do not look by themselves", place);
        doctor_remedy(ret, "export GANGER_SOCKET=%s", place);
}

void doctor_judge_plan(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_plan *plan = &facts->plan;

        if (*plan->failure) {
                doctor_find(ret, "configuration", DOCTOR_WARNING, "not looked at: %s", plan->failure);
                doctor_remedy(ret, "ganger doctor --gangerd PROGRAM");
                return;
        }
        for (size_t i = 0; i < plan->n_complaints; i++)
                judge_complaint(facts, &plan->complaints[i], ret);
        if (plan->n_complaints == 0)
                doctor_find(ret, "configuration", DOCTOR_OK, "%s is right, and the modules of %zu pools load",
                            *plan->config ? plan->config : "what is in force by default", plan->n_pools);
        judge_place(facts, ret);
        if (!plan->is_read)
                return;
        judge_descriptors(facts, ret);
        judge_processes(facts, ret);
        judge_memory(facts, ret);
}
