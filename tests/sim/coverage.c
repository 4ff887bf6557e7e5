/* SPDX-License-Identifier: MIT */
/*
 * What was met, what should have been, and what cannot be. The tables of exceptions are the argument why:
 * each line is a claim about the core, and a line that is wrong fails the run, because what it names was met.
 */
#include "tests/sim/coverage.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#define X(name) #name,
static const char *const operation_names[] = {OPERATION_TABLE(X)};
static const char *const event_names[] = {EVENT_TABLE(X)};
static const char *const fault_names[] = {FAULT_TABLE(X)};
static const char *const task_event_names[] = {TASK_EVENT_TABLE(X)};
static const char *const worker_event_names[] = {WORKER_EVENT_TABLE(X)};
static const char *const shared_names[] = {SHARED_TABLE(X)};
#undef X
#define X(name, text) text,
static const char *const shared_row_names[] = {SHARED_ROW_TABLE(X)};
static const char *const shared_end_names[] = {SHARED_END_TABLE(X)};
#undef X

static const char *const task_state_names[] = {"delayed",  "ready",     "sent",   "running",   "waiting",
                                               "stopping", "succeeded", "failed", "cancelled", "expired"};
static const char *const worker_state_names[] = {"starting", "idle", "busy", "stopping", "killed", "stuck"};
_Static_assert(sizeof(task_state_names) / sizeof(char *) == N_TASK_STATES, "a name for each state");
_Static_assert(sizeof(worker_state_names) / sizeof(char *) == N_WORKER_STATES, "a name for each state");

#define T(name) (UINT32_C(1) << TASK_EVENT_##name)
#define W(name) (UINT32_C(1) << WORKER_EVENT_##name)

struct exception {
        unsigned state;
        uint32_t events; /* a set */
        bool rare;       /* it can be, but so seldom that no number of seeds is sure to meet it */
        const char *why;
};

#define SENDING (T(send) | T(send_refused))
#define TAKING  (T(take_back_won) | T(take_back_lost))
#define AFTER_LIFE                                                                                           \
        (SENDING | TAKING | T(tell) | T(worker_lost) | T(cancel_request) | T(client_gone) | T(stop) |        \
         T(ask) | T(parent_over))

static const struct exception task_exceptions[] = {
        {TASK_DELAYED, SENDING | TAKING | T(tell) | T(worker_lost), false, "it is at no worker"},
        {TASK_READY, T(tell), false, "of a map too: what is told has begun"},
        {TASK_SENT, SENDING, false, "it is at a worker already"},
        {TASK_SENT, T(tell), false, "it is taken back, or has begun"},
        {TASK_DELAYED, T(ask), false, "it does not run"},
        {TASK_READY, T(ask), false, "it does not run"},
        {TASK_SENT, T(ask), false, "what comes from its worker then is of another task"},
        {TASK_WAITING, SENDING, false, "it runs"},
        {TASK_WAITING, TAKING | T(tell), false, "it has begun; its state changes before the operation"},
        {TASK_STOPPING, SENDING, false, "nothing more of it begins"},
        {TASK_STOPPING, TAKING, false, "what had not begun was taken back at the verdict"},
        {TASK_STOPPING, T(cancel_request), true, "who gives up again what has got a verdict by another"},
        {TASK_SUCCEEDED, AFTER_LIFE, false, "it is at no worker, and no request waits for it"},
        {TASK_FAILED, AFTER_LIFE, false, "it is at no worker, and no request waits for it"},
        {TASK_CANCELLED, AFTER_LIFE, false, "it is at no worker, and no request waits for it"},
        {TASK_EXPIRED, AFTER_LIFE, false, "it is at no worker, and no request waits for it"},
};

#define GIVING   (W(send) | W(send_refused))
#define GETTING  (W(take_back_won) | W(take_back_lost))
#define SPEAKING (W(hello) | W(result) | W(item) | W(stream) | W(ask))

static const struct exception worker_exceptions[] = {
        {WORKER_STARTING, GIVING | GETTING | W(tell), false, "it has nothing before its hello"},
        {WORKER_STARTING, W(bad) | W(kill) | W(stop), false, "its state changes before the operation"},
        {WORKER_IDLE, GETTING | W(tell), false, "it has nothing"},
        {WORKER_IDLE, W(bad) | W(kill) | W(stop), false, "its state changes before the operation"},
        {WORKER_BUSY, W(bad) | W(kill) | W(stop), false, "its state changes before the operation"},
        {WORKER_STOPPING, GIVING, false, "it gets nothing more"},
        {WORKER_STOPPING, W(take_back_won), false, "what was ahead came back at the verdict"},
        {WORKER_STOPPING, W(take_back_lost) | W(tell), true, "two verdicts on one worker's tasks"},
        {WORKER_STOPPING, W(bad) | W(kill), false, "its state changes before the operation"},
        {WORKER_KILLED, GIVING | W(tell) | W(stop), false, "nothing more is sent to it"},
        {WORKER_KILLED, W(take_back_won), true, "a task sent to a worker that stopped reading at once"},
        {WORKER_STUCK, SPEAKING, false, "it does not run, and what it had said was read in the 5 s before"},
        {WORKER_STUCK, W(renew), true, "its pool is renewed just then"},
        {WORKER_STUCK, W(take_back_won), true, "a task sent to a worker that stopped reading at once"},
        {WORKER_STUCK, GIVING | W(tell) | W(stop) | W(kill) | W(bad), false,
         "all was done when it was killed"},
};

