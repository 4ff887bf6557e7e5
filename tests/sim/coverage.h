/* SPDX-License-Identifier: MIT */
/*
 * What the runs have met: how often each operation, each event, each fault, and each cell of (task state ×
 * event) and (worker state × event). One object over all seeds of a process. A cell that cannot be reached is
 * listed in coverage.c with the reason; a reachable one that was never met fails the ordinary run, and so
 * does an unreachable one that was met.
 */
#ifndef SIM_COVERAGE_H
#define SIM_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/core_look.h"

/* clang-format off */
/* The operations of struct core_ops. */
#define OPERATION_TABLE(X)                                                                                  \
        X(spawn) X(kill_zygote) X(send) X(take_back) X(read_slot) X(tell) X(kill) X(stop) X(credit)         \
        X(answer_result) X(answer_record) X(answer_states) X(answer_map) X(answer_refusal) X(item)          \
        X(stream) X(stream_tail) X(tail_keep) X(tail_shrink) X(tail_drop) X(keep) X(drop) X(collect) X(collect_drop)       \
        X(store) X(random) X(note) X(answer_done) X(connection_over) X(rss) X(answer_shared) X(in_group)

/* What is done to the core by its functions, and what they refused. */
#define EVENT_TABLE(X)                                                                                      \
        X(connection_open) X(connection_close) X(connection_output) X(connection_input) X(submit)           \
        X(call) X(map) X(feed) X(more) X(result) X(wait) X(attach) X(cancel) X(cancel_request)              \
        X(map_waits) X(feed_waits)                                                                          \
        X(worker_hello) X(worker_result) X(worker_item) X(worker_stream) X(worker_progress)                 \
        X(worker_bad) X(worker_lost) X(zygote_ready) X(zygote_lost) X(pool_configure) X(core_stop)          \
        X(core_stop_again) X(refused_unknown_task) X(refused_unknown_pool) X(refused_queue_full)            \
        X(refused_quota) X(refused_stopping) X(refused_not_open) X(refused_misuse) X(refused_bad_worker)    \
        X(late_not_ready) X(late_cancelled) X(late_unknown_task) X(late_out_of_memory) X(late_too_large) X(late_quota)            \
        X(join_submit) X(join_call) X(refused_key_conflict) X(task_opens) X(task_opens_not) X(task_submit)          \
        X(task_call) X(task_map) X(task_result) X(task_wait) X(task_attach) X(task_cancel)                  \
        X(task_cancel_request) X(task_asks_item) X(task_depth_2) X(task_depth_3) X(task_depth_4)            \
        X(refused_deadlock) X(refused_nesting) X(refused_cancelled) X(pool_scale) X(pool_pause)             \
        X(pool_resume) X(pool_drain) X(pool_renew) X(pool_await_renewal) X(pool_close) X(pool_reopen)       \
        X(function_add) X(user_over) X(task_shares)

/* What goes wrong. */
#define FAULT_TABLE(X)                                                                                      \
        X(worker_crash) X(worker_exit) X(worker_outside) X(worker_bad_answer) X(worker_bad_item)            \
        X(worker_overdraws) X(worker_says_garbage) X(worker_says_hello_twice) X(worker_scribbles)           \
        X(worker_stops_reading) X(worker_ignores_tell) X(worker_stuck) X(program_waits_for_credit)          \
        X(last_words) X(die_starting) X(die_idle) X(die_claimed) X(die_answered) X(die_between_items)       \
        X(die_with_ahead) X(die_within_operation) X(late_result_after_tell) X(revoked_message_dropped)      \
        X(slot_reused_while_revoked) X(spawn_refused) X(spawn_failed) X(spawn_silent) X(spawn_late)         \
        X(hello_after_zygote) X(zygote_dies) X(reader_slow) X(output_blocked) X(no_memory_keep)             \
        X(no_memory_collect) X(no_memory_send) X(client_gone_with_call) X(client_gone_with_map)             \
        X(stop_with_work) X(task_tried_again) X(item_tried_again) X(lent_place) X(ask_before_death)         \
        X(over_with_children) X(over_while_waiting) X(child_detached) X(child_joined) X(drain_at_once)      \
        X(rss_too_large) X(stop_with_waiting) X(stop_while_paused) X(worker_lies_about_time) X(many_ahead) X(result_too_large)

