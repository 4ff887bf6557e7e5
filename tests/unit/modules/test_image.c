/* SPDX-License-Identifier: MIT */
/*
 * The module `image`: the form of pictures, image.gamma against its formula, and all that can be wrong. The
 * noise is tested in test_image_noise.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/module_host.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/modules/picture.h"

static struct module_host *host;
static char directory[] = "/tmp/ganger-image-XXXXXX";
static char in[64], out[64];

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

static uint64_t number(const struct module_run *run, const char *key)
{
        const msgpack_object *value = map_get(&run->result.data, key);

        assert_non_null(value);
        return value->via.u64;
}

/* Every value occurs; alpha is something else than the colours. */
static unsigned ramp(unsigned x, unsigned y, unsigned channel, unsigned max)
{
        return (unsigned)((y * 256 + x) * 131 + channel * 77) & max;
}

static void gamma_and_compare(unsigned channels, unsigned depth, double gamma, double gain)
{
        unsigned max = (1U << depth) - 1, n_colours = channels - (channels % 2 == 0);
        struct picture before = {256, 256, channels, depth, NULL}, after;
        struct module_run run;

        picture_fill(&before, ramp);
        picture_write(&before, in);
        module_host_run(host, &run, "gamma", "ss{sdsd}", in, out, "gamma", gamma, "gain", gain);
        assert_success(&run);
        assert_int_equal(number(&run, "width"), 256);
        assert_int_equal(number(&run, "height"), 256);
        assert_int_equal(number(&run, "channels"), channels);
        assert_int_equal(number(&run, "depth"), depth);
        module_run_deinit(&run);
        picture_read(&after, out);
        assert_int_equal(after.channels, channels);
        assert_int_equal(after.depth, depth);
        for (size_t i = 0; i < (size_t)256 * 256 * channels; i++) {
                double expected = before.samples[i];
                if (i % channels < n_colours)
                        expected = fmin(rint(max * gain * pow(before.samples[i] / (double)max, gamma)), max);
                if (after.samples[i] != (unsigned)expected)
                        fail_msg("%u channels, %u bits, gamma %g, gain %g: %u became %u, not %g", channels,
                                 depth, gamma, gain, before.samples[i], after.samples[i], expected);
        }
        picture_deinit(&before);
        picture_deinit(&after);
}

static void test_gamma(void **state)
{
        for (unsigned depth = 8; depth <= 16; depth += 8) {
                for (unsigned channels = 1; channels <= 4; channels++) {
                        gamma_and_compare(channels, depth, 1, 1);
                        gamma_and_compare(channels, depth, 2.2, 1);
                        gamma_and_compare(channels, depth, 0.45, 1);
                }
                gamma_and_compare(1, depth, 2, 1);
                gamma_and_compare(1, depth, 0, 1);
                gamma_and_compare(1, depth, 1, 0.5);
                gamma_and_compare(1, depth, 1, 3);
                gamma_and_compare(1, depth, 0.5, 0);
        }
}

static void test_few_bits_and_palettes_are_expanded(void **state)
{
        struct module_run run;
        struct picture after;

        picture_write_grey_bits(in, 2); /* the values 0 1 2 3 */
        module_host_run(host, &run, "gamma", "ss", in, out);
        assert_success(&run);
        assert_int_equal(number(&run, "depth"), 8);
        module_run_deinit(&run);
        picture_read(&after, out);
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(after.samples[i], i * 85);
        picture_deinit(&after);

        picture_write_palette(in); /* (10, 20, 30), (40, 50, 60) half transparent */
        module_host_run(host, &run, "gamma", "ss", in, out);
        assert_success(&run);
        assert_int_equal(number(&run, "channels"), 4);
        module_run_deinit(&run);
        picture_read(&after, out);
        static const unsigned expected[] = {10, 20, 30, 255, 40, 50, 60, 128};
        for (unsigned i = 0; i < 8; i++)
                assert_int_equal(after.samples[i], expected[i]);
        picture_deinit(&after);
}

