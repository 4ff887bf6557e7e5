/* SPDX-License-Identifier: MIT */
/*
 * The worker's loop: read a message, claim the task by compare-and-swap, run it, end what it left behind,
 * answer. gangerd is believed here: a message from it that makes no sense ends the worker.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/crash.h"
#include "daemon/worker/strays.h"
#include "daemon/worker/words.h"
#include "daemon/worker/worker.h"

#define SHORT_RUN_NS 2000

int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

bool run_is_cancelled(const struct run *run)
{
        return atomic_load_explicit(&run->worker->area->cancel, memory_order_acquire) == run->id;
}

int run_fail(struct run *run, const char *code, const char *format, va_list ap)
{
        if (run->failed) /* the first word counts */
                return 1;
        snprintf(run->code, sizeof(run->code), "%s", code ? code : "task_failed");
        vsnprintf(run->message, sizeof(run->message), format, ap);
        text_mend(run->code);
        text_mend(run->message);
        run->has_detail = answer_is_whole(run, 0);
        run->failed = true;
        return 1;
}

int run_failf(struct run *run, const char *code, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        int r = run_fail(run, code, format, ap);
        va_end(ap);
        return r;
}

bool run_take_one_credit(struct run *run, const struct envelope *envelope)
{
        struct reader params = envelope->params;
        uint64_t task, bytes;

        if (envelope->type != ENVELOPE_NOTIFICATION || !envelope_is(envelope, "credit"))
                return false;
        if (reader_uint(&params, &task) == 0 && reader_uint(&params, &bytes) == 0 && task == run->id &&
            bytes <= INT32_MAX)
                run->credit_bytes += (int64_t)bytes;
        return true;
}

static void take_credit(void *userdata, const struct envelope *envelope)
{
        run_take_one_credit(userdata, envelope);
}

int run_take_credit(struct run *run)
{
        return inbox_look(&run->worker->inbox, take_credit, run);
}

/* What run() returned, as an answer. */
static void run_judge(struct run *run, int r)
{
        const char *name = run->function->name, *takes = run->function->function->summary;
        char note[CONFINE_NOTE_BYTES];

        if (r == 0 || run->failed)
                return;
        if (run->packer.error == -EMSGSIZE)
                return; /* answer.c says so */
        if (r > 0 && run->was_refused) {
                const struct refusal *refusal = &run->worker->refusal;
                run_failf(run, *refusal->function_code ? refusal->function_code : refusal->code, "%s",
                          refusal->message);
        } else if (r == -ECANCELED && run_is_cancelled(run))
                run_failf(run, "cancelled", "%s was told to end", name);
        else if (r == -ENODATA || r == -EINVAL)
                run_failf(run, NULL, "%s: an argument is %s; it takes: %s", name,
                          r == -ENODATA ? "missing" : "of a wrong type or value",
                          takes ? takes : "(it does not say)");
        else if (r == -ENOMEM)
                run_failf(run, NULL, "%s: %s%s", name, strerror(ENOMEM),
                          confine_note(&run->worker->pool->confinement, note));
        else if (r < 0)
                run_failf(run, NULL, "%s: %s", name, strerror(-r));
        else
                run_failf(run, NULL, "%s: it returned %d without saying what failed (a fault of the module)",
                          name, r);
}

static void end_strays(struct worker *worker, uint64_t task)
{
        worker->unlooked_task = 0;
        if (strays_end())
                return;
        /* Nobody can kill them; when we are gone they are gangerd's, which says so. */
        fprintf(stderr, "ganger-zygote: task %llu left processes behind that cannot be killed\n",
                (unsigned long long)task);
        worker->leaving = true;
}

static bool was_short(const struct run *run)
{
        return run->ended_ns - run->called_ns < SHORT_RUN_NS;
}

/* The kernel takes longer to make a process than a short run lasts, so what many of them left behind, which
 * is nothing, is looked for once: to look costs more than they do. */
static void end_what_is_left(struct run *run)
{
        if (was_short(run))
                run->worker->unlooked_task = run->id;
        else
                end_strays(run->worker, run->id);
}

