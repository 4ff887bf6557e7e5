/* SPDX-License-Identifier: MIT */
/*
 * What a worker says. A result is packed into a buffer of its own and leaves, with the head of its message,
 * by one sendmsg without being copied again. In front of the result lie a few bytes that are never sent: each
 * opens an array of one element, so that a scan which begins at the right one of them sees the value as deep
 * as it will lie in the message that carries it to the client.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/worker/crash.h"
#include "daemon/worker/worker.h"
#include "proto/scan.h"
#include "proto/sealed.h"

#define ARRAY_OF_ONE 0x91

/* Arrays and maps around a value on its way: result in [1, slot, nil, [task, attempt, result]]; an item's in
 * the client's [2, "stream", [msgid, "items", [[index, error, value]]]], which is deeper than ours; a detail
 * lies one map deeper. */
enum { OUTER_RESULT = 2, OUTER_ITEM = 4, OUTER_MOST = OUTER_ITEM + 1 };

#define RESULT_MOST_BYTES (LIMIT_MESSAGE_BYTES - (32u << 10)) /* leaves room for what lies around it */

enum { KEEP_RESULT_BYTES = 256 << 10 };

static size_t answer_size(const struct run *run)
{
        size_t held = buffer_size(&run->worker->result);

        return held > OUTER_MOST ? held - OUTER_MOST : 0;
}

/* -- large values beside the message -- */

static void drop_parts(struct worker *worker)
{
        while (worker->n_parts > 0) {
                struct part *part = &worker->parts[--worker->n_parts];
                if (part->address)
                        munmap(part->address, part->size_bytes);
                close(part->fd);
        }
}

static bool takes_part(const struct run *run, size_t size_bytes)
{
        const struct worker *worker = run->worker;
        uint64_t sum = size_bytes;

        if (run->is_item || size_bytes < LIMIT_LARGE_BYTES || worker->n_parts == LIMIT_DESCRIPTORS)
                return false;
        for (uint32_t i = 0; i < worker->n_parts; i++)
                sum += worker->parts[i].size_bytes;
        return sum <= LIMIT_SEALED_BYTES;
}

static void add_part(struct run *run, const struct part *part)
{
        run->worker->parts[run->worker->n_parts++] = *part;
        pack_descriptor(&run->packer, DESCRIPTOR_VALUE, part->size_bytes);
}

void *answer_put_part(struct run *run, size_t size_bytes)
{
        struct part part = {.size_bytes = size_bytes};

        if (!takes_part(run, size_bytes) || sealed_new(size_bytes, &part.fd, &part.address) < 0)
                return NULL;
        add_part(run, &part);
        return run->packer.error == 0 ? part.address : NULL;
}

bool answer_put_sealed(struct run *run, int fd, size_t size_bytes)
{
        struct part part = {.size_bytes = size_bytes};

        if (!takes_part(run, size_bytes))
                return false;
        part.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (part.fd < 0)
                return false;
        add_part(run, &part);
        return true;
}

/* 0 or -errno. */
static int seal_parts(struct worker *worker)
{
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < worker->n_parts; i++) {
                struct part *part = &worker->parts[i];
                if (part->address)
                        r = sealed_finish(part->fd, part->address, part->size_bytes);
                part->address = NULL;
        }
        return r;
}

static void pack_part(struct packer *packer, const struct part *part)
{
        const void *content = part->address;

        if (!content && sealed_map(part->fd, part->size_bytes, &content) < 0) {
                packer->error = -ENOMEM;
                return;
        }
        pack_bin(packer, content, part->size_bytes);
        if (!part->address)
                sealed_unmap(content, part->size_bytes);
}

/* What is told of a failure carries no descriptors: its detail has all of it in place. */
static void take_parts_in(struct run *run)
{
        struct worker *worker = run->worker;
        struct buffer whole = BUFFER_INIT;
        struct reader reader = reader_over(buffer_at(&worker->result) + OUTER_MOST, answer_size(run));
        struct packer packer;
        uint32_t n = 0;

        if (buffer_append(&whole, buffer_at(&worker->result), OUTER_MOST) < 0) {
                run->has_detail = false;
                return;
        }
        pack_begin(&packer, &whole);
        while (!reader_at_end(&reader) && n <= worker->n_parts) {
                const uint8_t *at = reader.at;
                struct value value;
                if (reader_next(&reader, &value) < 0)
                        break;
                if (value.type == VALUE_EXT && value.ext_type == EXT_DESCRIPTOR && n < worker->n_parts) {
                        pack_part(&packer, &worker->parts[n++]);
                } else
                        pack_raw(&packer, at, (size_t)(reader.at - at));
        }
        if (packer.error < 0 || buffer_size(&whole) - OUTER_MOST > RESULT_MOST_BYTES)
                run->has_detail = false;
        buffer_deinit(&worker->result);
        worker->result = whole;
        drop_parts(worker);
}