static void test_interlaced_in_and_every_way_out(void **state)
{
        struct picture before = {37, 23, 3, 16, NULL}, after;
        struct module_run run;

        picture_fill(&before, ramp);
        picture_write_interlaced(&before, in);
        int from = open(in, O_RDONLY | O_CLOEXEC);
        int to = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        module_host_run(host, &run, "gamma", "hh", from, to);
        assert_success(&run);
        assert_int_equal(number(&run, "width"), 37);
        module_run_deinit(&run);
        close(from);
        close(to);
        picture_read(&after, out);
        assert_memory_equal(after.samples, before.samples, sizeof(unsigned) * 37 * 23 * 3);

        module_host_run(host, &run, "gamma", "sn", in);
        assert_success(&run);
        assert_int_equal(run.result.data.type, MSGPACK_OBJECT_BIN);
        struct module_run again;
        module_host_run(host, &again, "gamma", "ys", run.result.data.via.bin.ptr,
                        (size_t)run.result.data.via.bin.size, out);
        assert_success(&again);
        module_run_deinit(&again);
        module_run_deinit(&run);
        picture_deinit(&after);
        picture_read(&after, out);
        assert_memory_equal(after.samples, before.samples, sizeof(unsigned) * 37 * 23 * 3);
        picture_deinit(&before);
        picture_deinit(&after);
}

