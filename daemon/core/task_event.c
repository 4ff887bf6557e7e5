/* SPDX-License-Identifier: MIT */
/*
 * What happens to a task from outside its worker: the verdict (cancelled, its client gone, the daemon stops),
 * its times (due, expires, the end of its ttl), a peer that reads again. And how others see it: its record.
 */
#include "daemon/core/core_private.h"

static void end_unbegun(struct core *core, struct task *task, const struct bad_end *bad)
{
#ifdef SEEDED_BUG_ACCOUNT_RELEASED_TWICE
        if (task->state == TASK_DELAYED && bad->cause == CAUSE_CLIENT)
                user_release(task->user, ACCOUNT_TASKS, 1);
#endif
        task->bad = *bad;
        task_end(core, task, cause_state(bad->cause), PAYLOAD_NONE, 0);
}

bool task_verdict(struct core *core, struct task *task, const struct bad_end *bad)
{
        assert(!TASK_IS_END(task->state));
        if (task->state == TASK_STOPPING)
                return !task->map && run_replace_verdict(task->run, bad);
        if (task->map) {
                bool is_first = task->bad.cause == CAUSE_NONE;
                map_verdict(core, task, bad);
                return is_first;
        } else if (!task->run) {
                end_unbegun(core, task, bad);
        } else {
                struct hand *hand = task->run->hand;
                if (run_take_back(task->run))
                        end_unbegun(core, task, bad);
                else
                        run_verdict(task->run, bad);
                hand_settle(hand);
        }
        return true;
}

/* Whether nothing of it has begun; what was sent ahead is back in the queue then. */
static bool has_not_begun(struct task *task)
{
        if (task->map) {
                struct run *run, *next;
                TAILQ_FOREACH_SAFE (run, &task->map->chunks, of_map, next) {
                        struct hand *hand = run->hand;
                        assert(run->state == RUN_SENT);
                        bool won = run_take_back(run);
                        hand_settle(hand);
                        if (!won)
                                return false;
                }
                return true;
        }
        if (!task->run)
                return true;
        struct hand *hand = task->run->hand;
        bool won = run_take_back(task->run);
        hand_settle(hand);
        return won;
}

static void expire(struct core *core, struct task *task)
{
        const struct bad_end expired = {.cause = CAUSE_EXPIRED, .exit_status = -1};
        if (!has_not_begun(task))
                return;
        if (task->map)
                map_verdict(core, task, &expired);
        else
                end_unbegun(core, task, &expired);
}

void task_on_timer(struct core *core, struct task *task)
{
        enum task_state state = task->state;
        timer_clear(core, &task->timer);
        if (TASK_IS_END(state)) {
                task_forget(core, task);
        } else if (task->map && state == TASK_RUNNING) {
                map_on_timer(core, task);
        } else if (task_expires(task) <= core->now) {
                expire(core, task);
        } else {
                assert(state == TASK_DELAYED && task->due <= core->now);
                if (task->map)
                        pool_count(task_pool(core, task), TASK_DELAYED, TASK_READY, map_n_ready(task->map));
                task_set_state(core, task, TASK_READY);
                if (task->map)
                        map_update(core, task);
        }
}

void task_unhold(struct core *core, struct task *task, struct task *before)
{
        assert(task->place == PLACE_HELD);
        TAILQ_REMOVE(&task->lane->peer->held, task, link);
        task->place = PLACE_NONE;
        if (task->map)
                map_update(core, task);
        else
                queue_put_back_behind(task, task->order, before);
}

void bad_end_record(const struct bad_end *bad, struct core_record *record)
{
        record->cause = bad->cause;
        record->exited_by_signal = bad->exited_by_signal;
        record->exit_status = bad->exit_status;
        record->by_uid = bad->by_uid;
        record->by_pid = bad->by_pid;
        record->max_rss_bytes = (uint64_t)bad->max_rss_kib * 1024;
}

void task_record(const struct core *core, const struct task *task, struct core_record *record)
{
        bool ended = TASK_IS_END(task->state);
        *record = (struct core_record){
                .id = task_id(task),
                .state = task->state,
                .pool = task->pool,
                .function = task->function,
                .label = task_label(task),
                .key = task_key(task),
                .uid = user_uid(task->user),
                .pid = task->pid,
                .priority = task->priority,
                .attempt = task->attempt,
                .retries = task->extra ? task->extra->retries : 0,
                .submitted = task->submitted,
                .due = task->due,
                .started = task->started,
                .ended = ended ? task->ended : 0,
                .expires = task->expires == CORE_NEVER ? 0 : task->expires,
                .timeout = task->timeout,
                .worker = task->run ? task->run->hand->index : UINT32_MAX,
                .worker_pid = task->worker_pid,
                .progress = (double)task->progress,
                .args_size_bytes = task->args_size_bytes,
                .result_size_bytes = task->result_size_bytes,
                .index = UINT64_MAX,
        };
        bad_end_record(&task->bad, record);
        if (task->run && task->run->state == RUN_STOPPING)
                bad_end_record(&task->run->verdict, record);
        if (task->started)
                record->run_time = (ended ? task->ended : core->now) - task->started;
        if (task->state == TASK_SUCCEEDED)
                record->result = task->result;
        else if (ended)
                record->error = task->result;
        if (task->map) {
                const struct map *map = task->map;
                record->is_map = true;
                record->n_items = map->n_fed;
                record->n_items_succeeded = map->n_succeeded;
                record->n_items_failed = map->n_failed;
                record->n_items_running = map->n_items - map->n_succeeded - map->n_failed - map->n_cancelled -
                                          map_n_ready(map) - map->n_waiting;
        }
}