/* What is done with shared objects, and what came of it. */
#define SHARED_TABLE(X)                                                                                     \
        X(made) X(opened) X(unlinked) X(unlinked_not) X(refused_unknown) X(refused_clash) X(refused_mode)   \
        X(refused_exists) X(refused_quota) X(refused_nesting) X(listed) X(acquired_at_once)                 \
        X(acquired_in_turn) X(acquired_again) X(acquire_not_now) X(abandoned) X(deadlock_of_client)         \
        X(deadlock_of_task) X(deadlock_of_itself) X(released) X(released_in_part) X(released_not_held)      \
        X(condition_waits) X(condition_not_held) X(condition_notified) X(condition_passed_on) X(condition_late) X(notify)          \
        X(event_set) X(event_cleared) X(event_at_once) X(event_in_turn) X(event_not_now)                    \
        X(barrier_passed) X(barrier_not_now) X(barrier_broken) X(barrier_was_broken) X(barrier_reset)       \
        X(barrier_aborted) X(put_at_once) X(put_in_turn) X(put_in_part) X(put_not_now) X(got_at_once)       \
        X(got_in_turn) X(got_by_size) X(got_not_now) X(leased) X(lease_again) X(lease_done)                 \
        X(lease_not_ones_own) X(joined_at_once) X(joined_in_turn) X(join_not_now) X(pipe_left)              \
        X(pipe_taken) X(dict_changed) X(dict_unchanged) X(dict_version) X(dict_looked) X(watch_at_once)     \
        X(watch_in_turn) X(watch_not_now) X(list_pushed) X(list_popped) X(list_set) X(list_version)         \
        X(list_range) X(looked_at_nothing) X(changes_by_size) X(popped_by_size) X(memory_came) X(memory_failed) X(memory_unwanted) X(memory_awaited) X(ticket_number_again)

/* What an owner was about … */
#define SHARED_ROW_TABLE(X)                                                                                 \
        X(ACQUIRE, "waits for lock") X(CONDITION, "in condition") X(EVENT, "waits for event")               \
        X(BARRIER, "at barrier") X(GET, "gets") X(PUT, "puts") X(JOIN, "joins") X(WATCH, "watches") X(MEMORY, "awaits memory")         \
        X(HOLD, "holds lock") X(LEASE, "has lease")
/* … and what ended that. */
#define SHARED_END_TABLE(X)                                                                                 \
        X(CLIENT_GONE, "gone") X(TASK_ENDED, "ended") X(TASK_CANCELLED, "cancelled")                        \
        X(WORKER_LOST, "lost") X(TIME_OVER, "time over") X(GIVEN_UP, "given up") X(UNLINKED, "unlinked") X(STOPPED, "daemon stopped")

/* What happens to one task. */
#define TASK_EVENT_TABLE(X)                                                                                 \
        X(send) X(send_refused) X(take_back_won) X(take_back_lost) X(tell) X(result) X(item) X(stream)      \
        X(worker_lost) X(cancel) X(cancel_request) X(client_gone) X(ask_result) X(ask_wait)                 \
        X(ask_attach) X(stop) X(ask) X(parent_over)

/* What happens to one worker. */
#define WORKER_EVENT_TABLE(X)                                                                               \
        X(hello) X(result) X(item) X(stream) X(lost) X(bad) X(send) X(send_refused) X(take_back_won)        \
        X(take_back_lost) X(tell) X(kill) X(stop) X(zygote_lost) X(core_stop) X(ask) X(renew)

/* clang-format on */
#define X(name) OPERATION_##name,
enum operation { OPERATION_TABLE(X) N_OPERATIONS };
#undef X
#define X(name) EVENT_##name,
enum event { EVENT_TABLE(X) N_EVENTS };
#undef X
#define X(name) FAULT_##name,
enum fault { FAULT_TABLE(X) N_FAULTS };
#undef X
#define X(name) DID_##name,
enum shared_deed { SHARED_TABLE(X) N_SHARED };
#undef X
#define X(name, text) SHARED_##name,
enum shared_row { SHARED_ROW_TABLE(X) N_SHARED_ROWS };
#undef X
#define X(name, text) END_##name,
enum shared_end { SHARED_END_TABLE(X) N_SHARED_ENDS };
#undef X
#define X(name) TASK_EVENT_##name,
enum task_event { TASK_EVENT_TABLE(X) N_TASK_EVENTS };
#undef X
#define X(name) WORKER_EVENT_##name,
enum worker_event { WORKER_EVENT_TABLE(X) N_WORKER_EVENTS };
#undef X

#define N_WORKER_STATES (WORKER_STUCK + 1)

struct coverage {
        uint64_t operations[N_OPERATIONS], events[N_EVENTS], faults[N_FAULTS];
        uint64_t tasks[N_TASK_STATES][N_TASK_EVENTS];
        uint64_t workers[N_WORKER_STATES][N_WORKER_EVENTS];
        uint64_t shared[N_SHARED];
        uint64_t ends[N_SHARED_ENDS][N_SHARED_ROWS];
};

/* Prints all counts. */
void coverage_print(const struct coverage *);
/* Prints what should have been met and was not, and the reverse; returns how many. */
unsigned coverage_judge(const struct coverage *);

#endif
