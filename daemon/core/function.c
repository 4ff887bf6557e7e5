/* SPDX-License-Identifier: MIT */
/*
 * What is known of a function: how long it takes, as a moving mean that weighs the latest run by one eighth.
 * One that was held up (its worker had no processor for milliseconds) counts for little, or on a busy machine
 * nothing would be sent ahead; what truly takes longer from now on doubles the mean each time. Owned by its
 * pool. Mean and samples are at least 1 ns, for 0 says "not measured yet".
 */
#include "daemon/core/core_private.h"

#define OUTLIER 8 /* times the mean: as much counts as more */

void function_measure(struct function *function, int64_t run_time)
{
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
                                 hand->batch.ns / (int64_t)hand->batch.n);
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