/* Calls the function and ends what it left behind. */
static void run_function(struct run *run)
{
        run->failed = run->has_detail = false;
        run->progress_at_ns = 0;
        request_forget(run);
        answer_begin(run);
        crash_at(run);
        words_at(run);
        errno = 0; /* what it is in a crash tells what went wrong before */
        int r = run->function->function->run(&run->task);
        run->ended_ns = now_ns();
        run_judge(run, r);
        words_at(NULL);
        crash_at(NULL);
        request_forget(run);
        for (size_t i = 0; i < run->n_opened; i++)
                close(run->opened[i]);
        run->n_opened = 0;
        mapped_free(&run->mapped);
        end_what_is_left(run);
}

/* Before the answer, for a close may wait for as long as the descriptor's sender likes: it is his task then
 * that has not ended, and no other one waits behind it. Nor does one wait until a large value is freed, some
 * 10 ms for 128 MiB: gangerd, which closes it last, does that beside its loop. */
static void close_args(struct run *run)
{
        for (; run->n_fds > 0; run->n_fds--)
                if (run->fds[run->n_fds - 1] >= 0)
                        close(run->fds[run->n_fds - 1]);
}

/* The word must not end the same task's next attempt or chunk, which may come to this worker. */
static void forget_cancel(struct run *run)
{
        uint64_t expected = run->id;

        if (run_is_cancelled(run)) /* looked at first: to write is to take it from gangerd's processor */
                atomic_compare_exchange_strong(&run->worker->area->cancel, &expected, 0);
}

static int run_single(struct run *run)
{
        bool is_light;

        run_function(run);
        is_light = was_short(run) && run->n_fds == 0 && !run->opened;
        close_args(run);
        forget_cancel(run);
        if (is_light)
                run->worker->latest_ns = run->ended_ns;
        return answer_send(run);
}

/* To read the clock takes as long as a short run: the next begins when the last has ended, if nothing but its
 * answer lies between. */
static int64_t begin_ns(struct worker *worker)
{
        int64_t ns = worker->latest_ns;

        worker->latest_ns = 0;
        return ns != 0 ? ns : now_ns();
}

/* The reader stands on an item: an array of one call's arguments. */
static int run_item(struct run *run, struct reader *items, uint64_t index)
{
        struct area_slot *slot = &run->worker->area->slots[run->slot];
        const uint8_t *data;
        size_t size_bytes;
        uint32_t n_fds, n_args, next_fd = run->next_fd;

        if (reader_skip(items, &data, &size_bytes, &n_fds) < 0)
                return -EBADMSG;
        run->args = reader_over(data, size_bytes);
        if (reader_array(&run->args, &n_args) < 0)
                return -EBADMSG;
        atomic_store_explicit(&slot->index, index, memory_order_release);
        run->called_ns = now_ns();
        atomic_store_explicit(&slot->begin_ns, run->called_ns, memory_order_release);
        run_function(run);
        run->next_fd = next_fd + n_fds;
        return answer_send_item(run, index);
}

static int run_chunk(struct run *run, uint64_t first, uint32_t n_items)
{
        struct reader items = run->args;
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < n_items && !run_is_cancelled(run) && !run->worker->leaving; i++)
                r = run_item(run, &items, first + i);
        if (r < 0)
                return r;
        close_args(run);
        run->failed = run->has_detail = false;
        answer_begin(run);
        pack_nil(&run->packer);
        if (!reader_at_end(&items) || run_is_cancelled(run)) {
                answer_begin(run);
                run_failf(run, "cancelled", "%s was told to end before all items were dealt with",
                          run->function->name);
        }
        forget_cancel(run);
        return answer_send(run);
}

/* A close of it never waits: what is in a memfd or a pipe is ours alone to free. */
static bool is_closed_at_once(int fd)
{
        return fcntl(fd, F_GET_SEALS) >= 0 || fcntl(fd, F_GETPIPE_SZ) >= 0;
}

/* The task was taken back, so gangerd knows of nothing that we do: if a close of its descriptors hung nobody
 * would notice, and others' tasks would wait behind it. Then it is our end that closes them, which gangerd is
 * shown before. */
static void drop_taken_back(struct worker *worker, struct message *message)
{
        for (uint32_t i = 0; i < message->n_fds; i++)
                worker->leaving |= !is_closed_at_once(message->fds[i]);
        if (!worker->leaving)
                return;
        message->n_fds = 0;
        shutdown(worker->inbox.fd, SHUT_RDWR);
}