static void test_in_place_through_a_link(void **state)
{
        struct picture picture = {8, 8, 1, 8, NULL};
        struct module_run run;
        struct stat st;
        char link[96];

        picture_fill(&picture, ramp);
        picture_write(&picture, in);
        snprintf(link, sizeof(link), "%s/link", directory);
        assert_int_equal(symlink(in, link), 0);
        module_host_run(host, &run, "gamma", "ss{sd}", link, link, "gamma", 2.0);
        assert_success(&run);
        module_run_deinit(&run);
        assert_int_equal(lstat(link, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(unlink(link), 0);
        picture_deinit(&picture);
        picture_read(&picture, in);
        assert_int_equal(picture.samples[1], lrint(255 * pow(131 / 255.0, 2)));
        picture_deinit(&picture);
}

static void test_no_output_is_left_half(void **state)
{
        struct picture picture = {64, 64, 3, 8, NULL};
        struct module_run run;

        picture_fill(&picture, ramp);
        picture_write(&picture, in);
        picture_deinit(&picture);
        unlink(out);
        int n = 1;
        do { /* cancelled at each place where it looks, until it is not */
                module_host_cancel_after(host, n++);
                module_host_run(host, &run, "gamma", "ss", in, out);
                assert_true(run.status == 0 || run.status == -ECANCELED);
                assert_int_equal(access(out, F_OK), run.status == 0 ? 0 : -1);
                module_run_deinit(&run);
                assert_int_equal(picture_count_files(directory), run.status == 0 ? 2 : 1);
        } while (run.status != 0);
        assert_true(n > 64 * 3);
}

static void test_every_truncation_is_told(void **state)
{
        struct picture picture = {16, 16, 4, 16, NULL};
        struct module_run run;
        size_t size;

        picture_fill(&picture, ramp);
        picture_write(&picture, in);
        picture_deinit(&picture);
        char *png = picture_load(in, &size);
        module_host_run(host, &run, "gamma", "yn", png, (size_t)0);
        assert_failure(&run, "the bytes given is empty");
        for (size_t n = 1; n < size; n++) {
                module_host_run(host, &run, "gamma", "yn", png, n);
                assert_failure(&run, n < 8 ? "is no PNG" : "it ends in the middle of the picture");
        }
        free(png);
}

static void test_every_damaged_byte_is_survived(void **state)
{
        struct picture picture = {16, 16, 3, 8, NULL};
        struct module_run run;
        size_t size;

        picture_fill(&picture, ramp);
        picture_write(&picture, in);
        picture_deinit(&picture);
        char *png = picture_load(in, &size);
        for (size_t at = 0; at < size; at++) {
                for (int bit = 0; bit < 8; bit += 3) {
                        png[at] ^= (char)(1 << bit);
                        module_host_run(host, &run, "gamma", "yn", png, size);
                        assert_true(run.status == 0 || run.status == 1);
                        module_run_deinit(&run);
                        png[at] ^= (char)(1 << bit);
                }
        }
        free(png);
}

static void test_huge_claim_is_refused(void **state)
{
        struct module_run run;
        size_t size;

        picture_write_claim(in, 8193, 8192);
        char *png = picture_load(in, &size);
        module_host_run(host, &run, "gamma", "yn", png, size);
        assert_failure(&run, "is too large: 8193 x 8192 pixels, at most 67108864");
        free(png);
        picture_write_claim(in, 0x7fffffff, 0x7fffffff);
        module_host_run(host, &run, "gamma", "sn", in);
        assert_failure(&run, "is too large: 2147483647 x 2147483647 pixels");
        picture_write_claim(in, 8192, 8192); /* taken, but nothing comes */
        module_host_run(host, &run, "gamma", "sn", in);
        assert_failure(&run, "it ends in the middle of the picture");
}

static void test_what_is_no_picture(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "gamma", "ss", "/nowhere/x.png", out);
        assert_failure(&run, "cannot open \"/nowhere/x.png\": No such file");
        module_host_run(host, &run, "gamma", "ss", directory, out);
        assert_failure(&run, "is a directory");
        module_host_run(host, &run, "gamma", "ys", "GIF89a and more", (size_t)15, out);
        assert_failure(&run, "is no PNG");
}

static void test_what_cannot_be_written(void **state)
{
        struct picture picture = {64, 64, 3, 8, NULL};
        struct module_run run;
        int fds[2];

        picture_fill(&picture, ramp);
        picture_write(&picture, in);
        picture_deinit(&picture);
        module_host_run(host, &run, "gamma", "ss", in, "/nowhere/x.png");
        assert_failure(&run, "\"/nowhere/x.png\": No such file");
        module_host_run(host, &run, "gamma", "ss", in, directory);
        assert_failure(&run, "is a directory");
        module_host_run(host, &run, "gamma", "ss", in, "/dev/null");
        assert_failure(&run, "\"/dev/null\" is no regular file");
        module_host_run(host, &run, "gamma", "ss", in, "");
        assert_failure(&run, "the path of the output is empty");
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        module_host_run(host, &run, "gamma", "sh", in, full);
        assert_failure(&run, "cannot write to the descriptor: No space left");
        close(full);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        close(fds[0]);
        signal(SIGPIPE, SIG_DFL); /* as in a worker */
        module_host_run(host, &run, "gamma", "sh", in, fds[1]);
        assert_failure(&run, "cannot write to the descriptor: Broken pipe");
        close(fds[1]);
}

static void test_wrong_arguments(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "gamma", "");
        assert_failure(&run, "there is no input; wanted is");
        module_host_run(host, &run, "gamma", "s", in);
        assert_failure(&run, "there is no output; wanted is");
        module_host_run(host, &run, "gamma", "si", in, INT64_C(1));
        assert_failure(&run, "the output is an integer");
        module_host_run(host, &run, "gamma", "is", INT64_C(1), out);
        assert_failure(&run, "the input is an integer");
        module_host_run(host, &run, "gamma", "[]s", out);
        assert_failure(&run, "the input is an array");
        module_host_run(host, &run, "gamma", "s{}", in);
        assert_failure(&run, "the output is a map");
        module_host_run(host, &run, "gamma", "ss{sd}", in, out, "gama", 1.0);
        assert_failure(&run, "unknown option \"gama\"; known are: gamma, gain");
        module_host_run(host, &run, "gamma", "ss{sd}", in, out, "gamma", -1.0);
        assert_failure(&run, "option gamma is -1; wanted is a number from 0 to");
        module_host_run(host, &run, "gamma", "ss{sd}", in, out, "gain", (double)NAN);
        assert_failure(&run, "option gain is nan");
        module_host_run(host, &run, "gamma", "ss{ss}", in, out, "gain", "1");
        assert_failure(&run, "option gain is a string; wanted is a number");
        module_host_run(host, &run, "gamma", "ss{}s", in, out, "more");
        assert_failure(&run, "one argument too many");
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
        return rmdir(directory); /* which fails if a temporary file was left */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_gamma),
                cmocka_unit_test(test_few_bits_and_palettes_are_expanded),
                cmocka_unit_test(test_interlaced_in_and_every_way_out),
                cmocka_unit_test(test_in_place_through_a_link),
                cmocka_unit_test(test_no_output_is_left_half),
                cmocka_unit_test(test_every_truncation_is_told),
                cmocka_unit_test(test_every_damaged_byte_is_survived),
                cmocka_unit_test(test_huge_claim_is_refused),
                cmocka_unit_test(test_what_is_no_picture),
                cmocka_unit_test(test_what_cannot_be_written),
                cmocka_unit_test(test_wrong_arguments),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
