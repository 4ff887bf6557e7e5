/* SPDX-License-Identifier: MIT */
/* Counting the references to rights, which permission.c makes and asks. */
#include "daemon/rights.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

struct rights *rights_ref(struct rights *rights)
{
        if (rights != NULL)
                rights->n_refs++;
        return rights;
}

struct rights *rights_unref(struct rights *rights)
{
        if (rights == NULL)
                return NULL;
        assert(rights->n_refs > 0);
        if (--rights->n_refs == 0) {
                free(rights->groups);
                free(rights);
        }
        return NULL;
}