/* What both messages begin with, up to the arguments. */
static int run_parse(struct run *run, struct reader *params)
{
        uint64_t attempt, slot, function;
        struct worker *worker = run->worker;

        if (reader_uint(params, &run->id) < 0 || reader_uint(params, &attempt) < 0 ||
            reader_uint(params, &slot) < 0 || reader_uint(params, &function) < 0)
                return -EBADMSG;
        if (run->id >= LIMIT_TASK_ID || slot >= worker->area->n_slots ||
            function >= worker->pool->n_functions)
                return -EBADMSG;
        run->attempt = (uint32_t)attempt;
        run->slot = (unsigned)slot;
        run->function = &worker->pool->functions[function];
        run->task.state = run->function->owner->state;
        return 0;
}

/* The arguments, and what comes behind them. */
static int args_parse(struct run *run, struct reader *params, bool is_chunk, uint32_t *ret_n,
                      uint64_t *ret_first)
{
        const uint8_t *data;
        size_t size_bytes;

        if (reader_skip(params, &data, &size_bytes, NULL) < 0)
                return -EBADMSG;
        run->args = reader_over(data, size_bytes);
        if (reader_array(&run->args, ret_n) < 0 || reader_uint(params, &run->flags) < 0)
                return -EBADMSG;
        *ret_first = 0;
        return is_chunk && reader_uint(params, ret_first) < 0 ? -EBADMSG : 0;
}

static int run_message(struct worker *worker, struct message *message, bool is_chunk)
{
        struct run run;
        struct area_slot *slot;
        struct reader params = message->envelope.params;
        uint64_t first, expected;
        uint32_t n;
        int r;

        /* Not the texts: clearing them would cost more than all the rest. */
        memset(&run, 0, offsetof(struct run, code));
        run.task.api = &worker_api;
        run.worker = worker;
        run.credit_bytes = LIMIT_STREAM_CREDIT_BYTES;
        run.fds = message->fds;
        run.n_fds = message->n_fds;
        run.is_item = is_chunk;
        r = run_parse(&run, &params);
        if (r == 0)
                r = args_parse(&run, &params, is_chunk, &n, &first);
        if (r < 0)
                return r;

        slot = &worker->area->slots[run.slot];
        atomic_store_explicit(&slot->index, first, memory_order_relaxed);
        run.began_ns = run.called_ns = run.ended_ns = begin_ns(worker);
        if (!area_claim(worker->area, run.slot, run.id, run.began_ns)) {
                drop_taken_back(worker, message);
                return 0;
        }
        r = is_chunk ? run_chunk(&run, first, n) : run_single(&run);
        message->n_fds = run.n_fds;
        free(run.opened);

        /* Only if it is still ours: with the answer gangerd may have given the slot to the next task. */
        expected = slot_word(run.id, SLOT_CLAIMED);
        atomic_compare_exchange_strong(&slot->word, &expected, slot_word(run.id, SLOT_DONE));
        return r;
}

/* 0; -errno; 1: stop. */
static int handle(struct worker *worker, struct message *message)
{
        const struct envelope *envelope = &message->envelope;

        if (envelope->type == ENVELOPE_REQUEST && envelope_is(envelope, "run"))
                return run_message(worker, message, false);
        if (envelope->type == ENVELOPE_REQUEST && envelope_is(envelope, "chunk"))
                return run_message(worker, message, true);
        if (envelope->type == ENVELOPE_NOTIFICATION && envelope_is(envelope, "stop"))
                return 1;
        /* The task that it was for has ended meanwhile. */
        if (envelope->type == ENVELOPE_RESPONSE || envelope_is(envelope, "credit") ||
            envelope_is(envelope, "stream"))
                return 0;
        return -EBADMSG;
}

int worker_serve(struct worker *worker)
{
        struct message message;
        int r = 0;

        while (r == 0 && !worker->leaving) {
                if (worker->unlooked_task != 0 && inbox_is_empty(&worker->inbox))
                        end_strays(worker, worker->unlooked_task);
                uint64_t read_bytes = worker->inbox.stream_at;
                r = inbox_next(&worker->inbox, &message);
                if (r != 0)
                        break;
                if (worker->inbox.stream_at != read_bytes)
                        worker->latest_ns = 0;
                r = handle(worker, &message);
                inbox_done(&worker->inbox, &message);
        }
        return r < 0 ? r : 0;
}
