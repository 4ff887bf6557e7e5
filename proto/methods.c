/* SPDX-License-Identifier: MIT */
/* The table of methods, written out. Found by name through a search that is bounded by the table's size: the
 * hot methods come first in a list of sixteen, which beats a hash. */
#include "proto/methods.h"

#include <string.h>

const struct method_info method_table[N_METHODS] = {
#define X(symbol, name_, shape_, flags_)                                                                     \
        [METHOD_##symbol] = {.name = name_, .shape = shape_, .flags = flags_},
        METHOD_TABLE(X)
#undef X
};

enum method method_from_name(const char *name, size_t size_bytes)
{
        for (int i = 0; i < N_METHODS; i++)
                if (strlen(method_table[i].name) == size_bytes &&
                    memcmp(method_table[i].name, name, size_bytes) == 0)
                        return (enum method)i;
        return N_METHODS;
}
