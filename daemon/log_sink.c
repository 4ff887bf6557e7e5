/* SPDX-License-Identifier: MIT */
/*
 * The journal gets a message as fields, by who was given to us for that: this file knows their names, not how
 * they are sent. Where that fails, and where nobody was given, the line goes to standard error with its
 * priority before it, which the journal understands as well.
 */
#include "daemon/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/log_format.h"

#define FIELDS_MOST 14

static struct {
        _Atomic enum log_format format;
        _Atomic bool to_journal;
        log_journal_send *_Atomic send;
        uint64_t lost;
} sink;

/* JOURNAL_STREAM names device and inode of the stream that systemd gave us; whoever redirected us since has
 * another. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_sink_set(enum log_format format, log_journal_send *send)
{
        sink.format = format;
        sink.send = send;
        sink.to_journal = stderr_is_journal();
}

/* -- the journal -- */

struct fields {
        struct iovec at[FIELDS_MOST];
        int n;
        struct log_line texts[5]; /* each with its field's name before it */
        size_t n_texts;
        char numbers[6][64];
        size_t n_numbers;
};

static void field_add(struct fields *f, char *data, size_t size_bytes)
{
        f->at[f->n++] = (struct iovec){data, size_bytes};
}

static void field_text(struct fields *f, const char *name, const char *text, size_t max_bytes)
{
        struct log_line *l = &f->texts[f->n_texts];

        if (text == NULL)
                return;
        f->n_texts++;
        l->size_bytes = (size_t)snprintf(l->text, sizeof l->text, "%s=", name);
        log_format_text(l, text, max_bytes, false);
        field_add(f, l->text, l->size_bytes);
}

static void field_number(struct fields *f, const char *name, uint64_t value)
{
        char *text = f->numbers[f->n_numbers++];

        field_add(f, text,
                  (size_t)snprintf(text, sizeof f->numbers[0], "%s=%llu", name, (unsigned long long)value));
}

/* Of our own source, without the way from the build tree to it, which is before this file's name as well. */
static const char *source_file(const char *file)
{
        const size_t n = sizeof __FILE__ - sizeof "daemon/log_sink.c";

        return strncmp(file, __FILE__, n) == 0 ? file + n : file;
}

static int send_fields(const struct log_entry *e, log_journal_send *send)
{
        static struct fields f; /* the writer's alone */
        static char identifier[] = "SYSLOG_IDENTIFIER=gangerd", stream[64], id[64];
        const struct log_origin *o = e->origin;

        f.n = 0;
        f.n_texts = f.n_numbers = 0;
        field_text(&f, "MESSAGE", e->message, LOG_MESSAGE_BYTES);
        field_number(&f, "PRIORITY", (uint64_t)log_format_priority(e->level));
        field_add(&f, identifier, sizeof identifier - 1);
        if (e->message_id != NULL)
                field_add(&f, id, (size_t)snprintf(id, sizeof id, "MESSAGE_ID=%s", e->message_id));
        if (e->task != 0)
                field_number(&f, "GANGER_TASK", e->task);
        if (e->worker != 0)
                field_number(&f, "GANGER_WORKER_PID", (uint64_t)e->worker);
        if (e->has_uid)
                field_number(&f, "GANGER_UID", e->uid);
        field_text(&f, "GANGER_POOL", e->pool, LOG_MESSAGE_BYTES);
        field_text(&f, "GANGER_FUNCTION", e->function, LOG_MESSAGE_BYTES);
        if (e->stream != NULL)
                field_add(&f, stream, (size_t)snprintf(stream, sizeof stream, "GANGER_STREAM=%s", e->stream));
        field_text(&f, "CODE_FILE", e->file != NULL ? e->file : source_file(o->file), LOG_MESSAGE_BYTES);
        field_number(&f, "CODE_LINE", (uint64_t)(e->file != NULL ? e->line : o->line));
        field_text(&f, "CODE_FUNC", e->file != NULL ? NULL : o->function, LOG_MESSAGE_BYTES);
        return send(f.at, f.n);
}

/* -- standard error -- */

/* Of a standard error that is shared with a terminal somebody may have made it non-blocking. */
static int wait_until_writable(void)
{
        struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

        return poll(&fd, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

static int write_line(const struct log_line *l)
{
        size_t done = 0;

        while (done < l->size_bytes) {
                ssize_t n = write(STDERR_FILENO, l->text + done, l->size_bytes - done);
                int r = n >= 0 || errno == EINTR ? 0 : errno == EAGAIN ? wait_until_writable() : -errno;
                if (r < 0)
                        return r;
                done += n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static int write_out(const struct log_entry *e)
{
        static struct log_line line; /* the writer's alone */
        bool to_journal = sink.to_journal;
        log_journal_send *send = sink.send;

        if (to_journal && send != NULL && send_fields(e, send) == 0)
                return 0;
        log_format_line(e, sink.format, to_journal, &line);
        return write_line(&line);
}

void log_sink_write(const struct log_entry *e)
{
        static const struct log_origin origin = {__FILE__, NULL, __LINE__};
        char text[80];
        struct log_entry before = {
                .time = e->time, .level = LOG_LEVEL_WARNING, .origin = &origin, .message = text};

        if (sink.lost > 0) {
                snprintf(text, sizeof text, "%llu messages could not be written",
                         (unsigned long long)sink.lost);
                if (write_out(&before) == 0)
                        sink.lost = 0;
        }
        if (write_out(e) < 0)
                sink.lost++;
}
