/* SPDX-License-Identifier: MIT */
/*
 * A worker that keeps to the protocol. Every second one shares its area and takes four tasks ahead; the
 * others are sent one at a time.
 */
#include "tests/fuzz/model_worker.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "proto/area.h"
#include "proto/pack.h"
#include "tests/fuzz/in_process.h"
#include "tests/fuzz/must.h"

#define SLOTS       4
#define FIRST_MSGID 1000
#define MOST_FDS    LIMIT_RECV_DESCRIPTORS
#define is(text, data, size_bytes)                                                                           \
        ((size_bytes) == sizeof(text) - 1 && memcmp(data, text, sizeof(text) - 1) == 0)

struct saying {
        struct buffer bytes;
        struct packer packer;
};

static struct packer *say(struct saying *s)
{
        s->bytes = BUFFER_INIT;
        pack_begin(&s->packer, &s->bytes);
        return &s->packer;
}

static void said(struct model_process *w, struct saying *s)
{
        MUST(pack_end(&s->packer) == 0);
        model_process_write(w, buffer_at(&s->bytes), buffer_size(&s->bytes));
        buffer_deinit(&s->bytes);
}

void model_worker_say_hello(struct model_process *w)
{
        struct saying s;
        struct packer *p = say(&s);

        w->uses_area = w->pid % 2 == 0;
        pack_notification(p, "hello", 1);
        pack_map(p, 4);
        pack_str(p, "protocol");
        pack_uint(p, ZYGOTE_PROTOCOL_VERSION);
        pack_str(p, "slots");
        pack_uint(p, w->uses_area ? SLOTS : 0);
        pack_str(p, "area");
        pack_bool(p, w->uses_area);
        pack_str(p, "descriptors");
        pack_bool(p, true);
        said(w, &s);
}

void model_run_free(struct model_process *w, struct model_run *run)
{
        TAILQ_REMOVE(&w->runs, run, link);
        free(run->args);
        free(run);
}

/* -- what gangerd says -- */

static void hear_run(struct model_process *w, struct reader r, bool is_chunk)
{
        struct model_run *run = calloc(1, sizeof *run);
        uint64_t attempt, slot, flags;
        const uint8_t *args;

        MUST(run != NULL);
        run->is_chunk = is_chunk;
        MUST(reader_uint(&r, &run->task) == 0 && reader_uint(&r, &attempt) == 0 &&
             reader_uint(&r, &slot) == 0 && reader_uint(&r, &run->function) == 0 &&
             reader_skip(&r, &args, &run->args_size_bytes, NULL) == 0 && reader_uint(&r, &flags) == 0);
        MUST(!is_chunk || reader_uint(&r, &run->first) == 0);
        MUST(slot < LIMIT_SLOTS && run->function < N_MODEL_FUNCTIONS);
        run->attempt = (uint32_t)attempt;
        run->slot = (uint32_t)slot;
        run->args = malloc(run->args_size_bytes);
        MUST(run->args != NULL);
        memcpy(run->args, args, run->args_size_bytes);
        TAILQ_INSERT_TAIL(&w->runs, run, link);
}

static void answer(struct model_process *, const void *value, size_t size_bytes);

void model_worker_hear(struct model_process *w, const struct envelope *e, uint32_t n_descriptors)
{
        int fds[MOST_FDS];
        struct reader value = e->result;
        const uint8_t *data;
        size_t size_bytes;

        MUST(n_descriptors <= MOST_FDS && fd_queue_take(&w->fds, n_descriptors, fds));
        for (uint32_t i = 0; i < n_descriptors; i++)
                close(fds[i]);
        if (e->type == ENVELOPE_RESPONSE) {
                if (!w->is_asking || e->msgid != FIRST_MSGID + w->n_asked)
                        return;
                w->is_asking = false;
                if (reader_skip(&value, &data, &size_bytes, NULL) == 0 && !w->is_stranger)
                        answer(w, data, n_descriptors > 0 ? 0 : size_bytes);
        } else if (is("run", e->method, e->method_size_bytes)) {
                hear_run(w, e->params, false);
        } else if (is("chunk", e->method, e->method_size_bytes)) {
                hear_run(w, e->params, true);
        } else if (is("stop", e->method, e->method_size_bytes) && TAILQ_EMPTY(&w->runs)) {
                model_process_die(w, 0);
        }
}

/* -- what it answers -- */

static void done(struct model_process *w)
{
        struct model_run *run = TAILQ_FIRST(&w->runs);
        uint64_t claimed = slot_word(run->task, SLOT_CLAIMED);

        if (w->uses_area) {
                uint64_t told = run->task;
                atomic_compare_exchange_strong(&w->area->cancel, &told, 0);
                atomic_compare_exchange_strong(&w->area->slots[run->slot].word, &claimed,
                                               slot_word(run->task, SLOT_DONE));
        }
        w->told = w->is_asking = false;
        model_run_free(w, run);
}

/* size_bytes 0: nil. */
static void answer(struct model_process *w, const void *value, size_t size_bytes)
{
        const struct model_run *run = TAILQ_FIRST(&w->runs);
        struct saying s;
        struct packer *p = say(&s);

        pack_response(p, run->slot);
        pack_array(p, 3);
        pack_uint(p, run->task);
        pack_uint(p, run->attempt);
        if (size_bytes > 0)
                pack_raw(p, value, size_bytes);
        else
                pack_nil(p);
        said(w, &s);
        done(w);
}

