/* SPDX-License-Identifier: MIT */
/*
 * Packs arguments by a format. Containers are counted by looking ahead to the bracket that closes them.
 */
#include "tests/support/module_format.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many values stand in `format` up to the bracket that closes it, or to its end. */
static uint32_t count_values(const char *format)
{
        uint32_t n = 0;
        int depth = 0;

        for (; *format && depth >= 0; format++) {
                bool closes = *format == ']' || *format == '}';
                n += depth == 0 && !closes;
                depth += *format == '[' || *format == '{' ? 1 : closes ? -1 : 0;
        }
        return n;
}

static void pack_descriptor(msgpack_packer *packer)
{
        static const char body[MODULE_FORMAT_EXT_BYTES] = {2};
        msgpack_pack_ext_with_body(packer, body, sizeof(body), MODULE_FORMAT_EXT_TYPE);
}

void module_format_pack(msgpack_packer *packer, const char *format, va_list ap, int *ret_fds, size_t n_room,
                        size_t *ret_n_fds)
{
        const char *text;

        *ret_n_fds = 0;
        msgpack_pack_array(packer, count_values(format));
        for (; *format; format++) {
                switch (*format) {
                case 's':
                        text = va_arg(ap, const char *);
                        msgpack_pack_str_with_body(packer, text, strlen(text));
                        break;
                case 'y':
                        text = va_arg(ap, const char *);
                        msgpack_pack_bin_with_body(packer, text, va_arg(ap, size_t));
                        break;
                case 'i':
                        msgpack_pack_int64(packer, va_arg(ap, int64_t));
                        break;
                case 'd':
                        msgpack_pack_double(packer, va_arg(ap, double));
                        break;
                case 'b':
                        va_arg(ap, int) ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
                        break;
                case 'm':
                        msgpack_pack_object(packer, *va_arg(ap, const msgpack_object *));
                        break;
                case 'n':
                        msgpack_pack_nil(packer);
                        break;
                case 'h':
                        if (*ret_n_fds == n_room)
                                abort();
                        ret_fds[(*ret_n_fds)++] = va_arg(ap, int);
                        pack_descriptor(packer);
                        break;
                case '[':
                        msgpack_pack_array(packer, count_values(format + 1));
                        break;
                case '{':
                        msgpack_pack_map(packer, count_values(format + 1) / 2);
                        break;
                case ']':
                case '}':
                        break;
                default:
                        fprintf(stderr, "module_format: unknown character %c\n", *format);
                        abort();
                }
        }
}
