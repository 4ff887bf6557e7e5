/* SPDX-License-Identifier: MIT */
/*
 * The format in which a test writes down a task's arguments: s string, y bytes (pointer, size_t), i int64_t,
 * d double, b int, n nil, h descriptor, m a ready value (msgpack_object *), [...], {...}.
 */
#ifndef TESTS_SUPPORT_MODULE_FORMAT_H
#define TESTS_SUPPORT_MODULE_FORMAT_H

#include <msgpack.h>
#include <stdarg.h>
#include <stddef.h>

enum { MODULE_FORMAT_EXT_TYPE = 71, MODULE_FORMAT_EXT_BYTES = 9 };

/* Packs the array of arguments; descriptors become extension values and are listed in `ret_fds` in their
 * order. Ends the program on a format that is none. */
void module_format_pack(msgpack_packer *packer, const char *format, va_list ap, int *ret_fds, size_t n_room,
                        size_t *ret_n_fds);

#endif