#define HAVING (UINT32_C(1) << SHARED_HOLD | UINT32_C(1) << SHARED_LEASE)

static const struct exception shared_exceptions[] = {
        {END_TIME_OVER, HAVING, false, "what one has, one has for as long as one likes"},
        {END_TIME_OVER, UINT32_C(1) << SHARED_MEMORY, false, "it has no timeout"},
        {END_GIVEN_UP, HAVING, false, "it is no request any more"},
        {END_STOPPED, HAVING, false, "it is no request any more"},
};

static const struct exception *find_exception(const struct exception *table, size_t n, unsigned state,
                                              unsigned event)
{
        for (size_t i = 0; i < n; i++)
                if (table[i].state == state && (table[i].events >> event & 1))
                        return &table[i];
        return NULL;
}

static void print_list(const char *title, const char *const *names, const uint64_t *counts, unsigned n)
{
        printf("%s:\n", title);
        for (unsigned i = 0; i < n; i++)
                printf("  %-26s %12" PRIu64 "%s", names[i], counts[i], i % 2 && i + 1 < n ? "\n" : "");
        putchar('\n');
}

static void print_grid(const char *title, const char *const *rows, unsigned n_rows,
                       const char *const *columns, unsigned n_columns, const uint64_t *cells,
                       const struct exception *table, size_t n_table)
{
        printf("%s (·: cannot be, or hardly ever):\n%18s", title, "");
        for (unsigned r = 0; r < n_rows; r++)
                printf(" %9s", rows[r]);
        putchar('\n');
        for (unsigned c = 0; c < n_columns; c++) {
                printf("  %-16s", columns[c]);
                for (unsigned r = 0; r < n_rows; r++) {
                        uint64_t n = cells[r * n_columns + c];
                        if (n == 0 && find_exception(table, n_table, r, c))
                                printf(" %10s", "·"); /* two bytes, one column */
                        else
                                printf(" %9" PRIu64, n);
                }
                putchar('\n');
        }
}

#define TASK_TABLE        task_exceptions, sizeof(task_exceptions) / sizeof(*task_exceptions)
#define SHARED_EXCEPTIONS shared_exceptions, sizeof(shared_exceptions) / sizeof(*shared_exceptions)
#define WORKER_TABLE      worker_exceptions, sizeof(worker_exceptions) / sizeof(*worker_exceptions)

void coverage_print(const struct coverage *c)
{
        print_list("operations", operation_names, c->operations, N_OPERATIONS);
        print_list("events", event_names, c->events, N_EVENTS);
        print_list("faults", fault_names, c->faults, N_FAULTS);
        print_grid("task state × event", task_state_names, N_TASK_STATES, task_event_names, N_TASK_EVENTS,
                   c->tasks[0], TASK_TABLE);
        print_grid("worker state × event", worker_state_names, N_WORKER_STATES, worker_event_names,
                   N_WORKER_EVENTS, c->workers[0], WORKER_TABLE);
        print_list("shared objects", shared_names, c->shared, N_SHARED);
        print_grid("what an owner was about × its end", shared_end_names, N_SHARED_ENDS, shared_row_names,
                   N_SHARED_ROWS, c->ends[0], SHARED_EXCEPTIONS);
}

static unsigned judge_list(const char *what, const char *const *names, const uint64_t *counts, unsigned n)
{
        unsigned ret = 0;

        for (unsigned i = 0; i < n; i++) {
                if (counts[i])
                        continue;
                printf("never met: %s %s\n", what, names[i]);
                ret++;
        }
        return ret;
}

static unsigned judge_grid(const char *what, const char *const *rows, unsigned n_rows,
                           const char *const *columns, unsigned n_columns, const uint64_t *cells,
                           const struct exception *table, size_t n_table)
{
        unsigned ret = 0;

        for (unsigned r = 0; r < n_rows; r++) {
                for (unsigned c = 0; c < n_columns; c++) {
                        const struct exception *exception = find_exception(table, n_table, r, c);
                        uint64_t n = cells[r * n_columns + c];
                        if (exception ? exception->rare || n == 0 : n > 0)
                                continue;
                        ret++;
                        if (exception)
                                printf("met and cannot be: %s %s × %s (%s)\n", what, rows[r], columns[c],
                                       exception->why);
                        else
                                printf("never met: %s %s × %s\n", what, rows[r], columns[c]);
                }
        }
        return ret;
}

unsigned coverage_judge(const struct coverage *c)
{
        return judge_list("operation", operation_names, c->operations, N_OPERATIONS) +
               judge_list("event", event_names, c->events, N_EVENTS) +
               judge_list("fault", fault_names, c->faults, N_FAULTS) +
               judge_grid("task", task_state_names, N_TASK_STATES, task_event_names, N_TASK_EVENTS,
                          c->tasks[0], TASK_TABLE) +
               judge_grid("worker", worker_state_names, N_WORKER_STATES, worker_event_names, N_WORKER_EVENTS,
                          c->workers[0], WORKER_TABLE) +
               judge_list("shared", shared_names, c->shared, N_SHARED) +
               judge_grid("shared", shared_end_names, N_SHARED_ENDS, shared_row_names, N_SHARED_ROWS,
                          c->ends[0], SHARED_EXCEPTIONS);
}
