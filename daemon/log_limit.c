/* SPDX-License-Identifier: MIT */
/* Shares of the log. The time is the caller's. */
#include "daemon/log_limit.h"

#define INTERVAL_NS (LOG_LIMIT_INTERVAL_S * INT64_C(1000000000))

bool log_limit_take(struct log_limit *limit, int64_t now)
{
        uint32_t burst = limit->burst > 0 ? limit->burst : LOG_LIMIT_BURST;

        if (limit->since == 0 || now - limit->since >= INTERVAL_NS) {
                limit->since = now;
                limit->n = 0;
        }
        if (limit->n == burst) {
                limit->suppressed++;
                return false;
        }
        limit->n++;
        return true;
}

int64_t log_limit_ends(const struct log_limit *limit)
{
        return limit->since + INTERVAL_NS;
}

struct log_limit *log_limit_of(struct log_limits *limits, uid_t uid)
{
        struct log_limit *limit = &limits->shares[uid % LOG_LIMIT_SHARES];

        limit->burst = limits->burst;
        return limit;
}
