/* SPDX-License-Identifier: MIT */
/* The sentence is made of the record as it is on the wire, so that whoever has one says the same. */
#include "proto/sentence.h"

#include <inttypes.h>
#include <string.h>

#include "proto/look.h"

enum { LAST_WORDS_BYTES = 200 };

static bool is_text(struct look_text text, const char *expected)
{
        return text.size_bytes == strlen(expected) && memcmp(text.data, expected, text.size_bytes) == 0;
}

/* What tasks say is anybody's: no control characters. */
static void text_write(FILE *f, struct look_text text)
{
        for (size_t i = 0; i < text.size_bytes; i++)
                fputc(look_is_control(text.data[i]) ? '?' : text.data[i], f);
}

/* What the task itself said last: no line of a backtrace. */
static struct look_text last_words(struct look_text output)
{
        struct look_text line, ret = {"", 0};
        bool in_backtrace = false;

        while (look_line(&output, &line)) {
                if (line.size_bytes > 10 && memcmp(line.data, "backtrace ", 10) == 0)
                        in_backtrace = true;
                else if (line.size_bytes < 2 || memcmp(line.data, "  ", 2) != 0)
                        in_backtrace = false;
                if (!in_backtrace && line.size_bytes > 0)
                        ret = line;
        }
        if (ret.size_bytes > LAST_WORDS_BYTES)
                ret.size_bytes = LAST_WORDS_BYTES;
        return ret;
}

static const char *ordinal_ending(uint64_t n)
{
        if (n % 100 >= 11 && n % 100 <= 13)
                return "th";
        return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

static void signal_write(FILE *f, struct reader error)
{
        uint64_t number = look_uint(error, "signal", 0);
        const char *name = number < 64 ? sigabbrev_np((int)number) : NULL;

        if (name)
                fprintf(f, "SIG%s", name);
        else
                fprintf(f, "signal %" PRIu64, number);
}

static void lost_write(FILE *f, struct reader error, struct look_text by, const char *after)
{
        bool by_signal = look_uint(error, "signal", 0) > 0;

        if (is_text(by, "limit"))
                fprintf(f, "died%s at a limit of its pool", after);
        else if (is_text(by, "kernel"))
                fprintf(f, "was killed by the kernel%s, for want of memory", after);
        else if (is_text(by, "outside")) {
                fprintf(f, "was killed from outside%s by ", after);
                signal_write(f, error);
        } else if (by_signal) {
                fprintf(f, "crashed%s with ", after);
                signal_write(f, error);
        } else
                fprintf(f, "lost its worker%s, which exited with status %" PRIu64, after,
                        look_uint(error, "exit_status", 0));
}

static void end_write(FILE *f, struct reader record, struct reader error)
{
        struct look_text code = look_text(error, "code"), by = look_text(error, "ended_by");
        double run_time = look_double(error, "run_time", -1), timeout = look_double(record, "timeout", 0);
        char after[64] = "", time[24];

        if (run_time >= 0) {
                look_duration(run_time, time, sizeof time);
                snprintf(after, sizeof after, " after %s", time);
        }
        if (is_text(code, "timed_out"))
                fprintf(f, "was killed%s of its %g s timeout", after, timeout);
        else if (is_text(code, "worker_lost"))
                lost_write(f, error, by, after);
        else if (is_text(code, "expired"))
                fprintf(f, "expired: it did not begin in time");
        else if (is_text(code, "cancelled") && is_text(by, "shutdown"))
                fprintf(f, "was cancelled%s because gangerd stopped", after);
        else if (is_text(code, "cancelled"))
                fprintf(f, "was cancelled%s by user %" PRIu64 " (process %" PRIu64 ")", after,
                        look_uint(error, "by_uid", 0), look_uint(error, "by_pid", 0));
        else
                fprintf(f, "failed%s", after);
}

void sentence_write(FILE *f, struct reader record)
{
        struct reader error = reader_over((const uint8_t *)"\x80", 1), found;
        bool is_bad = look_key(record, "error", &found) && !look_is_nil(found);
        if (is_bad)
                error = found;
        struct look_text state = look_text(record, "state"), function = look_text(record, "function");
        struct look_text pool = look_text(record, "pool"), words = last_words(look_bytes(error, "stderr"));
        uint64_t attempt = look_uint(record, "attempt", 1), retries = look_uint(record, "retries", 0);

        fprintf(f, "Task %" PRIu64 " (%.*s, pool %.*s) ", look_uint(record, "id", 0), LOOK(function),
                LOOK(pool));
        if (is_bad)
                end_write(f, record, error);
        else if (is_text(state, "succeeded"))
                fprintf(f, "succeeded");
        else
                fprintf(f, "has not ended: it is %.*s", LOOK(state));
        if (retries > 0 && attempt > 0)
                fprintf(f, ", on its %" PRIu64 "%s of %" PRIu64 " attempts", attempt, ordinal_ending(attempt),
                        retries + 1);
        struct look_text message = look_text(error, "message");
        bool says_more = is_text(look_text(error, "code"), "task_failed") ||
                         is_text(look_text(error, "ended_by"), "limit");
        if (says_more && message.size_bytes > 0) {
                fprintf(f, ": ");
                text_write(f, message);
        }
        if (words.size_bytes > 0) {
                fprintf(f, "; its last words: ");
                text_write(f, words);
        }
        fputc('.', f);
}
