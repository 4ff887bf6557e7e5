/* SPDX-License-Identifier: MIT */
/*
 * image.noise: on flat grey 512 x 512 the figures must be what was asked within 2 %, for many seeds; and what
 * the seed, alpha, the modes' options and clip: false promise.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/module_host.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/modules/picture.h"

enum { SIDE = 512, N_SEEDS = 8 };
static const double n_pixels = SIDE * SIDE;

static struct module_host *host;
static char directory[] = "/tmp/ganger-noise-XXXXXX";
static char in[64], out[64];

struct figures {
        double mean, var, salt, pepper; /* of the colours, as numbers from 0 to 1; shares of all */
};

static void assert_success(const struct module_run *run)
{
        if (run->status != 0)
                fail_msg("%d: %s", run->status, run->message);
}

static void assert_failure(struct module_run *run, const char *part)
{
        if (run->status != 1 || !strstr(run->message, part))
                fail_msg("%d, \"%s\" does not say \"%s\"", run->status, run->message, part);
        module_run_deinit(run);
}

static void assert_near(double value, double asked, const char *what)
{
        if (fabs(value - asked) > 0.02 * fabs(asked))
                fail_msg("%s is %g, asked was %g", what, value, asked);
}

static unsigned mid_grey(unsigned x, unsigned y, unsigned channel, unsigned max)
{
        return max / 2 + 1;
}

static double grey(unsigned depth)
{
        return (double)(1U << (depth - 1)) / ((1U << depth) - 1);
}

static void write_grey(unsigned side, unsigned channels, unsigned depth)
{
        struct picture picture = {side, side, channels, depth, NULL};

        picture_fill(&picture, mid_grey);
        picture_write(&picture, in);
        picture_deinit(&picture);
}

static void measure(struct figures *ret)
{
        struct picture picture;
        double sum = 0, squares = 0, n = 0;

        picture_read(&picture, out);
        unsigned max = (1U << picture.depth) - 1;
        *ret = (struct figures){0};
        for (size_t i = 0; i < (size_t)picture.width * picture.height * picture.channels; i++) {
                if (picture.channels % 2 == 0 && i % picture.channels == picture.channels - 1) {
                        assert_int_equal(picture.samples[i], max / 2 + 1); /* alpha */
                        continue;
                }
                double value = picture.samples[i] / (double)max;
                sum += value;
                squares += value * value;
                n++;
                ret->salt += picture.samples[i] == max;
                ret->pepper += picture.samples[i] == 0;
        }
        ret->mean = sum / n;
        ret->var = squares / n - ret->mean * ret->mean;
        ret->salt /= n;
        ret->pepper /= n;
        picture_deinit(&picture);
}

static void test_gaussian(void **state)
{
        struct module_run run;
        struct figures figures;

        for (unsigned channels = 1; channels <= 4; channels++) {
                for (int64_t seed = 0; seed < (channels == 1 ? N_SEEDS : 2); seed++) {
                        unsigned depth = seed % 2 ? 8 : 16;
                        write_grey(SIDE, channels, depth);
                        module_host_run(host, &run, "noise", "ss{sisdsd}", in, out, "seed", seed, "mean", 0.1,
                                        "var", 0.005);
                        assert_success(&run);
                        module_run_deinit(&run);
                        measure(&figures);
                        assert_near(figures.mean - grey(depth), 0.1, "mean");
                        assert_near(figures.var, 0.005, "variance");
                }
        }
}

static void test_gaussian_is_normal(void **state)
{
        struct module_run run;
        struct picture picture;
        size_t within[4] = {0};

        write_grey(SIDE, 1, 16);
        module_host_run(host, &run, "noise", "ss{sssisd}", in, out, "mode", "gaussian", "seed", INT64_C(5),
                        "var", 0.01);
        assert_success(&run);
        module_run_deinit(&run);
        picture_read(&picture, out);
        for (size_t i = 0; i < SIDE * SIDE; i++)
                for (int sigma = 1; sigma <= 3; sigma++)
                        within[sigma] += fabs(picture.samples[i] / 65535.0 - grey(16)) <= sigma * 0.1;
        picture_deinit(&picture);
        assert_near((double)within[1] / n_pixels, 0.6827, "share within 1 sigma");
        assert_near((double)within[2] / n_pixels, 0.9545, "share within 2 sigma");
        assert_near(1 - (double)within[2] / n_pixels, 0.0455, "share beyond 2 sigma");
        assert_near((double)within[3] / n_pixels, 0.9973, "share within 3 sigma");
}

