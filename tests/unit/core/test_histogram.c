/* SPDX-License-Identifier: MIT */
/* What comes out of a histogram is within 3 % of what went in. */
#include <stdlib.h>

#include "daemon/core/histogram.h"
#include "tests/unit/cmocka_includes.h"

#define N 20000

static struct histogram histogram;

static int set_up(void **state)
{
        histogram = (struct histogram){0};
        return 0;
}

static int compare(const void *a, const void *b)
{
        const int64_t *x = a, *y = b;
        return (*x > *y) - (*x < *y);
}

static void assert_close(int64_t got, int64_t wanted)
{
        int64_t error = got > wanted ? got - wanted : wanted - got;
        if (error * 100 > wanted * 3 && error > 32)
                fail_msg("%lld is not within 3 %% of %lld", (long long)got, (long long)wanted);
}

static void test_empty_is_zero(void **state)
{
        assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
        assert_int_equal(histogram_quantile(&histogram, 1), 0);
}

/* Every size from 32 ns to 39 h, 97 steps an octave. */
static void test_one_duration_comes_back(void **state)
{
        for (double duration = 32; duration < 0x1p47; duration *= 1.00717) {
                histogram = (struct histogram){0};
                histogram_add(&histogram, (int64_t)duration, 3);
                assert_close(histogram_quantile(&histogram, 0.5), (int64_t)duration);
                assert_true(histogram_quantile(&histogram, 1) <= (int64_t)duration);
        }
}

static void test_quantiles_of_many(void **state)
{
        static int64_t durations[N];
        static const double shares[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999};
        double duration = 1000;
        int64_t sum = 0;
        for (size_t i = 0; i < N; i++) {
                durations[i] = (int64_t)duration + (int64_t)(i * 7919 % 1000);
                duration = duration > 1e12 ? 1000 : duration * 1.0013;
                sum += durations[i];
                histogram_add(&histogram, durations[i], 1);
        }
        qsort(durations, N, sizeof(durations[0]), compare);
        for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
                assert_close(histogram_quantile(&histogram, shares[i]), durations[(size_t)(shares[i] * N)]);
        assert_int_equal(histogram.n, N);
        assert_int_equal(histogram.sum_ns, sum);
        assert_int_equal(histogram.max_ns, durations[N - 1]);
}

static void test_edges(void **state)
{
        histogram_add(&histogram, -5, 1);
        assert_int_equal(histogram_quantile(&histogram, 1), 0);
        histogram_add(&histogram, INT64_MAX, 1);
        assert_int_equal(histogram.max_ns, INT64_MAX);
        assert_true(histogram_quantile(&histogram, 1) >= INT64_C(1) << 46);
        histogram_add(&histogram, 5, 0);
        assert_int_equal(histogram.n, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_empty_is_zero, set_up),
                cmocka_unit_test_setup(test_one_duration_comes_back, set_up),
                cmocka_unit_test_setup(test_quantiles_of_many, set_up),
                cmocka_unit_test_setup(test_edges, set_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
