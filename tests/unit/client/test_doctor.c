/* SPDX-License-Identifier: MIT */
/* What ganger doctor makes of facts: from one machine on which all is well, one thing is made ill at a time.
 */
#include <string.h>

#include "tests/unit/client/doctor_ills.h"
#include "tests/unit/cmocka_includes.h"

static void judge(struct doctor_findings *ret)
{
        doctor_judge_access(&facts, ret);
        doctor_judge_daemon(&facts, ret);
        doctor_judge_units(&facts, ret);
        doctor_judge_plan(&facts, ret);
        assert_false(ret->incomplete);
}

static void print(const struct doctor_findings *findings)
{
        for (size_t i = 0; i < findings->n; i++)
                print_error("%d %s: %s -> %s\n", (int)findings->at[i].state, findings->at[i].check,
                            findings->at[i].found, findings->at[i].remedy ? findings->at[i].remedy : "");
}

static void test_all_well(void **state)
{
        static const char *const looked_at[] = {"socket",        "daemon",      "pools",     "pools", "units",
                                                "configuration", "descriptors", "processes", "memory"};
        struct doctor_findings findings = {0};

        all_well();
        judge(&findings);
        assert_int_equal(findings.n, sizeof looked_at / sizeof *looked_at);
        for (size_t i = 0; i < findings.n; i++) {
                assert_string_equal(findings.at[i].check, looked_at[i]);
                assert_int_equal(findings.at[i].state, DOCTOR_OK);
                assert_null(findings.at[i].remedy);
        }
        doctor_findings_deinit(&findings);
}

static bool is_told(const struct ill *ill, const struct doctor_finding *finding)
{
        return strcmp(finding->check, ill->check) == 0 && finding->state == ill->state &&
               strstr(finding->found, ill->found) != NULL && finding->remedy != NULL &&
               strstr(finding->remedy, ill->remedy) != NULL;
}

static void test_each_is_told(void **state)
{
        for (size_t i = 0; i < n_ills; i++) {
                const struct ill *ill = &ills[i];
                struct doctor_findings findings = {0};
                bool told = false;

                all_well();
                ill->make();
                judge(&findings);
                for (size_t k = 0; k < findings.n; k++) {
                        told |= is_told(ill, &findings.at[k]);
                        if (findings.at[k].state != DOCTOR_OK)
                                assert_non_null(findings.at[k].remedy);
                }
                if (!told) {
                        print(&findings);
                        fail_msg("not told: %s", ill->name);
                }
                doctor_findings_deinit(&findings);
        }
}

/* Nothing of the kind is said where it does not hold. */
static void test_no_false_alarm(void **state)
{
        struct doctor_findings findings = {0};

        all_well();
        facts.limits.of_root = true; /* whom RLIMIT_NPROC does not bind */
        facts.limits.nproc = 1;
        facts.limits.memory_max = UINT64_C(2) << 30;
        facts.limits.nofile = facts.plan.descriptors;
        facts.daemon.uses[0] = (struct doctor_use){"user_tasks", 89, 100};
        facts.daemon.uses[1] = (struct doctor_use){"user_objects", 0, 0}; /* none are allowed */
        facts.daemon.n_uses = 2;
        facts.daemon.pools[0].queued = 899; /* of 1000 */
        judge(&findings);
        for (size_t i = 0; i < findings.n; i++)
                assert_int_equal(findings.at[i].state, DOCTOR_OK);
        doctor_findings_deinit(&findings);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_well),
                cmocka_unit_test(test_each_is_told),
                cmocka_unit_test(test_no_false_alarm),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
