/* SPDX-License-Identifier: MIT */
/*
 * What a running task asks gangerd for: one request at a time, built in a buffer of the worker's, sent, its
 * answer waited for ahead of all else that comes. Its number is the worker's, never used twice, so that an
 * answer which comes after its task gave up, or has ended, is nobody's and is dropped.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/crash.h"
#include "daemon/worker/worker.h"
#include "proto/scan.h"

enum { KEEP_REQUEST_BYTES = 64 << 10 };

void request_forget(struct run *run)
{
        struct worker *worker = run->worker;

        run->put = &run->packer;
        run->reply = reader_over(NULL, 0);
        run->was_refused = false;
        run->next_reply_fd = 0;
        mapped_free(&run->reply_mapped);
        taken_reset(&worker->reply);
        buffer_trim(&worker->reply.bytes, KEEP_REQUEST_BYTES);
}

int request_begin(struct run *run, const char *method, uint32_t n_params)
{
        struct worker *worker = run->worker;

        if (run->failed || getpid() != worker->pid) /* a child that the task forked has no channel */
                return -EPERM;
        buffer_truncate(&worker->request, 0);
        buffer_trim(&worker->request, KEEP_REQUEST_BYTES);
        pack_begin(&run->request, &worker->request);
        pack_request(&run->request, ++worker->last_msgid, method, n_params);
        run->put = &run->request;
        return run->request.error;
}

int request_reserve(struct run *run, size_t size_bytes)
{
        size_t held = buffer_size(&run->worker->request);

        if (run->request.error == 0 &&
            (size_bytes > LIMIT_MESSAGE_BYTES || held + size_bytes > LIMIT_MESSAGE_BYTES))
                run->request.error = -EMSGSIZE;
        return run->request.error;
}

/* 0, or why what was put is no request. */
static int check(const struct run *run)
{
        const struct buffer *request = &run->worker->request;
        struct scan scan;

        if (run->request.error < 0)
                return run->request.error;
        scan_init(&scan, LIMIT_MESSAGE_BYTES);
        if (scan_feed(&scan, buffer_at(request), buffer_size(request)) != SCAN_DONE ||
            scan.at != buffer_size(request) || scan.n_descriptors > 0)
                return -EINVAL;
        return 0;
}

static int send_request(struct worker *worker)
{
        struct iovec iov = {buffer_at(&worker->request), buffer_size(&worker->request)};

        return message_send(worker, &iov, 1, NULL, 0);
}

static enum inbox_fate sort(void *userdata, const struct envelope *envelope)
{
        struct run *run = userdata;

        switch (envelope->type) {
        case ENVELOPE_RESPONSE:
                return envelope->msgid == run->worker->last_msgid ? INBOX_TAKE : INBOX_DROP;
        case ENVELOPE_NOTIFICATION:
                if (run_take_one_credit(run, envelope) || envelope_is(envelope, "stream"))
                        return INBOX_DROP;
                return INBOX_KEEP;
        case ENVELOPE_REQUEST:
                return INBOX_KEEP; /* a task, taken back most likely: its turn to find that out comes later */
        }
        return INBOX_KEEP;
}

/* SIGTERM is let in only while nothing but waiting is done, so that none is missed between the look at the
 * cancel word and the wait. */
static int await(struct run *run)
{
        struct worker *worker = run->worker;
        sigset_t term, before, waiting;
        int r;

        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, &before);
        waiting = before;
        sigdelset(&waiting, SIGTERM);
        do
                r = run_is_cancelled(run) ? -ECANCELED
                                          : inbox_await(&worker->inbox, &waiting, sort, run, &worker->reply);
        while (r == -EINTR);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r == INBOX_END ? -EPIPE : r;
}

static void copy_text(struct reader *reader, char *ret, size_t size_bytes)
{
        const char *text;
        size_t text_size_bytes;

        if (reader_str(reader, &text, &text_size_bytes) == 0)
                snprintf(ret, size_bytes, "%.*s", (int)text_size_bytes, text);
        else
                reader_skip(reader, NULL, NULL, NULL);
}

/* Keeps the error's code and message where they end with a 0 byte. */
static void read_refusal(struct run *run)
{
        struct refusal *refusal = &run->worker->refusal;
        struct reader reader = run->reply;
        const char *key;
        size_t size_bytes;
        uint32_t n;

        *refusal->code = *refusal->function_code = *refusal->message = '\0';
        run->was_refused = true;
        if (reader_map(&reader, &n) < 0)
                return;
        for (; n > 0 && reader_str(&reader, &key, &size_bytes) == 0; n--) {
                if (size_bytes == 4 && memcmp(key, "code", 4) == 0)
                        copy_text(&reader, refusal->code, sizeof(refusal->code));
                else if (size_bytes == 13 && memcmp(key, "function_code", 13) == 0)
                        copy_text(&reader, refusal->function_code, sizeof(refusal->function_code));
                else if (size_bytes == 7 && memcmp(key, "message", 7) == 0)
                        copy_text(&reader, refusal->message, sizeof(refusal->message));
                else
                        reader_skip(&reader, NULL, NULL, NULL);
        }
}

int request_end(struct run *run)
{
        struct worker *worker = run->worker;
        struct envelope envelope;
        int r;

        if (run->put != &run->request)
                return -EPERM;
        request_forget(run);
        r = check(run);
        if (r == 0 && run_is_cancelled(run))
                r = -ECANCELED;
        if (r == 0)
                r = send_request(worker);
        if (r == 0)
                r = await(run);
        if (r == 0)
                r = envelope_parse(&envelope, buffer_at(&worker->reply.bytes),
                                   buffer_size(&worker->reply.bytes), NULL);
        if (r < 0)
                return r;
        run->reply = envelope.result;
        if (reader_nil(&envelope.error))
                return 0;
        run->reply = envelope.error;
        read_refusal(run);
        return 1;
}