static void test_speckle(void **state)
{
        struct module_run run;
        struct figures figures;

        for (int64_t seed = 0; seed < N_SEEDS; seed++) {
                unsigned depth = seed % 2 ? 8 : 16;
                write_grey(SIDE, 1, depth);
                module_host_run(host, &run, "noise", "ss{sssisdsd}", in, out, "mode", "speckle", "seed", seed,
                                "mean", 0.2, "var", 0.02);
                assert_success(&run);
                module_run_deinit(&run);
                measure(&figures);
                assert_near(figures.mean / grey(depth) - 1, 0.2, "mean");
                assert_near(figures.var / (grey(depth) * grey(depth)), 0.02, "variance");
        }
}

static void test_salt_and_pepper(void **state)
{
        static const struct {
                const char *mode;
                double salt, pepper; /* of 5 % */
        } cases[] = {{"salt", 1, 0}, {"pepper", 0, 1}, {"s&p", 0.5, 0.5}};
        struct module_run run;
        struct figures figures;

        write_grey(SIDE, 3, 8);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                for (int64_t seed = 0; seed < N_SEEDS; seed++) {
                        module_host_run(host, &run, "noise", "ss{sssi}", in, out, "mode", cases[i].mode,
                                        "seed", seed);
                        assert_success(&run);
                        module_run_deinit(&run);
                        measure(&figures);
                        assert_near(figures.salt, 0.05 * cases[i].salt, "salt");
                        assert_near(figures.pepper, 0.05 * cases[i].pepper, "pepper");
                }
        }
        module_host_run(host, &run, "noise", "ss{sssdsd}", in, out, "mode", "s&p", "amount", 0.3,
                        "salt_vs_pepper", 0.2);
        assert_success(&run);
        module_run_deinit(&run);
        measure(&figures);
        assert_near(figures.salt, 0.06, "salt");
        assert_near(figures.pepper, 0.24, "pepper");
}

static void test_salt_falls_everywhere(void **state)
{
        struct module_run run;
        struct picture picture;
        double quarters[4] = {0};

        write_grey(SIDE, 1, 8);
        module_host_run(host, &run, "noise", "ss{sssdsi}", in, out, "mode", "salt", "amount", 0.25, "seed",
                        INT64_C(3));
        assert_success(&run);
        module_run_deinit(&run);
        picture_read(&picture, out);
        for (size_t i = 0; i < SIDE * SIDE; i++)
                quarters[i / (SIDE * SIDE / 4)] += picture.samples[i] == 255;
        picture_deinit(&picture);
        for (int i = 0; i < 4; i++)
                if (fabs(quarters[i] / (n_pixels / 4) - 0.25) > 0.01)
                        fail_msg("a quarter of the picture has a share of %g", quarters[i] / (n_pixels / 4));
}

static void test_none_and_all(void **state)
{
        struct module_run run;
        struct figures figures;

        write_grey(32, 1, 8);
        module_host_run(host, &run, "noise", "ss{sssd}", in, out, "mode", "pepper", "amount", 0.0);
        assert_success(&run);
        module_run_deinit(&run);
        measure(&figures);
        assert_true(figures.pepper == 0 && figures.salt == 0);
        module_host_run(host, &run, "noise", "ss{sssi}", in, out, "mode", "pepper", "amount", INT64_C(1));
        assert_success(&run);
        module_run_deinit(&run);
        measure(&figures);
        assert_true(figures.pepper == 1);
}

static void test_localvar(void **state)
{
        struct module_run run;
        struct picture picture = {4, 1, 3, 16, NULL}, after;

        picture_fill(&picture, mid_grey);
        picture_write(&picture, in);
        module_host_run(host, &run, "noise", "ss{sss[dddd]si}", in, out, "mode", "localvar", "local_vars",
                        0.0, 0.01, 0.0, 0.02, "seed", INT64_C(1));
        assert_success(&run);
        module_run_deinit(&run);
        picture_read(&after, out);
        for (size_t i = 0; i < 12; i++) /* pixels 0 and 2 have no variance */
                assert_int_equal(after.samples[i] == picture.samples[i], (i / 3) % 2 == 0);
        picture_deinit(&after);
        module_host_run(host, &run, "noise", "ss{sss[[[ddd][ddd][ddd][ddd]]]}", in, out, "mode", "localvar",
                        "local_vars", 0.0, 0.01, 0.0, 0.0, 0.01, 0.0, 0.0, 0.01, 0.0, 0.0, 0.01, 0.0);
        assert_success(&run);
        module_run_deinit(&run);
        picture_read(&after, out);
        for (size_t i = 0; i < 12; i++) /* only green has */
                assert_int_equal(after.samples[i] == picture.samples[i], i % 3 != 1);
        picture_deinit(&after);
        picture_deinit(&picture);
}

