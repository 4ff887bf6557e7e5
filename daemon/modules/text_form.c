/* SPDX-License-Identifier: MIT */
/*
 * UTF-8, quoting and hints for the messages of the modules. Nothing here allocates: a message has to be
 * possible when memory is what is missing.
 */
#include "daemon/modules/text_form.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_continuation(unsigned char c)
{
        return (c & 0xc0) == 0x80;
}

size_t utf8_sequence(const char *text, size_t size_bytes)
{
        const unsigned char *s = (const unsigned char *)text;

        if (size_bytes >= 1 && s[0] < 0x80)
                return 1;
        if (size_bytes >= 2 && s[0] >= 0xc2 && s[0] <= 0xdf && is_continuation(s[1]))
                return 2;
        if (size_bytes >= 3 && (s[0] & 0xf0) == 0xe0 && is_continuation(s[1]) && is_continuation(s[2])) {
                bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
                bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
                return overlong || surrogate ? 0 : 3;
        }
        if (size_bytes >= 4 && s[0] >= 0xf0 && s[0] <= 0xf4 && is_continuation(s[1]) &&
            is_continuation(s[2]) && is_continuation(s[3])) {
                bool overlong = s[0] == 0xf0 && s[1] < 0x90;
                bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
                return overlong || beyond ? 0 : 4;
        }
        return 0;
}

bool utf8_valid(const char *text, size_t size_bytes)
{
        size_t at = 0;

        while (at < size_bytes) {
                size_t n = utf8_sequence(text + at, size_bytes - at);
                if (n == 0)
                        return false;
                at += n;
        }
        return true;
}

const char *quote(char ret[QUOTED_SIZE], const char *text, size_t size_bytes)
{
        enum { LONGEST_PIECE = 4, END = sizeof("...\"") };
        size_t used = 0;

        ret[used++] = '"';
        for (size_t at = 0; at < size_bytes;) {
                if (used + LONGEST_PIECE + END > QUOTED_SIZE) {
                        memcpy(ret + used, "...", 3);
                        used += 3;
                        break;
                }
                size_t n = utf8_sequence(text + at, size_bytes - at);
                unsigned char c = (unsigned char)text[at];
                if (n == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
                        used += (size_t)snprintf(ret + used, LONGEST_PIECE + 1, "\\x%02x", c);
                        at++;
                } else {
                        memcpy(ret + used, text + at, n);
                        used += n;
                        at += n;
                }
        }
        ret[used++] = '"';
        ret[used] = '\0';
        return ret;
}

/* Whether it lies where a unit's ProtectHome=yes closes the way to everybody. */
static bool is_in_closed_home(const char *path, size_t size_bytes)
{
        static const char *const homes[] = {"/home/", "/root/", "/run/user/"};

        if (access("/home", X_OK) == 0 || errno != EACCES)
                return false;
        for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++)
                if (size_bytes > strlen(homes[i]) && memcmp(path, homes[i], strlen(homes[i])) == 0)
                        return true;
        return false;
}

const char *path_hint(char ret[HINT_SIZE], const char *path, size_t size_bytes, int error_number)
{
        static const char pass[] =
                "let the caller open it and pass the descriptor (@PATH on the command line)";
        bool relative = size_bytes > 0 && path[0] != '/';
        char directory[128];

        ret[0] = '\0';
        if (error_number == ENOENT && relative) {
                if (!getcwd(directory, sizeof(directory)) || !utf8_valid(directory, strlen(directory)))
                        snprintf(directory, sizeof(directory), "its own directory");
                snprintf(ret, HINT_SIZE,
                         "; a worker looks for a relative path from %s: give the whole path, or %s",
                         directory, pass);
        } else if (error_number == EACCES && is_in_closed_home(path, size_bytes))
                snprintf(ret, HINT_SIZE,
                         "; this service cannot see homes (ProtectHome=): %s, or let it see them by the "
                         "drop-in homes.conf",
                         pass);
        else if (error_number == ENOENT)
                snprintf(ret, HINT_SIZE,
                         "; if the caller sees it and a worker does not (private /tmp, /home), %s", pass);
        else if (error_number == EACCES || error_number == EPERM || error_number == EROFS)
                snprintf(ret, HINT_SIZE, "; workers run as uid %u: give it the rights, or %s",
                         (unsigned)geteuid(), pass);
        return ret;
}

const char *type_name(enum ganger_type type)
{
        static const char *const names[] = {
                [GANGER_NIL] = "nil",
                [GANGER_BOOL] = "a boolean",
                [GANGER_INT] = "an integer",
                [GANGER_UINT] = "an integer",
                [GANGER_DOUBLE] = "a number",
                [GANGER_STR] = "a string",
                [GANGER_BIN] = "bytes",
                [GANGER_ARRAY] = "an array",
                [GANGER_MAP] = "a map",
                [GANGER_FD] = "a descriptor",
                [GANGER_EXT] = "an extension value",
        };

        return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "a value of an unknown type";
}
