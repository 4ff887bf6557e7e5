/* SPDX-License-Identifier: MIT */
/*
 * Memory that is missing: in one module, which is linked into this program (there is one for each), the
 * 1st, the 2nd, ... allocation of a task fails. Each such run must end with an error and leave nothing
 * behind; that nothing leaks says the sanitizer's build.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"
#include "tests/support/module_host.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"
#include "tests/unit/modules/picture.h"

extern const struct ganger_module ganger_module;

static struct module_host *host;
static char directory[] = "/tmp/ganger-faults-XXXXXX";
static char in[64], out[64];
static unsigned n_th;
static int failed;

static void arm(void)
{
        fault_alloc_arm(n_th);
}

static void disarm(void)
{
        failed = fault_alloc_disarm();
}

static unsigned grey(unsigned x, unsigned y, unsigned channel, unsigned max)
{
        return max / 2;
}

static void make_input(void)
{
        struct picture picture = {3, 1, 1, 8, NULL};

        picture_fill(&picture, grey);
        picture_write(&picture, in); /* for the other modules it is just a file */
        picture_deinit(&picture);
}

static void run_digest(struct module_run *ret)
{
        module_host_run(host, ret, "sha256", "s", in);
}

static void run_count(struct module_run *ret)
{
        module_host_run(host, ret, "count", "s", in);
}

static void run_merge(struct module_run *ret)
{
        module_host_run(host, ret, "merge", "{sisi}{si}", "a", INT64_C(1), "b", INT64_C(1), "c", INT64_C(1));
}

static void run_gamma(struct module_run *ret)
{
        module_host_run(host, ret, "gamma", "ss", in, out);
}

static void run_gamma_as_result(struct module_run *ret)
{
        module_host_run(host, ret, "gamma", "sn", in);
}

static void run_noise(struct module_run *ret)
{
        module_host_run(host, ret, "noise", "ss{sss[ddd]}", in, out, "mode", "localvar", "local_vars", 0.1,
                        0.1, 0.1);
}

static const struct {
        const char *module;
        void (*run)(struct module_run *ret);
} scenarios[] = {
        {"digest", run_digest}, {"text", run_count},  {"text", run_merge},
        {"image", run_gamma},   {"image", run_noise}, {"image", run_gamma_as_result},
};

static void fail_each_allocation(void (*scenario)(struct module_run *ret))
{
        struct module_run run;

        for (n_th = 1;; n_th++) {
                unlink(out);
                scenario(&run);
                if (run.status == 0 && failed)
                        fail_msg("the failure of allocation %u went unnoticed", n_th);
                if (run.status != 0 && run.status != -ENOMEM)
                        fail_msg("allocation %u: %d %s", n_th, run.status, run.message);
                module_run_deinit(&run);
                /* at worst the output is whole and only the result could not be told; no temporary file */
                assert_int_equal(picture_count_files(directory), access(out, F_OK) == 0 ? 2 : 1);
                if (!failed)
                        break;
        }
        assert_int_equal(run.status, 0);
        assert_true(n_th > 1);
}

static void test_out_of_memory(void **state)
{
        unsigned n_run = 0;

        make_input();
        module_host_around(host, arm, disarm);
        for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
                if (strcmp(scenarios[i].module, ganger_module.name) == 0) {
                        fail_each_allocation(scenarios[i].run);
                        n_run++;
                }
        }
        assert_true(n_run > 0);
}

static int set_up(void **state)
{
        host = module_host_of(&ganger_module);
        if (!mkdtemp(directory))
                return -1;
        snprintf(in, sizeof(in), "%s/in.png", directory);
        snprintf(out, sizeof(out), "%s/out.png", directory);
        return 0;
}

static int tear_down(void **state)
{
        unlink(in);
        unlink(out);
        host = module_host_close(host);
        return rmdir(directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_out_of_memory)};

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