/* -- the result -- */

void answer_begin(struct run *run)
{
        static const uint8_t outer[OUTER_MOST] = {[0 ... OUTER_MOST - 1] = ARRAY_OF_ONE};
        struct buffer *result = &run->worker->result;

        drop_parts(run->worker);
        buffer_truncate(result, 0);
        buffer_trim(result, KEEP_RESULT_BYTES);
        if (buffer_append(result, outer, sizeof(outer)) == 0) {
                pack_begin(&run->packer, result);
                return;
        }
        pack_begin(&run->packer, result);
        run->packer.error = -ENOMEM;
}

int answer_reserve(struct run *run, size_t size_bytes)
{
        if (run->packer.error == 0 &&
            (size_bytes > RESULT_MOST_BYTES || answer_size(run) + size_bytes > RESULT_MOST_BYTES))
                run->packer.error = -EMSGSIZE;
        return run->packer.error;
}

bool answer_is_whole(const struct run *run, unsigned outer)
{
        const struct buffer *result = &run->worker->result;
        size_t begin = OUTER_MOST - outer, size;
        struct scan scan;

        assert(outer <= OUTER_MOST);
        if (run->packer.error < 0 || answer_size(run) == 0)
                return false;
        if (scan_is_plain(buffer_at(result) + OUTER_MOST, answer_size(run)))
                return true;
        size = buffer_size(result) - begin;
        scan_init(&scan, LIMIT_MESSAGE_BYTES);
        return scan_feed(&scan, buffer_at(result) + begin, size) == SCAN_DONE && scan.at == size;
}

/* A result that cannot be sent makes the run a failed one. */
static void answer_check(struct run *run, unsigned outer)
{
        const char *name = run->function->name;
        int error = run->packer.error;

        if (run->failed) {
                if (run->has_detail && run->worker->n_parts > 0)
                        take_parts_in(run);
                run->has_detail = run->has_detail && answer_is_whole(run, outer + 1);
                drop_parts(run->worker);
                return;
        }
        if (error == 0)
                error = seal_parts(run->worker);
        if (error == 0 && answer_is_whole(run, outer))
                return;
        answer_begin(run);
        if (error == -EMSGSIZE)
                run_failf(run, "too_large", "%s: the result is larger than %u bytes", name,
                          RESULT_MOST_BYTES);
        else if (error < 0)
                run_failf(run, NULL, "%s: the result could not be written: %s", name, strerror(-error));
        else
                run_failf(run, NULL,
                          "%s: the result is not exactly one value of at most %u levels (a fault of the "
                          "module)",
                          name, LIMIT_DEPTH - outer);
}

static int send_parts(struct worker *worker, struct packer *head, const void *value, size_t value_size,
                      bool nil_last)
{
        static const char nil = '\xc0';
        struct iovec iov[3];
        int fds[LIMIT_DESCRIPTORS];
        uint32_t n_fds = 0;
        size_t n = 1;
        int r = pack_end(head);

        if (r < 0)
                return r;
        iov[0] = (struct iovec){buffer_at(&worker->head), buffer_size(&worker->head)};
        if (value_size > 0)
                iov[n++] = (struct iovec){(void *)value, value_size};
        if (nil_last)
                iov[n++] = (struct iovec){(void *)&nil, 1};
        for (uint32_t i = 0; value_size > 0 && i < worker->n_parts; i++)
                fds[n_fds++] = worker->parts[i].fd;
        r = message_send(worker, iov, n, fds, n_fds);
        buffer_truncate(&worker->head, 0);
        return r;
}

/* Packs what of {code, message, detail} comes before the detail's own bytes. */
static void pack_failure(struct packer *p, const struct run *run)
{
        pack_str(p, "code");
        pack_str(p, run->code);
        pack_str(p, "message");
        pack_str(p, run->message);
        if (run->has_detail)
                pack_str(p, "detail");
}

