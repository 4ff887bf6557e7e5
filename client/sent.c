/* SPDX-License-Identifier: MIT */
#include "client/sent.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/descriptors.h"

struct sent {
        atomic_uint n_owners;
        atomic_bool closed;
        uint32_t n;
        int fds[];
};

struct sent *sent_new(const int *fds, uint32_t n)
{
        struct sent *sent = n > 0 ? malloc(sizeof(*sent) + n * sizeof(*fds)) : NULL;

        if (sent == NULL)
                return NULL;
        atomic_init(&sent->n_owners, 1);
        atomic_init(&sent->closed, false);
        sent->n = n;
        if (fds_duplicate(fds, n, sent->fds) < 0) {
                free(sent);
                return NULL;
        }
        return sent;
}

uint32_t sent_n(const struct sent *sent)
{
        return sent != NULL ? sent->n : 0;
}

struct sent *sent_ref(struct sent *sent)
{
        if (sent != NULL)
                atomic_fetch_add(&sent->n_owners, 1);
        return sent;
}

struct sent *sent_unref(struct sent *sent)
{
        if (sent == NULL)
                return NULL;
        if (!atomic_exchange(&sent->closed, true))
                for (uint32_t i = 0; i < sent->n; i++)
                        close(sent->fds[i]);
        if (atomic_fetch_sub(&sent->n_owners, 1) == 1)
                free(sent);
        return NULL;
}
