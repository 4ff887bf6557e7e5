/* SPDX-License-Identifier: MIT */
/*
 * What is known of a function: how long it takes, as a moving mean that weighs the latest run by one eighth.
 * One that was held up (its worker had no processor for milliseconds) counts for little, or on a busy machine
 * nothing would be sent ahead; what truly takes longer from now on doubles the mean each time. Owned by its
 * pool. Mean and samples are at least 1 ns, for 0 says "not measured yet".
 */
#include "daemon/core/core_private.h"

#define OUTLIER 8 /* times the mean: as much counts as more */

/* So much memory only for what is used. Without it nothing is recorded. */
static struct function_times *times_of(struct function *function)
{
        if (!function->times)
                function->times = calloc(1, sizeof(*function->times));
        return function->times;
}

void function_record_run(struct function *function, int64_t run_time)
{
        if (times_of(function))
                histogram_add(&function->times->run, run_time, 1);
}

void function_record_wait(struct function *function, int64_t wait)
{
        if (times_of(function))
                histogram_add(&function->times->wait, wait, 1);
}

void function_measure(struct function *function, int64_t run_time, uint64_t n)
{
        if (times_of(function))
                histogram_add(&function->times->run, run_time, n);
        if (run_time < 1)
                run_time = 1;
        if (function->mean_ns && run_time > OUTLIER * function->mean_ns)
                run_time = OUTLIER * function->mean_ns;
        if (function->mean_ns == 0)
                function->mean_ns = run_time;
        else
                function->mean_ns += (run_time - function->mean_ns) / 8;
        if (function->mean_ns < 1)
                function->mean_ns = 1;
}

void hand_measure_end(struct hand *hand)
{
        if (hand->batch.n)
                function_measure(&hand->pool->functions[hand->batch.function],
                                 hand->batch.ns / (int64_t)hand->batch.n, hand->batch.n);
        hand->batch.n = 0;
}

void hand_measure(struct hand *hand, uint32_t function, int64_t run_time, uint64_t n)
{
        if (run_time == 0 && hand->batch.n) {
                if (function == hand->batch.function)
                        hand->batch.n += n;
                return;
        }
        hand_measure_end(hand);
        hand->batch.function = function;
        hand->batch.ns = run_time;
        hand->batch.n = n;
}

struct function *task_function(const struct core *core, const struct task *task)
{
        struct pool *pool = task_pool(core, task);
        assert(task->function < pool->n_functions);
        return &pool->functions[task->function];
}

int core_function_add(struct core *core, uint32_t pool_index, uint32_t *ret_function)
{
        struct pool *pool = pool_at(core, pool_index);
        assert(pool);
        struct function *functions = realloc(pool->functions, (pool->n_functions + 1) * sizeof(*functions));
        if (!functions)
                return -ENOMEM;
        pool->functions = functions;
        functions[pool->n_functions] = (struct function){0};
        *ret_function = pool->n_functions++;
        return 0;
}

void functions_free(struct pool *pool)
{
        for (uint32_t i = 0; i < pool->n_functions; i++)
                free(pool->functions[i].times);
        free(pool->functions);
}

static struct core_times describe(const struct histogram *histogram)
{
        return (struct core_times){
                .n = histogram->n,
                .sum_ns = histogram->sum_ns,
                .p50_ns = histogram_quantile(histogram, 0.5),
                .p90_ns = histogram_quantile(histogram, 0.9),
                .p99_ns = histogram_quantile(histogram, 0.99),
                .max_ns = histogram->max_ns,
        };
}

bool core_function_times(const struct core *core, uint32_t pool_index, uint32_t function,
                         struct core_times *ret_wait, struct core_times *ret_run)
{
        const struct pool *pool = pool_at(core, pool_index);
        assert(function < pool->n_functions);
        const struct function_times *times = pool->functions[function].times;
        if (!times)
                return false;
        *ret_wait = describe(&times->wait);
        *ret_run = describe(&times->run);
        return true;
}
