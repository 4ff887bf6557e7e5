/* SPDX-License-Identifier: MIT */
/* The table of error codes, written out. */
#include "proto/errors.h"

#include <assert.h>
#include <string.h>

const struct error_info error_table[] = {
#define X(number, symbol, name_, meaning_) {.code = ERROR_##symbol, .name = name_, .meaning = meaning_},
        ERROR_TABLE(X)
#undef X
};
const size_t n_error_table = sizeof error_table / sizeof error_table[0];

static const struct error_info *error_find(enum error_code code)
{
        for (size_t i = 0; i < n_error_table; i++)
                if (error_table[i].code == code)
                        return &error_table[i];
        assert(!"an error code");
        return NULL;
}

const char *error_name(enum error_code code)
{
        return error_find(code)->name;
}

const char *error_meaning(enum error_code code)
{
        return error_find(code)->meaning;
}

enum error_code error_from_name(const char *name, size_t size_bytes)
{
        for (size_t i = 0; i < n_error_table; i++)
                if (strlen(error_table[i].name) == size_bytes &&
                    memcmp(error_table[i].name, name, size_bytes) == 0)
                        return error_table[i].code;
        return ERROR_NONE;
}