static void answer_failure(struct model_process *w, const char *code)
{
        const struct model_run *run = TAILQ_FIRST(&w->runs);
        struct saying s;
        struct packer *p = say(&s);

        pack_error_response(p, run->slot);
        pack_map(p, 4);
        pack_str(p, "task");
        pack_uint(p, run->task);
        pack_str(p, "attempt");
        pack_uint(p, run->attempt);
        pack_str(p, "code");
        pack_str(p, code);
        pack_str(p, "message");
        pack_str(p, "as it was asked to");
        pack_nil(p);
        said(w, &s);
        done(w);
}

static void say_item(struct model_process *w, uint64_t index, bool fails, const uint8_t *value,
                     size_t size_bytes)
{
        const struct model_run *run = TAILQ_FIRST(&w->runs);
        struct saying s;
        struct packer *p = say(&s);

        pack_notification(p, "item", 5);
        pack_uint(p, run->task);
        pack_uint(p, run->attempt);
        pack_uint(p, index);
        if (fails) {
                pack_map(p, 2);
                pack_str(p, "code");
                pack_str(p, "task_failed");
                pack_str(p, "message");
                pack_str(p, "as it was asked to");
                pack_nil(p);
        } else {
                pack_nil(p);
                pack_raw(p, value, size_bytes);
        }
        said(w, &s);
}

static void do_chunk(struct model_process *w)
{
        const struct model_run *run = TAILQ_FIRST(&w->runs);
        struct reader r = reader_over(run->args, run->args_size_bytes);
        const uint8_t *value;
        size_t size_bytes;
        uint32_t n, n_descriptors;

        MUST(reader_array(&r, &n) == 0);
        for (uint32_t i = 0; i < n; i++) {
                MUST(reader_skip(&r, &value, &size_bytes, &n_descriptors) == 0);
                atomic_store(&w->area->slots[run->slot].index, run->first + i);
                atomic_store(&w->area->slots[run->slot].begin_ns, in_process_now());
                if (run->function == MODEL_DIE && i == n / 2)
                        return model_process_die(w, SIGSEGV);
                say_item(w, run->first + i, run->function == MODEL_FAIL || n_descriptors > 0, value,
                         size_bytes);
        }
        answer(w, NULL, 0);
}

static void stream(struct model_process *w, const char *kind)
{
        const struct model_run *run = TAILQ_FIRST(&w->runs);
        struct saying s;
        struct packer *p = say(&s);

        pack_notification(p, "stream", 3);
        pack_uint(p, run->task);
        pack_str(p, kind);
        if (strcmp(kind, "progress") == 0) {
                pack_array(p, 2);
                pack_double(p, 0.5);
                pack_str(p, "half");
        } else if (strcmp(kind, "log") == 0) {
                pack_array(p, 4);
                pack_int(p, 4);
                pack_nil(p);
                pack_int(p, 1);
                pack_str(p, "a line");
        } else {
                pack_bin(p, "text\n", 5);
        }
        said(w, &s);
}

/* The arguments are [method, params]. False: they are not. */
static bool ask(struct model_process *w)
{
        const struct model_run *run = TAILQ_FIRST(&w->runs);
        struct reader r = reader_over(run->args, run->args_size_bytes), params;
        const uint8_t *data;
        const char *method;
        size_t method_size_bytes, size_bytes;
        uint32_t n, n_descriptors;
        struct saying s;
        struct packer *p;

        if (reader_array(&r, &n) < 0 || n != 2 || reader_str(&r, &method, &method_size_bytes) < 0)
                return false;
        params = r;
        if (reader_skip(&r, &data, &size_bytes, &n_descriptors) < 0 || reader_array(&params, &n) < 0 ||
            n_descriptors > 0)
                return false;
        w->n_asked++;
        w->is_asking = true;
        p = say(&s);
        pack_array(p, 4);
        pack_uint(p, 0);
        pack_uint(p, FIRST_MSGID + w->n_asked);
        pack_str_n(p, method, method_size_bytes);
        pack_raw(p, data, size_bytes);
        said(w, &s);
        return true;
}

static void echo(struct model_process *w)
{
        const struct model_run *run = TAILQ_FIRST(&w->runs);
        struct reader r = reader_over(run->args, run->args_size_bytes);
        uint32_t n_descriptors = 0;

        MUST(reader_skip(&r, NULL, NULL, &n_descriptors) == 0);
        answer(w, run->args, n_descriptors > 0 ? 0 : run->args_size_bytes);
}

static void begin(struct model_process *w, struct model_run *run)
{
        run->begun = true;
        if (w->uses_area && !area_claim(w->area, run->slot, run->task, in_process_now())) {
                model_run_free(w, run); /* it was taken back */
                return;
        }
        if (run->is_chunk)
                return do_chunk(w);
        switch ((enum model_function)run->function) {
        case MODEL_ECHO:
                return echo(w);
        case MODEL_FAIL:
                return answer_failure(w, "task_failed");
        case MODEL_HOLD:
                return;
        case MODEL_DIE:
                return model_process_die(w, SIGSEGV);
        case MODEL_TALK:
                stream(w, "stdout");
                stream(w, "stderr");
                stream(w, "progress");
                stream(w, "log");
                return echo(w);
        case MODEL_ASK:
                if (!ask(w))
                        echo(w);
                return;
        case N_MODEL_FUNCTIONS:
                break;
        }
        MUST(!"a function that there is");
}

void model_worker_obey(struct model_process *w)
{
        struct model_run *run = TAILQ_FIRST(&w->runs);

        if (run == NULL)
                return;
        if (!run->begun)
                begin(w, run);
        else if (w->told)
                answer_failure(w, "cancelled");
}