static void read_png(struct module_run *run, int64_t seed, const char *mode)
{
        module_host_run(host, run, "noise", "sn{sssi}", in, "mode", mode, "seed", seed);
        assert_success(run);
        assert_int_equal(run->result.data.type, MSGPACK_OBJECT_BIN);
}

static void test_same_seed_same_bytes(void **state)
{
        struct module_run a, b, c;

        write_grey(64, 3, 8);
        for (const char *const *mode = (const char *const[]){"gaussian", "s&p", "speckle", NULL}; *mode;
             mode++) {
                read_png(&a, 7, *mode);
                read_png(&b, 7, *mode);
                read_png(&c, 8, *mode);
                assert_true(msgpack_object_equal(a.result.data, b.result.data));
                assert_false(msgpack_object_equal(a.result.data, c.result.data));
                module_run_deinit(&a);
                module_run_deinit(&b);
                module_run_deinit(&c);
        }
}

/* On any machine: what an implementation in another language (Python's floats, libm's logarithm) gives. */
static void test_known_samples(void **state)
{
        static const unsigned expected[8] = {28009, 31384, 34220, 36194, 35810, 37624, 42443, 35853};
        struct module_run run;
        struct picture picture;

        write_grey(8, 1, 16);
        module_host_run(host, &run, "noise", "ss{si}", in, out, "seed", INT64_C(42));
        assert_success(&run);
        module_run_deinit(&run);
        picture_read(&picture, out);
        for (int i = 0; i < 8; i++)
                if (picture.samples[i] != expected[i])
                        fail_msg("sample %d is %u", i, picture.samples[i]);
        picture_deinit(&picture);
}

static void test_drawn_seed_is_told_and_repeats(void **state)
{
        struct module_run drawn, again;
        struct picture a, b;

        write_grey(64, 1, 8);
        module_host_run(host, &drawn, "noise", "ss", in, out);
        assert_success(&drawn);
        uint64_t seed = map_get(&drawn.result.data, "seed")->via.u64;
        assert_true(seed < UINT64_C(1) << 53);
        picture_read(&a, out);
        module_host_run(host, &again, "noise", "ss{si}", in, out, "seed", (int64_t)seed);
        assert_success(&again);
        assert_true(msgpack_object_equal(drawn.result.data, again.result.data));
        picture_read(&b, out);
        assert_memory_equal(a.samples, b.samples, sizeof(unsigned) * 64 * 64);
        picture_deinit(&a);
        picture_deinit(&b);
        module_run_deinit(&again);
        module_host_run(host, &again, "noise", "ss", in, out);
        assert_success(&again);
        assert_int_not_equal(map_get(&again.result.data, "seed")->via.u64, seed);
        module_run_deinit(&again);
        module_run_deinit(&drawn);
}

static void test_without_clip_the_range_is_widened(void **state)
{
        struct module_run run;
        struct figures figures;

        write_grey(SIDE, 1, 16);
        module_host_run(host, &run, "noise", "ss{sdsbsi}", in, out, "var", 0.25, "clip", 0, "seed",
                        INT64_C(1));
        assert_success(&run);
        double low = map_get(&run.result.data, "low")->via.f64,
               high = map_get(&run.result.data, "high")->via.f64;
        module_run_deinit(&run);
        assert_true(low < -1 && high > 2);
        measure(&figures);
        assert_near(figures.mean * (high - low) + low, grey(16), "mean");
        assert_near(figures.var * (high - low) * (high - low), 0.25, "variance");
        assert_true(figures.salt * n_pixels < 2 && figures.pepper * n_pixels < 2);

        module_host_run(host, &run, "noise", "ss{sdsb}", in, out, "var", 0.0001, "clip", 0);
        assert_success(&run);
        assert_true(map_get(&run.result.data, "low")->via.f64 == 0);
        assert_true(map_get(&run.result.data, "high")->via.f64 == 1);
        module_run_deinit(&run);
}

static void test_no_noise_changes_nothing(void **state)
{
        struct module_run run;
        struct figures figures;

        write_grey(64, 2, 8);
        module_host_run(host, &run, "noise", "ss{si}", in, out, "var", INT64_C(0));
        assert_success(&run);
        module_run_deinit(&run);
        measure(&figures);
        assert_true(fabs(figures.mean - grey(8)) < 1e-9);
}

