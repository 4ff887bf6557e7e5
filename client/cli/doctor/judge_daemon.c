/* SPDX-License-Identifier: MIT */
/* The daemon that answers, or does not: its state, its pools, the program that it is. */
#include <inttypes.h>
#include <string.h>

#include "client/cli/doctor/doctor.h"

#define NEARLY_FULL_PERCENT 90

static void restart_remedy(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_units *units = &facts->units;

        if (*units->service.name && units->main_pid != 0 && units->main_pid == facts->daemon.pid)
                doctor_remedy(ret, "%s %s restart %s", facts->is_root || units->of_user ? "" : "sudo",
                              units->of_user ? "systemctl --user" : "systemctl", units->service.name);
        else
                doctor_remedy(ret, "kill %d, and start gangerd again", (int)facts->process.pid);
}

static void judge_silent(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        int pid = (int)facts->process.pid;

        if (pid != 0 && facts->process.stopped) {
                doctor_find(ret, "daemon", DOCTOR_PROBLEM, "gangerd (pid %d) does not answer: it is stopped",
                            pid);
                doctor_remedy(ret, "kill -CONT %d", pid);
        } else {
                doctor_find(ret, "daemon", DOCTOR_PROBLEM, "whoever listens does not answer");
                if (pid != 0)
                        restart_remedy(facts, ret);
                doctor_remedy(ret, "restart gangerd");
        }
}

static void judge_answer(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_daemon *daemon = &facts->daemon;

        switch (daemon->answer) {
        case ANSWER_NONE:
                return;
        case ANSWER_SILENT:
                return judge_silent(facts, ret);
        case ANSWER_REFUSED:
                doctor_find(ret, "daemon", DOCTOR_PROBLEM, "gangerd refuses: %s", daemon->words);
                doctor_remedy(ret, "ask as another user, or end what holds connections");
                return;
        case ANSWER_FOREIGN:
                doctor_find(ret, "daemon", DOCTOR_PROBLEM,
                            "whoever listens does not speak ganger's protocol");
                doctor_remedy(ret, "--socket names another one");
                return;
        case ANSWER_GIVEN:
                break;
        }
        if (strcmp(daemon->state, "running") != 0) {
                doctor_find(ret, "daemon", DOCTOR_WARNING, "gangerd %s (pid %d) is %s", daemon->version,
                            (int)daemon->pid, daemon->state);
                doctor_remedy(ret, "wait, then ganger doctor");
        } else {
                doctor_find(ret, "daemon", DOCTOR_OK, "gangerd %s (pid %d) runs as %s", daemon->version,
                            (int)daemon->pid, *facts->process.user ? facts->process.user : "?");
        }
}

static void judge_versions(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_daemon *daemon = &facts->daemon;
        const char *installed = facts->plan.version;

        if (facts->process.replaced) {
                doctor_find(ret, "program", DOCTOR_WARNING,
                            "%s was replaced since gangerd started: zygotes of the new one may not fit it",
                            facts->process.program);
                restart_remedy(facts, ret);
        } else if (daemon->answer == ANSWER_GIVEN && installed != NULL &&
                   strcmp(installed, daemon->version) != 0) {
                doctor_find(ret, "program", DOCTOR_WARNING, "gangerd %s runs, %s is version %s",
                            daemon->version, facts->plan.program, installed);
                restart_remedy(facts, ret);
        }
        if (daemon->answer == ANSWER_GIVEN && strcmp(facts->version, daemon->version) != 0) {
                doctor_find(ret, "program", DOCTOR_WARNING, "ganger is version %s, gangerd %s",
                            facts->version, daemon->version);
                doctor_remedy(ret, "install both of one version, and restart gangerd");
        }
}

static bool is_nearly_full(uint64_t used, uint64_t limit)
{
        return limit > 0 &&
               used >= limit / 100 * NEARLY_FULL_PERCENT + limit % 100 * NEARLY_FULL_PERCENT / 100;
}

