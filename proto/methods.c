/* SPDX-License-Identifier: MIT */
/* The table of methods, written out, and the hash table by which a name is found. */
#include "proto/methods.h"

#include <stdint.h>
#include <string.h>

#define LONGEST 64 /* bytes of a name that can be one */

const struct method_info method_table[N_METHODS] = {
#define X(symbol, name_, shape_, flags_)                                                                     \
        [METHOD_##symbol] = {                                                                                \
                .name = name_, .name_size_bytes = sizeof(name_) - 1, .shape = shape_, .flags = flags_},
        METHOD_TABLE(X)
#undef X
};

#define PLACES 256 /* far more than methods, so that a search ends after one or two */
_Static_assert(N_METHODS * 2 <= PLACES, "places for all methods");

static uint8_t places[PLACES]; /* method + 1; 0: free */

/* Tells the names in the table apart well enough; any other one costs a comparison. */
static unsigned place_of(const char *name, size_t size_bytes)
{
        unsigned hash = (unsigned)size_bytes;

        for (size_t i = 0; i < size_bytes; i++)
                hash = hash * 31 + (uint8_t)name[i];
        return hash % PLACES;
}

__attribute__((constructor)) static void fill_places(void)
{
        for (unsigned i = 0; i < N_METHODS; i++) {
                unsigned place = place_of(method_table[i].name, strlen(method_table[i].name));
                while (places[place] != 0)
                        place = (place + 1) % PLACES;
                places[place] = (uint8_t)(i + 1);
        }
}

enum method method_from_name(const char *name, size_t size_bytes)
{
        if (size_bytes > LONGEST)
                return N_METHODS;
        for (unsigned place = place_of(name, size_bytes); places[place] != 0; place = (place + 1) % PLACES) {
                const struct method_info *known = &method_table[places[place] - 1];
                if (known->name_size_bytes == size_bytes && memcmp(known->name, name, size_bytes) == 0)
                        return (enum method)(places[place] - 1);
        }
        return N_METHODS;
}
