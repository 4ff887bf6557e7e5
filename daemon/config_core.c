/* SPDX-License-Identifier: MIT */
#include "daemon/config_core.h"

#include "daemon/configuration.h"
#include "proto/limits.h"

/* exec kills its program after kill_grace and then answers: its worker is not to be killed just then. */
#define ANSWER_MARGIN (CORE_SECOND / 2)

struct core_config config_core(const struct configuration *c)
{
        return (struct core_config){.history = c->history,
                                    .max_requests = c->max_requests,
                                    .output_limit_bytes = c->output_limit_bytes,
                                    .memory_limit_bytes = c->memory_limit_bytes,
                                    .max_answer_bytes = c->max_message_bytes,
                                    .user_connections = c->user_connections,
                                    .user_tasks = c->user_tasks,
                                    .user_descriptors = c->user_descriptors,
                                    .user_memory_bytes = c->user_memory_bytes,
                                    .user_objects = c->user_objects,
                                    .stop_timeout = c->stop_timeout};
}

struct core_pool_config config_core_pool(const struct configuration *c, const struct pool_configuration *p)
{
        return (struct core_pool_config){.workers = p->workers,
                                         .min_workers = p->min_workers,
                                         .max_workers = p->max_workers,
                                         .idle_timeout = p->idle_timeout,
                                         .nesting_limit = p->nesting_limit,
                                         .max_tasks = p->max_tasks,
                                         .max_rss_bytes = p->max_rss_bytes,
                                         .window = LIMIT_SLOTS,
                                         .queue_limit = p->queue_limit,
                                         .timeout = p->timeout,
                                         .kill_grace = p->kill_grace + ANSWER_MARGIN,
                                         .start_timeout = c->start_timeout};
}

uint32_t config_closer(const struct configuration *c)
{
        return (uint32_t)c->user_descriptors * 2 + LIMIT_DESCRIPTORS;
}

struct core_pool_config config_core_closed(const struct configuration *c)
{
        return (struct core_pool_config){
                .window = 1, .closed = true, .kill_grace = ANSWER_MARGIN, .start_timeout = c->start_timeout};
}
