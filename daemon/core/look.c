/* SPDX-License-Identifier: MIT */
/*
 * Looking at the core from outside: one task, all tasks of a user, the workers. Nothing here changes
 * anything, and nobody sees what is another user's.
 */
#include "daemon/core/core_private.h"

int core_task(const struct core *core, uint32_t connection, uint64_t id, struct core_record *ret)
{
        const struct peer *peer = peer_at(core, connection);
        const struct task *task = task_find(core, id);
        if (task) {
                if (!peer_sees(peer, user_uid(task->user)))
                        return CORE_UNKNOWN_TASK;
                task_record(core, task, ret);
                return 0;
        }
        if (!history_find(&core->history, id, ret) || !peer_sees(peer, ret->uid))
                return CORE_UNKNOWN_TASK;
        return 0;
}

/* The first unforgotten task with a larger id that the peer sees. */
static const struct task *next_task(const struct core *core, const struct peer *peer, const struct task *task,
                                    uint64_t after)
{
        const struct task *known = task ? NULL : task_find(core, after);
        if (known)
                task = TAILQ_NEXT(known, all);
        else
                task = task ? TAILQ_NEXT(task, all) : TAILQ_FIRST(&core->all_tasks);
        while (task && (task_id(task) <= after || !peer_sees(peer, user_uid(task->user))))
                task = TAILQ_NEXT(task, all);
        return task;
}

void core_tasks(const struct core *core, uint32_t connection, uint64_t after,
                bool (*each)(void *userdata, const struct core_record *), void *userdata)
{
        const struct peer *peer = peer_at(core, connection);
        const struct task *task = next_task(core, peer, NULL, after);
        size_t n = 0, i = 0;
        uint64_t *ids = history_ids(&core->history, peer, after, &n);
        struct core_record record;
        while (task || i < n) {
                if (task && (i == n || task_id(task) < ids[i])) {
                        task_record(core, task, &record);
                        task = next_task(core, peer, task, after);
                } else {
                        history_find(&core->history, ids[i++], &record);
                }
                if (!each(userdata, &record))
                        break;
        }
        free(ids);
}

bool core_worker_status(const struct core *core, uint32_t connection, uint32_t worker,
                        struct core_worker_status *ret)
{
        const struct hand *hand = hand_at(core, worker);
        if (!hand)
                return false;
        const struct run *run = TAILQ_FIRST(&hand->runs);
        *ret = (struct core_worker_status){
                .pool = hand->pool->index,
                .state = hand->state,
                .pid = hand->pid,
                .function = UINT32_MAX,
                .since = hand->since,
                .tasks_done = hand->n_done,
        };
        if (run) {
                ret->task = task_id(run->task);
                ret->visible = peer_sees(peer_at(core, connection), user_uid(run->task->user));
                ret->function = run->task->function;
                ret->since = run->began;
        }
        return true;
}

bool core_worker_runs(const struct core *core, uint32_t worker, struct core_running *ret)
{
        const struct hand *hand = hand_at(core, worker);
        const struct run *run = hand ? TAILQ_FIRST(&hand->runs) : NULL;

        if (!run)
                return false;
        *ret = (struct core_running){.task = task_id(run->task),
                                     .function = run->task->function,
                                     .uid = user_uid(run->task->user)};
        return true;
}

uint32_t core_workers_end(const struct core *core)
{
        return (uint32_t)core->n_hands;
}