static void test_wrong_options(void **state)
{
        struct module_run run;

        write_grey(4, 3, 8);
        module_host_run(host, &run, "noise", "ss{ss}", in, out, "mode", "poisson");
        assert_failure(&run,
                       "option mode is \"poisson\"; wanted is one of: gaussian, localvar, salt, pepper, s&p, "
                       "speckle");
        module_host_run(host, &run, "noise", "ss{si}", in, out, "mode", INT64_C(1));
        assert_failure(&run, "option mode is an integer");
        module_host_run(host, &run, "noise", "ss{si}", in, out, "seeds", INT64_C(1));
        assert_failure(&run, "unknown option \"seeds\"; known are: mode, seed, mean");
        module_host_run(host, &run, "noise", "ss{sd}", in, out, "seed", 1.5);
        assert_failure(&run, "option seed is a number; wanted is an integer");
        module_host_run(host, &run, "noise", "ss{sd}", in, out, "var", -0.1);
        assert_failure(&run, "option var is -0.1");
        module_host_run(host, &run, "noise", "ss{sssd}", in, out, "mode", "salt", "amount", 1.5);
        assert_failure(&run, "option amount is 1.5; wanted is a number from 0 to 1");
        module_host_run(host, &run, "noise", "ss{si}", in, out, "clip", INT64_C(1));
        assert_failure(&run, "option clip is an integer; wanted is a boolean");
        module_host_run(host, &run, "noise", "ss{sd}", in, out, "amount", 0.1);
        assert_failure(&run, "option amount has no meaning with the mode gaussian");
        module_host_run(host, &run, "noise", "ss{sssd}", in, out, "mode", "salt", "salt_vs_pepper", 0.1);
        assert_failure(&run, "option salt_vs_pepper has no meaning with the mode salt");
}

static void test_wrong_local_vars(void **state)
{
        struct module_run run;

        write_grey(2, 3, 8);
        module_host_run(host, &run, "noise", "ss{ss}", in, out, "mode", "localvar");
        assert_failure(&run, "the mode localvar wants the option local_vars");
        module_host_run(host, &run, "noise", "ss{sssd}", in, out, "mode", "localvar", "local_vars", 0.1);
        assert_failure(&run, "option local_vars is a number; wanted is an array");
        module_host_run(host, &run, "noise", "ss{sss[d]}", in, out, "mode", "localvar", "local_vars", 0.1);
        assert_failure(&run,
                       "local_vars has 1 numbers; wanted is one for each of the 4 pixels, or one for each of "
                       "their 3 colours");
        module_host_run(host, &run, "noise", "ss{sss[]}", in, out, "mode", "localvar", "local_vars");
        assert_failure(&run, "local_vars has 0 numbers");
        module_host_run(host, &run, "noise", "ss{sss[ds]}", in, out, "mode", "localvar", "local_vars", 0.1,
                        "x");
        assert_failure(&run, "local_vars has a string as element 1");
        module_host_run(host, &run, "noise", "ss{sss[d]}", in, out, "mode", "localvar", "local_vars", -0.1);
        assert_failure(&run, "local_vars has -0.1 as element 0");
}

static void test_cancelled(void **state)
{
        struct module_run run;
        int n = 1;

        write_grey(32, 1, 8);
        do {
                module_host_cancel_after(host, n++);
                module_host_run(host, &run, "noise", "sn{sb}", in, "clip", 0);
                assert_true(run.status == 0 || run.status == -ECANCELED);
                module_run_deinit(&run);
        } while (run.status != 0);
        assert_true(n > 4 * 32); /* it looks in each row: reading, noise twice, writing */
}

static int set_up(void **state)
{
        host = module_host_open(MODULE_PATH);
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
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_gaussian),
                cmocka_unit_test(test_gaussian_is_normal),
                cmocka_unit_test(test_speckle),
                cmocka_unit_test(test_salt_and_pepper),
                cmocka_unit_test(test_salt_falls_everywhere),
                cmocka_unit_test(test_none_and_all),
                cmocka_unit_test(test_localvar),
                cmocka_unit_test(test_same_seed_same_bytes),
                cmocka_unit_test(test_known_samples),
                cmocka_unit_test(test_drawn_seed_is_told_and_repeats),
                cmocka_unit_test(test_without_clip_the_range_is_widened),
                cmocka_unit_test(test_no_noise_changes_nothing),
                cmocka_unit_test(test_wrong_options),
                cmocka_unit_test(test_wrong_local_vars),
                cmocka_unit_test(test_cancelled),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