static int send_result(struct run *run, struct packer *p)
{
        bool with_value = !run->failed || run->has_detail;
        int r = send_parts(run->worker, p, buffer_at(&run->worker->result) + OUTER_MOST,
                           with_value ? answer_size(run) : 0, run->failed);

        drop_parts(run->worker);
        return r;
}

int answer_send(struct run *run)
{
        struct packer p;

        atomic_store_explicit(&run->worker->area->slots[run->slot].took_ns, run->ended_ns - run->began_ns,
                              memory_order_relaxed);
        answer_check(run, OUTER_RESULT);
        pack_begin(&p, &run->worker->head);
        if (run->failed) {
                pack_error_response(&p, run->slot);
                pack_map(&p, run->has_detail ? 5 : 4);
                pack_str(&p, "task");
                pack_uint(&p, run->id);
                pack_str(&p, "attempt");
                pack_uint(&p, run->attempt);
                pack_failure(&p, run);
        } else {
                pack_response(&p, run->slot);
                pack_array(&p, 3);
                pack_uint(&p, run->id);
                pack_uint(&p, run->attempt);
        }
        return send_result(run, &p);
}

int answer_send_item(struct run *run, uint64_t index)
{
        struct packer p;

        answer_check(run, OUTER_ITEM);
        pack_begin(&p, &run->worker->head);
        pack_notification(&p, "item", 5);
        pack_uint(&p, run->id);
        pack_uint(&p, run->attempt);
        pack_uint(&p, index);
        if (run->failed) {
                pack_map(&p, run->has_detail ? 3 : 2);
                pack_failure(&p, run);
        } else
                pack_nil(&p);
        return send_result(run, &p);
}

static void stream_begin(struct run *run, struct packer *p, const char *kind)
{
        pack_begin(p, &run->worker->head);
        pack_notification(p, "stream", 3);
        pack_uint(p, run->id);
        pack_str(p, kind);
}

int stream_send_bin(struct run *run, const char *kind, const void *data, size_t size_bytes)
{
        struct packer p;

        stream_begin(run, &p, kind);
        pack_bin(&p, data, size_bytes);
        return send_parts(run->worker, &p, NULL, 0, false);
}

int stream_send_progress(struct run *run, double done, const char *text)
{
        struct packer p;

        stream_begin(run, &p, "progress");
        pack_array(&p, 2);
        pack_double(&p, done);
        pack_str(&p, text);
        return send_parts(run->worker, &p, NULL, 0, false);
}

int stream_send_log(struct run *run, int level, const char *file, int line, const char *text)
{
        struct packer p;

        stream_begin(run, &p, "log");
        pack_array(&p, 4);
        pack_int(&p, level);
        pack_str(&p, file);
        pack_int(&p, line);
        pack_str(&p, text);
        return send_parts(run->worker, &p, NULL, 0, false);
}

int hello_send(struct worker *worker)
{
        struct packer p;

        pack_begin(&p, &worker->head);
        pack_notification(&p, "hello", 1);
        pack_map(&p, 4u + (area_has_ring(worker->area) ? 1 : 0) + (worker->refusals.n > 0 ? 1 : 0));
        pack_str(&p, "protocol");
        pack_uint(&p, ZYGOTE_PROTOCOL_VERSION);
        pack_str(&p, "slots");
        pack_uint(&p, worker->area->n_slots);
        pack_str(&p, "area");
        pack_bool(&p, true);
        pack_str(&p, "descriptors");
        pack_bool(&p, true);
        if (area_has_ring(worker->area)) {
                pack_str(&p, "ring");
                pack_bool(&p, true);
        }
        if (worker->refusals.n > 0) {
                pack_str(&p, "refused");
                pack_map(&p, worker->refusals.n);
        }
        for (size_t i = 0; i < worker->refusals.n; i++) {
                pack_str(&p, worker->refusals.refusals[i].key);
                pack_str(&p, strerror(worker->refusals.refusals[i].error));
        }
        return send_parts(worker, &p, NULL, 0, false);
}

void text_mend(char *text)
{
        if (utf8_valid((const uint8_t *)text, strlen(text)))
                return;
        for (; *text; text++)
                if ((unsigned char)*text >= 0x80)
                        *text = '?';
}