static void judge_uses(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_daemon *daemon = &facts->daemon;
        size_t n = ret->n;

        for (size_t i = 0; i < daemon->n_uses; i++) {
                const struct doctor_use *use = &daemon->uses[i];
                if (!is_nearly_full(use->used, use->limit))
                        continue;
                doctor_find(ret, "quotas", DOCTOR_WARNING,
                            "%s has %" PRIu64 " of what may be %" PRIu64 " at most by %s", facts->caller.name,
                            use->used, use->limit, use->what);
                doctor_remedy(ret,
                              "end what holds them (ganger list), or a larger %s in [daemon], then "
                              "ganger reload",
                              use->what);
        }
        if (ret->n == n && daemon->n_uses > 0)
                doctor_find(ret, "quotas", DOCTOR_OK,
                            "what %s has is well below user_connections and the like", facts->caller.name);
}

static void judge_log(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        if (facts->daemon.log_dropped == 0)
                return;
        doctor_find(ret, "log", DOCTOR_WARNING,
                    "%" PRIu64 " messages were dropped since gangerd started: they came faster than they "
                    "were taken",
                    facts->daemon.log_dropped);
        doctor_remedy(ret, "ganger log-level warning; see whether what reads the log is slow or stands");
}

static uint64_t queue_limit(const struct doctor_plan *plan, const char *name)
{
        for (size_t i = 0; i < plan->n_pools; i++)
                if (strcmp(plan->pools[i].name, name) == 0)
                        return plan->pools[i].queue_limit;
        return DOCTOR_UNLIMITED;
}

static void judge_pool(const struct doctor_facts *facts, const struct doctor_pool *pool,
                       struct doctor_findings *ret)
{
        uint64_t limit = queue_limit(&facts->plan, pool->name);
        size_t n = ret->n;

        if (pool->degraded) {
                doctor_find(ret, "pools", DOCTOR_PROBLEM,
                            "%s is degraded: its workers die young, %" PRIu64 " of %" PRIu64 " are there",
                            pool->name, pool->there, pool->target);
                doctor_remedy(ret, "the log says why (%s); when that is mended: ganger pool reload %s",
                              *facts->units.service.name ? "journalctl -u ganger"
                                                         : "gangerd's standard error",
                              pool->name);
        } else if (pool->there == 0 && pool->starting > 0) {
                doctor_find(ret, "pools", DOCTOR_WARNING, "%s has no workers yet; %" PRIu64 " start",
                            pool->name, pool->starting);
                doctor_remedy(ret, "wait, then ganger doctor");
        } else if (pool->target > 0 && pool->there == 0) {
                doctor_find(ret, "pools", DOCTOR_PROBLEM, "%s has no workers, and is to have %" PRIu64,
                            pool->name, pool->target);
                doctor_remedy(ret, "ganger pool reload %s, which says what is wrong", pool->name);
        } else if (pool->target == 0) {
                doctor_find(ret, "pools", DOCTOR_WARNING, "%s is to have no workers: its tasks wait",
                            pool->name);
                doctor_remedy(ret, "ganger pool scale %s N, if they are to run", pool->name);
        }
        if (pool->paused) {
                doctor_find(ret, "pools", DOCTOR_PROBLEM, "%s is paused: %" PRIu64 " tasks wait", pool->name,
                            pool->queued);
                doctor_remedy(ret, "ganger pool resume %s", pool->name);
        }
        if (limit != DOCTOR_UNLIMITED && is_nearly_full(pool->queued, limit)) {
                doctor_find(ret, "pools", DOCTOR_WARNING,
                            "%s: %" PRIu64 " tasks wait, and queue_limit is %" PRIu64, pool->name,
                            pool->queued, limit);
                doctor_remedy(ret, "more workers (ganger pool scale %s N), or a larger queue_limit",
                              pool->name);
        }
        if (ret->n == n)
                doctor_find(ret, "pools", DOCTOR_OK,
                            "%s: %" PRIu64 " of %" PRIu64 " workers, %" PRIu64 " tasks wait", pool->name,
                            pool->there, pool->target, pool->queued);
}

void doctor_judge_daemon(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        judge_answer(facts, ret);
        judge_versions(facts, ret);
        for (size_t i = 0; i < facts->daemon.n_pools; i++)
                judge_pool(facts, &facts->daemon.pools[i], ret);
        judge_uses(facts, ret);
        judge_log(facts, ret);
        if (facts->process.pid != 0 && !*facts->process.program) {
                doctor_find(ret, "program", DOCTOR_WARNING,
                            "not looked at as %s: whether gangerd was replaced since it started",
                            facts->caller.name);
                doctor_remedy(ret, "sudo ganger doctor");
        }
}
