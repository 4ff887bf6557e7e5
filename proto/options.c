/* SPDX-License-Identifier: MIT */
/* The table of task options, written out, and the names of streams and ends. */
#include "proto/options.h"

#include <assert.h>
#include <string.h>

const struct option_info task_option_table[N_TASK_OPTIONS] = {
#define X(symbol, name_, type_, use_, help_)                                                                 \
        [TASK_OPTION_##                                                                                      \
                symbol] = {.name = name_, .type = OPTION_##type_, .use = OPTION_FOR_##use_, .help = help_},
        TASK_OPTION_TABLE(X)
#undef X
};

static const struct {
        enum stream_kind kind;
        const char *name;
} stream_table[] = {
        {STREAM_PROGRESS, "progress"},
        {STREAM_STDOUT, "stdout"},
        {STREAM_STDERR, "stderr"},
};
#define N_STREAMS (sizeof stream_table / sizeof stream_table[0])

static const struct {
        enum retry_end end;
        const char *name;
} retry_table[] = {
        {RETRY_WORKER_LOST, "worker_lost"},
        {RETRY_TIMED_OUT, "timed_out"},
        {RETRY_TASK_FAILED, "task_failed"},
};

static int name_is(const char *expected, const char *name, size_t size_bytes)
{
        return strlen(expected) == size_bytes && memcmp(expected, name, size_bytes) == 0;
}

enum task_option task_option_from_name(const char *name, size_t size_bytes)
{
        for (int i = 0; i < N_TASK_OPTIONS; i++)
                if (name_is(task_option_table[i].name, name, size_bytes))
                        return (enum task_option)i;
        return N_TASK_OPTIONS;
}

enum stream_kind stream_from_name(const char *name, size_t size_bytes)
{
        for (size_t i = 0; i < N_STREAMS; i++)
                if (name_is(stream_table[i].name, name, size_bytes))
                        return stream_table[i].kind;
        return (enum stream_kind)0;
}

enum retry_end retry_end_from_name(const char *name, size_t size_bytes)
{
        for (size_t i = 0; i < sizeof retry_table / sizeof retry_table[0]; i++)
                if (name_is(retry_table[i].name, name, size_bytes))
                        return retry_table[i].end;
        return (enum retry_end)0;
}

const char *stream_name(enum stream_kind kind)
{
        for (size_t i = 0; i < N_STREAMS; i++)
                if (stream_table[i].kind == kind)
                        return stream_table[i].name;
        assert(!"one stream kind");
        return NULL;
}
