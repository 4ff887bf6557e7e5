/* SPDX-License-Identifier: MIT */
/* Each byte is looked at once and copied once. */
#include "daemon/lines.h"

#include <string.h>

static void emit(struct lines *lines, size_t size_bytes, lines_on_line *on_line, void *userdata)
{
        char next = lines->held[size_bytes];

        lines->held[size_bytes] = 0;
        on_line(userdata, lines->held);
        lines->held[size_bytes] = next;
        lines->held_bytes -= size_bytes;
        memmove(lines->held, lines->held + size_bytes, lines->held_bytes);
}

/* How much of the full buffer ends with a whole character; all of it where that is no UTF-8 anyway. */
static size_t whole_characters(const struct lines *lines)
{
        size_t n = lines->held_bytes, begin = n - 1;

        while (n - begin < 4 && ((uint8_t)lines->held[begin] & 0xc0) == 0x80)
                begin--;
        uint8_t first = (uint8_t)lines->held[begin];
        size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
        return n - begin < wanted ? begin : n;
}

void lines_flush(struct lines *lines, lines_on_line *on_line, void *userdata)
{
        if (lines->held_bytes > 0 && lines->held[lines->held_bytes - 1] == '\r')
                lines->held_bytes--;
        if (lines->held_bytes > 0)
                emit(lines, lines->held_bytes, on_line, userdata);
}

void lines_feed(struct lines *lines, const uint8_t *data, size_t size_bytes, lines_on_line *on_line,
                void *userdata)
{
        for (size_t i = 0; i < size_bytes; i++) {
                if (data[i] == '\n') {
                        lines_flush(lines, on_line, userdata);
                        continue;
                }
                if (lines->held_bytes == LINES_BYTES)
                        emit(lines, whole_characters(lines), on_line, userdata);
                lines->held[lines->held_bytes++] = data[i] == 0 ? '?' : (char)data[i];
        }
}
