/* SPDX-License-Identifier: MIT */
/* The table of events, written out. */
#include "proto/events.h"

#include <string.h>

const struct event_kind_info event_table[N_EVENT_KINDS] = {
#define X(symbol, name_, summary_) [EVENT_KIND_##symbol] = {.name = name_, .summary = summary_},
        EVENT_TABLE(X)
#undef X
};

enum event_kind event_kind_from_name(const char *name, size_t size_bytes)
{
        for (enum event_kind i = 0; i < N_EVENT_KINDS; i++)
                if (strlen(event_table[i].name) == size_bytes &&
                    memcmp(event_table[i].name, name, size_bytes) == 0)
                        return i;
        return N_EVENT_KINDS;
}
