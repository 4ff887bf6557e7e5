/* SPDX-License-Identifier: MIT */
/* Words as a shell would take them. */
#include "client/cli/quote.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_plain(unsigned char c)
{
        return isalnum(c) || c >= 0x80 || (c != '\0' && strchr("%+,-./:=@_", c));
}

static bool is_control(unsigned char c)
{
        return c < 0x20 || c == 0x7f;
}

static bool all_plain(const char *word, size_t size_bytes)
{
        for (size_t i = 0; i < size_bytes; i++)
                if (!is_plain((unsigned char)word[i]))
                        return false;
        return size_bytes > 0;
}

static bool has_control(const char *word, size_t size_bytes)
{
        for (size_t i = 0; i < size_bytes; i++)
                if (is_control((unsigned char)word[i]))
                        return true;
        return false;
}

static int append(struct buffer *b, const char *text)
{
        return buffer_append(b, text, strlen(text));
}

/* Within '…' only the quote itself needs care. */
static int quote_strongly(struct buffer *b, const char *word, size_t size_bytes)
{
        int r = append(b, "'");

        while (r == 0 && size_bytes > 0) {
                const char *quote = memchr(word, '\'', size_bytes);
                size_t n = quote ? (size_t)(quote - word) : size_bytes;
                r = buffer_append(b, word, n);
                if (r == 0 && quote)
                        r = append(b, "'\"'\"'");
                n += quote != NULL;
                word += n;
                size_bytes -= n;
        }
        return r < 0 ? r : append(b, "'");
}

/* $'…' knows escapes. */
static int quote_escaping(struct buffer *b, const char *word, size_t size_bytes)
{
        int r = append(b, "$'");

        for (size_t i = 0; r == 0 && i < size_bytes; i++) {
                char c = word[i], escape[8];
                if (c == '\n' || c == '\t')
                        r = append(b, c == '\n' ? "\\n" : "\\t");
                else if (is_control((unsigned char)c)) {
                        snprintf(escape, sizeof escape, "\\%03o", (unsigned)(unsigned char)c);
                        r = append(b, escape);
                } else if (c == '\'' || c == '\\') {
                        r = append(b, c == '\'' ? "\\'" : "\\\\");
                } else
                        r = buffer_append(b, &c, 1);
        }
        return r < 0 ? r : append(b, "'");
}

int quote_word(struct buffer *b, const char *word, size_t size_bytes)
{
        if (all_plain(word, size_bytes))
                return buffer_append(b, word, size_bytes);
        return has_control(word, size_bytes) ? quote_escaping(b, word, size_bytes)
                                             : quote_strongly(b, word, size_bytes);
}
